# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs from Debian's packages, installed where they are missing; by one process of this machine at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


class PackageError(Exception):
    """A package cannot be installed; the text has apt's own words."""


def installable() -> bool:
    """Whether this is Debian, and this process may install packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


@contextlib.contextmanager
def alone_on_this_machine(name: str) -> Iterator[None]:
    """Keep other processes out of what has the same name, until the block ends."""
    with (Path(tempfile.gettempdir()) / f"agentless.codedeploy-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_packages(commands: dict[str, str]) -> None:
    """Install from Debian what is not there yet; services of these packages are not started.

    :param commands: command that must exist, by name or path -> Debian package that has it.
    :raises PackageError: apt cannot do it.
    """
    if not _missing(commands):
        return
    with alone_on_this_machine("packages"):
        packages = _missing(commands)
        if packages:
            _apt_get("update")
            _apt_get("install", "--yes", "--no-install-recommends", *packages)


def _missing(commands: dict[str, str]) -> list[str]:
    return sorted({package for command, package in commands.items() if shutil.which(command) is None})


def _apt_get(*arguments: str) -> None:
    # At run level 1 a package does not start its service.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
