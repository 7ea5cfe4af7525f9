# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two lifecycle events that are not hooks: DownloadBundle and Install."""

import os
from contextlib import suppress
from typing import Any, Dict

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle import download_bundle, read_manifest
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import (
    SETUID_SETGID,
    BundleError,
    Rules,
    unpacker,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install import (
    InstallError,
    apply_install,
    no_search_for_garbage,
    permission_code,
    plan_install,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import HOOK_EVENTS, EventError, Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import replace_file
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_seal import seal
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_sync import sync_folder


class Revision:
    """Brings the revision of a deployment to the instance and installs it."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._options = lifecycle.options
        self._paths = lifecycle.paths
        self._download: Any = None
        self._unpacked: Any = None
        appspec = self._options.get("appspec")
        if appspec is None or appspec.get("permissions") or lifecycle.restoration:
            permission_code()
        bundle = self._options.get("bundle") or {}
        with suppress(BundleError):
            unpacker(bundle.get("type"))
        if bundle.get("url"):
            from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_url import fetch_url

            self._download = fetch_url
        elif bundle.get("s3_location"):
            from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_s3 import fetch_s3

            self._download = fetch_s3

    def download_bundle(self) -> None:
        """Make room by the agent's retention, get the bundle, unpack it, keep its AppSpec.

        :raises EventError: when the bundle cannot be had or is refused.
        """
        root = self._lifecycle.root
        root.prune(self._lifecycle.group_id, self._lifecycle.deployment, self._options.get("revisions_to_keep") or 5)
        self.fetch()
        # After a power loss, what was installed would else have lost the scripts that stop it.
        for path in (self._paths.directory, os.path.dirname(self._paths.directory), root.path):
            sync_folder(path)
        root.point(self._lifecycle.instructions.most_recent_install, self._paths.directory)

    def fetch(self) -> None:
        """Get the bundle, unpack it, keep its AppSpec.

        :raises EventError: when the bundle cannot be had or is refused.
        """
        root, paths = self._lifecycle.root, self._paths
        os.makedirs(paths.directory, exist_ok=True)
        bundle = self._options.get("bundle")
        if not bundle:
            raise EventError("DownloadBundle needs to know where the bundle is: the option bundle is missing")
        self._lifecycle.scripts_were_run = False
        try:
            self._unpacked = download_bundle(bundle, root, paths, self._download, self._rules())
        except BundleError as error:
            raise EventError(str(error)) from error
        spec = self._options.get("appspec")
        if spec:
            replace_file(paths.appspec, seal(spec), 0o600)

    def _rules(self) -> Rules:
        return Rules(
            reject_setuid=bool(self._options.get("reject_setuid")),
            ignore_ownership=bool(self._options.get("ignore_ownership")),
            **(self._options.get("archive_limits") or {}),
        )

    @no_search_for_garbage()
    def install(self) -> None:
        """Install the files of the revision.

        :raises EventError: when it cannot be installed; the previous revision's files are there then.
        """
        root, paths = self._lifecycle.root, self._paths
        os.makedirs(paths.directory, exist_ok=True)
        spec = self._lifecycle.spec(paths)
        self.check_event_names(spec)
        os.makedirs(root.instructions_directory, exist_ok=True)
        if self._lifecycle.restoration:
            self._lifecycle.restoration.record(spec)
        try:
            apply_install(self.plan(paths.archive, spec), self._lifecycle.instructions, paths.directory)
        except InstallError as error:
            raise EventError(str(error)) from error

    def plan(self, archive: str, spec: Dict[str, Any], dry_run: bool = False) -> Any:
        """Return the plan to install what is in a folder.

        :param dry_run: leave what an interrupted Install left as it is.
        :raises InstallError: with all its problems.
        :raises EventError: when the AppSpec gives files setuid or setgid bits, and that is not wanted.
        """
        self._check_setuid(spec)
        files = others = None
        if archive == self._paths.archive:
            # Only scripts of the bundle have business in its folder, and between two events of one call nobody else.
            if self._unpacked is not None and not self._lifecycle.scripts_were_run:
                files, others = self._unpacked
            else:
                files = read_manifest(self._paths)
        return plan_install(
            archive,
            spec,
            self._options.get("file_exists_behavior") or "DISALLOW",
            self._lifecycle.instructions,
            files,
            self._options.get("destination_root") or "/",
            dry_run,
            others,
        )

    def _check_setuid(self, spec: Dict[str, Any]) -> None:
        for number, entry in enumerate(spec.get("permissions") or [] if self._options.get("reject_setuid") else []):
            if "file" in entry["type"] and int(entry["mode"] or "0", 8) & SETUID_SETGID:
                raise EventError(
                    f"permissions[{number}].mode: {entry['mode']} gives files a setuid or setgid bit, and "
                    "reject_setuid is set"
                )

    def check_event_names(self, spec: Dict[str, Any]) -> None:
        """Check the hooks against the list of all events, which only some callers give.

        :raises EventError: when they do not agree.
        """
        possible = self._options.get("all_possible_lifecycle_events")
        if not possible:
            return
        hooks = spec.get("hooks") or {}
        unknown = [event for event in hooks if event not in possible]
        if unknown:
            raise EventError(f"appspec.yml file contains unknown lifecycle events: {unknown}")
        custom = [event for event in possible if event not in HOOK_EVENTS + ("DownloadBundle", "Install")]
        missing = [event for event in custom if event not in hooks]
        if missing:
            raise EventError(f"the AppSpec file has no hooks for the lifecycle events {missing}")
