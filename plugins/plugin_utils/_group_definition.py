# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment group as an inventory file describes it: checked as the API does, and ready to be looked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AWS_ARGUMENTS, SECRET
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import SETTINGS, group_id_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_settings import unknown_settings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_tags import TagSelection, read_selection

NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{1,100}")
# Lists of a group, how many entries they may have, and the API's code (service reference, sections 3 and 13).
LIMITS: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("auto_scaling_groups",), 10, "InvalidAutoScalingGroup"),
    (("load_balancer_info", "elb_info_list"), 10, "InvalidLoadBalancerInfo"),
    (("load_balancer_info", "target_group_info_list"), 10, "InvalidLoadBalancerInfo"),
    (("trigger_configurations",), 10, "TriggerTargetsLimitExceeded"),
    (("alarm_configuration", "alarms"), 50, "AlarmsLimitExceeded"),
)


@dataclass(frozen=True)
class GroupDefinition:
    """A deployment group of an inventory file.

    :param name: of the Ansible group.
    :param settings: what goes into the variable C(codedeploy_deployment_groups): the API's shape in snake_case.
    :param aws: options of C(AWS_ARGUMENTS) that the group has itself.
    :param regions: regions to look in, None for those of the file.
    """

    name: str
    settings: dict[str, Any]
    ec2_tags: TagSelection
    on_premises_tags: TagSelection
    auto_scaling_groups: tuple[str, ...]
    aws: dict[str, Any]
    regions: list[str] | None
    unknown: list[str]

    @property
    def asks_aws(self) -> bool:
        """Whether instances of the group are to be looked for in AWS."""
        return bool(self.ec2_tags or self.auto_scaling_groups)

    @property
    def deployment_group_id(self) -> str:
        """The group's id in the record of deployments."""
        own = self.settings.get("deployment_group_id")
        return str(own or group_id_of(self.settings["application_name"], self.settings["deployment_group_name"]))


def ansible_name(application_name: str, deployment_group_name: str) -> str:
    """Return the name of the Ansible group: what Ansible does not allow in it becomes an underscore."""
    name = re.sub(r"\W", "_", f"{application_name}_{deployment_group_name}", flags=re.ASCII)
    return f"_{name}" if name[0].isdigit() else name


def read_groups(application_name: str | None, definitions: Any) -> list[GroupDefinition]:
    """Read all deployment groups of an inventory file.

    :raises CodeDeployError: with the API's code, when CreateDeploymentGroup would refuse one, or two have one name.
    """
    if not isinstance(definitions, Sequence) or isinstance(definitions, str) or not definitions:
        raise InvalidInput("deployment_groups is a list with at least one deployment group", "InvalidInput")
    groups: dict[str, GroupDefinition] = {}
    for number, definition in enumerate(definitions):
        if not isinstance(definition, Mapping):
            raise InvalidInput(f"deployment_groups[{number}] is no mapping", "InvalidInput")
        try:
            group = _read(application_name, definition)
        except CodeDeployError as error:
            named = definition.get("deployment_group_name") or definition.get("deploymentGroupName")
            where = f"deployment group {named}" if named else f"deployment_groups[{number}]"
            raise InvalidInput(f"{where}: {error.message}", error.code) from error
        if group.name in groups:
            raise InvalidInput(
                f"deployment group {group.settings['deployment_group_name']}: two groups would be the Ansible group "
                f"{group.name}; rename one",
                "DeploymentGroupAlreadyExists",
            )
        groups[group.name] = group
    return list(groups.values())


def _read(application_name: str | None, definition: Mapping[str, Any]) -> GroupDefinition:
    # A group that was exported has the API's own spelling.
    settings = camel_dict_to_snake_dict(dict(definition))
    settings["application_name"] = _name(settings.get("application_name") or application_name, "application_name")
    settings["deployment_group_name"] = _name(settings.get("deployment_group_name"), "deployment_group_name")
    for path, most, code in LIMITS:
        _check_limit(settings, path, most, code)
    settings["auto_scaling_groups"] = [_scaling_group(one) for one in settings.get("auto_scaling_groups") or []]
    aws = {option: settings.pop(name) for name, option in _aws_names().items() if name in settings}
    regions = settings.pop("regions", None)
    known = [name for setting in SETTINGS for name in (setting.name, setting.group_setting) if name]
    return GroupDefinition(
        name=ansible_name(settings["application_name"], settings["deployment_group_name"]),
        settings={name: value for name, value in settings.items() if value not in (None, [], {})},
        ec2_tags=read_selection(settings, "ec2_tag_filters", "ec2_tag_set", "EC2"),
        on_premises_tags=read_selection(
            settings, "on_premises_instance_tag_filters", "on_premises_tag_set", "OnPremises"
        ),
        auto_scaling_groups=tuple(settings["auto_scaling_groups"]),
        aws={name: value for name, value in aws.items() if value is not None},
        regions=regions if regions is None else [str(region) for region in regions],
        unknown=sorted(unknown_settings(settings, known)),
    )


def _aws_names() -> dict[str, str]:
    names = {alias: name for name, argument in AWS_ARGUMENTS.items() for alias in argument.get("aliases", [])}
    return {**names, **{name: name for name in AWS_ARGUMENTS}}


def _name(value: Any, what: str) -> str:
    code = "".join(part.capitalize() for part in what.split("_"))
    if value is None or value == "":
        raise InvalidInput(f"{what} is missing", f"{code}Required")
    if not NAME.fullmatch(str(value)):
        raise InvalidInput(f"{what} {value!r} must be 1 to 100 letters, digits or +=,.@_-", f"Invalid{code}")
    return str(value)


def _check_limit(settings: Mapping[str, Any], path: tuple[str, ...], most: int, code: str) -> None:
    value: Any = settings
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is not None and not isinstance(value, list):
        raise InvalidInput(f"{'.'.join(path)} is a list", code)
    if value and len(value) > most:
        raise InvalidInput(f"{'.'.join(path)} has {len(value)} entries, {most} are allowed", code)


def _scaling_group(value: Any) -> str:
    """Return the name: of an exported group an entry is a mapping with the group's hook too."""
    name = value.get("name") if isinstance(value, Mapping) else value
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"auto_scaling_groups: {value!r} is no name of a group", "InvalidAutoScalingGroup")
    return name


def public_aws(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of AWS without the secret ones and those that say nothing."""
    return {name: value for name, value in options.items() if name not in SECRET and value is not None}
