# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that several processes do at once."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from support.waiting import LONGEST

forked = multiprocessing.get_context("fork")


def in_processes(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Run a function for each tuple of arguments, each in a fork of this process; what it returns, in their order."""

    def report(sender: Connection, given: tuple[Any, ...]) -> None:
        sender.send(work(*given))

    workers = []
    for given in arguments:
        receiver, sender = forked.Pipe(duplex=False)
        worker = forked.Process(target=report, args=(sender, given))
        worker.start()
        # Only the worker is to hold its end, so that its death ends the wait for it.
        sender.close()
        workers.append((worker, receiver))
    try:
        deadline = time.monotonic() + LONGEST
        results = []
        for _worker, receiver in workers:
            assert receiver.poll(max(0.0, deadline - time.monotonic())), "a process did not come to an end"
            results.append(receiver.recv())
        return results
    finally:
        for worker, receiver in workers:
            receiver.close()
            worker.kill()
            worker.join()
