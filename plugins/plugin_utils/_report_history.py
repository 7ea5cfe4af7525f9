# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text about groups, logs and the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import AuditEntry
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Application, Group, Target
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import revision_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import indented
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import HEALTH
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_table import counted, moment, pairs, table

NAMES = ("deployment_id", "application_name", "deployment_group_name")


def group_lines(group: Group) -> list[str]:
    """Return a deployment group with its three revision pointers and the health of its instances."""
    lines = [f"Deployment group {group.deployment_group_name} of application {group.application_name}"]
    lines += pairs(
        [
            ("id", group.deployment_group_id),
            ("configuration", group.deployment_config_name),
            ("target revision", revision_text(group.target_revision) if group.target_revision else None),
            ("last successful", _pointer(group.last_successful_deployment)),
            ("last attempted", _pointer(group.last_attempted_deployment)),
        ]
    )
    rows = [(name, HEALTH[healthy], revision) for name, (healthy, revision) in group.instances.items()]
    return [*lines, "", *table(("INSTANCE", "HEALTH", "REVISION"), rows)]


def groups_lines(applications: Sequence[Application], groups: Sequence[Group]) -> list[str]:
    """Return one line for each deployment group, and one for each application that has none."""
    rows = []
    for application in applications:
        name = application.application_name
        own = [group for group in groups if group.application_name == name]
        rows += [_group_row(group) for group in own] or [(name, "", "", "", "")]
    if not rows:
        return ["No application is recorded yet."]
    return table(("APPLICATION", "GROUP", "HEALTHY", "LAST ATTEMPTED", "TARGET REVISION"), rows, indent=0)


def _group_row(group: Group) -> tuple[str, ...]:
    healthy = sum(health is True for health, _revision in group.instances.values())
    return (
        group.application_name,
        group.deployment_group_name,
        f"{healthy}/{len(group.instances)}",
        _pointer(group.last_attempted_deployment) or "",
        revision_text(group.target_revision) if group.target_revision else "",
    )


def _pointer(deployment: dict[str, Any] | None) -> str | None:
    if not deployment:
        return None
    ended = deployment.get("end_time")
    return f"{deployment['deployment_id']} {deployment['status']}" + (f" ({moment(ended)})" if ended else "")


def log_lines(targets: Sequence[Target]) -> list[str]:
    """Return what was recorded of the scripts of each instance: the end of the log, and of a failure what it was."""
    lines: list[str] = []
    for target in targets:
        for event in target.lifecycle_events:
            lines.append(f"{target.target_id}: {event['lifecycle_event_name']} {event['status']}")
            diagnostics = event.get("diagnostics") or {}
            failed = event["status"] == "Failed"
            lines += pairs(
                [
                    ("error", diagnostics.get("error_code") if failed else None),
                    ("script", diagnostics.get("script_name")),
                    ("message", indented(diagnostics.get("message") or "", 11) if failed else None),
                    ("log", indented(diagnostics.get("log_tail") or "", 11)),
                ]
            )
    return lines or ["No lifecycle event of that name is recorded."]


def audit_lines(entries: Sequence[AuditEntry]) -> list[str]:
    """Return one line for each entry of the audit trail, oldest first."""
    if not entries:
        return ["The audit trail has no such entry."]
    rows = [
        (
            moment(entry.event_time),
            entry.event_name,
            entry.principal,
            entry.source,
            entry.deployment_id
            or " ".join(str(entry.parameters[name]) for name in NAMES if entry.parameters.get(name)),
            entry.result.get("error_code") or entry.result.get("status") or "",
        )
        for entry in entries
    ]
    return table(("TIME", "OPERATION", "WHO", "FROM", "WHAT", "RESULT"), rows, indent=0)


def prune_lines(removed: dict[str, Any], check_mode: bool) -> list[str]:
    """Say what was removed from the record and the controller, or would be.

    :param removed: C(groups), C(audit_entries), C(bundles).
    """
    rows = [
        (one["application_name"], one["deployment_group_name"], str(one["removed"]), str(one["kept"]))
        for one in removed["groups"]
    ]
    title = "Would be removed" if check_mode else "Removed"
    lines = [f"{title}: {counted(len(removed['deployments']), 'deployment')}"]
    if rows:
        lines += table(("APPLICATION", "GROUP", "REMOVED", "KEPT"), rows)
    if removed["audit_entries"]:
        lines.append(f"{title}: {counted(removed['audit_entries'], 'entry', 'entries')} of the audit trail")
    if removed["bundles"]:
        size = sum(bundle["size"] for bundle in removed["bundles"])
        bundles = counted(len(removed["bundles"]), "bundle")
        lines.append(f"{title}: {bundles} that nothing needs, {size / 1024**2:.1f} MiB")
    return lines
