# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that runs lifecycle events is killed, and the script that it had started goes on without it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.lifecycle_instance import Instance
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_process import start_time
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import read_lines
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_plan import plan_events, temporary_folder
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import BusyError, StateError


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def orphan(instance: Instance, timeout: int, script: str, before: str = "true") -> tuple[dict[str, Any], int]:
    """Kill the process that runs AfterInstall while its script runs; give the module's result and the script's pid.

    :param script: what the script does while the process is killed, and then.
    :param before: what it has done by then.
    """
    note = instance.directory / "pid"
    script = f"{before}\necho $$ > {note}.new; mv {note}.new {note}\n{script}"
    appspec = instance.revision("v1", "AfterInstall", script=script)
    appspec["hooks"]["AfterInstall"][0]["timeout"] = timeout
    result = instance.deploy("v1", appspec, wait=0.0)
    wait_until(note.exists, "the script has begun")
    os.kill(result["process"]["pid"], signal.SIGKILL)
    os.waitpid(result["process"]["pid"], 0)
    return result, int(note.read_text())


def checked(instance: Instance, name: str, appspec: dict[str, Any]) -> dict[str, Any]:
    """Return what check mode plans."""
    with temporary_folder(str(instance.directory)) as folder:
        plan: dict[str, Any] = plan_events(Lifecycle(instance.options(name, appspec)), folder, None)["plan"]
    return plan


def test_a_script_that_goes_on_keeps_others_out_and_is_named(instance: Instance) -> None:
    _result, pid = orphan(instance, 3600, f"until [ -e {instance.directory}/go ]; do sleep 0.1; done")
    second = instance.revision("v2")
    with pytest.raises(BusyError) as refusal:
        instance.deploy("v2", second)
    with pytest.raises(BusyError) as planned:
        checked(instance, "v2", second)
    assert str(planned.value) == str(refusal.value)
    text = str(refusal.value)
    assert refusal.value.deployment == "d-v1"
    assert f"script s.sh of AfterInstall of deployment d-v1 still runs as process {pid}" in text
    assert f"kill -- -{pid}" in text
    assert lives(pid) and not (instance.root / "g" / "d-v2").exists()
    with pytest.raises(StateError, match=f"deployment d-v1 still runs as process {pid}"):
        instance.deploy("v1", None, events=["AfterInstall"])
    (instance.directory / "go").touch()
    wait_until(lambda: not lives(pid), "the script has ended")
    assert instance.deploy("v2", None, events=[])["status"] == "Succeeded"


def test_an_installed_revision_that_nobody_concluded_is_the_one_to_stop_and_to_put_back(instance: Instance) -> None:
    """Install of v1 had succeeded when its process was killed; no controller and no module saw that."""
    note = instance.directory / "note"
    wait = f"until [ -e {note} ]; do sleep 0.1; done"
    script = f'if [ "$LIFECYCLE_EVENT" = AfterInstall ]; then {wait}; kill -9 $PPID; fi'
    first = instance.revision("v1", "AfterInstall", "ApplicationStop", "ApplicationStart", script=script)
    result = instance.deploy("v1", first, wait=0.0)
    note.touch()
    os.waitpid(result["process"]["pid"], 0)
    assert not any("finished" in line for line in read_lines(Path(result["events_log"]).read_bytes()))
    assert instance.pointer("last_successful_install") == "d-v1"
    assert instance.scripts() == ["v1 AfterInstall"]
    second = instance.revision("v2", "AfterInstall", script="exit 1")
    result = instance.deploy("v2", second, restore_on_failure=True)
    assert (result["failed_event"], result["restored"]["status"]) == ("AfterInstall", "Succeeded")
    assert instance.scripts() == ["v1 ApplicationStop", "v2 AfterInstall", "v1 ApplicationStart"]
    assert [path.name for path in instance.destination.iterdir()] == ["v1.txt"]
    assert instance.deploy("v3", instance.revision("v3"))["status"] == "Succeeded"
    assert instance.scripts() == ["v1 ApplicationStop"]
    assert [path.name for path in instance.destination.iterdir()] == ["v3.txt"]


def test_what_the_refusal_says_ends_it(instance: Instance) -> None:
    _result, pid = orphan(instance, 3600, "sleep 600")
    os.kill(-pid, signal.SIGTERM)
    wait_until(lambda: not lives(pid), "the script has ended")
    assert instance.deploy("v2", instance.revision("v2"))["status"] == "Succeeded"


def test_it_is_ended_after_its_time_out_whatever_it_does(instance: Instance) -> None:
    child = instance.directory / "child"
    # Five seconds after its time-out it would be killed by the process that is to be killed before.
    before = f"trap '' TERM\nsleep 600 &\necho $! > {child}"
    _result, pid = orphan(instance, 2, "while :; do sleep 0.2; done", before)
    appspec = instance.revision("v2")
    deadline = time.time() + 2
    wait_until(lambda: time.time() > deadline, "its time-out is over")
    assert checked(instance, "v2", appspec)["problems"] == []
    assert lives(pid), "check mode has ended a script"
    assert instance.deploy("v2", appspec)["status"] == "Succeeded"
    assert not lives(pid) and not lives(int(child.read_text()))


def test_a_program_that_an_ended_script_has_left_keeps_nobody_out(instance: Instance) -> None:
    child = instance.directory / "child"
    script = f"(until [ -e {instance.directory}/end ]; do sleep 0.1; done) > /dev/null 2>&1 &\necho $! > {child}"
    first = instance.revision("v1", "AfterInstall", "ApplicationStart", script=script)
    instance.deploy("v1", first)
    assert lives(int(child.read_text()))
    assert instance.deploy("v2", instance.revision("v2"))["status"] == "Succeeded"
    assert lives(int(child.read_text()))
    (instance.directory / "end").touch()
    wait_until(lambda: not lives(int(child.read_text())), "the program has ended")


def test_another_process_that_got_the_number_keeps_nobody_out(instance: Instance) -> None:
    _result, pid = orphan(instance, 3600, "sleep 600")
    lock = instance.root / "deployment-instructions" / "g-lock"
    text = lock.read_text()
    assert f'"start_time": {start_time(pid)}' in text
    lock.write_text(text.replace(f'"start_time": {start_time(pid)}', '"start_time": 1'))
    assert instance.deploy("v2", instance.revision("v2"))["status"] == "Succeeded"
    os.kill(-pid, signal.SIGKILL)


@pytest.mark.parametrize("text", ["deployment d-1\n{", "deployment d-1\n[]\n", 'deployment d-1\n{"pid": 1}\n', "\n\n"])
def test_a_lock_file_with_anything_else_in_it_is_taken(instance: Instance, text: str) -> None:
    appspec = instance.revision("v1")
    (instance.root / "deployment-instructions").mkdir(parents=True)
    (instance.root / "deployment-instructions" / "g-lock").write_text(text)
    assert instance.deploy("v1", appspec)["status"] == "Succeeded"
    assert (instance.root / "deployment-instructions" / "g-lock").read_text() == "deployment d-v1"
