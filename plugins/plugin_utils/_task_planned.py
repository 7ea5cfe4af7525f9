# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State C(planned) of the action M(agentless.codedeploy.deployment): what it would do, and what hinders it."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from ansible import context

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import (
    checked_groups,
    planned_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import (
    Examined,
    Prepared,
    examine,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import (
    DEFAULT_CONFIG,
    Settings,
    settle,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_task import DeploymentTask, check_further
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import is_registered
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._forecast import (
    ZoneOutlook,
    batches_of,
    duration,
    expected_seconds,
    outcome,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._foreseen_group import ForeseenGroup
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    DeploymentConfig,
    InstanceHealth,
    deployment_config,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._history import former_seconds
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._intention import Intention, foresee, intend
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require, require_for_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import write_report
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import HEALTH
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_plan import plan_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._resume import LEFT_OUT, RUNS_IT
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import Revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import group_of_play, revision_folders
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import zones_of


def plan(task: DeploymentTask) -> dict[str, Any]:
    """Find out what a deployment would do, or with C(outlook) show that with what the instances have said."""
    return _shown(task) if task.arguments["outlook"] else _planned(task)


def _planned(task: DeploymentTask) -> dict[str, Any]:
    """Look at everything that can be looked at from the controller; problems do not end it, they are part of it."""
    store = task.store
    group = task.arguments["deployment_group"] or group_of_play(task.action, task.task_vars)
    if not group:
        raise PreflightError("deploy_group is not set: name the group of the inventory that is deployed to")
    settings = settle(task.arguments, str(group))
    require_for_group(
        store,
        "GetDeploymentGroup",
        settings.application_name,
        settings.deployment_group_name,
        settings.deployment_group_id,
    )
    intention = intend(store, task.arguments, settings, task.action, task.task_vars)
    settings, fleet = intention.settings, intention.fleet
    headers = {str(key): str(value) for key, value in task.arguments["revision_headers"].items()}
    examined = examine(
        store,
        settings,
        fleet,
        headers,
        revision_folders(task.task_vars),
        further=lambda findings: check_further(task, settings.recorded, intention.chosen, findings),
    )
    examined.findings.problems.extend(_denied(task, settings, examined))
    # Without a possible configuration there is an order all the same.
    possible = examined if examined.config else dataclasses.replace(examined, config=deployment_config(DEFAULT_CONFIG))
    # A plan needs no revision.
    recorded, order = foresee(store, _as_prepared(possible), intention, task.run)
    outlook = {**_facts(examined, intention, recorded, order), **_times(task, examined, order)}
    expected = outlook.pop("expected_seconds")
    for instance in outlook["instances"]:
        instance["expected_seconds"] = expected.get(instance["target_id"])
        instance["zone"] = fleet.zone_of.get(instance["target_id"])
    result = {
        "changed": False,
        "deployment_id": "",
        "status": "Created",
        "outlook": outlook,
        # Nothing is taken out of service, so that all can be asked at once.
        "plan": {**order, "serial": [order["total"]]},
    }
    if examined.revision is not None:
        result["planned_deployment"] = planned_deployment(_as_prepared(possible), order["order"])
    return result


def _as_prepared(examined: Examined) -> Prepared:
    return Prepared(
        examined.settings,
        examined.fleet,
        cast(Revision, examined.revision),
        cast(DeploymentConfig, examined.config),
        examined.appspec,
        examined.findings.warnings,
    )


def _denied(task: DeploymentTask, settings: Settings, examined: Examined) -> list[str]:
    """Return what a policy would deny of the deployment itself."""
    store, application = task.store, settings.application_name
    try:
        names = application, settings.deployment_group_name
        require_for_group(store, "CreateDeployment", *names, settings.deployment_group_id)
        if examined.revision and not is_registered(store, application, examined.revision.as_record()):
            require(store, "RegisterApplicationRevision", application)
    except CodeDeployError as error:
        return [f"{error.code}: {error.message}"]
    return []


def _facts(examined: Examined, intention: Intention, foreseen: ForeseenGroup, order: dict[str, Any]) -> dict[str, Any]:
    settings, known = examined.settings, foreseen.group.instances if foreseen.group else {}
    reasons, taking_part = _reasons(intention), set(order["order"])
    health = {name: known.get(name, (None, "Unknown")) for name in examined.fleet.instances}
    limit = context.CLIARGS.get("subset")
    return {
        "application_name": settings.application_name,
        "deployment_group_name": settings.deployment_group_name,
        "group": settings.group,
        "limit": limit if examined.fleet.limited_to is not None else None,
        "resumed_deployment": _resumed(intention),
        "update_outdated_instances_only": settings.update_outdated_instances_only,
        "revision": examined.revision.as_record() if examined.revision else None,
        "deployment_config_name": examined.config.name if examined.config else None,
        "rollout": settings.rollout,
        "total": order["total"],
        "window": order["window"] if examined.config else None,
        "minimum_healthy_hosts": order["minimum_healthy_hosts"] if examined.config else None,
        "healthy": sum(healthy is True for healthy, _revision in health.values()),
        "zones": _zones(examined, {name for name, (healthy, _revision) in health.items() if healthy is True}),
        "instances": [
            {
                "target_id": name,
                "health": HEALTH[health[name][0]],
                "revision_health": health[name][1],
                "reason": reasons.get(name),
            }
            for name in order["order"]
        ],
        "left_out": [
            {"target_id": name, "reason": reasons.get(name, RUNS_IT)}
            for name in examined.fleet.instances
            if name not in taking_part
        ],
        "problems": examined.findings.problems,
        "warnings": examined.findings.warnings,
    }


def _reasons(intention: Intention) -> dict[str, str]:
    """Return why instances are in the plan or not, where there is more to say than that it is for the whole group."""
    if intention.resumption:
        return intention.resumption.reasons
    chosen = set(intention.chosen)
    return {name: LEFT_OUT for name in intention.fleet.instances if name not in chosen}


def _resumed(intention: Intention) -> dict[str, Any] | None:
    """Return the deployment that would go on, with who runs it as long as that is active."""
    if intention.resumption is None:
        return None
    former = intention.resumption.former
    known = {"deployment_id": former.deployment_id, "status": former.status, "controller": None, "left": False}
    if former.active:
        known.update(controller=str(former.owner), left=former.controller_gone)
    return known


def _zones(examined: Examined, healthy: set[str]) -> list[dict[str, Any]]:
    """Return the zones of the whole group, none without a zonal configuration."""
    fleet, config = examined.fleet, examined.config
    if config is None or not config.zonal:
        return []
    return [
        {
            "name": zone.name,
            "total": zone.total,
            "minimum_healthy": zone.minimum_healthy,
            "healthy": sum(fleet.zone_of[name] == zone.name for name in healthy),
        }
        for zone in zones_of(config, fleet.zone_of, fleet.zone_order)
    ]


def _times(task: DeploymentTask, examined: Examined, order: dict[str, Any]) -> dict[str, Any]:
    """Return the batches, and how long the deployment would take as far as former ones tell."""
    names, rollout = order["order"], examined.settings.rollout
    times: dict[str, Any] = {"batches": None, "expected_seconds": {}, "estimated_seconds": None}
    if not examined.config:
        return times
    parts = _parts(examined, names, order["window"])
    if rollout == "batches":
        times["batches"] = [batch for part, window, _bake in parts for batch in batches_of(part, window)]
    former = former_seconds(task.store, examined.settings.deployment_group_id)
    expected = expected_seconds(names, former)
    if expected is not None:
        times["expected_seconds"] = expected
        times["estimated_seconds"] = duration(parts, expected, rollout)
    return times


def _parts(examined: Examined, names: list[str], window: int) -> list[tuple[list[str], int, int]]:
    """Return what is deployed to one after the other, the zones or all: instances, window, seconds of its bake."""
    fleet, config = examined.fleet, examined.config
    if config is None or not config.zonal:
        return [(names, window, 0)]
    parts = [
        ([name for name in names if fleet.zone_of[name] == zone.name], min(window, zone.window), zone.monitor_seconds)
        for zone in zones_of(config, fleet.zone_of, fleet.zone_order)
    ]
    return [part for part in parts if part[0]]


def _shown(task: DeploymentTask) -> dict[str, Any]:
    """Put together what the controller and the instances know, show it, and fail when the deployment would."""
    outlook: dict[str, Any] = dict(task.arguments["outlook"])
    names = [instance["target_id"] for instance in outlook["instances"]]
    groups = checked_groups(names, task.task_vars)
    failing = {name for group in groups if group.would_fail for name in group.instances}
    problems = [*outlook["problems"], *_ending(outlook, failing)]
    data = {**outlook, "problems": problems, "plans": [group.as_data() for group in groups], "possible": not problems}
    write_report(task.arguments, plan_lines(data, groups), data)
    # Ansible prints the whole result of a task that failed: not what has been shown already.
    result = (
        {"changed": False} if problems and task.arguments["report"] != "none" else {"changed": False, "outlook": data}
    )
    if problems:
        return {**result, "failed": True, "msg": f"the deployment cannot succeed: {'; '.join(problems)}"}
    return result


def _ending(outlook: dict[str, Any], failing: set[str]) -> list[str]:
    """Return why the deployment would not succeed by the rules, with what is known of its instances."""
    if outlook["minimum_healthy_hosts"] is None:
        return []
    healthy = {name: value for value, name in HEALTH.items()}
    order = [
        InstanceHealth(one["target_id"], healthy[one["health"]], one["revision_health"]) for one in outlook["instances"]
    ]
    zones = [ZoneOutlook(**zone) for zone in outlook.get("zones") or ()]
    zone_of = {one["target_id"]: one["zone"] for one in outlook["instances"]}
    counts = (outlook["healthy"], outlook["total"], outlook["minimum_healthy_hosts"])
    verdict, _reached = outcome(order, failing, *counts, zones, zone_of)
    if verdict.status == "Succeeded":
        return []
    where = f" It would fail on {', '.join(sorted(failing))}." if failing else ""
    return [f"{verdict.code}: {verdict.message}{where}"]
