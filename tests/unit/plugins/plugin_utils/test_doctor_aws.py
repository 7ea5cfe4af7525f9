# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor finds out in AWS."""

from __future__ import annotations

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_errors import note_calls
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor_aws import (
    Identity,
    check_aws,
    check_permissions,
)

USER = Identity("arn:aws:iam::123456789012:user/ada", "123456789012", "us-east-1")
TRAFFIC = {"load_balancer_info": {"target_group_info_list": [{"name": "web"}]}}
TAGS = {"ec2_tag_filters": [{"key": "App"}]}


@pytest.fixture
def look(aws_server):
    """Give ``look(bucket=..., **settings)``, which returns verdicts and sentences by what was looked at."""

    # The server has no such call, and answers as no service of AWS does.
    aws_server.fail("SimulatePrincipalPolicy", "AccessDenied", status=403)

    def check(bucket=None, **group):
        aws = Access(AwsSettings.from_arguments(aws_server.arguments))
        return {one.check: (one.verdict, one.text) for one in check_aws(aws, group, bucket)}

    return check


@pytest.fixture
def iam():
    """Give a client of IAM and its Stubber: moto has no SimulatePrincipalPolicy."""
    import boto3
    from botocore.stub import Stubber

    made = boto3.client("iam", region_name="us-east-1", aws_access_key_id="one", aws_secret_access_key="two")
    note_calls(made)
    with Stubber(made) as stub:
        yield made, stub
        stub.assert_no_pending_responses()


def answer(stub, source, actions, resources, **decisions):
    results = [
        {"EvalActionName": action, "EvalDecision": decisions.get(action.partition(":")[2], "allowed")}
        for action in actions
    ]
    wanted = {"PolicySourceArn": source, "ActionNames": actions, "ResourceArns": resources}
    stub.add_response("simulate_principal_policy", {"EvaluationResults": results, "IsTruncated": False}, wanted)


def permissions(made, identity=USER, bucket=None, **group):
    (found,) = check_permissions({"iam": made}, identity, group, bucket)
    return found.verdict, found.text


def test_all_permissions_are_there(iam):
    made, stub = iam
    actions = ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]
    answer(stub, USER.arn, actions, ["*"])
    assert permissions(made, **TAGS) == ("ok", "all 2 for inventory")


def test_a_missing_permission_is_named(iam):
    made, stub = iam
    describing = ["DescribeInstanceHealth", "DescribeLoadBalancers", "DescribeTargetGroups", "DescribeTargetHealth"]
    prefix = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
    pairs = {
        ("*",): describing,
        (f"{prefix}:loadbalancer/*",): ["DeregisterInstancesFromLoadBalancer", "RegisterInstancesWithLoadBalancer"],
        (f"{prefix}:targetgroup/web/*",): ["DeregisterTargets", "RegisterTargets"],
    }
    for resources, names in sorted(pairs.items()):
        actions = [f"elasticloadbalancing:{name}" for name in names]
        answer(
            stub, USER.arn, actions, list(resources), RegisterTargets="implicitDeny", DeregisterTargets="explicitDeny"
        )
    assert permissions(made, **TRAFFIC) == (
        "problem",
        "arn:aws:iam::123456789012:user/ada lacks elasticloadbalancing:DeregisterTargets, "
        "elasticloadbalancing:RegisterTargets; allow them; setup_aws makes a policy of all that is needed",
    )


def test_a_session_is_judged_by_its_role(iam):
    made, stub = iam
    session = Identity("arn:aws:sts::123456789012:assumed-role/deployer/ada", "123456789012", "us-east-1")
    role = {
        "Path": "/teams/",
        "RoleName": "deployer",
        "RoleId": "A" * 16,
        "Arn": "arn:aws:iam::123456789012:role/teams/deployer",
        "CreateDate": "2026-01-01T00:00:00Z",
    }
    stub.add_response("get_role", {"Role": role}, {"RoleName": "deployer"})
    actions = ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]
    answer(stub, role["Arn"], actions, ["*"])
    assert permissions(made, session, **TAGS)[0] == "ok"


def test_permissions_that_may_not_be_asked_for(iam):
    made, stub = iam
    stub.add_client_error("simulate_principal_policy", "AccessDenied", "not authorized", 403)
    verdict, text = permissions(made, **TAGS)
    assert verdict == "unknown"
    assert text.startswith("not checked: these credentials may not ask IAM what they may do; allow iam:Simulate")


def test_root_user_and_nothing_needed(iam):
    made, _stub = iam
    root = Identity("arn:aws:iam::123456789012:root", "123456789012", "us-east-1")
    assert permissions(made, root, **TAGS)[0] == "ok"
    assert permissions(made) == ("ok", "none are needed")


def test_no_credentials(aws_server):
    aws = Access(AwsSettings(region="us-east-1"))
    (found,) = check_aws(aws, TAGS, None)
    assert (found.check, found.verdict) == ("credentials", "problem")
    assert found.text.startswith("there are no AWS credentials; set AWS_PROFILE")


def test_who_this_is(look):
    found = look()
    assert found["credentials"][0] == "ok"
    assert found["credentials"][1].startswith("arn:aws:sts::123456789012:") and found["credentials"][1].endswith(
        " in us-east-1"
    )


def test_buckets(look, aws_server):
    assert look(bucket="hollowweb")["bucket"][0] == "problem"
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket="hollowweb")
    assert look(bucket="hollowweb")["bucket"][0] == "warning"
    s3.put_bucket_versioning(Bucket="hollowweb", VersioningConfiguration={"Status": "Enabled"})
    assert look(bucket="hollowweb")["bucket"] == ("ok", "s3://hollowweb, with versions")
    s3.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert look(bucket="elsewhere")["bucket"] == (
        "problem",
        "s3://elsewhere is in eu-west-1, and the region is us-east-1; set deploy_region=eu-west-1",
    )


def test_load_balancers(look, aws_server):
    verdict, text = look(**TRAFFIC)["traffic"]
    assert verdict == "problem" and "this target group does not exist" in text
    vpc = aws_server.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    aws_server.client("elbv2").create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)
    assert look(**TRAFFIC)["traffic"] == ("warning", "target group web belongs to no load balancer")
    verdict, text = look(load_balancer_info={"elb_info_list": [{"name": "old"}]})["traffic"]
    assert verdict == "problem" and "this load balancer does not exist" in text


def test_auto_scaling_groups_and_alarms(look, aws_server):
    assert look(auto_scaling_groups=["web"])["scaling"] == (
        "problem",
        "there is no Auto Scaling group web; check its name and the region",
    )
    alarms = {"alarm_configuration": {"enabled": True, "alarms": [{"name": "errors"}]}}
    assert look(**alarms)["alarms"][0] == "problem"
    cloudwatch = aws_server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="Errors",
        Namespace="web",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    assert look(**alarms)["alarms"] == ("ok", "1, none in ALARM")
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    assert look(**alarms)["alarms"][1].startswith("errors is in ALARM: no deployment starts")


def test_nothing_is_changed(look, aws_server):
    aws_server.forget_calls()
    look(bucket="hollowweb", **TAGS, **TRAFFIC, auto_scaling_groups=["web"])
    names = {call["action"].partition(" ")[0] for call in aws_server.calls}
    assert names <= {"GetCallerIdentity", "GetRole", "SimulatePrincipalPolicy", "HEAD", "GET"} | {
        name for name in names if name.startswith("Describe")
    }
