# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that were recorded from the CodeDeploy agent, run by the program that others call as well."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.case_compare import case_names, differences, load_case, recorded, wanted
from conformance.case_result import run_case
from conformance.case_state import agents_own, comparable, forget_our_own, state


@pytest.fixture
def work_folder() -> Iterator[Path]:
    """Give the path of a work folder which every user may enter, as pytest's own must not be."""
    parent = Path(tempfile.mkdtemp(prefix="conformance-"))
    parent.chmod(0o755)
    yield parent / "work"
    shutil.rmtree(parent)


@pytest.mark.parametrize("name", case_names())
def test_a_case_gives_what_the_agent_gave(name: str, work_folder: Path, conformance_host: str) -> None:
    case = load_case(name)
    results = run_case(case, work_folder, conformance_host)
    assert results == wanted(name)
    if results[-1] == recorded(name)[-1] and results[-1]["status"] == "Succeeded":
        forget_our_own(work_folder / "agent")
        group = case["deployments"][-1].get("group_id", "dg-1")
        agent = comparable(agents_own(name)[-1])
        left = state(work_folder, group, results[-1]["id"])
        assert {**left, "install_json": agent["install_json"] and left["install_json"]} == agent


@pytest.mark.parametrize("name", sorted(differences()))
def test_a_listed_difference_is_one_and_says_why(name: str) -> None:
    assert differences()[name]["reason"].strip()
    assert wanted(name) != recorded(name)
