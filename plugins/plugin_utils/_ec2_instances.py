# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the instances of deployment groups in AWS, with few calls however many instances there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings, aws_errors, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_definition import GroupDefinition
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_tags import listing_filters, tags_of

PAGE = 1000
# How many values one call takes: of the filter instance-id, and names of Auto Scaling groups.
MOST_IDS, MOST_NAMES = 200, 50
# CodeDeploy deploys to stopped instances too, and counts them as failed (service reference, section 3).
STATES = ("pending", "running", "stopping", "stopped")

Instances = dict[str, dict[str, Any]]


def find_instances(
    settings: AwsSettings, region: str | None, groups: Sequence[GroupDefinition], states: Sequence[str] = STATES
) -> dict[str, Any]:
    """Find the instances of all deployment groups of one account and region.

    :param region: None for the settings' or the profile's own.
    :param states: of the instances that tags select.
    :returns: C(instances), as DescribeInstances has them, by their ids; C(members), ids by the group's Ansible name;
        C(scaling_groups), the names that were found; C(region). All of it is JSON.
    :raises AwsError: when AWS refuses or cannot be asked.
    """
    with aws_errors():
        ec2 = client(settings, "ec2", region)
        region = str(ec2.meta.region_name)
        selections = [group.ec2_tags for group in groups if group.ec2_tags]
        state = {"Name": "instance-state-name", "Values": list(states)}
        listed = _describe(ec2, [*listing_filters(selections), state]) if selections else {}
        names = sorted({name for group in groups for name in group.auto_scaling_groups})
        scaling = _in_service(client(settings, "autoscaling", region), names) if names else {}
        missing = sorted({one for ids in scaling.values() for one in ids} - set(listed))
        for ids in _chunks(missing, MOST_IDS):
            listed.update(_describe(ec2, [{"Name": "instance-id", "Values": ids}]))
    members = {group.name: _members(group, listed, scaling) for group in groups}
    wanted = {one for ids in members.values() for one in ids}
    return {
        "instances": {one: {**listed[one], "Region": region} for one in sorted(wanted)},
        "members": members,
        "scaling_groups": sorted(scaling),
        "region": region,
    }


def check_scaling_groups(groups: Sequence[GroupDefinition], found: Mapping[str, set[str]]) -> None:
    """Refuse a deployment group that names an Auto Scaling group which no region has.

    :param found: names of existing Auto Scaling groups, by the deployment group's Ansible name.
    :raises CodeDeployError: with the API's code.
    """
    for group in groups:
        missing = [name for name in group.auto_scaling_groups if name not in found.get(group.name, set())]
        if missing:
            raise CodeDeployError(
                f"deployment group {group.settings['deployment_group_name']}: there is no Auto Scaling group "
                f"{', '.join(missing)}; check its name, the regions and the account",
                "InvalidAutoScalingGroup",
            )


def _members(group: GroupDefinition, listed: Instances, scaling: Mapping[str, list[str]]) -> list[str]:
    tagged = {one for one, instance in listed.items() if group.ec2_tags.matches(tags_of(instance.get("Tags")))}
    scaled = {one for name in group.auto_scaling_groups for one in scaling.get(name, []) if one in listed}
    return sorted(tagged | scaled)


def _describe(ec2: Any, filters: list[dict[str, Any]]) -> Instances:
    # The other pages of a listing are no calls for single instances: each has up to 1,000.
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters, PaginationConfig={"PageSize": PAGE})
    return {
        instance["InstanceId"]: {**_plain(instance), "OwnerId": reservation.get("OwnerId")}
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    }


def _in_service(autoscaling: Any, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of the instances in service, by the Auto Scaling group's name; those that exist."""
    paginator = autoscaling.get_paginator("describe_auto_scaling_groups")
    return {
        group["AutoScalingGroupName"]: [
            one["InstanceId"] for one in group["Instances"] if one["LifecycleState"] == "InService"
        ]
        for chunk in _chunks(names, MOST_NAMES)
        for page in paginator.paginate(AutoScalingGroupNames=chunk)
        for group in page["AutoScalingGroups"]
    }


def _chunks(values: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def _plain(value: Any) -> Any:
    """Return a value of botocore's as JSON has it: the times are texts."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
