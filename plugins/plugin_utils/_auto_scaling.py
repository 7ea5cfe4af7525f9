# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes of Auto Scaling groups: suspended while a deployment is at work, and resumed whatever becomes of it.

The audit trail has what is suspended before it is, and that it was resumed: the next run finds what a killed one left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError, AwsSettings, aws_errors, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_errors import DENIED, THROTTLED
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_ending import fail_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_queries import get_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner, current_owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

# Those that CodeDeploy's ec2DeploymentOptions may name.
PROCESSES = ("Terminate", "AZRebalance", "InstanceRefresh", "ScheduledActions")
SUSPENDED, RESUMED = "SuspendProcesses", "ResumeProcesses"
Suspended = dict[str, list[str]]


def ec2_options_problems(options: Any) -> list[str]:
    """Say what is wrong with C(ec2_deployment_options)."""
    if not isinstance(options, Mapping):
        return ["deploy_ec2_deployment_options must be a mapping"]
    names = options.get("auto_scaling_group_processes_to_suspend") or []
    unknown = [str(name) for name in names if name not in PROCESSES]
    if not unknown:
        return []
    name = "deploy_ec2_deployment_options: auto_scaling_group_processes_to_suspend"
    return [f"{name}: {', '.join(unknown)}: the processes are {', '.join(PROCESSES)}"]


def suspends(options: Mapping[str, Any]) -> bool:
    """Whether a deployment with these options suspends anything."""
    return bool(_processes(options) and _groups(options))


def suspend(store: Store, deployment: Deployment, owner: Owner) -> Suspended:
    """Suspend the processes that a deployment's options name, but for those that are suspended already.

    :returns: what was suspended, by Auto Scaling group.
    :raises AwsError: a group does not exist, or it is not permitted; what was suspended is resumed then.
    """
    if not suspends(deployment.options):
        return {}
    settings = AwsSettings.from_arguments(deployment.options.get("aws") or {})
    wanted = _not_yet_suspended(settings, _groups(deployment.options), _processes(deployment.options))
    # Before it is done: nobody else would know it after a kill.
    audit(store, owner, SUSPENDED, {"processes": wanted}, {}, deployment.deployment_id)
    done: Suspended = {}
    try:
        for name, processes in wanted.items():
            _call(settings, "suspend_processes", name, processes)
            done[name] = processes
    except AwsError as error:
        if not done and error.code in DENIED:
            # Nothing was: nothing is to be resumed, which would most likely not be permitted either.
            audit(store, owner, RESUMED, {"processes": {}}, {}, deployment.deployment_id)
        else:
            _resume_after(error, store, deployment, owner)
        raise
    return wanted


def _resume_after(error: AwsError, store: Store, deployment: Deployment, owner: Owner) -> None:
    """Resume what was suspended before an error; why that is not possible is added to it."""
    try:
        resume(store, deployment, owner)
    except AwsError as second:
        raise AwsError(f"{error.message}; what is suspended stays so: {second.message}", error.code) from error


def suspend_or_end(store: Store, deployment: Deployment, owner: Owner) -> None:
    """Suspend what a deployment's options name; one that cannot be given that fails before any instance is touched.

    That it fails is CodeDeploy's rule, and its codes are those of errorInformation.

    :raises AwsError: a group does not exist, or it is not permitted.
    """
    try:
        suspend(store, deployment, owner)
    except AwsError as error:
        fail_deployment(store, deployment.deployment_id, _error_code(error), error.message)
        raise


def _error_code(error: AwsError) -> str:
    if error.code in DENIED:
        return "AUTO_SCALING_IAM_ROLE_PERMISSIONS"
    return "THROTTLED" if error.code in THROTTLED else "AUTO_SCALING_CONFIGURATION"


def resume(store: Store, deployment: Deployment, owner: Owner) -> Suspended:
    """Resume what was suspended for a deployment, once. A group that has been deleted meanwhile needs nothing.

    :returns: what was resumed.
    :raises AwsError: it is not possible in one of the groups, the others are resumed; the next run tries again.
    """
    suspended = _left(store, deployment.deployment_id)
    if not suspended:
        return {}
    settings = AwsSettings.from_arguments(deployment.options.get("aws") or {})
    there = _described(settings, list(suspended))
    problem: AwsError | None = None
    for name in there:
        try:
            _call(settings, "resume_processes", name, suspended[name])
        except AwsError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    audit(store, owner, RESUMED, {"processes": suspended}, {}, deployment.deployment_id)
    return suspended


