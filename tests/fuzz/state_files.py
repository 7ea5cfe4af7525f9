# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files of any bytes: the next Install, and whoever reads, goes on or says what is wrong, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from fuzz.sentinel import Surroundings
from hypothesis import strategies as st
from support.install_trees import make_tree

from ansible_collections.agentless.codedeploy.plugins.module_utils import _instance_info
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle import read_manifest
from ansible_collections.agentless.codedeploy.plugins.module_utils._install import (
    InstallError,
    apply_install,
    plan_install,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_journal import write_journal
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import EventError, Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import read_lines, summary
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import DeploymentRoot, StateError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import concluded_events

GROUP, DEPLOYMENT = "group", "d-1"
# Which of their files is changed, and what the change may touch: what the file itself names.
FILES = (
    "journal",
    "manifest",
    "cleanup",
    "install_json",
    "archive_manifest",
    "appspec",
    "events",
    "last_successful_install",
    "most_recent_install",
    "agent_pid_file",
)
LINES = (
    b"/",
    b"//a",
    b"/a\0b",
    b"semanage\0/a",
    b"semanage\0/a\0b",
    b"relative",
    b"/" + b"a/" * 1500,
    b"/" + b"x" * 5000,
    b"{root}/a",
    b"{root}/a/",
    b"{root}/./a",
    b"{root}/../a/appspec.yml/x",
    b"{root}/b/../a",
    b"{root}/..",
    b"\xff\xfe",
    b"5",
    b'{"status": 5}',
    b'{"status": "Failed", "lifecycle_event_name": []}',
    b'{"status": "Failed", "finished": true}',
    b'{"status": "InProgress", "lifecycle_event_name": "Install"}',
    b"[" * 3000,
    b"9" * 5000,
    b'{"errors": 5}',
)


class Change(NamedTuple):
    """What is done to one state file: C(at), C(length), C(data) replace a part; C(lines) replace everything."""

    file: str
    at: int
    length: int
    data: bytes
    lines: list[bytes] | None

    def of(self, content: bytes, root: str) -> bytes:
        """Return the changed content."""
        if self.lines is not None:
            return b"".join(line.replace(b"{root}", os.fsencode(root)) + b"\n" for line in self.lines)
        at = self.at % (len(content) + 1)
        return content[:at] + self.data + content[at + self.length :]


def changes() -> st.SearchStrategy[list[Change]]:
    """Return changes of one or two of the files."""
    lines = st.one_of(
        st.none(), st.none(), st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=30)), max_size=4)
    )
    length = st.sampled_from([0, 1, 1, 2, 10, 100_000])
    data = st.one_of(st.binary(max_size=6), st.sampled_from([b"", b"/", b"../", b"\0", b"\n", b'"', b"]"]))
    change = st.builds(Change, st.sampled_from(FILES), st.integers(0, 5000), length, data, lines)
    return st.lists(change, min_size=1, max_size=2)


def check(made: list[Change]) -> None:
    """Install a revision, change state files, then install another one and read what there is to be read."""
    with Surroundings() as around:
        base = str(around.path / "root")
        os.mkdir(base)
        root = DeploymentRoot(str(around.path / "service" / "deployment-root"))
        files = _installed(root, around.path, base)
        named = b""
        for change in made:
            path = Path(files[change.file])
            content = change.of(path.read_bytes() if path.exists() else b"", base)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            # A cleanup file of the agent's has no digest: what it names is removed.
            named += content if change.file == "cleanup" else b""
        around.remember()
        _install_next(root, around.path, base)
        _read(root)
        besides = [Path(base), Path(root.path), around.path / "service"]
        around.check_untouched(besides=(*besides, *_named(named, around)))


def _named(lines: bytes, around: Surroundings) -> list[Path]:
    paths = [line for line in os.fsdecode(lines).split("\n") if line.startswith("/") and "\0" not in line]
    real = [os.path.join(os.path.realpath(os.path.dirname(path.rstrip("/"))), os.path.basename(path)) for path in paths]
    return [
        Path(path) for path in real if path.startswith(str(around.path) + "/") and len(path) > len(str(around.path))
    ]


def _installed(root: DeploymentRoot, work: Path, base: str) -> dict[str, str]:
    """Deploy a first revision and leave a journal; return the paths of its state files."""
    paths = root.deployment(GROUP, DEPLOYMENT)
    instructions = root.instructions(GROUP)
    make_tree(Path(paths.archive), {"a": "1", "b/c": "2", "appspec.yml": "version: 0.0\nos: linux\n"})
    plan = plan_install(paths.archive, _spec(), "DISALLOW", instructions, destination_root=base)
    apply_install(plan, instructions)
    root.point(instructions.last_successful_install, paths.directory)
    root.point(instructions.most_recent_install, paths.directory)
    events = [{"lifecycle_event_name": "Install", "status": "Succeeded", "start_time": 1.0}, {"status": "Succeeded"}]
    Path(paths.events).write_text("".join(json.dumps(line) + "\n" for line in events))
    journal = {"state": "staging", "prefix": ".codedeploy-00000000-", "folders": [base], "operations": []}
    write_journal(instructions, journal)
    return {
        **{name: getattr(instructions, name) for name in FILES if hasattr(instructions, name)},
        **{name: getattr(paths, name) for name in FILES if hasattr(paths, name)},
        "agent_pid_file": root.agent_pid_file,
    }


def _spec() -> dict[str, Any]:
    return {"os": "linux", "files": [{"source": "/", "destination": "/"}], "permissions": [], "hooks": {}}


def _install_next(root: DeploymentRoot, work: Path, base: str) -> None:
    paths = root.deployment(GROUP, "d-2")
    instructions = root.instructions(GROUP)
    make_tree(Path(paths.archive), {"a": "2", "d": "3"})
    try:
        manifest = read_manifest(root.deployment(GROUP, DEPLOYMENT))
        plan = plan_install(paths.archive, _spec(), "DISALLOW", instructions, manifest, base)
        apply_install(plan, instructions)
    except InstallError as error:
        assert error.problems


def _read(root: DeploymentRoot) -> None:
    """Read whatever a call for the next deployment and instance_info read."""
    options = {"root": root.path, "deployment_group_id": GROUP, "events": ["ApplicationStop"], "deployment_id": "d-3"}
    lifecycle = Lifecycle(options)
    try:
        root.refuse_agent()
        lifecycle.previous_appspec_required()
        paths = lifecycle.revision_of("ApplicationStop")
        if paths is not None:
            lifecycle.spec(paths)
        json.dumps(_instance_info.group_info(root, GROUP))
    except (EventError, StateError, OSError) as error:
        assert str(error)
    path = Path(root.deployment(GROUP, DEPLOYMENT).events)
    lines = read_lines(path.read_bytes() if path.exists() else b"")
    summary(["Install"], lines)
    concluded_events(lines)
    root.prune(GROUP, "d-3", 5)
