# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put the revision back that was installed before, when a lifecycle event after Install has failed."""

import os
import time
from functools import partial
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle import read_manifest
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks import diagnostics
from ansible_collections.agentless.codedeploy.plugins.module_utils._install import (
    InstallError,
    apply_install,
    plan_install,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import EventLog
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import (
    DeploymentPaths,
    read_file,
    replace_file,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_seal import seal, unseal

HOOKS = ("ApplicationStart", "ValidateService")
BEFORE_INSTALL = (
    "BeforeBlockTraffic",
    "AfterBlockTraffic",
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
)


class Restoration:
    """Goes back to the revision whose Install was the last successful one before that of this deployment.

    :param lifecycle: the call's C(Lifecycle).
    """

    def __init__(self, lifecycle: Any) -> None:
        self._lifecycle = lifecycle
        self._pointer = lifecycle.instructions.last_successful_install

    def record(self, spec: Dict[str, Any]) -> None:
        """Note, just before Install, what would be put back, and what it takes to put this revision back."""
        lifecycle = self._lifecycle
        source = self._before_install()
        record = {
            "previous": os.fsdecode(source.directory) if source else None,
            "file_exists_behavior": self._behavior(spec),
            "variables": lifecycle.variables(),
        }
        replace_file(lifecycle.paths.installation, seal(record), 0o600)

    def source(self) -> Optional[DeploymentPaths]:
        """Return the paths of the revision that would be put back, V(None) when there is none."""
        own = self._lifecycle.paths
        if "Install" in self._lifecycle.events and not self._installed():
            return self._before_install()
        previous = _recorded(own).get("previous")
        return DeploymentPaths(previous) if previous else None

    def after(self, failed_event: str, log: EventLog) -> Optional[Dict[str, Any]]:
        """Put the previous revision back when the failed event came after Install; V(None) when it came before.

        :returns: the value C(restored) of M(agentless.codedeploy.lifecycle_events).
        """
        events = self._lifecycle.events
        if "Install" in events:
            if events.index(failed_event) <= events.index("Install"):
                return None
        elif failed_event in BEFORE_INSTALL:
            return None
        source = self.source() if self._installed() else None
        reason = "Install of this deployment has not succeeded on this instance: there is nothing to undo"
        if self._installed():
            reason = "no revision was installed here before this one: there is none to put back"
        name = os.path.basename(source.directory) if source else None
        if source and not os.path.isdir(source.archive):
            reason = f"the revision of deployment {name} is no longer on this instance: {source.archive}"
            source = None
        if source is None:
            return {"deployment_id": name, "status": "Skipped", "message": reason, "events": []}
        return self._restore(source, str(name), log)

    def _restore(self, source: DeploymentPaths, name: str, log: EventLog) -> Dict[str, Any]:
        variables = _recorded(source).get("variables") or self._variables(name)
        steps: Dict[str, Callable[[], Optional[Dict[str, str]]]] = {"Install": partial(self._install, source)}
        for hook in HOOKS:
            steps[hook] = partial(self._lifecycle.run_hooks, hook, source, variables)
        events: List[Dict[str, Any]] = []
        failed = None
        for event, step in steps.items():
            result: Dict[str, Any] = {"lifecycle_event_name": event, "status": "Skipped"}
            events.append(result)
            if failed:
                continue
            result["start_time"] = time.time()
            log.restoring(name, event, "InProgress")
            outcome = self._lifecycle.attempt(event, step) or diagnostics()
            result["status"] = "Succeeded" if outcome["error_code"] == "Success" else "Failed"
            result.update(end_time=time.time(), diagnostics=outcome)
            log.restoring(name, event, result["status"])
            if result["status"] == "Failed":
                failed = result
        message = f"the files of deployment {name} were put back"
        if failed:
            where = "its files are in place" if failed is not events[0] else "the files of the failed revision stay"
            message = f"{failed['lifecycle_event_name']} failed while deployment {name} was put back; {where}"
        return {
            "deployment_id": name,
            "status": "Failed" if failed else "Succeeded",
            "message": message,
            "events": events,
        }

    def _install(self, source: DeploymentPaths) -> Dict[str, str]:
        lifecycle = self._lifecycle
        spec = lifecycle.spec(source)
        behavior = _recorded(source).get("file_exists_behavior")
        if behavior:
            # All its files were its own once; only those it found and retained are still somebody else's.
            behavior = "RETAIN" if behavior == "RETAIN" else "OVERWRITE"
        try:
            plan = plan_install(
                source.archive,
                dict(spec, file_exists_behavior=behavior or self._behavior(spec)),
                "DISALLOW",
                lifecycle.instructions,
                read_manifest(source),
                lifecycle.options.get("destination_root") or "/",
            )
            apply_install(plan, lifecycle.instructions, source.directory)
        except InstallError as error:
            return diagnostics("UnknownError", str(error))
        return diagnostics()

    def _behavior(self, spec: Dict[str, Any]) -> str:
        given = self._lifecycle.options.get("file_exists_behavior") or "DISALLOW"
        return str(spec.get("file_exists_behavior") or given.upper())

    def _installed(self) -> bool:
        return self._lifecycle.root.pointer(self._pointer) == self._lifecycle.paths.directory

    def _before_install(self) -> Optional[DeploymentPaths]:
        directory = self._lifecycle.root.pointer(self._pointer)
        if directory == self._lifecycle.paths.directory:
            directory = _recorded(self._lifecycle.paths).get("previous")
        return DeploymentPaths(directory) if directory else None

    def _variables(self, name: str) -> Dict[str, str]:
        """Return the variables of a revision that left none: its own id, so that scripts find their folder."""
        variables: Dict[str, str] = self._lifecycle.variables()
        own = {key: value for key, value in variables.items() if not key.startswith("BUNDLE_")}
        return dict(own, DEPLOYMENT_ID=name)


def _recorded(paths: DeploymentPaths) -> Dict[str, Any]:
    return unseal(read_file(paths.installation)) or {}
