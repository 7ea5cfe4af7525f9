# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power fails after every step of an Install and of its undoing; the next Install gives exactly one version."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.install_trees import Instance, memory_folder
from support.install_versions import NEW, OLD, new_spec, old_spec
from support.power_loss import Step, record, repeat, survivors

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install

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
