# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for something that comes sooner or later: no test is to depend on how fast a machine is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

LONGEST = 600.0
"""Seconds after which what has not come is taken for never coming; hundreds of times what it takes."""


def wait_until(condition: Callable[[], object], what: str, process: subprocess.Popen[str] | None = None) -> None:
    """Ask again and again until something is so.

    :param condition: what is asked; the wait ends when it returns something true.
    :param what: what is waited for, for the message when it does not come.
    :param process: what it comes from: without it there is nothing more to wait for. Its output is in the message.
    :raises AssertionError: it did not come, or the process ended before.
    """
    deadline = time.monotonic() + LONGEST
    while not condition():
        ended = process is not None and process.poll() is not None
        assert not ended or condition(), f"ended before {what}:\n{_output(process)}"
        assert time.monotonic() < deadline, f"not within {LONGEST:.0f} seconds: {what}"
        time.sleep(0.05)


def _output(process: subprocess.Popen[str] | None) -> str:
    return "" if process is None else "".join(filter(None, process.communicate()))
