# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell an instance that is being followed that its deployment was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleConnectionFailure

ASK_SECONDS = 1.0


class StopSignal:
    """Passes a stop on to an instance, once, while its lifecycle events are being followed.

    :param requested: says whether somebody asked the deployment to stop.
    :param tell: tells the instance; says whether it knows now.
    """

    def __init__(self, requested: Callable[[], bool], tell: Callable[[], bool]) -> None:
        self._requested = requested
        self._tell = tell
        self._told = False

    def wait(self, seconds: float) -> None:
        """Sleep, and tell the instance in the meantime when it has become necessary."""
        deadline = time.monotonic() + seconds
        while True:
            if not self._told and self._requested():
                try:
                    self._told = self._tell()
                except AnsibleConnectionFailure:
                    self._told = False
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, ASK_SECONDS))


def stopped_message(events: list[dict[str, Any]]) -> str:
    """Say where the lifecycle events of an instance were stopped."""
    for event in events:
        if event["status"] in ("Skipped", "Pending"):
            return f"The deployment was stopped before {event['lifecycle_event_name']}."
    return "The deployment was stopped."
