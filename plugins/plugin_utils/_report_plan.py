# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of the plan of a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import PlanGroup
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_check import group_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import revision_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import indented
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_table import elapsed, pairs, table


def plan_lines(outlook: dict[str, Any], groups: Sequence[PlanGroup]) -> list[str]:
    """Return the plan of a deployment: its facts, its instances in their order, what would happen there, problems.

    :param outlook: as C(outlook) of the module's result.
    :param groups: what the instances have said.
    """
    lines = [f"Plan for deployment group {outlook['deployment_group_name']}; nothing was touched"]
    lines += pairs(
        [
            ("application", outlook["application_name"]),
            ("revision", revision_text(outlook["revision"]) if outlook["revision"] else None),
            ("configuration", _configuration(outlook)),
            ("instances", _instances(outlook)),
            ("goes on with", _resumed(outlook["resumed_deployment"])),
            *_left_out(outlook["left_out"]),
            ("duration", _duration(outlook)),
        ]
    )
    lines += ["", *_order(outlook), ""]
    lines += [line for group in groups for line in group_lines(group)]
    for title, texts in (("Warnings", outlook["warnings"]), ("Problems", outlook["problems"])):
        if texts:
            lines += ["", f"{title}:", *(f"  - {indented(text, 4)}" for text in texts)]
    return [*lines, "", "It can succeed." if outlook["possible"] else "It cannot succeed."]


def _configuration(outlook: dict[str, Any]) -> str | None:
    if outlook["window"] is None:
        return None
    batches = f", in {len(outlook['batches'])} batches" if outlook["batches"] else ""
    return (
        f"{outlook['deployment_config_name']}: at most {outlook['window']} at a time{batches}, "
        f"at least {outlook['minimum_healthy_hosts']} stay healthy ({outlook['healthy']} are)"
    )


def _instances(outlook: dict[str, Any]) -> str:
    text = f"{len(outlook['instances'])} of {outlook['total']} in the inventory's group {outlook['group']}"
    if outlook["limit"]:
        text += f", --limit {outlook['limit']}"
    return text + (", without those that run the revision" if outlook["update_outdated_instances_only"] else "")


def _resumed(former: dict[str, Any] | None) -> str | None:
    if former is None:
        return None
    how = "left by its controller," if former["left"] else "run by"
    run_by = f", {how} {former['controller']}" if former["controller"] else ""
    return f"{former['deployment_id']} ({former['status']}){run_by}"


def _left_out(instances: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the instances that are left out, once for each reason."""
    names: dict[str, list[str]] = {}
    for instance in instances:
        names.setdefault(instance["reason"], []).append(instance["target_id"])
    return [("left out", f"{', '.join(those)}: {reason}") for reason, those in names.items()]


def _duration(outlook: dict[str, Any]) -> str:
    seconds = outlook["estimated_seconds"]
    return f"about {elapsed(0, seconds)}, by former deployments" if seconds is not None else "not known yet"


def _order(outlook: dict[str, Any]) -> list[str]:
    batch_of = {name: number for number, batch in enumerate(outlook["batches"] or [], 1) for name in batch}
    rows = []
    for number, instance in enumerate(outlook["instances"], 1):
        name = instance["target_id"]
        took = elapsed(0, instance["expected_seconds"])
        facts = (number, name, instance["health"], instance["revision_health"], took, instance["zone"])
        rows.append((*facts, batch_of.get(name), instance["reason"]))
    titles = ("ORDER", "INSTANCE", "HEALTH", "REVISION", "DURATION", "ZONE", "BATCH", "WHY")
    given = [any(instance[name] for instance in outlook["instances"]) for name in ("zone", "reason")]
    shown = [True] * 5 + [given[0], bool(batch_of), given[1]]
    return table(list(compress(titles, shown)), [list(compress(row, shown)) for row in rows])
