# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create a deployment: check the request, take the group, and write the record in one transaction."""

from __future__ import annotations

import dataclasses
import json
import secrets
import string

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._announcements import announce, announce_end
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import append_audit, audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_ending import abandon_if_dead, active_row
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_queries import owner_of, read_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rows import locked_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_zones import insert_zones
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import (
    CodeDeployError,
    InvalidInput,
    NoInstances,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_queue import (
    GroupAwaited,
    leave,
    next_waiting,
    same_controller,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import (
    ensure_application,
    ensure_group,
    ensure_instances,
    ensure_revision,
    instance_health,
    instance_rows,
    use_revision,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    deployment_order,
    minimum_healthy_hosts,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._input_rules import check_description, check_name
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import (
    Abandoned,
    ActiveDeployment,
    Deployment,
    DeploymentRequest,
    JSONObject,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import (
    Row,
    Store,
    StoreError,
    Transaction,
    run_again_if_undone,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import Zone, zones_of

FILE_EXISTS_BEHAVIORS = ("DISALLOW", "OVERWRITE", "RETAIN")
_ID_CHARACTERS = string.ascii_uppercase + string.digits


@run_again_if_undone
def create_deployment(store: Store, request: DeploymentRequest) -> Deployment:
    """Write the record of a new deployment, all instances Pending, and take the group (CreateDeployment).

    A deployment that a dead controller left active is ended first; the result's ``abandoned`` names it and the
    instances that were in work then. With ``update_outdated_instances_only`` and every instance up to date the
    deployment has no instances and has Succeeded at once.

    :raises ActiveDeployment: the group has an active deployment and its controller lives.
    :raises GroupAwaited: other controllers wait for the group, and this one is not the next; rollbacks go first.
    :raises HealthConstraintsInvalid: the configuration is not possible for a group of this size.
    :raises NoInstances: the group, or what a limit leaves of it, is empty.
    :raises InvalidInput: a parameter breaks a rule of the API.
    :raises DoesNotExist: there is no deployment that ``rollback_of`` names.
    """
    try:
        _check(request)
        minimum = minimum_healthy_hosts(request.config, len(set(request.instances)))
        zones = zones_of(request.config, request.zone_of, request.zone_order)
        with store.transaction() as tx:
            return _create(tx, request, minimum, zones)
    except StoreError:
        raise
    except CodeDeployError as error:
        result = {"error_code": error.code, "error_message": error.message}
        audit(store, request.owner, "CreateDeployment", _audited(request), result)
        raise


def _check(request: DeploymentRequest) -> None:
    check_name("Application", request.application_name)
    check_name("DeploymentGroup", request.deployment_group_name)
    check_description(request.description)
    if request.file_exists_behavior not in FILE_EXISTS_BEHAVIORS:
        raise InvalidInput(
            f"file_exists_behavior is {', '.join(FILE_EXISTS_BEHAVIORS)}, not {request.file_exists_behavior!r}.",
            "InvalidFileExistsBehavior",
        )
    if not request.instances:
        raise NoInstances(f"The deployment group {request.deployment_group_name!r} has no instances.")
    for part in (request.limited_to, request.only):
        if part is not None and not set(part) & set(request.instances):
            named = f"none of {', '.join(part)} is in it" if part else "no host of it is left"
            raise NoInstances(f"Deployment group {request.deployment_group_name!r}: {named}.")


def _create(tx: Transaction, request: DeploymentRequest, minimum: int, zones: list[Zone]) -> Deployment:
    application_id = ensure_application(tx, request.application_name)
    # Deployments are locked before their group, as their end does, so that neither waits for the other for ever.
    if request.rollback_of:
        locked_deployment(tx, request.rollback_of)
    abandoned = _end_dead_deployment(tx, request)
    group = ensure_group(tx, request.deployment_group_id, application_id, request.deployment_group_name)
    _check_turn(tx, request)
    deployment_id = _new_id(tx)
    instances = list(dict.fromkeys(request.instances))
    ensure_instances(tx, request.deployment_group_id, instances)
    leave(tx, request.deployment_group_id, request.owner)
    description = f"Application revision registered by Deployment ID: {deployment_id}"
    revision_id = ensure_revision(tx, application_id, request.revision, description)
    rows = instance_rows(tx, request.deployment_group_id)
    health = [instance_health(rows[name], group["target_revision_id"]) for name in instances]
    targets = [name for name in deployment_order(health) if _takes_part(request, rows[name], revision_id)]
    if zones:
        targets.sort(key=lambda name: request.zone_order.index(request.zone_of[name]))
    limited = request.limited_to is not None and not set(instances) <= set(request.limited_to)
    healthy = {instance.name for instance in health if instance.healthy}
    given = {
        "deployment_id": deployment_id,
        "revision_id": revision_id,
        "previous_revision_id": group["target_revision_id"],
        "limited": limited,
        "total": len(instances),
        "minimum_healthy": minimum,
        "pending": len(targets),
        "healthy_available": len(healthy),
        "unhealthy_pending": len(set(targets) - healthy),
        "bake_until": 0.0 if zones else None,
    }
    _insert(tx, request, given)
    tx.execute_many(
        "INSERT INTO targets (deployment_id, instance, position, status, healthy_before, last_updated_at, zone)"
        " VALUES (%s, %s, %s, 'Pending', %s, %s, %s)",
        [
            (deployment_id, name, position, name in healthy, tx.now, request.zone_of[name] if zones else None)
            for position, name in enumerate(targets)
        ],
    )
    if zones:
        insert_zones(tx, deployment_id, zones, request.zone_of, healthy - set(targets))
    if targets:
        _note_use(tx, request, deployment_id, revision_id, limited)
    result = {"deployment_id": deployment_id}
    append_audit(tx, request.owner, "CreateDeployment", _audited(request), result, deployment_id)
    _announce_creation(tx, request, deployment_id)
    return dataclasses.replace(read_deployment(tx, deployment_id), abandoned=abandoned)


def _announce_creation(tx: Transaction, request: DeploymentRequest, deployment_id: str) -> None:
    if request.rollback_of:
        rolled_back = "SELECT * FROM deployments WHERE deployment_id = %s"
        announce(tx, tx.only_row(rolled_back, (request.rollback_of,)), "DeploymentRollback")
    row = tx.only_row("SELECT * FROM deployments WHERE deployment_id = %s", (deployment_id,))
    announce(tx, row, "DeploymentStart")
    if row["complete_time"] is not None:
        announce_end(tx, row, row["status"])


def _takes_part(request: DeploymentRequest, row: Row, revision_id: str) -> bool:
    name = row["instance"]
    if request.limited_to is not None and name not in request.limited_to:
        return False
    if request.only is not None and name not in request.only:
        return False
    return not (request.update_outdated_instances_only and row["healthy"] and row["revision_id"] == revision_id)


def _end_dead_deployment(tx: Transaction, request: DeploymentRequest) -> Abandoned | None:
    row = active_row(tx, request.deployment_group_id)
    if row is None:
        return None
    abandoned = abandon_if_dead(tx, row, request.owner)
    if abandoned is None:
        raise ActiveDeployment(request.deployment_group_name, row["deployment_id"], owner_of(row))
    return abandoned


def _check_turn(tx: Transaction, request: DeploymentRequest) -> None:
    """Refuse when another deployment was created since, or when another controller is next."""
    row = tx.row(
        "SELECT * FROM deployments WHERE deployment_group_id = %s AND complete_time IS NULL",
        (request.deployment_group_id,),
    )
    if row is not None:
        raise ActiveDeployment(request.deployment_group_name, row["deployment_id"], owner_of(row))
    following = next_waiting(tx, request.deployment_group_id)
    # Those who wait, wait for the whole of the deployment that they met, and its rollback is a part of that.
    if following and not request.rollback_of and not same_controller(following, request.owner):
        raise GroupAwaited(request.deployment_group_name, following)


def _new_id(tx: Transaction) -> str:
    while True:
        deployment_id = "d-" + "".join(secrets.choice(_ID_CHARACTERS) for _position in range(9))
        if tx.row("SELECT 1 FROM deployments WHERE deployment_id = %s", (deployment_id,)) is None:
            return deployment_id


def _insert(tx: Transaction, request: DeploymentRequest, given: JSONObject) -> None:
    done = not given["pending"]
    columns = {
        **given,
        "in_progress": 0,
        "succeeded": 0,
        "failed": 0,
        "skipped": 0,
        "deployment_group_id": request.deployment_group_id,
        "application_name": request.application_name,
        "deployment_group_name": request.deployment_group_name,
        "deployment_config_name": request.config.name,
        "minimum_healthy_hosts_type": request.config.type,
        "minimum_healthy_hosts_value": request.config.value,
        "status": "Succeeded" if done else "Created",
        "create_time": tx.now,
        "complete_time": tx.now if done else None,
        "description": request.description,
        "creator": request.creator,
        "file_exists_behavior": request.file_exists_behavior,
        "ignore_application_stop_failures": request.ignore_application_stop_failures,
        "update_outdated_instances_only": request.update_outdated_instances_only,
        "options": json.dumps(request.options),
        "owner_host": request.owner.host,
        "owner_pid": request.owner.pid,
        "owner_pid_start": request.owner.pid_start,
        "owner_user": request.owner.user,
        "owner_run_id": request.owner.run_id,
        "heartbeat": tx.now,
    }
    values = ", ".join(["%s"] * len(columns))
    tx.execute(f"INSERT INTO deployments ({', '.join(columns)}) VALUES ({values})", list(columns.values()))


def _note_use(tx: Transaction, request: DeploymentRequest, deployment_id: str, revision_id: str, limited: bool) -> None:
    use_revision(tx, revision_id)
    if not limited:
        tx.execute(
            "UPDATE deployment_groups SET last_attempted_deployment_id = %s WHERE deployment_group_id = %s",
            (deployment_id, request.deployment_group_id),
        )
    if request.rollback_of:
        message = f"Deployment {deployment_id} is triggered to roll back deployment {request.rollback_of}."
        tx.execute(
            "UPDATE deployments SET rollback_triggering_deployment_id = %s, rollback_message = %s"
            " WHERE deployment_id = %s",
            (request.rollback_of, message, deployment_id),
        )
        tx.execute(
            "UPDATE deployments SET rollback_deployment_id = %s, rollback_message = %s WHERE deployment_id = %s",
            (
                deployment_id,
                f"Deployment {request.rollback_of} terminated. Automatic rollback is triggered with a DeploymentId "
                f"{deployment_id}.",
                request.rollback_of,
            ),
        )


def _audited(request: DeploymentRequest) -> JSONObject:
    parameters = dataclasses.asdict(request)
    # What grows with the fleet, a parsed AppSpec and the like are in the deployment's own rows.
    del parameters["owner"], parameters["zone_of"]
    parameters["instances"] = len(request.instances)
    options = request.options.items()
    parameters["options"] = {name: value for name, value in options if not isinstance(value, (dict, list))}
    return parameters
