# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power fails after every step of an Install and of its undoing; the next Install gives exactly one version."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.install_trees import Instance, make_tree, memory_folder
from support.install_versions import NEW, OLD, new_spec, old_spec
from support.lifecycle_instance import Instance as Host
from support.power_loss import Step, record, repeat, survivors

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import EventLog

#: None: nothing that was not synced survives; else a different part of it.
CHANCES = (None, 1, 2, 3, 4)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with memory_folder(tmp_path) as root:
        made = Instance(root)
        (made.destination / "folder").mkdir()
        (made.destination / "folder" / "foreign").write_text("foreign")
        made.archive("old", OLD)
        made.archive("new", NEW)
        yield made


def install(instance: Instance, version: str) -> dict[str, Any]:
    """Install a version and return how the destination looks then."""
    instance.install(instance.root / version, old_spec(instance) if version == "old" else new_spec(instance))
    assert instance.leftovers() == []
    return instance.installed()


def lose_power_everywhere(instance: Instance, before: list[Step], steps: list[Step]) -> int:
    """Lose the power after each of some steps; return how often that was.

    :param before: steps of the old version's instance that all are on disk.
    """
    versions = {"new": install(instance, "new"), "old": install(instance, "old")}
    points = 0
    for number in range(len(steps) + 1):
        for chance in CHANCES:
            repeat(before)
            lost = survivors(steps[:number], None if chance is None else random.Random(f"{number} {chance}"))
            repeat(lost)
            points += 1
            following = ("new", "old") if points % 2 else ("old", "new")
            assert install(instance, following[0]) == versions[following[0]], (number, chance, steps[:number][-1:])
            assert install(instance, "old") == versions["old"]
    return points


def test_during_an_install(instance: Instance, record_property: Any) -> None:
    install(instance, "old")
    steps = record(lambda: install(instance, "new"))
    points = lose_power_everywhere(instance, [], steps)
    record_property("points", points)
    assert points > 300


def test_while_an_install_is_undone(instance: Instance, record_property: Any) -> None:
    install(instance, "old")
    steps = record(lambda: install(instance, "new"))
    install(instance, "old")
    placed = [
        number
        for number, step in enumerate(steps)
        if step.arguments[1:] == (f"{instance.destination}/folder/only-new",)
    ]
    repeat(steps[: placed[-1] + 1])
    undoing = record(lambda: _install.recover_install(instance.instructions))
    install(instance, "old")
    points = lose_power_everywhere(instance, steps[: placed[-1] + 1], undoing)
    record_property("points", points)
    assert points > 50


def deploy(host: Host, name: str, events: list[str]) -> str:
    """Run events in this process, as the one that is forked for them does; return how they ended."""
    appspec = {"version": 0.0, "os": "linux", "hooks": {}, "permissions": []}
    files = [{"source": "files", "destination": str(host.destination)}]
    lifecycle = Lifecycle(host.options(name, {**appspec, "files": files}, events=events))
    lock = lifecycle.root.lock("g", name)
    lifecycle.root.sweep("g")
    os.makedirs(lifecycle.paths.directory, exist_ok=True)
    log = EventLog(lifecycle.paths.events, lifecycle.deployment)
    lifecycle.run(log)
    status = str(log.lines()[-1]["status"])
    log.close()
    os.close(lock)
    return status


def test_during_a_whole_run(tmp_path: Path, record_property: Any) -> None:
    """The pointer names what is installed, and that revision is there as a whole, before any script of it could run."""
    with memory_folder(tmp_path) as directory:
        host = Host(directory / "host")
        (directory / "host").mkdir()
        trees = {name: {"appspec.yml": name, "stop.sh": name, "files/a": name, f"files/{name}": name} for name in "12"}
        for name, tree in trees.items():
            make_tree(host.directory / name, tree)
        assert deploy(host, "1", ["DownloadBundle", "Install"]) == "Succeeded"
        kept = directory / "kept"
        shutil.copytree(host.directory, kept, symlinks=True)
        steps = record(lambda: deploy(host, "2", ["DownloadBundle", "Install"]))
        assert deploy(host, "2", ["DownloadBundle", "Install"]) == "Succeeded"
        points, named = 0, set()
        for number in range(len(steps) + 1):
            for chance in CHANCES:
                points += 1
                shutil.rmtree(host.directory)
                shutil.copytree(kept, host.directory, symlinks=True)
                repeat(survivors(steps[:number], None if chance is None else random.Random(f"{number} {chance}")))
                assert deploy(host, "3", ["ApplicationStop"]) == "Succeeded"
                name = host.pointer("last_successful_install")[len("d-") :]
                named.add(name)
                assert contents(host.destination) == {"a": name, name: name}, (number, chance)
                assert contents(host.root / "g" / f"d-{name}" / "deployment-archive") == trees[name], (number, chance)
                assert deploy(host, "2", ["DownloadBundle", "Install"]) == "Succeeded"
                assert contents(host.destination) == {"a": "2", "2": "2"}
        record_property("points", points)
        print(f"power loss in a whole run: {points} points, none failed")
        assert named == {"1", "2"}


def contents(directory: Path) -> dict[str, str]:
    """Return path -> text of all files in a folder."""
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}
