# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell an instance that is being followed that its deployment was stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def told_in_the_meantime(requested: Callable[[], bool] | None, tell: Callable[[], bool]) -> Iterator[None]:
    """Pass a stop on to an instance while a call that waits for its lifecycle events keeps this process.

    It is told again until the call has ended: the call's own beginning removes what an earlier one was told.

    :param requested: as of StopSignal, with nothing that this thread uses; None: nobody can stop it.
    :param tell: as of StopSignal, over a connection of its own.
    """
    if requested is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(ASK_SECONDS):
            # What is wrong with the record or the connection is found, and told, by the thread that works.
            with contextlib.suppress(Exception):
                if requested():
                    tell()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def stopped_message(events: list[dict[str, Any]]) -> str:
    """Say where the lifecycle events of an instance were stopped."""
    for event in events:
        if event["status"] in ("Skipped", "Pending"):
            return f"The deployment was stopped before {event['lifecycle_event_name']}."
    return "The deployment was stopped."
