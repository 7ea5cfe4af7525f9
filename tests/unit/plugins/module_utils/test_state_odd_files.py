# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pointers, process ids, event logs and parsed AppSpecs that are not what was written: they are passed over."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle import read_manifest
from ansible_collections.agentless.codedeploy.plugins.module_utils._instance_info import group_info
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import EventError, Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import read_lines, summary
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import DeploymentRoot
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import read_event_log

LINE = {"lifecycle_event_name": "Install", "status": "Succeeded"}
ODD_LINES = [b"5", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"status":5}', b'{"status":"x","lifecycle_event_name":[]}']


@pytest.fixture
def root(tmp_path: Path) -> DeploymentRoot:
    root = DeploymentRoot(str(tmp_path / "service" / "root"))
    os.makedirs(root.deployment("g", "d-1").archive)
    os.makedirs(root.instructions_directory)
    return root


def stopping(root: DeploymentRoot, **options: Any) -> Lifecycle:
    """Return the events of a deployment that begins with the scripts of d-1."""
    pointer = root.instructions("g").last_successful_install
    if not os.path.exists(pointer):
        root.point(pointer, root.deployment("g", "d-1").directory)
    events = {"events": ["ApplicationStop"], "deployment_group_id": "g", "deployment_id": "d-2"}
    return Lifecycle({"root": root.path, **events, **options})


@pytest.mark.parametrize("content", [b"\0", b"/a\0b", b"", b" \n"])
def test_a_pointer_that_is_no_path_points_nowhere(root: DeploymentRoot, content: bytes) -> None:
    Path(root.instructions("g").last_successful_install).write_bytes(content)
    lifecycle = stopping(root)
    assert lifecycle.revision_of("ApplicationStop") is None
    assert lifecycle.previous_appspec_required() is None


@pytest.mark.parametrize("content", [b"9" * 5000, b"-1", b"one", b"\0"])
def test_what_is_no_process_id_is_not_the_agent(root: DeploymentRoot, content: bytes) -> None:
    os.makedirs(os.path.dirname(root.agent_pid_file))
    Path(root.agent_pid_file).write_bytes(content)
    root.refuse_agent()


@pytest.mark.parametrize("odd", ODD_LINES)
def test_a_line_that_is_no_event_is_left_out(root: DeploymentRoot, odd: bytes) -> None:
    data = odd + b"\n" + json.dumps(LINE).encode() + b"\n"
    assert read_lines(data) == [LINE]
    Path(root.deployment("g", "d-1").events).write_bytes(data)
    assert [event["status"] for event in group_info(root, "g")["events"]] == ["Succeeded"]


def run(command: str) -> str:
    """Run a shell command and return what it writes."""
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=False).stdout.decode(
        "utf-8", "surrogateescape"
    )


@pytest.mark.parametrize("odd", ODD_LINES)
def test_the_controller_reads_on_after_such_a_line(tmp_path: Path, odd: bytes) -> None:
    log = tmp_path / "events.jsonl"
    log.write_bytes(odd + b"\n" + json.dumps(LINE).encode() + b"\n")
    part = read_event_log(run, str(log), str(tmp_path / "lock"))
    assert (part.lines, part.offset) == ([LINE], log.stat().st_size)


def test_the_controller_leaves_a_line_that_is_being_written_for_later(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text(json.dumps(LINE) + '\n{"stat')
    part = read_event_log(run, str(log), str(tmp_path / "lock"))
    assert (part.lines, part.offset) == ([LINE], len(json.dumps(LINE)) + 1)


def test_a_last_line_without_its_event_is_an_end() -> None:
    assert summary(["Install"], read_lines(b'{"status":"Failed","finished":true}\n'))["status"] == "Failed"


@pytest.mark.parametrize("content", [b"5", b"{}", b'{"os":"linux","hooks":5}', b"\xff", b"["])
def test_a_damaged_parsed_appspec_is_asked_for_again(root: DeploymentRoot, content: bytes) -> None:
    paths = root.deployment("g", "d-1")
    Path(paths.archive, "appspec.yml").write_text("version: 0.0\nos: linux\n")
    Path(paths.appspec).write_bytes(content)
    required = stopping(root).previous_appspec_required()
    assert required is not None and required["path"] == os.path.join(paths.archive, "appspec.yml")
    with pytest.raises(EventError, match="no AppSpec"):
        stopping(root).spec(paths)
    given = {"os": "linux", "hooks": {}}
    assert stopping(root, previous_appspec=given).spec(paths) == given


@pytest.mark.parametrize("content", [b"5", b"{}", b'{"a":5}', b"\xff", b"["])
def test_a_damaged_archive_manifest_is_none(root: DeploymentRoot, content: bytes) -> None:
    Path(root.deployment("g", "d-1").archive_manifest).write_bytes(content)
    assert read_manifest(root.deployment("g", "d-1")) is None
