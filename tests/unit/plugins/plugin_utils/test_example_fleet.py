# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example fleet in moto: what there is after launching it, twice, and after removing it."""

from __future__ import annotations

from typing import Any

import pytest
from support.aws_server import AwsServer

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup import make_changes
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._example_fleet import ExampleFleet, FleetWanted

GIVEN: dict[str, Any] = {
    "application_name": "HollowWeb",
    "name": "hollowweb",
    "count": 2,
    "instance_type": "t3.micro",
    "image_id": None,
    "key_name": None,
    "instance_profile": None,
    "subnets": [],
    "private_ip_addresses": [],
    "ssh_from": "203.0.113.7/32",
    "http_from": "0.0.0.0/0",
}


class Fleet:
    """What is launched in an account, and how."""

    def __init__(self, server: AwsServer) -> None:
        self.server = server
        self.ec2, self.elb = server.client("ec2"), server.client("elbv2")

    def fleet(self, **given: Any) -> ExampleFleet:
        """A fleet as it is wanted."""
        access = Access(AwsSettings.from_arguments(self.server.arguments))
        return ExampleFleet(access, FleetWanted(**{**GIVEN, **given}))

    def launch(self, **given: Any) -> list[str]:
        """Launch it; returns what was changed."""
        changes = list(self.fleet(**given).to_present())
        make_changes(changes)
        return [str(change) for change in changes]

    def remove(self) -> list[str]:
        """Remove it; returns what was changed."""
        changes = list(self.fleet().to_absent())
        make_changes(changes)
        return [str(change) for change in changes]

    def running(self) -> list[dict[str, Any]]:
        """The instances that run, by their names."""
        filters = [{"Name": "instance-state-name", "Values": ["running"]}]
        answer = self.ec2.describe_instances(Filters=filters)["Reservations"]
        found = [instance for reservation in answer for instance in reservation["Instances"]]
        return sorted(found, key=lambda instance: tags(instance)["Name"])


def tags(instance: dict[str, Any]) -> dict[str, str]:
    """The tags of an instance."""
    return {tag["Key"]: tag["Value"] for tag in instance["Tags"]}


@pytest.fixture
def account(aws_server: AwsServer) -> Fleet:
    """Give an empty account."""
    return Fleet(aws_server)


def test_two_tagged_instances_in_two_zones_are_registered(account: Fleet) -> None:
    account.launch()
    instances = account.running()
    assert [tags(instance)["Name"] for instance in instances] == ["hollowweb-1", "hollowweb-2"]
    assert {tags(instance)["App"] for instance in instances} == {"HollowWeb"}
    assert len({instance["Placement"]["AvailabilityZone"] for instance in instances}) == 2
    (group,) = account.elb.describe_target_groups(Names=["hollowweb"])["TargetGroups"]
    health = account.elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert {one["Target"]["Id"] for one in health} == {instance["InstanceId"] for instance in instances}
    (balancer,) = account.elb.describe_load_balancers(Names=["hollowweb"])["LoadBalancers"]
    (listener,) = account.elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert listener["DefaultActions"][0]["TargetGroupArn"] == group["TargetGroupArn"]
    facts = account.fleet().facts()
    assert facts["address"] == balancer["DNSName"]
    assert facts["target_group"] == "hollowweb"
    assert len(facts["instances"]) == 2


def test_nobody_else_may_log_in(account: Fleet) -> None:
    account.launch()
    (instance, _other) = account.running()
    (group,) = account.ec2.describe_security_groups(GroupIds=[instance["SecurityGroups"][0]["GroupId"]])[
        "SecurityGroups"
    ]
    allowed = {rule["FromPort"]: [range_["CidrIp"] for range_ in rule["IpRanges"]] for rule in group["IpPermissions"]}
    assert allowed == {22: ["203.0.113.7/32"], 80: ["0.0.0.0/0"]}


def test_second_time_changes_nothing(account: Fleet) -> None:
    assert len(account.launch()) == 7
    assert account.launch() == []


def test_what_is_missing_is_launched_again(account: Fleet) -> None:
    account.launch()
    (first, _second) = account.running()
    account.ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
    changes = account.launch()
    assert any(change.startswith("instance hollowweb-1: launch in") for change in changes)
    assert len(account.running()) == 2


def test_addresses_and_subnets_can_be_chosen(account: Fleet) -> None:
    subnets = account.ec2.describe_subnets()["Subnets"]
    chosen = [subnets[2]["SubnetId"], subnets[1]["SubnetId"]]
    account.launch(subnets=chosen, private_ip_addresses=["198.18.0.2", "198.18.0.6"])
    found = [(instance["SubnetId"], instance["PrivateIpAddress"]) for instance in account.running()]
    assert found == [(chosen[0], "198.18.0.2"), (chosen[1], "198.18.0.6")]


def test_account_without_default_subnets_is_told_what_to_give(account: Fleet) -> None:
    for subnet in account.ec2.describe_subnets()["Subnets"]:
        account.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    with pytest.raises(InvalidInput, match="fleet_subnets"):
        account.launch()


def test_removed_is_what_was_launched(account: Fleet) -> None:
    account.launch()
    other = account.ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "mine"}]}],
    )["Instances"][0]["InstanceId"]
    groups = len(account.ec2.describe_security_groups()["SecurityGroups"])
    assert len(account.remove()) == 4
    assert account.remove() == []
    assert [instance["InstanceId"] for instance in account.running()] == [other]
    assert account.elb.describe_target_groups()["TargetGroups"] == []
    assert account.elb.describe_load_balancers()["LoadBalancers"] == []
    assert len(account.ec2.describe_security_groups()["SecurityGroups"]) == groups - 1
