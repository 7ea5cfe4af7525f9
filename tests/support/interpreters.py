# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pythons of this machine: those on the path, and pyenv's."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

ASK = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"


def _candidates() -> list[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    directories = [Path(entry) for entry in os.get_exec_path()] + sorted(pyenv.glob("versions/*/bin"))
    found = [path for directory in directories for path in sorted(directory.glob("python3.*"))]
    return [path for path in found if path.name.replace("python3.", "").isdigit()]


@cache
def interpreters() -> dict[str, Path]:
    """Return the interpreters that start: version as "3.12" -> its program, oldest version first.

    pyenv puts a program for every version on the path, whether or not that version is chosen; hence each is asked.
    """
    found: dict[str, Path] = {}
    for candidate in _candidates():
        if candidate.name.replace("python", "") in found:
            continue
        answer = subprocess.run([str(candidate), "-c", ASK], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            version, program = answer.stdout.splitlines()[:2]
            found.setdefault(version, Path(program))
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))
