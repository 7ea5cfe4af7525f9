# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text about what check mode has found."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import PlanGroup
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import indented
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_table import counted

MOST_PATHS = 40
MOST_NAMES = 20
COUNTED = ("added", "replaced", "kept", "removed", "conflicting")


def check_text(groups: Sequence[PlanGroup]) -> str:
    """Say what would happen, once for all instances with the same plan."""
    return "\n".join(line for group in groups for line in group_lines(group))


def would_create_text(location: str, plan: dict[str, Any], restarts: bool) -> str:
    """Say what would be deployed, or that the application would be restarted, and in which order.

    :param location: of the revision.
    :param plan: C(order) and C(window).
    """
    order, at_once = plan["order"], f"at most {plan['window']} at a time"
    number = counted(len(order), "instance")
    if not restarts:
        return f"check mode: would deploy {location} to {number}, {at_once}"
    return f"check mode: would restart the application on {number}, {at_once}, in this order: {_names(order)}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def group_lines(group: PlanGroup) -> list[str]:
    """Return the lines about instances with the same plan."""
    names = _names(group.instances)
    plan = group.plan
    if plan is None:
        return [f"{names}: no plan: {indented(group.message or '', 2)}"]
    lines = [f"{names}: {summary(plan)}"]
    lines += [f"  problem  {indented(problem, 11)}" for problem in plan["problems"]]
    lines += [f"  warning  {indented(warning, 11)}" for warning in plan["warnings"]]
    paths = list(_paths(plan["files"] or {}))
    lines += [f"  {line}" for line in paths[:MOST_PATHS]]
    if len(paths) > MOST_PATHS:
        lines.append(f"  and {len(paths) - MOST_PATHS} more")
    return lines + [f"  {line}" for line in _hooks(plan["hooks"])]


def summary(plan: dict[str, Any]) -> str:
    """Return the numbers of a plan in one line: C(3 added, 1 replaced, 12 kept)."""
    files = plan["files"]
    if files is None:
        text = counted(len(plan["hooks"]), "hook")
    else:
        folders = sum(len(files[name]) for name in files if name.startswith("folders_"))
        counts = [f"{len(files[name])} {name}" for name in COUNTED if files[name]]
        counts += [counted(folders, "folder")] if folders else []
        text = ", ".join(counts) or "no files"
    count = len(plan["problems"])
    return f"would fail, {counted(count, 'problem')}; {text}" if count else text


def _paths(files: dict[str, list[Any]]) -> Iterator[str]:
    """Yield a line for each path that would change, in the order of the paths."""
    signs = {"added": "+", "replaced": "~", "removed": "-", "conflicting": "!"}
    signs.update(folders_added="+", folders_changed="~", folders_removed="-")
    found = []
    for kind, entries in files.items():
        for entry in entries if kind in signs else ():
            path = entry["path"] if isinstance(entry, dict) else entry
            reasons = f" ({', '.join(entry['reasons'])})" if isinstance(entry, dict) else ""
            found.append((path, f"{signs[kind]} {printable(path)}{'/' if 'folders' in kind else ''}{reasons}"))
    yield from (line for _path, line in sorted(found))


def _hooks(hooks: Sequence[dict[str, Any]]) -> Iterator[str]:
    for hook in hooks:
        origin = f"of {hook['deployment_id']}" if hook["deployment_id"] else "of the new revision"
        user = f", as {hook['runas']}" if hook.get("runas") else ""
        yield f"hook {hook['lifecycle_event_name']}: {printable(hook['location'])} ({origin}{user})"


def printable(path: str) -> str:
    """Return a path on one line."""
    return path if path.isprintable() else json.dumps(path)[1:-1]


def diff_text(entries: Sequence[dict[str, Any]]) -> str:
    """Return differences as text, for where Ansible does not show them itself."""
    lines: list[str] = []
    for entry in entries:
        if "prepared" in entry:
            lines.append(entry["prepared"].rstrip("\n"))
            continue
        sides = [_side(entry[side]).splitlines() for side in ("before", "after")]
        before, after = f"before: {entry['before_header']}", f"after: {entry['after_header']}"
        lines += difflib.unified_diff(sides[0], sides[1], before, after, lineterm="")
    return "\n".join(lines)


def _side(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=4, sort_keys=True)
