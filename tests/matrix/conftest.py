# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name, after the tests, the versions that were used and those that were not found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import matrix
from support.interpreters import interpreters


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was used and what was not found."""
    write: Callable[[str], None] = terminalreporter.write_line
    for core in matrix.CONTROLLER_PYTHONS:
        python = matrix.controller_python(core)
        supported = ", ".join(matrix.versions(matrix.CONTROLLER_PYTHONS[core]))
        write(f"ansible-core {core}: " + (f"on {python}" if python else f"NOT RUN, no Python of {supported} found"))
    for python in matrix.ALL_PYTHONS:
        core = matrix.instance_core(python)
        if python not in interpreters():
            core = None
        write(f"instances with Python {python}: " + (f"under ansible-core {core}" if core else "NOT RUN, not found"))
