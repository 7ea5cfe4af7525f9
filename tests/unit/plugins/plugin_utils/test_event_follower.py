# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs of real processes, read with real shell commands."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import (
    concluded_events,
    follow,
    followed,
    read_event_log,
)

WRITER = """
import json, sys, time
with open(sys.argv[1], "a") as log:
    for line in json.loads(sys.argv[2]):
        text = json.dumps(line) + "\\n"
        log.write(text[:9]); log.flush(); time.sleep(0.05); log.write(text[9:]); log.flush()
"""


def shell(command: str) -> str:
    """Run a command as a connection does."""
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=False).stdout


def line(name: str, status: str) -> dict[str, Any]:
    return {"lifecycle_event_name": name, "status": status, "time": 1.0, "start_time": 1.0, "diagnostics": None}


def started(log: Path, process: subprocess.Popen[bytes], events: list[str]) -> dict[str, Any]:
    """Return what the module answers when the events still run."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return {
        "status": "InProgress",
        "events": [{"lifecycle_event_name": name, "status": "Pending"} for name in events],
        "events_log": str(log),
        "events_log_offset": log.stat().st_size,
        "process": {"pid": process.pid, "start_time": int(fields[19])},
    }


def terminal(command: str) -> str:
    """Run a command as ssh does for a user who becomes another one: in a terminal, after what the login says."""
    said = "echo sudo: unable to resolve host web1 >&2; echo Welcome; "
    ours, theirs = pty.openpty()
    with subprocess.Popen(["sh", "-c", said + command], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs):
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):  # that is how a terminal ends
            while data := os.read(ours, 65536):
                output += data
    os.close(ours)
    return output.decode()


def follow_writer(
    log: Path, lines: list[dict[str, Any]], raw: Callable[[str], str] = shell
) -> tuple[dict[str, Any], list[str]]:
    """Follow a process that writes these lines and then ends."""
    log.write_text('{"finished": true, "status": "Failed", "of": "an earlier call"}\n')
    told: list[str] = []
    with subprocess.Popen([sys.executable, "-c", WRITER, str(log), json.dumps(lines)]) as process:
        answer = started(log, process, ["BeforeInstall", "Install", "AfterInstall"])
        events = follow(raw, answer, str(log.parent / "lock"), None)
        result = followed(events, answer, lambda event: told.append(event["lifecycle_event_name"]))
    return result, told


def test_events_that_end(tmp_path: Path) -> None:
    lines = [
        line("BeforeInstall", "InProgress"),
        line("BeforeInstall", "Succeeded"),
        line("Install", "InProgress"),
        line("Install", "Failed"),
        {"finished": True, "status": "Failed", "failed_event": "Install"},
    ]
    result, told = follow_writer(tmp_path / "events.jsonl", lines)
    assert told == ["BeforeInstall", "Install"]
    assert (result["status"], result["failed_event"]) == ("Failed", "Install")
    assert [event["status"] for event in result["events"]] == ["Succeeded", "Failed", "Skipped"]


def test_the_revision_that_is_put_back_is_told_apart_from_the_events(tmp_path: Path) -> None:
    put_back = {"deployment_id": "d-1", "status": "Succeeded", "message": "done", "events": []}
    step = {"deployment_id": "d-1", "lifecycle_event_name": "Install", "status": "InProgress"}
    lines = [
        line("Install", "Succeeded"),
        line("AfterInstall", "Failed"),
        {"status": "InProgress", "restored": step},
        {"finished": True, "status": "Failed", "failed_event": "AfterInstall", "restored": put_back},
    ]
    result, told = follow_writer(tmp_path / "events.jsonl", lines)
    assert told == ["Install", "AfterInstall"]
    assert (result["failed_event"], result["restored"]) == ("AfterInstall", put_back)
    assert concluded_events(lines)["restored"] == put_back


def test_a_terminal_changes_nothing(tmp_path: Path) -> None:
    names = [f"Event{number}" for number in range(30)]
    lines = [line(name, status) for name in names for status in ("InProgress", "Succeeded")]
    lines.append({"finished": True, "status": "Succeeded", "failed_event": None})
    result, told = follow_writer(tmp_path / "events.jsonl", lines, terminal)
    assert told == names
    assert result["status"] == "Succeeded"


def test_process_that_dies(tmp_path: Path) -> None:
    result, told = follow_writer(tmp_path / "events.jsonl", [line("BeforeInstall", "InProgress")])
    assert told == []
    assert (result["status"], result["failed_event"]) == ("Failed", "BeforeInstall")
    assert [event["status"] for event in result["events"]] == ["Failed", "Skipped", "Skipped"]
    assert "ended without a result" in result["events"][0]["diagnostics"]["message"]


def test_events_that_ended_before_are_told_once(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text("")
    lines = [line("BeforeInstall", "Succeeded"), {"finished": True, "status": "Succeeded", "failed_event": None}]
    told: list[str] = []
    with subprocess.Popen([sys.executable, "-c", WRITER, str(log), json.dumps(lines)]) as process:
        answer = started(log, process, ["BeforeInstall"])
        answer["events"][0]["status"] = "Succeeded"
        events = follow(shell, answer, str(tmp_path / "lock"), None)
        followed(events, answer, lambda event: told.append(event["lifecycle_event_name"]))
    assert told == ["BeforeInstall"]


def test_lock_tells_whether_events_run(tmp_path: Path) -> None:
    log, lock = tmp_path / "events $(id).jsonl", tmp_path / "lock ' \" ;"
    log.write_text(json.dumps(line("Install", "Succeeded")) + '\n{"finished": true, "sta')
    assert not read_event_log(shell, str(log), str(lock)).running
    assert not lock.exists()
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        part = read_event_log(shell, str(log), str(lock))
        # A script that its process is at work on.
        held.write('deployment d-1\n{"lifecycle_event_name": "AfterInstall", "location": "s.sh", "pid": 7}\n')
        held.flush()
        with_script = read_event_log(shell, str(log), str(lock))
    assert (part.running, part.script) == (True, "")
    assert (with_script.running, with_script.script) == (True, "s.sh of AfterInstall, process 7")
    assert part.lines == [line("Install", "Succeeded")]
    assert not read_event_log(shell, str(log), str(lock)).running
    assert concluded_events(part.lines)["status"] == "Failed"


def test_no_log(tmp_path: Path) -> None:
    part = read_event_log(shell, str(tmp_path / "absent"), str(tmp_path / "lock"))
    assert (part.lines, part.offset, part.running) == ([], 0, False)


@pytest.mark.parametrize("raw", [shell, terminal])
def test_a_script_that_a_killed_process_has_left(tmp_path: Path, raw: Callable[[str], str]) -> None:
    lock = tmp_path / "a lock"
    with subprocess.Popen(["sleep", "600"]) as process:
        since = started(tmp_path, process, [])["process"]

        def runs(**changed: object) -> bool:
            script = {**since, "deadline": time.time() + 600, "location": 's\\"pid": 1\n.sh', **changed}
            lock.write_text(f"deployment d-1\n{json.dumps(script, sort_keys=True)}\n")
            return read_event_log(raw, str(tmp_path / "log"), str(lock)).running

        assert runs()
        # From its time-out on the next deployment ends it, and need not wait for it.
        assert not runs(deadline=time.time() - 1)
        assert not runs(start_time=1)
        assert not runs(pid="none")
        process.kill()
    assert not runs()
    lock.write_text("deployment d-1\nanything else\n")
    assert not read_event_log(raw, str(tmp_path / "log"), str(lock)).running
