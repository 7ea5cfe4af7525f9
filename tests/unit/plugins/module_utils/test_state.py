# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment root: retention, pointers, the lock, and refusal while the CodeDeploy agent is at work."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.module_utils._state import (
    DeploymentRoot,
    StateError,
    deployment_folder,
    refusal,
    replace_file,
)

MTIME = 1600000000


@pytest.fixture
def root(tmp_path: Path) -> DeploymentRoot:
    return DeploymentRoot(str(tmp_path / "deployment-root"))


def deploy(root: DeploymentRoot, *names: str) -> None:
    """Make folders of deployments, each younger than the one before."""
    for number, name in enumerate(names):
        path = root.deployment("g", name).directory
        os.makedirs(path)
        os.utime(path, (MTIME + number, MTIME + number))


def kept(root: DeploymentRoot) -> list[str]:
    return sorted(os.listdir(root.group("g")))


def test_retention_counts_the_deployment_that_begins(root: DeploymentRoot) -> None:
    deploy(root, "d-1", "d-2", "d-3", "d-4", "d-5")
    root.prune("g", "d-6", 5)
    assert kept(root) == ["d-2", "d-3", "d-4", "d-5"]


def test_retention_goes_by_the_time_of_the_folder(root: DeploymentRoot) -> None:
    deploy(root, "d-9", "d-1", "d-5")
    root.prune("g", "d-6", 2)
    assert kept(root) == ["d-5"]


def test_retention_keeps_the_last_successful_install_beside_its_number(root: DeploymentRoot) -> None:
    deploy(root, "d-1", "d-2", "d-3")
    root.point(root.instructions("g").last_successful_install, root.deployment("g", "d-1").directory)
    root.prune("g", "d-4", 1)
    assert kept(root) == ["d-1"]


def test_retention_counts_files_and_does_not_count_the_current_deployment(root: DeploymentRoot) -> None:
    deploy(root, "d-1", "d-2")
    Path(root.group("g"), "a-file").write_text("x")
    root.prune("g", "d-2", 2)
    assert kept(root) == ["a-file", "d-2"]


def test_a_pointer_is_a_path_without_a_newline(root: DeploymentRoot) -> None:
    path = root.instructions("g").last_successful_install
    assert root.pointer(path) is None
    root.point(path, "/root/g/d-1")
    assert Path(path).read_bytes() == b"/root/g/d-1"
    assert root.pointer(path) == "/root/g/d-1"


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    replace_file(str(path), b"1")
    first = path.stat().st_ino
    (tmp_path / "f.new").write_text("left by a crash")
    replace_file(str(path), b"2", 0o600)
    assert path.read_bytes() == b"2"
    assert path.stat().st_ino != first
    assert os.listdir(tmp_path) == ["f"]


def test_a_second_deployment_is_refused_and_told_of_the_first(root: DeploymentRoot) -> None:
    first = root.lock("g", "deployment d-1")
    with pytest.raises(StateError, match="deployment d-1 is in progress for deployment group g"):
        root.lock("g", "deployment d-2")
    os.close(root.lock("other", "deployment d-3"))
    os.close(first)
    os.close(root.lock("g", "deployment d-2"))


def test_the_lock_ends_with_the_process_that_has_it(root: DeploymentRoot) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            root.lock("g", "deployment d-1")
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(root.lock("g", "deployment d-2"))


def test_a_running_agent_is_respected(root: DeploymentRoot, tmp_path: Path) -> None:
    Path(root.agent_pid_file).parent.mkdir(parents=True)
    with subprocess.Popen(["codedeploy-agent: master", "600"], executable="/bin/sleep") as agent:
        Path(root.agent_pid_file).write_text(f"{agent.pid}\n")
        wait_until(lambda: b"codedeploy" in Path(f"/proc/{agent.pid}/cmdline").read_bytes(), "the agent runs")
        with pytest.raises(StateError, match="systemctl disable"):
            root.refuse_agent()
        agent.kill()
    root.refuse_agent()
    Path(root.agent_pid_file).write_text(str(os.getpid()))
    root.refuse_agent()


def test_an_unfinished_deployment_of_the_agent_is_respected_for_a_day(root: DeploymentRoot) -> None:
    os.makedirs(root.ongoing)
    path = Path(root.ongoing, "d-1")
    path.write_text("command-identifier")
    with pytest.raises(StateError, match="d-1"):
        root.refuse_agent()
    day_ago = time.time() - 25 * 3600
    os.utime(path, (day_ago, day_ago))
    root.refuse_agent()


def test_an_unfinished_deployment_of_our_own_is_no_obstacle(root: DeploymentRoot) -> None:
    root.begin("d-1", "g")
    root.refuse_agent()
    root.end("d-1")
    root.end("d-1")
    assert os.listdir(root.ongoing) == []


@pytest.mark.parametrize(
    ("deployment_id", "folder"),
    [("d-1", "d-1"), ("arn:aws:codedeploy:us-east-1:123412341234:deployment/1234-5678", "1234-5678")],
)
def test_the_folder_of_a_deployment(deployment_id: str, folder: str) -> None:
    assert deployment_folder(deployment_id) == folder


@pytest.mark.parametrize("deployment_id", ["", "..", ".", "a/b", "deployment/", "a\0b", "deployment-instructions"])
def test_an_id_that_is_no_folder_name_is_refused(deployment_id: str) -> None:
    with pytest.raises(StateError, match="deployment_id"):
        deployment_folder(deployment_id)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left", "/a", None, "/b"), "No space left: /b; make room on that file system"),
        (OSError(errno.EIO, "Input/output error", b"/\xe9"), "Input/output error: /\udce9"),
        (OSError(errno.EIO, "Input/output error", 3), "Input/output error"),
        (OSError("timed out"), "timed out"),
        (StateError("d-1 is in progress"), "d-1 is in progress"),
    ],
)
def test_what_the_system_refused_is_said_with_the_place(error: Exception, text: str) -> None:
    assert refusal(error) == text


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    pid = os.fork()
    if pid == 0:
        # As on a file system that is full: what the system says of a write has no name in it.
        said = b""
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
            replace_file(str(path), b"x" * 2000)
        except OSError as error:
            said = refusal(error).encode()
        finally:
            (tmp_path / "said").write_bytes(said)
            os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / "said").read_text() == f"File too large: {path}"
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["file", "said"]
    assert path.read_text() == "old"


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as raised:
        DeploymentRoot(str(tmp_path / "file" / "root")).begin("d-1", "g")
    assert refusal(raised.value).startswith(f"Not a directory: {tmp_path}/file/root")
