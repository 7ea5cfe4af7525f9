# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills ansible-playbook, with SIGKILL and with all its processes, when it comes to a step that the environment names.

A step is ``NAME INSTANCE before|after``: a transaction of the record by the function that makes it, or C(module), the
call that runs the lifecycle events of an instance.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _instance, _store

STEP = "CODEDEPLOY_TEST_KILL_AT"
GROUP = "CODEDEPLOY_TEST_KILL_GROUP"


class CallbackModule(CallbackBase):
    """Loaded in the main process, before it starts those that work on the instances."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_controller"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        os.setpgid(0, 0)
        main = os.getpgrp()
        with open(os.environ[GROUP], "w", encoding="ascii") as stream:
            stream.write(str(main))
        wanted = os.environ.get(STEP)

        def reach(step: str) -> None:
            if step != wanted:
                return
            os.killpg(main, signal.SIGKILL)
            # Workers of newer ansible-core are in a session of their own.
            os.killpg(0, signal.SIGKILL)

        _patch_transactions(reach)
        _patch_calls(reach)


def _patch_transactions(reach: Any) -> None:
    transaction = _store.Store.transaction

    def watched(self: Any) -> Any:
        frame = sys._getframe(1)
        event = frame.f_locals.get("event") or {}
        name = event.get("lifecycle_event_name", "") if isinstance(event, dict) else ""
        step = f"{frame.f_code.co_name} {frame.f_locals.get('instance', '')}{' ' * bool(name)}{name}".rstrip()

        @contextlib.contextmanager
        def between() -> Iterator[Any]:
            reach(f"{step} before")
            with transaction(self) as tx:
                yield tx
            reach(f"{step} after")

        return between()

    _store.Store.transaction = watched


def _patch_calls(reach: Any) -> None:
    start_events = _instance.Instance.start_events

    def watched(self: Any, parameters: Any) -> Any:
        step = f"module {self._task_vars['inventory_hostname']}"
        reach(f"{step} before")
        result = start_events(self, parameters)
        reach(f"{step} after")
        return result

    _instance.Instance.start_events = watched
