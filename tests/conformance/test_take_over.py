# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host goes from the CodeDeploy agent to this collection and back, in the middle of each recorded series.

Before each deployment of a series the host is made what the agent had left there: of our own files none, and its files
and the destination as they were recorded from it. So each deployment takes a host over, and what it leaves, without our
own files, is what the agent would have left: it can take the host back.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.case_compare import case_names, load_case, recorded, wanted
from conformance.case_layout import prepare
from conformance.case_result import deploy_case
from conformance.case_state import agents_own, comparable, forget_our_own, known_contents, make_as_recorded, state

SERIES = [name for name in case_names() if len(load_case(name)["deployments"]) > 1]


@pytest.fixture
def root() -> Iterator[Path]:
    """Give the path of a work folder which every user may enter, as pytest's own must not be."""
    parent = Path(tempfile.mkdtemp(prefix="conformance-"))
    parent.chmod(0o755)
    yield parent / "work"
    shutil.rmtree(parent)


@pytest.mark.parametrize("name", SERIES)
def test_each_deployment_takes_over_and_can_be_given_back(name: str, root: Path, conformance_host: str) -> None:
    case, agent = load_case(name), agents_own(name)
    prepare(case, root)
    contents: dict[str, bytes] = {}
    group = ""
    for number, (found, own, ours) in enumerate(zip(recorded(name), agent, wanted(name), strict=True), 1):
        if number > 1:
            make_as_recorded(root, group, agent[number - 2], contents)
        group = case["deployments"][number - 1].get("group_id", "dg-1")
        result = deploy_case(case, number, root, conformance_host)
        assert result in (found, ours)
        contents.update(known_contents(root))
        forget_our_own(root / "agent")
        if result == found:
            assert state(root, group, result["id"]) == comparable(own)
