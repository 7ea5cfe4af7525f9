# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines about one instance for the screen."""

from __future__ import annotations

from typing import Any

LOG_LINES = 10
STATUS_PLAYBOOK = "ansible-playbook agentless.codedeploy.status"


def event_line(instance: str, event: dict[str, Any]) -> str:
    """Return one line about an event that has ended: C(web1: BeforeInstall Succeeded (2.1 s))."""
    return f"{instance}: {event['lifecycle_event_name']} {event['status']}{duration(event)}"


def duration(event: dict[str, Any]) -> str:
    """Return how long an event took, in brackets, or nothing when that is not known."""
    start, end = event.get("start_time"), event.get("end_time")
    if start is None or end is None:
        return ""
    return f" ({max(end - start, 0):.1f} s)"


def failure_text(instance: str, deployment_id: str | None, outcome: dict[str, Any]) -> str:
    """Say in a few lines which event of an instance failed, in which script, how, and the last lines of its log.

    :param deployment_id: None when there is no record of the deployment.
    :param outcome: C(events), C(failed_event) and C(message) of the instance's deployment.
    """
    event = failed_event(outcome)
    if event is None:
        return f"{instance}: {outcome.get('message') or 'the deployment failed'}"
    diagnostics = event.get("diagnostics") or {}
    lines = [f"{instance}: {event['lifecycle_event_name']} failed ({diagnostics.get('error_code', 'UnknownError')})"]
    if diagnostics.get("script_name"):
        lines.append(f"  script   {diagnostics['script_name']}")
    if diagnostics.get("message"):
        lines.append(f"  message  {indented(diagnostics['message'], 11)}")
    tail = str(diagnostics.get("log_tail") or "").rstrip().splitlines()[-LOG_LINES:]
    if tail:
        lines.append("  log      " + indented("\n".join(tail), 11))
    if outcome.get("restored"):
        restored = outcome["restored"]
        lines.append(f"  restored {indented(restored['message'], 11)} ({restored['status']})")
    if deployment_id:
        lines.append(f"  details  {STATUS_PLAYBOOK} -e deployment_id={deployment_id} -e instance={instance}")
    return "\n".join(lines)


def failed_event(outcome: dict[str, Any]) -> dict[str, Any] | None:
    """Return the event that made the instance fail, None when it failed outside of any event."""
    name = outcome.get("failed_event")
    for event in outcome.get("events", []):
        if event["lifecycle_event_name"] == name:
            return dict(event)
    return None


def indented(text: str, columns: int) -> str:
    """Return a text whose further lines begin in the given column."""
    return ("\n" + " " * columns).join(str(text).strip().splitlines())
