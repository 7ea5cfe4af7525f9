# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of deployment groups are found with few calls, and as CodeDeploy finds them."""

from __future__ import annotations

import os

import pytest
from support.aws_server import IMAGE

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ec2_instances import find_instances
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_definition import read_groups

# The server of AWS needs many seconds to start the thousand that a listing is made for.
INSTANCES = int(os.environ.get("CODEDEPLOY_TEST_INSTANCES", "200"))


@pytest.fixture
def scaling_group(aws_server):
    """Give ``scaling_group(name, count)``, which makes an Auto Scaling group and returns the ids of its instances."""
    autoscaling = aws_server.client("autoscaling")

    def make(name, count):
        autoscaling.create_launch_configuration(LaunchConfigurationName=name, ImageId=IMAGE, InstanceType="t3.micro")
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchConfigurationName=name,
            MinSize=0,
            MaxSize=count,
            DesiredCapacity=count,
            AvailabilityZones=["us-east-1a"],
        )
        found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        return sorted(one["InstanceId"] for one in found["Instances"])

    return make


def members(aws_server, *groups, **arguments):
    """Return the members of deployment groups a, b, ..., in this order."""
    names = "abcdefgh"[: len(groups)]
    read = read_groups(
        "web", [{"deployment_group_name": name, **group} for name, group in zip(names, groups, strict=True)]
    )
    settings = AwsSettings.from_arguments(aws_server.arguments)
    aws_server.forget_calls()
    found = find_instances(settings, None, read, **arguments)
    return [found["members"][f"web_{name}"] for name in names]


def by_tag(key, value):
    return {"ec2_tag_filters": [{"key": key, "value": value, "type": "KEY_AND_VALUE"}]}


def test_a_fleet_is_one_listing(aws_server):
    instances = aws_server.run_instances(INSTANCES, App="HollowWeb")
    aws_server.run_instances(3, App="Other")
    (found,) = members(aws_server, by_tag("App", "HollowWeb"))
    assert found == sorted(instances)
    # A page has at most 1,000 instances; there is no call for a single one.
    assert len(aws_server.calls) <= 2
    assert set(aws_server.actions()) == {"ec2:DescribeInstances"}


def test_groups_of_one_region_share_the_calls(aws_server, scaling_group):
    web, other = (
        aws_server.run_instances(2, App="HollowWeb", Stage="production"),
        aws_server.run_instances(1, App="HollowWeb"),
    )
    aws_server.run_instances(1)
    scaled = scaling_group("scaled", 2)
    found = members(
        aws_server,
        by_tag("App", "HollowWeb"),
        {"ec2_tag_set": [[{"key": "App"}], [{"key": "Stage", "value": "prod*"}]]},
        {"auto_scaling_groups": ["scaled"], **by_tag("Stage", "production")},
        {"auto_scaling_groups": ["scaled"]},
    )
    assert found == [sorted(web + other), sorted(web), sorted(web + scaled), scaled]
    calls = ["ec2:DescribeInstances", "autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]
    assert aws_server.actions() == calls


def test_an_instance_selected_twice_is_there_once(aws_server, scaling_group):
    scaled = scaling_group("scaled", 2)
    tags = [{"Key": "App", "Value": "HollowWeb"}]
    aws_server.client("ec2").create_tags(Resources=scaled[:1], Tags=tags)
    group = {"auto_scaling_groups": [{"name": "scaled", "hook": "x"}], **by_tag("App", "HollowWeb")}
    assert members(aws_server, group) == [scaled]


def test_of_an_auto_scaling_group_what_is_in_service(aws_server, scaling_group):
    scaled = scaling_group("scaled", 3)
    aws_server.client("autoscaling").enter_standby(
        InstanceIds=scaled[:1], AutoScalingGroupName="scaled", ShouldDecrementDesiredCapacity=True
    )
    assert members(aws_server, {"auto_scaling_groups": ["scaled"]}) == [scaled[1:]]


def test_stopped_instances_count_and_terminated_ones_do_not(aws_server):
    running, stopped, terminated = aws_server.run_instances(3, App="HollowWeb")
    ec2 = aws_server.client("ec2")
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[terminated])
    assert members(aws_server, by_tag("App", "HollowWeb")) == [sorted([running, stopped])]
    assert members(aws_server, by_tag("App", "HollowWeb"), states=["running"]) == [[running]]


def test_by_a_value_of_any_tag(aws_server):
    first, second = aws_server.run_instances(1, App="HollowWeb"), aws_server.run_instances(1, Uses="HollowWeb")
    aws_server.run_instances(1, App="Other")
    assert members(aws_server, {"ec2_tag_filters": [{"value": "HollowWeb"}]}) == [sorted(first + second)]
