# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment prints at its start and at its end, and what the status playbook prints about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._application_stop import text_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_queue import Obstacle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import revision_identity
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment, Revision, Target
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import STATUS_PLAYBOOK, indented
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_table import (
    counted,
    elapsed,
    moment,
    pairs,
    table,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import (
    LAST_SUCCESSFUL,
    PREVIOUS,
    location_of,
)

DEPLOY_PLAYBOOK = "ansible-playbook agentless.codedeploy.deploy"
DIGEST_SHOWN = 12
NOTHING_TO_DO = "  No instance was deployed to: each has the revision already (update_outdated_instances_only)."


def created_text(deployment: Deployment, location: str, forks: int) -> str:
    """Say what is about to happen.

    :param location: of the store.
    :param forks: how many instances this run of ansible-playbook works on at once.
    """
    limited = f" (limited: {len(deployment.order)} of {deployment.total})" if deployment.limited else ""
    size = counted(deployment.total, "instance") + limited
    at_once = min(deployment.window, len(deployment.order))
    lines = [f"Deployment {deployment.deployment_id}"]
    lines += pairs(
        [
            ("application", deployment.application_name),
            ("deployment group", f"{deployment.deployment_group_name}, {size}"),
            ("revision", revision_text(deployment.revision)),
            (
                "configuration",
                f"{deployment.deployment_config_name}: at most {deployment.window} at a time, "
                f"at least {deployment.minimum_healthy_hosts} stay healthy",
            ),
            *([("zones", _zones_text(deployment))] if deployment.zones else []),
            ("mode", deployment.options.get("deployment_mode")),
            ("record", location),
        ]
    )
    resumed = deployment.options.get("resumed_deployment_id")
    if resumed:
        lines.append(f"  goes on with {resumed}, on {counted(len(deployment.order), 'instance')}")
    if deployment.abandoned:
        former = deployment.abandoned
        unfinished = f", at work on {', '.join(former.unfinished)}" if former.unfinished else ""
        lines.append(f"  {former.deployment_id} had been left by its controller, {former.owner}{unfinished}")
    if forks < at_once:
        lines.append(f"  {at_once} instances may be in work at once, forks allows {forks}: pass --forks {at_once}")
    return "\n".join(lines)


def _zones_text(deployment: Deployment) -> str:
    shown = []
    for number, zone in enumerate(deployment.zones, 1):
        bakes = f", bakes {zone.monitor_seconds} s" if zone.monitor_seconds and number < len(deployment.zones) else ""
        shown.append(f"{zone.name} (at most {min(zone.window, deployment.window)} at a time{bakes})")
    return ", then ".join(shown)


def waiting_text(deployment_group_name: str, obstacle: Obstacle) -> str:
    """Say whom a run waits for that wants to deploy to a busy group."""
    ahead = f"; {obstacle.ahead} before this one" if obstacle.ahead else ""
    if obstacle.deployment_id is None:
        return f"Waiting for the deployment group {deployment_group_name}: next is {obstacle.owner}{ahead}"
    return (
        f"Waiting for the deployment group {deployment_group_name}: {obstacle.deployment_id} is active, run by "
        f"{obstacle.owner}{ahead}"
    )


def verdict_text(deployment: Deployment, targets: Sequence[Target], inventory: str) -> str:
    """Say how a deployment ended, for each instance, and what can be typed next.

    :param inventory: the C(-i) options of this run.
    """
    status = f"{STATUS_PLAYBOOK} -e deployment_id={deployment.deployment_id}"
    deploy = f"{DEPLOY_PLAYBOOK}{inventory} {group_options(deployment)}"
    failed = [target.target_id for target in targets if target.status in ("Failed", "Unknown")]
    begun = deployment.status != "Succeeded" and any(target.start_time for target in targets)
    rolled_back = bool((deployment.rollback_info or {}).get("rollback_deployment_id"))
    lines = [*deployment_lines(deployment), "", *(target_lines(targets) if targets else [NOTHING_TO_DO]), "", "Next:"]
    lines += pairs(
        [
            ("what failed", f"{status} -e instance={failed[0]}" if failed else None),
            ("details", status if not failed else None),
            ("deploy another revision", f"{deploy} -e deploy_revision=REVISION"),
            (
                "go on with the rest",
                None if rolled_back or deployment.status == "Succeeded" else resume_command(deployment, inventory),
            ),
            (
                "go back",
                f"{deploy} -e deploy_revision={_way_back(deployment)}"
                if (failed or begun) and _way_back(deployment) and not rolled_back
                else None,
            ),
        ]
    )
    return "\n".join(lines)


def missed_rollback_text(missed: Deployment, inventory: str) -> str:
    """Say that a former deployment was not rolled back, and what to type for it.

    :param inventory: the C(-i) options of this run.
    """
    command = f"{DEPLOY_PLAYBOOK}{inventory} {group_options(missed)} -e deploy_revision={LAST_SUCCESSFUL}"
    return (
        f"{missed.deployment_id} {missed.status.lower()} and was to be rolled back, but its run was interrupted before "
        f"that. To go back to the last successful revision: {command}"
    )


def deployment_lines(deployment: Deployment) -> list[str]:
    """Return the facts of one deployment."""
    error = deployment.error_information or {}
    counts = [f"{count} {status}" for status, count in deployment.deployment_overview.items() if count]
    overview = ", ".join(counts) or "none"
    return [
        f"Deployment {deployment.deployment_id}: {_status(deployment)}",
        *pairs(
            [
                ("error", f"{error['code']}: {error.get('message', '')}" if error.get("code") else None),
                ("application", deployment.application_name),
                ("deployment group", deployment.deployment_group_name),
                ("revision", revision_text(deployment.revision)),
                ("configuration", deployment.deployment_config_name),
                ("mode", deployment.options.get("deployment_mode")),
                ("description", deployment.description),
                ("ApplicationStop", text_of(deployment.options)),
                ("goes on with", deployment.options.get("resumed_deployment_id")),
                ("rollback", (deployment.rollback_info or {}).get("rollback_message")),
                ("instances", overview + (f" (limited, of {deployment.total})" if deployment.limited else "")),
                ("created", f"{moment(deployment.create_time)} by {deployment.owner.user} on {deployment.owner.host}"),
                ("duration", elapsed(deployment.create_time, deployment.complete_time)),
                ("to go on", resume_command(deployment) if _left_by_its_controller(deployment) else None),
            ]
        ),
    ]


def target_lines(targets: Sequence[Target]) -> list[str]:
    """Return one line for each instance of a deployment."""
    rows = [(target.target_id, target.status, _time_of(target), _failure(target)) for target in targets]
    return table(("INSTANCE", "STATUS", "DURATION", "FAILED IN"), rows)


def instance_lines(target: Target) -> list[str]:
    """Return one instance of a deployment with its lifecycle events and their logs."""
    lines = [f"Instance {target.target_id} of deployment {target.deployment_id}: {target.status}"]
    if target.message:
        lines.append(f"  {indented(target.message, 2)}")
    rows = [
        (event["lifecycle_event_name"], event["status"], moment(event.get("start_time")), _took(event), _cause(event))
        for event in target.lifecycle_events
    ]
    lines += table(("EVENT", "STATUS", "START", "DURATION", "ERROR"), rows)
    for event in target.lifecycle_events:
        diagnostics = event.get("diagnostics") or {}
        if event["status"] == "Failed":
            lines += ["", f"{event['lifecycle_event_name']} failed"]
            lines += pairs(
                [
                    ("script", diagnostics.get("script_name")),
                    ("message", indented(diagnostics.get("message") or "", 11)),
                    ("log", indented(diagnostics.get("log_tail") or "", 11)),
                ]
            )
    return lines


def overview_lines(deployments: Sequence[Deployment], location: str, filtered: bool = False) -> list[str]:
    """Return one line for each deployment, newest first.

    :param location: of the store.
    :param filtered: whether there may be others that were not asked for.
    """
    if not deployments:
        return [f"No such deployment is recorded in {location}." if filtered else f"{location} has no deployment yet."]
    rows = [
        (
            deployment.deployment_id,
            deployment.application_name,
            deployment.deployment_group_name,
            _status(deployment),
            moment(deployment.create_time),
            elapsed(deployment.create_time, deployment.complete_time),
            f"{deployment.deployment_overview.get('Succeeded', 0)}/{sum(deployment.deployment_overview.values())}",
            revision_text(deployment.revision),
        )
        for deployment in deployments
    ]
    titles = ("DEPLOYMENT", "APPLICATION", "GROUP", "STATUS", "CREATED", "DURATION", "OK", "REVISION")
    return table(titles, rows, indent=0)


def revision_lines(revisions: Sequence[Revision]) -> list[str]:
    """Return one line for each registered revision."""
    if not revisions:
        return ["No revision is registered yet."]
    rows = [
        (
            revision.application_name,
            revision_text(revision.revision),
            moment(revision.register_time),
            moment(revision.last_used_time),
            ", ".join(revision.deployment_groups),
        )
        for revision in revisions
    ]
    return table(("APPLICATION", "REVISION", "REGISTERED", "LAST USED", "TARGET OF"), rows, indent=0)


def revision_text(revision: dict[str, Any]) -> str:
    """Return a revision as people know it: where it is and the beginning of its digest."""
    digest = str(revision.get("digest") or "")[:DIGEST_SHOWN]
    return f"{location_of(revision)} (sha256 {digest})" if digest else location_of(revision)


def resume_command(deployment: Deployment, inventory: str = "") -> str:
    """Return what to type to go on with a deployment.

    :param inventory: the C(-i) options.
    """
    return f"{DEPLOY_PLAYBOOK}{inventory} {group_options(deployment)} -e deploy_resume=true"


def group_options(deployment: Deployment) -> str:
    """Return the options that name a deployment's group, and its application unless it is called like the group."""
    group = deployment.options.get("deployment_group", deployment.deployment_group_name)
    application = deployment.application_name
    return f"-e deploy_group={group}" + ("" if application == group else f" -e deploy_application={application}")


def _way_back(deployment: Deployment) -> str | None:
    """Return the C(deploy_revision) that undoes a deployment; None when there is nothing before it."""
    if deployment.previous_revision is None:
        return None
    if deployment.status != "Succeeded" or deployment.limited:
        return LAST_SUCCESSFUL
    # It is the group's last successful one itself.
    same = revision_identity(deployment.previous_revision) == revision_identity(deployment.revision)
    return None if same else PREVIOUS


def _left_by_its_controller(deployment: Deployment) -> bool:
    return deployment.active and deployment.controller_gone


def _status(deployment: Deployment) -> str:
    if _left_by_its_controller(deployment):
        return f"{deployment.status}, left by its controller"
    return f"{deployment.status}, being stopped" if deployment.active and deployment.stopping else deployment.status


def _failure(target: Target) -> str:
    failed = [event for event in target.lifecycle_events if event["status"] == "Failed"]
    if failed:
        # Those before the last one were ignored (ignore_application_stop_failures): nothing comes after a failure.
        cause = _cause(failed[-1])
        ignored = " (ignored)" if target.status == "Succeeded" else ""
        return failed[-1]["lifecycle_event_name"] + (f": {cause}" if cause else "") + ignored
    return (target.message or "").splitlines()[0] if target.message else ""


def _cause(event: dict[str, Any]) -> str:
    diagnostics = event.get("diagnostics") or {}
    if event["status"] != "Failed":
        return ""
    return " ".join(str(part) for part in (diagnostics.get("error_code"), diagnostics.get("script_name")) if part)


def _time_of(target: Target) -> str:
    return elapsed(target.start_time, target.last_updated_at if target.status != "Pending" else None)


def _took(event: dict[str, Any]) -> str:
    return elapsed(event.get("start_time"), event.get("end_time"))
