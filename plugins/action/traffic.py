# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.traffic)."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import (
    AWS_ARGUMENTS,
    AwsSettings,
    is_aws_needed,
    remember_keys,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import TrafficError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_instances import Places, traffic_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_preflight import check_traffic
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import (
    described,
    load_balancer_problems,
    traffic_problems,
)


class ActionModule(ControllerAction):
    """Takes one instance out of its load balancers, or puts it back."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "state": {"type": "str", "choices": ["blocked", "allowed"], "required": True},
        "load_balancer_info": {"type": "dict"},
        "traffic": {"type": "list", "elements": "dict"},
        "block_traffic_timeout": {"type": "float"},
        "allow_traffic_timeout": {"type": "float"},
        **AWS_ARGUMENTS,
    }
    RULES: ClassVar[dict[str, Any]] = {"required_one_of": [["load_balancer_info", "traffic"]]}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do it for the host that the task runs for."""
        remember_keys(arguments)
        name = str(task_vars["inventory_hostname"])
        options = {key: value for key, value in arguments.items() if value is not None}
        findings = Findings()
        findings.problems += load_balancer_problems(options.get("load_balancer_info") or {})
        findings.problems += traffic_problems(options.get("traffic") or [])
        if not findings.problems:
            if is_aws_needed(options):
                options["aws"] = AwsSettings.from_arguments(arguments).public
            check_traffic(self, task_vars, options, [name], findings)
        if findings.problems:
            raise PreflightError(findings.report())
        result = {"changed": True, "load_balancers": described(options)}
        if self._task.check_mode:
            return result
        try:
            traffic = traffic_of(options, name, Places(self, task_vars), task_vars["hostvars"][name], lambda: None)
            if traffic is None:
                return {**result, "changed": False, "msg": "there is no load balancer"}
            message = traffic.block() if arguments["state"] == "blocked" else traffic.allow()
        except TrafficError as error:
            raise CodeDeployError(f"{name}: {error}", "ELASTIC_LOAD_BALANCING_INVALID") from error
        return {**result, "msg": f"{name}: {message}"}
