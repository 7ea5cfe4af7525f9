# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS of the tests does what the tests rely on and moto alone does not."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from support.aws_server import IMAGE


@pytest.fixture
def instance(aws_server):
    return aws_server.run_instances()[0]


@pytest.fixture
def target_group(aws_server):
    vpc = aws_server.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    made = aws_server.client("elbv2").create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)
    return made["TargetGroups"][0]["TargetGroupArn"]


def test_targets_come_and_go_slowly(aws_server, instance, target_group):
    elbv2, target = aws_server.client("elbv2"), [{"Id": instance}]

    def states(count, **arguments):
        found = [elbv2.describe_target_health(TargetGroupArn=target_group, **arguments) for _time in range(count)]
        return [[one["TargetHealth"]["State"] for one in answer["TargetHealthDescriptions"]] for answer in found]

    aws_server.control(initial_answers=2, draining_answers=2)
    elbv2.deregister_targets(TargetGroupArn=target_group, Targets=target)
    elbv2.register_targets(TargetGroupArn=target_group, Targets=target)
    assert states(3, Targets=target) == [["initial"], ["initial"], ["healthy"]]
    aws_server.set_target_health(instance, "unhealthy", "Target.ResponseCodeMismatch", "codes: [500]")
    health = elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"][0]["TargetHealth"]
    assert health == {"State": "unhealthy", "Reason": "Target.ResponseCodeMismatch", "Description": "codes: [500]"}
    aws_server.set_target_health(instance, None)
    assert states(1) == [["healthy"]]
    elbv2.deregister_targets(TargetGroupArn=target_group, Targets=target)
    assert states(3) == [["draining"], ["draining"], []]
    assert states(1, Targets=target) == [["unused"]]


def test_instances_of_a_classic_load_balancer_come_and_go_slowly(aws_server, instance):
    elb, instances = aws_server.client("elb"), [{"InstanceId": instance}]
    listener = {"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}
    elb.create_load_balancer(LoadBalancerName="web", Listeners=[listener], AvailabilityZones=["us-east-1a"])

    def states(count):
        found = [elb.describe_instance_health(LoadBalancerName="web", Instances=instances) for _time in range(count)]
        return [(one["InstanceStates"][0]["State"], one["InstanceStates"][0]["ReasonCode"]) for one in found]

    elb.register_instances_with_load_balancer(LoadBalancerName="web", Instances=instances)
    assert states(2) == [("OutOfService", "ELB"), ("InService", "N/A")]
    aws_server.set_target_health(instance, "unhealthy", description="failed 2 health checks")
    assert states(1) == [("OutOfService", "Instance")]
    elb.deregister_instances_from_load_balancer(LoadBalancerName="web", Instances=instances)
    assert states(2) == [("InService", "N/A"), ("OutOfService", "Instance")]


def test_an_address_expires(aws_server):
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket="hollowweb")
    s3.put_object(Bucket="hollowweb", Key="web.zip", Body=b"web")
    address = s3.generate_presigned_url("get_object", {"Bucket": "hollowweb", "Key": "web.zip"}, ExpiresIn=3600)
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"web"
    aws_server.control(clock_ahead_seconds=3700)
    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(address):
        pass
    text = caught.value.read().decode()
    assert caught.value.code == 403 and "<Code>AccessDenied</Code><Message>Request has expired</Message>" in text


def test_suspended_processes_do_not_happen(aws_server):
    autoscaling = aws_server.client("autoscaling")
    autoscaling.create_launch_configuration(LaunchConfigurationName="web", ImageId=IMAGE, InstanceType="t3.micro")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchConfigurationName="web",
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=1,
        AvailabilityZones=["us-east-1a"],
    )
    autoscaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"])
    autoscaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    group = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert (len(group["Instances"]), group["SuspendedProcesses"][0]["ProcessName"]) == (1, "Launch")


def test_an_instance_waits_for_its_launch_hook(aws_server):
    autoscaling, group = aws_server.client("autoscaling"), {"AutoScalingGroupName": "web"}
    autoscaling.create_launch_configuration(LaunchConfigurationName="web", ImageId=IMAGE, InstanceType="t3.micro")
    sizes = {"MinSize": 0, "MaxSize": 2, "DesiredCapacity": 0, "AvailabilityZones": ["us-east-1a"]}
    autoscaling.create_auto_scaling_group(**group, LaunchConfigurationName="web", **sizes)
    hook = {**group, "LifecycleHookName": "deploy"}
    autoscaling.put_lifecycle_hook(**hook, LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING")
    autoscaling.set_desired_capacity(**group, DesiredCapacity=2)

    def states():
        found = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
        return {one["InstanceId"]: one["LifecycleState"] for one in found}

    first, second = states()
    assert set(states().values()) == {"Pending:Wait"}
    autoscaling.record_lifecycle_action_heartbeat(**hook, InstanceId=first)
    autoscaling.complete_lifecycle_action(**hook, InstanceId=first, LifecycleActionResult="CONTINUE")
    autoscaling.complete_lifecycle_action(**hook, InstanceId=second, LifecycleActionResult="ABANDON")
    assert states() == {first: "InService"}


def test_calls_are_recorded_until_the_next_reset(aws_server):
    aws_server.client("ec2").describe_instances()
    aws_server.client("cloudwatch").describe_alarms()
    aws_server.client("s3").list_buckets()
    assert aws_server.actions() == ["ec2:DescribeInstances", "monitoring:DescribeAlarms", "s3:GET /"]
    aws_server.reset()
    assert aws_server.calls == []
