# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.example_fleet)."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import (
    AWS_ARGUMENTS,
    AwsSettings,
    aws_errors,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup import make_changes
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._example_fleet import ExampleFleet, FleetWanted

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "application_name": {"type": "str", "required": True},
    "name": {"type": "str"},
    "count": {"type": "int", "default": 2},
    "instance_type": {"type": "str", "default": "t3.micro"},
    "image_id": {"type": "str"},
    "key_name": {"type": "str"},
    "instance_profile": {"type": "str"},
    "subnets": {"type": "list", "elements": "str", "default": []},
    "private_ip_addresses": {"type": "list", "elements": "str", "default": []},
    "ssh_from": {"type": "str", "default": "0.0.0.0/0"},
    "http_from": {"type": "str", "default": "0.0.0.0/0"},
}


class ActionModule(ControllerAction):
    """Launches the instances of an example, on the controller."""

    ARGUMENTS = {**ARGUMENTS, **AWS_ARGUMENTS}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Find out what has to be changed, say it, and change it unless nothing is to be changed."""
        names = [name for name in ARGUMENTS if name not in ("state", "name")]
        name = arguments["name"] or arguments["application_name"].lower()
        wanted = FleetWanted(name=name, **{option: arguments[option] for option in names})
        fleet = ExampleFleet(Access(AwsSettings.from_arguments(arguments)), wanted)
        with aws_errors():
            changes = list(fleet.to_present() if arguments["state"] == "present" else fleet.to_absent())
        would = "would " if self._task.check_mode else ""
        for change in changes:
            self._display.display(f"{would}{change.text}: {change.resource}")
            if not self._task.check_mode:
                make_changes([change])
        result: dict[str, Any] = {"changed": bool(changes), "changes": [str(change) for change in changes]}
        if self._task.diff:
            result["diff"] = [change.diff() for change in changes]
        with aws_errors():
            return result | fleet.facts()
