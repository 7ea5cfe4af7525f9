# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run lifecycle events of a deployment on an instance: which revision each takes, what follows from a failure."""

import base64
import os
import time
import traceback
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks import diagnostics, run_scripts
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_log import HookLog
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_process import RunningScript
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import EventLog
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import (
    DeploymentPaths,
    DeploymentRoot,
    StateError,
    deployment_folder,
    folder_name,
    read_file,
    refusal,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_seal import unseal

BEFORE_TRAFFIC = ("BeforeBlockTraffic", "AfterBlockTraffic")
OF_PREVIOUS_REVISION = BEFORE_TRAFFIC + ("ApplicationStop",)
HOOK_EVENTS = OF_PREVIOUS_REVISION + (
    "BeforeInstall",
    "AfterInstall",
    "ApplicationStart",
    "BeforeAllowTraffic",
    "AfterAllowTraffic",
    "ValidateService",
)
APPSPEC_FILENAMES = ("appspec.yml", "appspec.yaml")


class EventError(Exception):
    """A lifecycle event failed for a reason that is not a script's; the message goes into its diagnostics."""


class Lifecycle:
    """One call's lifecycle events of one deployment.

    All code that the events need is imported here, since a module's own archive may be gone when they run.

    :param options: the module's parameters, see M(agentless.codedeploy.lifecycle_events).
    :raises StateError: for an id that cannot be a folder.
    """

    def __init__(self, options: Dict[str, Any]) -> None:
        self.options = options
        self.events: List[str] = options["events"]
        self.root = DeploymentRoot(options["root"])
        self.group_id = folder_name(options["deployment_group_id"], "deployment_group_id")
        self.deployment = deployment_folder(options["deployment_id"])
        self.paths = self.root.deployment(self.group_id, self.deployment)
        self.instructions = self.root.instructions(self.group_id)
        self.running: Optional[RunningScript] = None
        self.scripts_were_run = False
        self.restoration: Any = None
        if options.get("restore_on_failure"):
            from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_restore import Restoration

            self.restoration = Restoration(self)
        self._revision: Any = None
        if "DownloadBundle" in self.events or "Install" in self.events:
            from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_revision import Revision

            self._revision = Revision(self)
        self._recover: Any = None
        if os.path.lexists(self.instructions.journal):
            from ansible_collections.agentless.codedeploy.plugins.module_utils._install import recover_install

            self._recover = recover_install
        self._rollback = (
            options.get("deployment_creator") == "codeDeployRollback" and options.get("deployment_type") == "BLUE_GREEN"
        )

    def run(self, log: EventLog) -> None:
        """Run the events in their order up to the first failure or a stop, each noted in the event log."""
        stopped = False
        failed_event = restored = None
        try:
            for event in self.events:
                stopped = os.path.exists(self.paths.stop)
                if stopped:
                    break
                if self._run_event(event, log):
                    continue
                if not (self.options.get("ignore_application_stop_failures") and event in OF_PREVIOUS_REVISION):
                    failed_event = event
                    break
            if failed_event and self.restoration:
                restored = self.restoration.after(failed_event, log)
        finally:
            with suppress(OSError):  # the next call of the group removes it
                self.root.end(self.deployment)
        log.finish("Stopped" if stopped else "Failed" if failed_event else "Succeeded", failed_event, restored)

    def _run_event(self, event: str, log: EventLog) -> bool:
        start = time.time()
        log.event(event, "InProgress", start)
        outcome = self.attempt(event, lambda: self._perform(event))
        succeeded = outcome is None or outcome["error_code"] == "Success"
        log.event(
            event, "Succeeded" if succeeded else "Failed", start, time.time(), outcome or diagnostics(), outcome is None
        )
        return succeeded

    def attempt(self, event: str, perform: Callable[[], Optional[Dict[str, str]]]) -> Optional[Dict[str, str]]:
        """Return what C(perform) returns, or the diagnostics of the error that it raises."""
        try:
            return perform()
        except (EventError, StateError) as error:
            return diagnostics("UnknownError", str(error))
        except OSError as error:
            return diagnostics("UnknownError", f"{event} failed on this instance: {refusal(error)}")
        except Exception as error:
            where = self._record_error(event)
            return diagnostics("UnknownError", f"{event} failed unexpectedly: {error!r}; details are in {where}")

    def _perform(self, event: str) -> Optional[Dict[str, str]]:
        """Run one event; V(None) when there is nothing to do."""
        if event == self.events[0]:
            self.root.begin(self.deployment, self.group_id)
            if self._recover:
                # Which revision the scripts come from follows from what is installed.
                try:
                    self._recover(self.instructions)
                except Exception as error:
                    raise EventError(str(error)) from error
        if event == "DownloadBundle":
            self._revision.download_bundle()
            return diagnostics()
        if event == "Install":
            self._revision.install()
            return diagnostics()
        if event not in HOOK_EVENTS and event not in (self.options.get("custom_events") or []):
            raise EventError(f"Unsupported command type: {event}.")
        paths = self.scripts_of(event)
        return self.run_hooks(event, paths, self.variables()) if paths else None

    def run_hooks(self, event: str, paths: DeploymentPaths, variables: Dict[str, str]) -> Optional[Dict[str, str]]:
        """Run the scripts that a revision has for an event; V(None) when it has none.

        :param variables: deployment variables of the scripts.
        """
        scripts = (self.spec(paths).get("hooks") or {}).get(event)
        if event == "ApplicationStop" and self.options.get("application_stop_script"):
            scripts = [{"location": self.options["application_stop_script"], "timeout": 3600}]
        if not scripts:
            return None
        self.scripts_were_run = True
        variables = dict(variables, LIFECYCLE_EVENT=event)
        log = HookLog(self.paths.scripts_log, self.root.deployments_log, self.deployment)
        try:
            return run_scripts(event, scripts, paths.archive, variables, log, self.running)
        finally:
            log.close()

    def scripts_of(self, event: str, downloaded: bool = False) -> Optional[DeploymentPaths]:
        """Return what revision_of() does.

        :raises EventError: what is to be restarted is not there.
        """
        paths = self.revision_of(event, downloaded)
        if paths is None and event == "ApplicationStart":
            raise EventError("there is nothing to restart: no revision of this deployment group is installed here")
        return paths

    def revision_of(self, event: str, downloaded: bool = False) -> Optional[DeploymentPaths]:
        """Return the paths of the revision that an event's scripts come from, V(None) when there is none.

        :param downloaded: take it that DownloadBundle has run.
        """
        pointer = None
        restart = self.options.get("deployment_mode") == "RESTART"
        if (
            restart
            or event in OF_PREVIOUS_REVISION
            or self._rollback
            and event in ("BeforeAllowTraffic", "AfterAllowTraffic")
        ):
            pointer = self.instructions.last_successful_install
            if self._rollback and event in BEFORE_TRAFFIC:
                pointer = self.instructions.most_recent_install
        if pointer is None or downloaded or os.path.isdir(self.paths.archive):
            return self.paths
        directory = self.root.pointer(pointer)
        return DeploymentPaths(directory) if directory else None

    def previous_appspec_required(self) -> Optional[Dict[str, str]]:
        """Return path and content (Base64) of an AppSpec file which this call needs parsed, V(None) if none is.

        A revision that the CodeDeploy agent left has no parsed AppSpec beside it.
        """
        downloaded = False
        needed = [self.restoration.source()] if self.restoration else []
        for event in self.events:
            downloaded = downloaded or event == "DownloadBundle"
            needed.append(None if event in ("DownloadBundle", "Install") else self.revision_of(event, downloaded))
        for paths in needed:
            if paths is None or paths.directory == self.paths.directory or self.options.get("previous_appspec"):
                continue
            path = self._appspec_file(paths)
            if path and unseal(read_file(paths.appspec)) is None:
                content = base64.b64encode(read_file(path) or b"").decode("ascii")
                return {"path": path, "content": content}
        return None

    def _appspec_file(self, paths: DeploymentPaths) -> Optional[str]:
        top = os.path.realpath(paths.archive) + os.sep
        for name in (self.options.get("appspec_filename"),) + APPSPEC_FILENAMES:
            path = os.path.join(paths.archive, name) if name else ""
            if os.path.isfile(path) and os.path.realpath(path).startswith(top):
                return path
        return None

    def spec(self, paths: DeploymentPaths) -> Dict[str, Any]:
        """Return the parsed AppSpec of a revision.

        :raises EventError: when there is none, or it is not valid.
        """
        current = paths.directory == self.paths.directory
        spec = None
        if os.path.isdir(paths.archive):
            kept = unseal(read_file(paths.appspec))
            given = self.options.get("appspec" if current else "previous_appspec")
            spec = given if given and (current or not kept) else kept
        if spec is None:
            name = self.options.get("appspec_filename") or APPSPEC_FILENAMES[0]
            raise EventError(
                f'There is no AppSpec file at the revision-relative path "{name}": '
                f'it was expected at "{os.path.join(paths.archive, name)}"'
            )
        self.valid(spec)
        return spec

    def valid(self, spec: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
        """Return the parsed AppSpec itself.

        :raises EventError: when it is a list of errors, or is for another operating system.
        """
        if spec is None:
            return None
        errors = list(spec.get("errors") or [])
        if not errors and spec.get("os") != "linux":
            errors.append(f"os: {spec.get('os')!r}: this instance runs Linux; an AppSpec for it has os: linux")
        if errors:
            raise EventError("The AppSpec file is not valid: " + "; ".join(str(error) for error in errors))
        return spec

    def variables(self) -> Dict[str, str]:
        """Return the deployment variables of this deployment's scripts."""
        options = self.options
        revision = options.get("revision") or {}
        s3 = revision.get("s3_location") or {}
        variables = {
            "DEPLOYMENT_ID": self.deployment,
            "APPLICATION_NAME": options.get("application_name"),
            "DEPLOYMENT_GROUP_NAME": options.get("deployment_group_name"),
            "DEPLOYMENT_GROUP_ID": self.group_id,
            "BUNDLE_BUCKET": s3.get("bucket"),
            "BUNDLE_KEY": s3.get("key"),
            "BUNDLE_VERSION": s3.get("version"),
            "BUNDLE_ETAG": s3.get("e_tag"),
            "BUNDLE_COMMIT": (revision.get("git_hub_location") or {}).get("commit_id"),
        }
        if (options.get("destination_root") or "/") != "/":
            variables["DESTINATION_ROOT"] = options["destination_root"]
        return {name: str(value) for name, value in variables.items() if value is not None}

    def _record_error(self, event: str) -> str:
        """Append the traceback to a log on the instance and return its path."""
        path = os.path.join(os.path.dirname(self.root.deployments_log), "agentless.codedeploy-errors.log")
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(f"{time.ctime()} {self.deployment} {event}\n{traceback.format_exc()}\n")
        except OSError:
            return "no log: it could not be written"
        return path
