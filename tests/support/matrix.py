# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supported versions of ansible-core, in environments of their own, and which Pythons they run with and serve."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import collection_loader
from support.interpreters import interpreters

ENVIRONMENTS = Path(collection_loader.CHECKOUT) / ".venv-matrix"

#: ansible-core -> the Pythons of controllers and of instances: lowest and highest minor version of Python 3.
CONTROLLER_PYTHONS = {"2.16": (10, 12), "2.19": (11, 13), "2.20": (12, 14), "2.21": (12, 14)}
INSTANCE_PYTHONS = {"2.16": (6, 12), "2.19": (8, 13), "2.20": (9, 14), "2.21": (9, 14)}


def versions(bounds: tuple[int, int]) -> list[str]:
    """Return the versions of Python 3 from a lowest to a highest minor version, both included."""
    return [f"3.{minor}" for minor in range(bounds[0], bounds[1] + 1)]


def controller_python(core: str) -> Path | None:
    """Return the newest interpreter found that a controller with this ansible-core runs with."""
    found = [interpreters()[python] for python in versions(CONTROLLER_PYTHONS[core]) if python in interpreters()]
    return found[-1] if found else None


def instance_core(python: str) -> str | None:
    """Return the newest ansible-core that serves instances with this Python and can be run here."""
    serving = [core for core, bounds in INSTANCE_PYTHONS.items() if python in versions(bounds)]
    runnable = [core for core in serving if controller_python(core)]
    return runnable[-1] if runnable else None


ALL_PYTHONS = versions(
    (min(low for low, _high in INSTANCE_PYTHONS.values()), max(high for _low, high in INSTANCE_PYTHONS.values()))
)
CORES = [core for core in CONTROLLER_PYTHONS if controller_python(core)]
PYTHONS = [python for python in ALL_PYTHONS if python in interpreters() and instance_core(python)]


def environment(core: str) -> Path:
    """Make the virtual environment of an ansible-core, or return the one made before."""
    directory = ENVIRONMENTS / f"core-{core}"
    complete = directory / "complete"
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f"core-{core}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(directory, ignore_errors=True)
            subprocess.run([str(controller_python(core)), "-m", "venv", str(directory)], check=True)
            install = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", f"ansible-core=={core}.*"]
            done = subprocess.run(install, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            complete.touch()
    return directory
