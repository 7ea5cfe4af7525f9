# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lifecycle events would do on an instance, found without touching anything but a temporary folder.

It is the code of the real run on the same files: the bundle is unpacked into the temporary folder, Install is planned
from there.
"""

import os
import tempfile
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_process import refuse_orphan
from ansible_collections.agentless.codedeploy.plugins.module_utils._install import InstallError
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_diff import Differences
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_report import report
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import (
    HOOK_EVENTS,
    OF_PREVIOUS_REVISION,
    EventError,
    Lifecycle,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import summary
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_revision import Revision
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import (
    DeploymentPaths,
    StateError,
    read_file,
    remove_tree,
    replace_file,
)

INTERRUPTED = (
    "Install: an interrupted Install would be undone or finished first, and what is here told is what would be "
    "without that"
)


@contextmanager
def temporary_folder(parent: str) -> Iterator[str]:
    """Give a new folder that is removed with all it holds, whatever modes a bundle has given to that."""
    path = tempfile.mkdtemp(prefix="codedeploy-", dir=parent)
    try:
        yield path
    finally:
        for folder, folders, _files in os.walk(path):
            for name in folders:
                inner = os.path.join(folder, name)
                if not os.path.islink(inner):
                    os.chmod(inner, 0o700)
        remove_tree(path)


def plan_events(lifecycle: Lifecycle, temporary: str, diff: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """Return the module's result for check mode, see M(agentless.codedeploy.lifecycle_events).

    :param temporary: a folder for the unpacked bundle; the caller removes it.
    :param diff: C(limit) and C(private) of C(Differences), V(None) for no differences.
    :raises StateError: when the CodeDeploy agent works on this instance.
    :raises BusyError: while another deployment of the group runs here, or its script.
    """
    # As the real run: what is planned depends on it.
    os.umask(0o022)
    lifecycle.root.refuse_agent()
    _refuse_busy(lifecycle)
    required = lifecycle.previous_appspec_required()
    if required:
        return dict(summary(lifecycle.events, []), previous_appspec_required=required)
    events = PlannedEvents(lifecycle, temporary, diff)
    events.check_root()
    for event in lifecycle.events:
        if not events.add(event):
            break
    return events.result()


def _refuse_busy(lifecycle: Lifecycle) -> None:
    """Refuse as the real run would that found another deployment of the group at work, or its script."""
    lock = lifecycle.instructions.lock
    if is_locked(lock):
        raise lifecycle.root.busy(lifecycle.group_id)
    refuse_orphan((read_file(lock) or b"").decode("utf-8", "replace"), end_overdue=False)


class PlannedEvents:
    """Goes through the events in their order without running them."""

    def __init__(self, lifecycle: Lifecycle, temporary: str, diff: Optional[Dict[str, Any]]) -> None:
        self._lifecycle = lifecycle
        self._temporary = temporary
        self._wants_diff = diff
        self._revision = Revision(lifecycle)
        self._downloaded = os.path.isdir(lifecycle.paths.archive)
        self._failed: Optional[str] = None
        self._diff: List[Dict[str, Any]] = []
        self.hooks: List[Dict[str, Any]] = []
        self.files: Optional[Dict[str, List[Any]]] = None
        self.problems: List[str] = []
        self.warnings: List[str] = []

    def check_root(self) -> None:
        """Find what would keep the real run from beginning."""
        root = self._lifecycle.root
        path = os.path.abspath(root.path)
        while not os.path.lexists(path):
            path = os.path.dirname(path)
        if not os.path.isdir(path):
            self.problems.append(f"the deployment root {root.path} cannot be made: {path} is not a folder")
        elif not os.access(path, os.W_OK | os.X_OK):
            self.problems.append(
                f"the deployment root {root.path} cannot be written: check owner, mode and mount of {path}, or become"
            )

    def add(self, event: str) -> bool:
        """Plan one event; return whether the further ones can be planned."""
        try:
            if event == "DownloadBundle":
                self._download()
            elif event == "Install":
                self._install()
            else:
                self._hook(event)
        except InstallError as error:
            if error.plan is not None:
                self.files = report(error.plan)
            self._problems(event, error.problems)
        except (EventError, StateError) as error:
            self._problems(event, [str(error)])
            return event != "DownloadBundle"
        except OSError as error:
            self._problems(event, [f"it cannot be planned on this instance: {error}"])
        return True

    def _problems(self, event: str, problems: List[str]) -> None:
        texts = [f"{event}: {self._from_bundle(problem)}" for problem in problems]
        ignored = event in OF_PREVIOUS_REVISION and self._lifecycle.options.get("ignore_application_stop_failures")
        if ignored or event == "Install" and self._interrupted():
            self.warnings.extend(texts)
        else:
            self.problems.extend(texts)
            self._failed = self._failed or (event if texts else None)

    def _from_bundle(self, text: str) -> str:
        """Name files of the unpacked bundle relative to it: its folder is gone when anybody reads that."""
        return text.replace(DeploymentPaths(self._temporary).archive + "/", "").replace(self._temporary + "/", "")

    def _interrupted(self) -> bool:
        return os.path.lexists(self._lifecycle.instructions.journal)

    def _download(self) -> None:
        """Unpack the bundle into the temporary folder; from then on it is the deployment's own."""
        lifecycle = self._lifecycle
        bundle = dict(lifecycle.options.get("bundle") or {})
        digest = bundle.pop("digest", None)
        # A link to the bundle in the cache would change its inode, and what was pushed may be asked for again.
        bundle["remove_source"] = False
        if digest:
            cached = os.path.join(lifecycle.root.bundle_cache, os.path.basename(digest))
            bundle["checksum"] = None if os.path.exists(cached) else "sha256:" + digest
            bundle["path"] = cached if os.path.exists(cached) else bundle.get("path")
        if os.path.exists(bundle.get("path") or ""):
            bundle["url"] = None
        kept = read_file(lifecycle.paths.appspec)
        lifecycle.options = dict(lifecycle.options, bundle=bundle)
        lifecycle.paths = DeploymentPaths(self._temporary)
        self._revision = Revision(lifecycle)
        self._revision.fetch()
        if kept and not lifecycle.options.get("appspec"):
            replace_file(lifecycle.paths.appspec, kept, 0o600)
        self._downloaded = True

    def _install(self) -> None:
        lifecycle = self._lifecycle
        if not self._downloaded and lifecycle.options.get("bundle"):
            self._download()
        if not self._downloaded:
            self.warnings.append("Install: the revision is not on this instance yet, so its files are not known")
            return
        if self._interrupted():
            self.warnings.append(INTERRUPTED)
        spec = lifecycle.spec(lifecycle.paths)
        self._revision.check_event_names(spec)
        plan = self._revision.plan(lifecycle.paths.archive, spec, dry_run=True)
        self.files = report(plan)
        self.warnings.extend("Install: " + self._from_bundle(text) for text in plan.warnings)
        if self._wants_diff:
            root = lifecycle.options.get("destination_root") or "/"
            self._diff = Differences(plan, self._wants_diff["limit"], self._wants_diff["private"], root).collect()

    def _hook(self, event: str) -> None:
        lifecycle = self._lifecycle
        if event not in HOOK_EVENTS and event not in (lifecycle.options.get("custom_events") or []):
            raise EventError(f"Unsupported command type: {event}.")
        restart = lifecycle.options.get("deployment_mode") == "RESTART"
        given = event not in OF_PREVIOUS_REVISION and not restart and lifecycle.options.get("appspec")
        paths = lifecycle.scripts_of(event, bool(given))
        if paths is None:
            return
        current = paths.directory == lifecycle.paths.directory
        if current and not self._downloaded and not given:
            self.warnings.append(f"{event}: the revision is not on this instance yet, so its hooks are not known")
            return
        spec = lifecycle.valid(lifecycle.options["appspec"]) if current and given else lifecycle.spec(paths)
        for script in ((spec or {}).get("hooks") or {}).get(event) or []:
            location = script["location"]
            known = os.path.isdir(paths.archive)
            if known and not os.path.exists(os.path.join(paths.archive, location.lstrip("/"))):
                where = "the bundle" if current else paths.archive
                raise EventError(f"Script does not exist at specified location: {location} in {where}")
            if self._failed is None:
                self.hooks.append(
                    {
                        "lifecycle_event_name": event,
                        "location": location,
                        "timeout": script.get("timeout"),
                        "runas": script.get("runas"),
                        "deployment_id": None if current else os.path.basename(paths.directory),
                    }
                )

    def result(self) -> Dict[str, Any]:
        """Return the module's result."""
        does = {"DownloadBundle", "Install"} & set(self._lifecycle.events)
        plan = {
            "hooks": self.hooks,
            "files": self.files,
            "problems": self.problems,
            "warnings": self.warnings,
        }
        result = dict(
            summary(self._lifecycle.events, []),
            status="Pending",
            failed_event=self._failed,
            changed=bool(does or self.hooks),
            plan=plan,
        )
        if self._wants_diff:
            result["diff"] = self._diff
        return result


def is_locked(path: str) -> bool:
    """Return whether a process holds a lock on a file, without trying to take it: that could refuse another run."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}".encode()
    locks = (line.split() for line in (read_file("/proc/locks") or b"").splitlines())
    return any(len(fields) > 5 and fields[1] == b"FLOCK" and fields[5] == wanted for fields in locks)