def resume_when_ended(store: Store, deployment_id: str) -> str | None:
    """Resume what was suspended for a deployment that has ended; returns why that was not possible."""
    deployment = get_deployment(store, deployment_id, with_order=False)
    if deployment.active or not suspends(deployment.options):
        return None
    return _resume_or_say(store, deployment, current_owner())


def resume_left(store: Store, deployment_group_id: str, owner: Owner) -> list[str]:
    """Resume what deployments of a group have left suspended that have ended, or whose controller has.

    :returns: why that was not possible; it keeps no deployment from being made, and the next run tries again.
    """
    with store.reading() as tx:
        rows = tx.rows(
            "SELECT DISTINCT a.deployment_id FROM audit a JOIN deployments d ON d.deployment_id = a.deployment_id"
            " WHERE a.event_name = %s AND d.deployment_group_id = %s AND NOT EXISTS (SELECT 1 FROM audit b"
            " WHERE b.deployment_id = a.deployment_id AND b.event_name = %s)",
            (SUSPENDED, deployment_group_id, RESUMED),
        )
    found = [get_deployment(store, row["deployment_id"], with_order=False) for row in rows]
    ended = [one for one in found if not one.active or one.controller_gone]
    return [problem for problem in [_resume_or_say(store, one, owner) for one in ended] if problem]


def _resume_or_say(store: Store, deployment: Deployment, owner: Owner) -> str | None:
    try:
        resume(store, deployment, owner)
    except AwsError as error:
        return (
            f"Processes of Auto Scaling groups that {deployment.deployment_id} has suspended are still suspended: "
            f"{error.message}"
        )
    return None


def _left(store: Store, deployment_id: str) -> Suspended:
    with store.reading() as tx:
        rows = tx.rows(
            "SELECT event_name, parameters FROM audit WHERE deployment_id = %s AND event_name IN (%s, %s)",
            (deployment_id, SUSPENDED, RESUMED),
        )
    if any(row["event_name"] == RESUMED for row in rows):
        return {}
    return {name: list(names) for row in rows for name, names in json.loads(row["parameters"])["processes"].items()}


def _processes(options: Mapping[str, Any]) -> list[str]:
    return list((options.get("ec2_deployment_options") or {}).get("auto_scaling_group_processes_to_suspend") or [])


def _groups(options: Mapping[str, Any]) -> list[str]:
    groups = options.get("auto_scaling_groups") or []
    return [str(group["name"] if isinstance(group, Mapping) else group) for group in groups]


def _not_yet_suspended(settings: AwsSettings, groups: Sequence[str], processes: Sequence[str]) -> Suspended:
    found = _described(settings, groups)
    missing = [name for name in groups if name not in found]
    if missing:
        text = f"there is no Auto Scaling group {', '.join(missing)} in this region and account"
        raise AwsError(text, "AUTO_SCALING_CONFIGURATION")
    wanted = {}
    for name, group in found.items():
        already = {one["ProcessName"] for one in group.get("SuspendedProcesses") or []}
        wanted[name] = [process for process in processes if process not in already]
    return {name: names for name, names in wanted.items() if names}


def _described(settings: AwsSettings, groups: Sequence[str]) -> dict[str, Any]:
    with aws_errors():
        paginator = client(settings, "autoscaling").get_paginator("describe_auto_scaling_groups")
        pages = paginator.paginate(AutoScalingGroupNames=list(groups))
        return {one["AutoScalingGroupName"]: one for page in pages for one in page["AutoScalingGroups"]}


def _call(settings: AwsSettings, operation: str, name: str, processes: Sequence[str]) -> None:
    with aws_errors():
        call = getattr(client(settings, "autoscaling"), operation)
        call(AutoScalingGroupName=name, ScalingProcesses=list(processes))
