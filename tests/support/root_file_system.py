# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system that light hosts share: a small Debian, made once and kept in the checkout's build directory."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
import subprocess
from pathlib import Path

from support.debian_packages import install_packages

PACKAGES = ("acl", "iproute2", "mount", "openssh-server", "procps", "python3", "sudo")
LOGIN_USER = "deploy"
USER_WITHOUT_SHELL = "webapp"

# What makes a host of the packages: who logs in, who does not, and an sshd that answers at once.
PREPARATION = f"""
useradd --create-home --shell /bin/bash --password '*' {LOGIN_USER}
useradd --system --create-home --shell /usr/sbin/nologin --password '*' {USER_WITHOUT_SHELL}
echo '{LOGIN_USER} ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/{LOGIN_USER}
chmod 0440 /etc/sudoers.d/{LOGIN_USER}
printf 'UseDNS no\\nMaxStartups 100\\nPermitRootLogin prohibit-password\\nPrintMotd no\\nPrintLastLog no\\n' \\
    > /etc/ssh/sshd_config.d/light-host.conf
rm -f /etc/resolv.conf
"""

INIT = """
import os, signal


def reap(_signal, _frame):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


signal.signal(signal.SIGCHLD, reap)
signal.signal(signal.SIGTERM, lambda _signal, _frame: os._exit(0))
while True:
    signal.pause()
"""


class LightHostError(Exception):
    """A host, or what all hosts share, cannot be made; the text says what is missing."""


def run(argv: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command and return its output; :class:`LightHostError` with its error output when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise LightHostError(
            f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def package_sources() -> list[str]:
    """Return the files that say where this machine takes its Debian packages from."""
    etc = Path("/etc/apt")
    found = [
        etc / "sources.list",
        *sorted(etc.glob("sources.list.d/*.list")),
        *sorted(etc.glob("sources.list.d/*.sources")),
    ]
    return [str(path) for path in found if path.is_file() and path.stat().st_size]


def root_file_system(directory: Path) -> Path:
    """Make the root file system of light hosts, or return the one made before.

    :param directory: existing directory to keep it in.
    :returns: its root, to be used as the lower directory of overlays only.
    :raises LightHostError: a package cannot be had or the file system cannot be made.
    """
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    recipe = hashlib.sha256(repr((codename, PACKAGES, PREPARATION, INIT)).encode()).hexdigest()[:12]
    root = directory / f"root-{recipe}"
    with (directory / "root.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            for stale in directory.glob("root-*"):
                shutil.rmtree(stale)
            unfinished = directory / "root-unfinished"
            _make(unfinished, codename)
            unfinished.rename(root)
    return root


def _make(root: Path, codename: str) -> None:
    install_packages({"mmdebstrap": "mmdebstrap"})
    run(
        [
            "mmdebstrap",
            "--variant=apt",
            f"--include={','.join(PACKAGES)}",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            codename,
            str(root),
            *package_sources(),
        ]
    )
    run(["chroot", str(root), "/bin/sh", "-ec", PREPARATION])
    (root / "sbin/light-host-init").write_text(INIT)
