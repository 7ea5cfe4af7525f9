# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.aws_setup)."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AWS_ARGUMENTS, AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup import (
    changes_to_absent,
    changes_to_present,
    make_changes,
    wanted_setup,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access, Change, Wanted
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "application_name": {"type": "str", "required": True},
    "bucket": {"type": "str", "required": True},
    "policy": {"type": "str"},
    "role": {"type": "str"},
    "trusted_principals": {"type": "list", "elements": "str"},
    "instance_profile": {"type": "str"},
    "topic": {"type": "str"},
    "event_bus": {"type": "str"},
    "features": {"type": "list", "elements": "str"},
    "target_groups": {"type": "list", "elements": "str"},
    "auto_scaling_groups": {"type": "list", "elements": "str"},
    "tags": {"type": "dict"},
    "force": {"type": "bool", "default": False},
}


class ActionModule(ControllerAction):
    """Sets up in AWS what deployments of an application need, on the controller."""

    ARGUMENTS = {**ARGUMENTS, **AWS_ARGUMENTS}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Find out what has to be changed, say it, and change it unless nothing is to be changed."""
        aws = Access(AwsSettings.from_arguments(arguments))
        wanted = wanted_setup(aws, arguments)
        present = arguments["state"] == "present"
        changes = changes_to_present(aws, wanted) if present else changes_to_absent(aws, wanted, arguments["force"])
        would = "would " if self._task.check_mode else ""
        for change in changes:
            self._display.display(f"{would}{change.text}: {change.resource}")
        if not self._task.check_mode:
            make_changes(changes)
        if present:
            self._display.display(_what_there_is(wanted))
        return _result(wanted, changes, present) | (
            {"diff": [one.diff() for one in changes]} if self._task.diff else {}
        )


def _what_there_is(wanted: Wanted) -> str:
    lines = [
        f"Revisions: s3://{wanted.bucket}",
        f"Controller: role {wanted.iam_arn('role/' + wanted.role)}, or any identity with the policy "
        f"{wanted.iam_arn('policy/' + wanted.policy)}",
    ]
    if wanted.instance_profile:
        lines.append(f"Instances that download by themselves: instance profile {wanted.instance_profile}")
    if wanted.topic_arn:
        lines.append(f"Notifications: trigger_target_arn: {wanted.topic_arn}")
    return "\n".join(lines)


def _result(wanted: Wanted, changes: list[Change], present: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"changed": bool(changes), "changes": [str(change) for change in changes]}
    if not present:
        return result
    return {
        **result,
        "bucket": wanted.bucket,
        "policy_arn": wanted.iam_arn(f"policy/{wanted.policy}"),
        "role_arn": wanted.iam_arn(f"role/{wanted.role}"),
        "instance_profile": wanted.instance_profile,
        "topic_arn": wanted.topic_arn,
    }
