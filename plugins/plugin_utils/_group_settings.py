# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What C(codedeploy_deployment_groups) says of a group: its types and its names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AWS_ARGUMENTS
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import PreflightError

SELECTIONS = (
    "ec2_tag_filters",
    "ec2_tag_set",
    "on_premises_instance_tag_filters",
    "on_premises_tag_set",
    "auto_scaling_groups",
)
# What GetDeploymentGroup returns, and nothing here reads; a group that was exported has it.
RETURNED = (
    "blue_green_deployment_configuration",
    "compute_platform",
    "deployment_group_name",
    "deployment_style",
    "ecs_services",
    "last_attempted_deployment",
    "last_successful_deployment",
    "outdated_instances_strategy",
    "service_role_arn",
    "tags",
    "target_revision",
    "termination_hook_enabled",
)
# Switches inside of settings.
SWITCHES = ("enabled", "ignore_poll_alarm_failure")


def own_settings(groups: Any, group: str, types: Mapping[str, str]) -> dict[str, Any]:
    """Return a group's own settings, each of the type that it is to have.

    :param groups: C(codedeploy_deployment_groups), settings by group.
    :param types: Ansible's type of each setting.
    :raises PreflightError: a value cannot be of its type.
    """
    own = (groups or {}).get(group) or {}
    where = f"codedeploy_deployment_groups: the group {group}"
    if not isinstance(own, Mapping):
        raise PreflightError(f"{where} must be a mapping of settings, not {own!r}")
    typed = {name: value for name, value in own.items() if name in types and value is not None and value != ""}
    checked = ArgumentSpecValidator({name: {"type": types[name]} for name in typed}).validate(typed)
    if checked.error_messages:
        raise PreflightError(f"{where}: {'; '.join(checked.error_messages)}")
    return {**own, **checked.validated_parameters}


def unknown_settings(own: Mapping[str, Any], settings: Iterable[str]) -> list[str]:
    """Return a note for each name that is no setting of a group: what stands under it is not read.

    :param settings: names that are read.
    """
    of_aws = {name for option, argument in AWS_ARGUMENTS.items() for name in (option, *argument.get("aliases", []))}
    known = {*settings, *SELECTIONS, *RETURNED, *of_aws, "regions"}
    return [f"{name}{_meant(name, known)}" for name in map(str, own) if name not in known]


def _meant(name: str, known: Iterable[str]) -> str:
    in_snake_case = list(camel_dict_to_snake_dict({name: None}))
    alike = get_close_matches(in_snake_case[0], sorted(known), 1, 0.8)
    return f" ({alike[0]}?)" if alike else ""


def with_switches(setting: str, value: Any) -> Any:
    """Return a setting whose switches are on or off: a survey, or C(enabled=false) on the command line, gives texts.

    :raises PreflightError: a text is neither.
    """
    if not isinstance(value, Mapping):
        return value
    try:
        switched = {name: boolean(value[name]) for name in SWITCHES if isinstance(value.get(name), str)}
    except TypeError as error:
        raise PreflightError(f"deploy_{setting}: {error}") from error
    return {**value, **switched}
