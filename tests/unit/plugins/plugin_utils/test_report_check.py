# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of instances put together, and the text about them."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import PlanGroup, group_plans
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_check import (
    MOST_PATHS,
    check_text,
    diff_text,
    summary,
)


def plan(problems: tuple[str, ...] = (), **lists: list[Any]) -> dict[str, Any]:
    names = ("added", "replaced", "kept", "removed", "conflicting", "folders_added", "folders_changed")
    files = {name: lists.get(name, []) for name in (*names, "folders_removed")}
    return {"hooks": [], "files": files, "problems": list(problems), "warnings": []}


def test_instances_with_the_same_plan_are_one_group() -> None:
    results = {
        "web1": {"plan": plan(added=["/a"])},
        "web2": {"plan": plan(added=["/b"])},
        "web3": {"plan": plan(added=["/a"])},
        "web4": {"plan": plan(added=["/srv/web4/a"]), "destination_root": "/srv/web4"},
        "web5": {"plan": plan(added=["/a"]), "diff": [{"before": "", "after": "x"}]},
        "web6": {"msg": "no connection"},
        "web7": {},
    }
    groups = group_plans(results)
    assert [group.instances for group in groups] == [["web1", "web3", "web4"], ["web2"], ["web5"], ["web6"], ["web7"]]
    assert [group.would_fail for group in groups] == [False, False, False, True, True]
    assert [group.message for group in groups][3:] == ["no connection", "its task did not run"]


def test_only_paths_are_told_from_the_destination_root() -> None:
    header = {"before_header": "/root1/a", "after_header": "/root1/a"}
    result = {"plan": plan(), "destination_root": "/root1", "diff": [{**header, "before": "/root1/x", "after": ""}]}
    (group,) = group_plans({"web1": result})
    assert group.diff == [{"before_header": "/a", "after_header": "/a", "before": "/root1/x", "after": ""}]


def test_summary() -> None:
    assert summary(plan()) == "no files"
    assert summary(plan(kept=["/a", "/b"], folders_added=["/c"])) == "2 kept, 1 folder"
    assert summary(plan(("one", "two"), added=["/a"])) == "would fail, 2 problems; 1 added"
    assert summary({**plan(), "files": None}) == "0 hooks"


def test_text_is_limited_and_on_lines() -> None:
    names = [f"web{number}" for number in range(30)]
    added = [f"/{number:03}" for number in range(MOST_PATHS)] + ["/z\n\x1b[31m"]
    lines = check_text([PlanGroup(names, plan(added=added))]).splitlines()
    assert lines[0].endswith(f"web19 and 10 more: {MOST_PATHS + 1} added")
    assert lines[-1] == "  and 1 more"
    assert check_text([PlanGroup(["web1"], plan(added=added[-1:]))]).splitlines()[1] == r"  + /z\n\u001b[31m"


def test_order_and_reasons() -> None:
    replaced = [{"path": "/b", "reasons": ["content", "mode"]}]
    text = check_text(
        [PlanGroup(["web1"], plan(added=["/c"], replaced=replaced, removed=["/a"], folders_added=["/d"]))]
    )
    assert text.splitlines()[1:] == ["  - /a", "  ~ /b (content, mode)", "  + /c", "  + /d/"]


def test_differences_as_text() -> None:
    header = {"before_header": "/a", "after_header": "/a"}
    entries = [
        {**header, "before": "one\n", "after": "two\n"},
        {**header, "before": {"mode": "0644"}, "after": {"mode": "0600"}},
        {**header, "prepared": "/b differs; content not shown\n"},
    ]
    lines = diff_text(entries).splitlines()
    assert lines[:5] == ["--- before: /a", "+++ after: /a", "@@ -1 +1 @@", "-one", "+two"]
    assert '+    "mode": "0600"' in lines
    assert lines[-1] == "/b differs; content not shown"
