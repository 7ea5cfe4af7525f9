# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Target groups and classic load balancers: out of them, and back into them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support.aws_server import AwsServer

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import (
    LoadBalancer,
    Traffic,
    TrafficError,
    TrafficOptions,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_classic import ClassicLoadBalancer
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_instances import instances_problems
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_target_group import TargetGroup


class Fleet:
    """One instance, a target group and a classic load balancer."""

    def __init__(self, server: AwsServer) -> None:
        self.server = server
        self.settings = AwsSettings.from_arguments(server.arguments)
        ec2, self.elbv2, self.elb = server.client("ec2"), server.client("elbv2"), server.client("elb")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        launched = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)
        self.instance = launched["Instances"][0]["InstanceId"]
        made = self.elbv2.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)
        self.target_group = made["TargetGroups"][0]["TargetGroupArn"]
        listener = {"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}
        self.elb.create_load_balancer(LoadBalancerName="old", Listeners=[listener], AvailabilityZones=["us-east-1a"])

    def register(self, **port: int) -> None:
        self.elbv2.register_targets(TargetGroupArn=self.target_group, Targets=[{"Id": self.instance, **port}])
        self.elb.register_instances_with_load_balancer(
            LoadBalancerName="old", Instances=[{"InstanceId": self.instance}]
        )

    def targets(self) -> list[dict[str, Any]]:
        found = self.elbv2.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        return [one["Target"] for one in found if one["TargetHealth"]["State"] not in ("unused", "draining")]

    def behind_classic(self) -> bool:
        found = self.elb.describe_load_balancers(LoadBalancerNames=["old"])["LoadBalancerDescriptions"]
        return bool(found[0]["Instances"])

    def balancers(self) -> list[LoadBalancer]:
        return [
            TargetGroup(self.settings, "web", self.instance),
            ClassicLoadBalancer(self.settings, "old", self.instance),
        ]


@pytest.fixture
def fleet(aws_server: AwsServer) -> Fleet:
    return Fleet(aws_server)


def test_out_of_all_and_back_into_all(fleet: Fleet) -> None:
    fleet.register()
    fleet.server.control(initial_answers=2, draining_answers=2)
    fleet.server.forget_calls()
    traffic = Traffic(fleet.balancers())
    assert traffic.block() == "no more requests from target group web, classic load balancer old"
    assert not fleet.targets()
    assert not fleet.behind_classic()
    # Out of all before any of them is waited for.
    actions = fleet.server.actions()
    first_question = next(number for number, action in enumerate(actions) if "InstanceHealth" in action)
    assert any("DeregisterTargets" in action for action in actions[:first_question])
    assert any("DeregisterInstancesFromLoadBalancer" in action for action in actions[:first_question])
    assert traffic.allow() == "healthy in target group web, classic load balancer old"
    assert fleet.behind_classic()
    assert [target["Id"] for target in fleet.targets()] == [fleet.instance]


def test_an_instance_that_was_not_registered(fleet: Fleet) -> None:
    traffic = Traffic(fleet.balancers())
    fleet.server.forget_calls()
    traffic.block()
    assert not [action for action in fleet.server.actions() if ":Deregister" in action]
    traffic.allow()
    assert fleet.targets()
    assert fleet.behind_classic()


def test_an_instance_that_does_not_become_healthy(fleet: Fleet) -> None:
    # Unhealthy from the first answer on, so that it does not matter how long anything takes.
    fleet.server.control(initial_answers=0)
    fleet.register()
    fleet.server.set_target_health(fleet.instance, "unhealthy", "Target.FailedHealthChecks", "Health checks failed")
    traffic = Traffic(fleet.balancers()[:1], TrafficOptions(allow_timeout=0))
    with pytest.raises(TrafficError) as caught:
        traffic.allow()
    assert "not healthy within 0 s: target group web: port 80 is unhealthy: Target.FailedHealthChecks" in str(
        caught.value
    )
    assert "deploy_allow_traffic_timeout" in str(caught.value)


def test_a_target_group_that_is_deleted_meanwhile(fleet: Fleet) -> None:
    fleet.register()
    traffic = Traffic(fleet.balancers()[:1])
    traffic.block()
    fleet.elbv2.delete_target_group(TargetGroupArn=fleet.target_group)
    with pytest.raises(TrafficError, match="target group web: ELASTIC_LOAD_BALANCING_INVALID: .*does not exist"):
        traffic.allow()


def test_what_does_not_exist_is_found_before(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in fleet.server.environment.items():
        monkeypatch.setenv(name, value)
    options = {
        "aws": fleet.settings.public,
        "load_balancer_info": {
            "target_group_info_list": [{"name": "web"}, {"name": "missing"}],
            "elb_info_list": [{"name": "gone"}],
        },
    }
    variables = {"web1": {"instance_id": fleet.instance}, "web2": {"instance_id": fleet.instance}, "web3": {}}
    places: Any = SimpleNamespace(_task_vars={"hostvars": variables})
    problems = instances_problems(options, ["web1", "web2"], places)
    assert len(problems) == 2
    assert problems[0].startswith("target group missing: ")
    assert problems[1].startswith("classic load balancer gone: ")
    assert any("web3 has no instance_id" in problem for problem in instances_problems(options, ["web3"], places))
