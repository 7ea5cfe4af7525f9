# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance whose lifecycle events run in real processes, for the tests of lifecycle events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import (
    Lifecycle,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import (
    run_detached,
)

EVENTS = [
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
]
LONG = 600.0


class Instance:
    """An instance with revisions to deploy to it; every script notes the revision and the event in C(ran)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root"
        self.ran = directory / "ran"
        self.destination = directory / "destination"

    def revision(self, name: str, *events: str, script: str = "") -> dict[str, Any]:
        """Make a revision with a script for some events, and return its AppSpec."""
        folder = self.directory / name
        folder.mkdir()
        (folder / "appspec.yml").write_text("kept as it is")
        (folder / f"{name}.txt").write_text(name)
        (folder / "s.sh").write_text(f'#!/bin/sh\necho "{name} $LIFECYCLE_EVENT" >> {self.ran}\n{script}\n')
        hooks = {event: [{"location": "s.sh", "timeout": 60, "runas": None, "sudo": None}] for event in events}
        files = [{"source": f"{name}.txt", "destination": str(self.destination)}]
        return {"version": 0.0, "os": "linux", "hooks": hooks, "files": files, "permissions": []}

    def options(self, name: str, appspec: dict[str, Any] | None, **options: Any) -> dict[str, Any]:
        return {
            "deployment_id": f"d-{name}",
            "deployment_group_id": "g",
            "root": str(self.root),
            "bundle": {"type": "directory", "path": str(self.directory / name)},
            "appspec": appspec,
            "events": EVENTS,
            **options,
        }

    def deploy(self, name: str, appspec: dict[str, Any] | None, wait: float = LONG, **options: Any) -> dict[str, Any]:
        return run_detached(Lifecycle(self.options(name, appspec, **options)), wait)

    def scripts(self) -> list[str]:
        """Return what ran since it was last asked."""
        if not self.ran.exists():
            return []
        lines = self.ran.read_text().splitlines()
        self.ran.unlink()
        return lines

    def pointer(self, name: str) -> str:
        return Path((self.root / "deployment-instructions" / f"g_{name}").read_text()).name


def statuses(result: dict[str, Any]) -> list[str]:
    return [event["status"] for event in result["events"]]
