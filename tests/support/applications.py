# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small applications to deploy: a folder with an AppSpec, files and scripts."""

from __future__ import annotations

from pathlib import Path

import yaml

DESTINATION = "/srv/application"


class Application:
    """A revision of an application, as a folder.

    :param folder: where it is written; made when it is not there.
    :param version: content of its one file, which lands in ``/srv/application/version.txt``.
    :param scripts: shell commands of one script for each lifecycle event.
    """

    def __init__(self, folder: Path, version: str, **scripts: str) -> None:
        self.folder = folder
        (folder / "content").mkdir(parents=True, exist_ok=True)
        (folder / "scripts").mkdir(exist_ok=True)
        (folder / "content" / "version.txt").write_text(version)
        self.appspec: dict[str, object] = {
            "version": 0.0,
            "os": "linux",
            "files": [{"source": "content", "destination": DESTINATION}],
            "hooks": {event: [{"location": f"scripts/{event}.sh", "timeout": 60}] for event in scripts},
        }
        for event, commands in scripts.items():
            script = folder / "scripts" / f"{event}.sh"
            script.write_text(f"#!/bin/sh\n{commands}\n")
            script.chmod(0o755)
        self.write_appspec()

    def write_appspec(self) -> None:
        """Write ``appspec.yml`` as :attr:`appspec` is now."""
        (self.folder / "appspec.yml").write_text(yaml.safe_dump(self.appspec, sort_keys=False))


def installed_version(files: Path) -> str | None:
    """Return the version that an instance has installed, None when it has none.

    :param files: the directory that stands for the instance's file system.
    """
    path = files / DESTINATION.lstrip("/") / "version.txt"
    return path.read_text() if path.exists() else None
