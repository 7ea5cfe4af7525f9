# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.doctor)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import (
    AWS_ARGUMENTS,
    AwsError,
    is_aws_needed,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import Access
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import SETTINGS, settle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor import (
    CONTROLLER,
    Finding,
    findings_of,
    problems_of,
    verdict_lines,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor_aws import check_aws, settings_for
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor_controller import (
    check_ansible,
    check_group,
    check_policy,
    check_store,
    interpreter_of,
    oldest_python,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor_instance import (
    Expected,
    judge,
    judge_become,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import REPORT_ARGUMENTS, write_report

# Settings of a run that are looked at.
LOOKED_AT = (
    "application_name",
    "deployment_config",
    "load_balancer_info",
    "alarm_configuration",
    "trigger_configurations",
    "event_bus_name",
    "auto_scaling_groups",
    "ec2_deployment_options",
)
ARGUMENTS = {
    "part": {"type": "str", "choices": ["controller", "instance", "verdict"], "required": True},
    "deployment_group": {"type": "str"},
    "deployment_groups": {"type": "dict"},
    **{setting.name: {"type": setting.type} for setting in SETTINGS if setting.name in LOOKED_AT},
    "revision": {"type": "raw"},
    "bucket": {"type": "str"},
    "root": {"type": "path", "default": "/opt/codedeploy-agent/deployment-root"},
    "minimum_disk": {"type": "int", "default": 500},
    "store": {"type": "str"},
}


class ActionModule(ControllerAction):
    """Looks at what a deployment needs, and changes nothing."""

    ARGUMENTS = {**ARGUMENTS, **AWS_ARGUMENTS, **REPORT_ARGUMENTS}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Look at one part, or conclude."""
        if arguments["part"] == "verdict":
            return self._verdict(arguments, task_vars)
        if arguments["part"] == "controller":
            findings = self._controller(arguments, task_vars)
        else:
            findings = self._instance(arguments, task_vars)
        return {"changed": False, "findings": [one.as_data() for one in findings]}

    @staticmethod
    def _controller(arguments: dict[str, Any], task_vars: dict[str, Any]) -> list[Finding]:
        group = arguments["deployment_group"]
        own = (arguments["deployment_groups"] or {}).get(group) or {}
        application = arguments["application_name"] or own.get("application_name") or group
        findings = [check_ansible(), check_store(arguments["store"])]
        findings.append(check_policy(application, own.get("deployment_group_name") or group))
        hosts = task_vars.get("groups", {}).get(group, [])
        findings += check_group(group, hosts, lambda: settle(arguments, group))
        settings = {**own, **{name: arguments[name] for name in LOOKED_AT if arguments[name] is not None}}
        bucket = arguments["bucket"] or _bucket_of(arguments["revision"])
        said = any(arguments[name] is not None for name in AWS_ARGUMENTS)
        if not (bucket or said or settings.get("event_bus_name") or is_aws_needed(settings)):
            return [*findings, Finding("aws", "ok", "not used")]
        try:
            access = Access(settings_for(arguments, own))
        except AwsError as error:
            return [*findings, Finding("credentials", "problem", error.message)]
        return [*findings, *check_aws(access, settings, bucket)]

    def _instance(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> list[Finding]:
        become = self._connection.become
        expected = Expected(
            root=arguments["root"],
            oldest_python=oldest_python(),
            interpreter=interpreter_of(task_vars),
            disk=arguments["minimum_disk"],
            become=become is not None,
        )
        before = time.time()
        try:
            answer = self._low_level_execute_command(expected.script(), sudoable=False)
        except AnsibleConnectionFailure as error:
            return [Finding("reachable", "problem", f"{_line(error)}; check its address, user and key")]
        findings = judge(answer["stdout"], before, time.time(), expected)
        if become is not None and any(one.verdict == "ok" for one in findings):
            findings.append(self._become(str(become.get_option("become_user") or "root")))
        return findings

    def _become(self, wanted: str) -> Finding:
        user = str(self._connection.get_option("remote_user") if self._connection.has_option("remote_user") else "")
        try:
            answer = self._low_level_execute_command("id -un", sudoable=True)
        except AnsibleError as error:
            return judge_become(user or "the user", wanted, _line(error), 1)
        # With a terminal, which sudo is given, its errors are in the output.
        text = answer["stdout"] if answer["rc"] == 0 else f"{answer['stderr']}\n{answer['stdout']}"
        return judge_become(user or "the user", wanted, text, answer["rc"])

    def _verdict(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        findings = {CONTROLLER: findings_of(task_vars["doctor_controller"]["findings"])}
        for name in task_vars.get("ansible_play_hosts_all", []):
            found: Mapping[str, Any] = task_vars["hostvars"][name].get("doctor_instance") or {}
            if "findings" in found:
                findings[name] = findings_of(found["findings"])
            elif not found.get("skipped"):
                why = " ".join(str(found.get("msg") or "it was not looked at").split())
                findings[name] = [Finding("reachable", "problem", why)]
        data = {place: [one.as_data() for one in found] for place, found in findings.items()}
        problems = problems_of(findings)
        write_report(arguments, verdict_lines(findings), {"findings": data})
        result: dict[str, Any] = {"changed": False, "problems": problems}
        if problems:
            count = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
            result.update(failed=True, msg=f"{count} to do before a deployment")
        return result


def _bucket_of(revision: Any) -> str | None:
    """Return the bucket of a revision in S3, None for any other."""
    if isinstance(revision, str) and revision.startswith("s3://"):
        return revision[len("s3://") :].partition("/")[0] or None
    location = revision.get("s3_location") or revision.get("s3Location") if isinstance(revision, Mapping) else None
    return str(location["bucket"]) if isinstance(location, Mapping) and location.get("bucket") else None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
