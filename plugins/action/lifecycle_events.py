# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.lifecycle_events): the controller's part, then the module on the instance."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings, remember_keys
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_instance import checked_result
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import diff_parameters
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import group_id_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import Instance, InstanceError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_bundle import bring_bundle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import event_line, failure_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import RevisionError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_access import RevisionAccess
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_check import checked_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import (
    RevisionTextError,
    revision_text,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import (
    group_of_play,
    revision_folders,
    shows_failures,
    this_run,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._secrets import address_secrets, hide

DEFAULT_ROOT = "/opt/codedeploy-agent/deployment-root"
ID_CHARACTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Source:
    """What is to be downloaded, and how it is reached; ``options`` are arguments of the task by their names."""

    text: str
    headers: dict[str, str]
    options: dict[str, Any]
    folders: list[str]


class ActionModule(ActionBase):
    """Runs lifecycle events on one instance outside of any recorded deployment."""

    TRANSFERS_FILES = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task for one instance."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        parameters = {key: value for key, value in self._task.args.items() if value is not None}
        source = parameters.pop("source", None)
        headers = {str(key): str(value) for key, value in (parameters.pop("source_headers", None) or {}).items()}
        options = dict(parameters.pop("source_options", None) or {})
        instance = Instance(self, task_vars, str(parameters.get("root") or DEFAULT_ROOT))
        instance.secrets.extend(address_secrets(source if isinstance(source, str) else "", headers))
        try:
            self._identify(parameters, task_vars)
            if source:
                text, folders = revision_text(source), revision_folders(task_vars)
                self._add_bundle(parameters, Source(text, headers, options, folders), instance)
            if self._task.check_mode:
                outcome = hide(instance.start_events({**diff_parameters(), **parameters}), instance.secrets)
                root = str(parameters.get("destination_root") or "/")
                return {**instance.extras, **checked_result(str(task_vars["inventory_hostname"]), outcome, root)}
            outcome = instance.run_events(parameters, self._say(task_vars))
        except (RevisionError, RevisionTextError, BundleError, PreflightError, InstanceError, CodeDeployError) as error:
            return {"failed": True, "changed": False, "msg": hide(str(error), instance.secrets)}
        return self._result(str(task_vars["inventory_hostname"]), parameters, hide(outcome, instance.secrets), instance)

    def _identify(self, parameters: dict[str, Any], task_vars: dict[str, Any]) -> None:
        """Give the deployment its names and ids; all tasks of one play get the same deployment id."""
        group = parameters.get("deployment_group_name") or group_of_play(self, task_vars)
        if not group:
            raise AnsibleActionFail("deployment_group_name is missing, and the play is not for exactly one group")
        parameters["deployment_group_name"] = group
        application = parameters.setdefault("application_name", group)
        group_id = parameters.setdefault("deployment_group_id", group_id_of(application, group))
        parameters.setdefault("deployment_id", deployment_id_of(this_run(self), group_id))

    def _add_bundle(self, parameters: dict[str, Any], source: Source, instance: Instance) -> None:
        # In check mode nothing that an earlier task would have brought is on the instance.
        needed = {"DownloadBundle", "Install"} if self._task.check_mode else {"DownloadBundle"}
        needed.intersection_update(parameters.get("events") or ())
        if not needed and not self._task.check_mode:
            return
        remember_keys(source.options)
        options = {**source.options, "aws": AwsSettings.from_arguments(source.options).public}
        access = RevisionAccess.of(options)
        revision, appspec = checked_revision(
            source.text, source.folders, source.headers, parameters.get("appspec_filename"), access
        )
        parameters["revision"] = revision.as_record()
        parameters["appspec"] = appspec
        if needed:
            parameters["bundle"] = bring_bundle(instance, parameters["revision"], options, source.text, source.headers)

    @staticmethod
    def _say(task_vars: dict[str, Any]) -> Any:
        name = str(task_vars["inventory_hostname"])
        return lambda event: Display().display(event_line(name, event))

    @staticmethod
    def _result(name: str, parameters: dict[str, Any], outcome: dict[str, Any], instance: Instance) -> dict[str, Any]:
        shown = ("status", "events", "failed_event", "restored", "changed")
        result = {**instance.extras, "deployment_id": parameters["deployment_id"]}
        result.update({key: outcome[key] for key in shown if key in outcome})
        if outcome["status"] != "Succeeded":
            text = failure_text(name, None, outcome)
            if not shows_failures():
                Display().display(text, color="red")
            result.update(failed=True, msg=text)
        return result


def deployment_id_of(run: Owner, group_id: str) -> str:
    """Return a deployment id that all tasks of one play have in common."""
    number = int.from_bytes(hashlib.sha256(f"{run}/{run.pid_start}/{group_id}".encode()).digest()[:8], "big")
    digits = []
    for _position in range(9):
        number, digit = divmod(number, len(ID_CHARACTERS))
        digits.append(ID_CHARACTERS[digit])
    return "d-" + "".join(digits)
