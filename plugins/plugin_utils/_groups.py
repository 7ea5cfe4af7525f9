# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applications, revisions, deployment groups and the health of their instances, inside a transaction."""

from __future__ import annotations

import hashlib
import json
import typing as t
import uuid

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import InstanceHealth, RevisionHealth
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import (
    Application,
    Group,
    JSONObject,
    Revision,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Row, Store, Transaction

OPTION_OF_RESTART = '"deployment_mode": "RESTART"'
"""What is in a deployment's options, as JSON, when it restarts; in a text within them the quotes have backslashes."""

_DESCRIPTIVE = ("description", "digest", "bundle")
_SORT_COLUMNS = {"registerTime": "register_time", "firstUsedTime": "first_used_time", "lastUsedTime": "last_used_time"}


def revision_identity(revision: t.Mapping[str, t.Any]) -> str:
    """What makes two revisions the same one.

    A bundle from the controller's disk is known by its digest: a check-out elsewhere of the same content is the same
    revision. A commit is itself: GitHub may pack it differently tomorrow. Everything else is its location, with S3's
    own word for the content, or the digest where one is known.
    """
    if revision.get("revision_type") == "Local" and revision.get("digest"):
        return f"digest {revision['digest']}"
    location = {key: value for key, value in revision.items() if key not in _DESCRIPTIVE}
    e_tag = (revision.get("bundle") or {}).get("e_tag")
    if e_tag:
        location["e_tag"] = e_tag
    elif revision.get("revision_type") != "GitHub" and revision.get("digest"):
        location["digest"] = revision["digest"]
    identity = json.dumps(location, sort_keys=True)
    # A database keeps no index of texts of any length.
    return identity if len(identity) <= 1000 else f"sha256 {hashlib.sha256(identity.encode('ascii')).hexdigest()}"


def ensure_application(tx: Transaction, name: str) -> str:
    """Give an application's id, creating it when it is new."""
    tx.execute(
        "INSERT INTO applications (application_id, application_name, create_time) VALUES (%s, %s, %s)"
        " ON CONFLICT (application_name) DO NOTHING",
        (str(uuid.uuid4()), name, tx.now),
    )
    row = tx.only_row("SELECT application_id FROM applications WHERE application_name = %s", (name,))
    return str(row["application_id"])


def ensure_revision(tx: Transaction, application_id: str, revision: JSONObject, description: str | None) -> str:
    """Give a revision's id, registering it when it is new.

    A known one keeps its description and takes the newest location, where a rollback will look for it.
    """
    tx.execute(
        "INSERT INTO revisions (revision_id, application_id, identity, revision, description, register_time)"
        " VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (application_id, identity) DO UPDATE SET revision = excluded.revision",
        (
            str(uuid.uuid4()),
            application_id,
            revision_identity(revision),
            json.dumps(revision),
            revision.get("description") or description,
            tx.now,
        ),
    )
    row = tx.only_row(
        "SELECT revision_id FROM revisions WHERE application_id = %s AND identity = %s",
        (application_id, revision_identity(revision)),
    )
    return str(row["revision_id"])


def is_registered(store: Store, application_name: str, revision: t.Mapping[str, t.Any]) -> bool:
    """Whether an application has a revision already."""
    with store.reading() as tx:
        row = tx.row(
            "SELECT 1 FROM revisions JOIN applications ON applications.application_id = revisions.application_id"
            " WHERE application_name = %s AND identity = %s",
            (application_name, revision_identity(revision)),
        )
    return row is not None


def was_deployed(store: Store, revision: t.Mapping[str, t.Any]) -> bool:
    """Whether any deployment of the record had this revision, so that an instance may have its bundle."""
    with store.reading() as tx:
        used = "SELECT 1 FROM revisions WHERE identity = %s AND last_used_time IS NOT NULL"
        return bool(tx.rows(f"{used} LIMIT 1", (revision_identity(revision),)))


def instances_with(tx: Transaction, deployment_group_id: str, revision: t.Mapping[str, t.Any]) -> set[str]:
    """A group's instances that are healthy and run a revision: those that update_outdated_instances_only leaves out."""
    rows = tx.rows(
        "SELECT instance FROM instances JOIN revisions ON revisions.revision_id = instances.revision_id"
        " WHERE deployment_group_id = %s AND healthy AND identity = %s",
        (deployment_group_id, revision_identity(revision)),
    )
    return {row["instance"] for row in rows}


def use_revision(tx: Transaction, revision_id: str) -> None:
    """Note that a revision is deployed now."""
    tx.execute(
        "UPDATE revisions SET first_used_time = COALESCE(first_used_time, %s), last_used_time = %s"
        " WHERE revision_id = %s",
        (tx.now, tx.now, revision_id),
    )


def ensure_group(tx: Transaction, group_id: str, application_id: str, name: str) -> Row:
    """Give a deployment group's row, locked; created when it is new, renamed when its name changed.

    :raises InvalidInput: the id belongs to a group of another application.
    """
    tx.execute(
        "INSERT INTO deployment_groups (deployment_group_id, application_id, deployment_group_name, create_time)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (deployment_group_id) DO NOTHING",
        (group_id, application_id, name, tx.now),
    )
    row = tx.locked_row("SELECT * FROM deployment_groups WHERE deployment_group_id = %s", (group_id,))
    if row is None:
        raise AssertionError(f"the deployment group {group_id} is not there although it was just inserted")
    if row["application_id"] != application_id:
        raise InvalidInput(
            f"Deployment group id {group_id} belongs to group {row['deployment_group_name']!r} of another application: "
            "give each group an id of its own (deploy_group_id), or none.",
            "DeploymentGroupAlreadyExists",
        )
    if row["deployment_group_name"] != name:
        tx.execute(
            "UPDATE deployment_groups SET deployment_group_name = %s WHERE deployment_group_id = %s", (name, group_id)
        )
    return row


def lock_group(tx: Transaction, group_id: str) -> None:
    """Lock a deployment group; to be called before a transaction writes to more than one row of its instances."""
    tx.locked_row("SELECT 1 FROM deployment_groups WHERE deployment_group_id = %s", (group_id,))


def ensure_instances(tx: Transaction, group_id: str, instances: t.Sequence[str]) -> None:
    """Make sure that each instance has a row in the group; a new one was never deployed to."""
    tx.execute_many(
        "INSERT INTO instances (deployment_group_id, instance) VALUES (%s, %s)"
        " ON CONFLICT (deployment_group_id, instance) DO NOTHING",
        [(group_id, instance) for instance in instances],
    )


def instance_rows(tx: Transaction, group_id: str) -> dict[str, Row]:
    """Health and installed revision of every instance that the group ever had, by name."""
    rows = tx.rows(
        "SELECT instance, healthy, revision_id FROM instances WHERE deployment_group_id = %s ORDER BY instance",
        (group_id,),
    )
    return {row["instance"]: row for row in rows}


def instance_health(row: Row, target_revision_id: str | None) -> InstanceHealth:
    """Compare what an instance runs with the group's last successful revision."""
    revision: RevisionHealth = "Old"
    if row["revision_id"] is None:
        revision = "Unknown"
    elif row["revision_id"] == target_revision_id:
        revision = "Current"
    return InstanceHealth(row["instance"], None if row["healthy"] is None else bool(row["healthy"]), revision)


def apply_results(tx: Transaction, deployment: Row, succeeded: bool) -> None:
    """Give the instances that were attempted their health, and move the group's pointers after a success.

    A successful instance is healthy and runs the deployment's revision. A failed one is unhealthy; what it runs counts
    as before, except that after a deployment that succeeded without it an instance that was current becomes unknown.
    After a restart everything runs what it ran before, and an instance on which the last deployment of a revision had
    failed stays unhealthy.
    """
    deployment_id, group_id, revision_id = (
        deployment["deployment_id"],
        deployment["deployment_group_id"],
        deployment["revision_id"],
    )
    lock_group(tx, group_id)
    attempted = (
        "deployment_group_id = %s AND instance IN"
        " (SELECT instance FROM targets WHERE deployment_id = %s AND status IN ({statuses}))"
    )
    restart = installs_nothing(deployment)
    if succeeded and not restart:
        tx.execute(
            "UPDATE instances SET revision_id = NULL WHERE revision_id IN (%s, %s) AND "
            + attempted.format(statuses="'Failed', 'Unknown'"),
            (revision_id, deployment["previous_revision_id"], group_id, deployment_id),
        )
    tx.execute(
        "UPDATE instances SET healthy = FALSE WHERE " + attempted.format(statuses="'Failed', 'Unknown'"),
        (group_id, deployment_id),
    )
    if restart:
        done = "SELECT instance FROM targets WHERE deployment_id = %s AND status = 'Succeeded'"
        for row in tx.rows(done, (deployment_id,)):
            heal_restarted(tx, group_id, row["instance"])
    else:
        tx.execute(
            "UPDATE instances SET healthy = TRUE, revision_id = %s WHERE " + attempted.format(statuses="'Succeeded'"),
            (revision_id, group_id, deployment_id),
        )
    if succeeded and not deployment["limited"]:
        tx.execute(
            "UPDATE deployment_groups SET target_revision_id = %s, last_successful_deployment_id = %s"
            " WHERE deployment_group_id = %s",
            (revision_id, deployment_id, group_id),
        )


def installs_nothing(deployment: Row) -> bool:
    """Say of a deployment's row whether it restarts what is installed (deployment mode RESTART)."""
    return bool(json.loads(deployment["options"]).get("deployment_mode") == "RESTART")


def heal_restarted(tx: Transaction, group_id: str, instance: str) -> None:
    """Take a restarted instance as healthy, unless the last deployment of a revision to it had failed."""
    installation = last_installation(tx, group_id, instance)
    if installation is None or installation["status"] == "Succeeded":
        tx.execute(
            "UPDATE instances SET healthy = TRUE WHERE deployment_group_id = %s AND instance = %s", (group_id, instance)
        )


def last_installation(tx: Transaction, group_id: str, instance: str) -> Row | None:
    """Find the last deployment at work on an instance that was no restart.

    :returns: its ``deployment_id``, and the instance's ``status`` in it; None when there is none.
    """
    return tx.row(
        "SELECT targets.deployment_id, targets.status FROM targets"
        " JOIN deployments ON deployments.deployment_id = targets.deployment_id"
        " WHERE deployment_group_id = %s AND instance = %s AND targets.start_time IS NOT NULL"
        " AND REPLACE(options, %s, '') = options ORDER BY create_time DESC LIMIT 1",
        (group_id, instance, OPTION_OF_RESTART),
    )


def hooks_of(store: Store, deployment_group_id: str, instance: str) -> dict[str, int] | None:
    """The number of scripts of each lifecycle event in the revision that the instance installed last.

    :returns: None when that is not known; its ApplicationStop must then be run to find out.
    """
    with store.reading() as tx:
        row = tx.row(
            "SELECT hooks FROM instances WHERE deployment_group_id = %s AND instance = %s",
            (deployment_group_id, instance),
        )
    return json.loads(row["hooks"]) if row and row["hooks"] else None


def list_revisions(
    store: Store,
    application_name: str | None = None,
    sort_by: t.Literal["registerTime", "firstUsedTime", "lastUsedTime"] = "registerTime",
    descending: bool = False,
    deployed: t.Literal["include", "exclude", "ignore"] = "ignore",
    s3_bucket: str | None = None,
    s3_key_prefix: str | None = None,
) -> list[Revision]:
    """Registered revisions, as ListApplicationRevisions lists them.

    :param deployed: ``include`` only target revisions of some group, ``exclude`` these, ``ignore`` the difference.
    :param s3_bucket: only what is in this bucket, and there only what has a key that begins with ``s3_key_prefix``.
    :raises InvalidInput: a prefix without a bucket.
    """
    if s3_key_prefix and not s3_bucket:
        raise InvalidInput("s3_key_prefix: name the bucket too (s3_bucket).", "BucketNameFilterRequired")
    where, parameters = ("WHERE application_name = %s", [application_name]) if application_name else ("", [])
    # Databases disagree on where what has no value is sorted; here it is smaller than everything.
    column, direction = _SORT_COLUMNS[sort_by], "DESC" if descending else "ASC"
    order = f"{column} IS NOT NULL {direction}, {column} {direction}"
    with store.reading() as tx:
        rows = tx.rows(
            "SELECT revisions.*, application_name FROM revisions"
            f" JOIN applications ON applications.application_id = revisions.application_id {where} ORDER BY {order}",
            parameters,
        )
        groups = tx.rows(
            "SELECT target_revision_id, deployment_group_name FROM deployment_groups ORDER BY deployment_group_name"
        )
    names: dict[str, list[str]] = {}
    for group in groups:
        names.setdefault(group["target_revision_id"], []).append(group["deployment_group_name"])
    revisions = [_revision(row, names.get(row["revision_id"], [])) for row in rows]
    if s3_bucket:
        places = [(one, one.revision.get("s3_location") or {}) for one in revisions]
        revisions = [
            one
            for one, place in places
            if place.get("bucket") == s3_bucket and place["key"].startswith(s3_key_prefix or "")
        ]
    if deployed == "ignore":
        return revisions
    return [revision for revision in revisions if bool(revision.deployment_groups) == (deployed == "include")]


def get_group(store: Store, deployment_group_id: str) -> Group | None:
    """A deployment group with its pointers and its instances' health; None when nothing was ever deployed to it."""
    with store.reading() as tx:
        return read_group(tx, deployment_group_id)


def read_group(tx: Transaction, deployment_group_id: str) -> Group | None:
    """Read a deployment group inside a transaction; see get_group()."""
    groups = _read_groups(tx, "deployment_groups.deployment_group_id = %s", [deployment_group_id])
    return groups[0] if groups else None


def list_groups(store: Store, application_name: str | None = None, group: str | None = None) -> list[Group]:
    """The deployment groups by application and name (ListDeploymentGroups, BatchGetDeploymentGroups).

    :param group: a group's own name, or that of the inventory's group that was deployed to last.
    """
    condition, parameters = "1 = 1", []
    if application_name is not None:
        condition, parameters = "applications.application_name = %s", [application_name]
    with store.reading() as tx:
        groups = _read_groups(tx, condition, parameters)
    return [one for one in groups if group in (None, one.deployment_group_name, one.options.get("deployment_group"))]


def list_applications(store: Store) -> list[Application]:
    """All applications by name (ListApplications, BatchGetApplications)."""
    with store.reading() as tx:
        rows = tx.rows(
            "SELECT application_id, application_name, create_time FROM applications ORDER BY application_name"
        )
    return [Application(**row) for row in rows]


def _read_groups(tx: Transaction, condition: str, parameters: t.Sequence[t.Any]) -> list[Group]:
    rows = tx.rows(
        "SELECT deployment_groups.*, applications.application_name, revision, deployment_config_name, options"
        " FROM deployment_groups"
        " JOIN applications ON applications.application_id = deployment_groups.application_id"
        " LEFT JOIN revisions ON revisions.revision_id = target_revision_id"
        " LEFT JOIN deployments ON deployments.deployment_id = last_attempted_deployment_id"
        f" WHERE {condition} ORDER BY applications.application_name, deployment_groups.deployment_group_name",
        parameters,
    )
    return [_group(tx, row) for row in rows]


def _group(tx: Transaction, row: Row) -> Group:
    instances = instance_rows(tx, row["deployment_group_id"]).values()
    health = [instance_health(instance, row["target_revision_id"]) for instance in instances]
    return Group(
        row["deployment_group_id"],
        row["application_name"],
        row["deployment_group_name"],
        json.loads(row["revision"]) if row["revision"] else None,
        _last_deployment(tx, row["last_successful_deployment_id"]),
        _last_deployment(tx, row["last_attempted_deployment_id"]),
        {instance.name: (instance.healthy, instance.revision) for instance in health},
        row["deployment_config_name"],
        json.loads(row["options"]) if row["options"] else {},
    )


def _last_deployment(tx: Transaction, deployment_id: str | None) -> JSONObject | None:
    return tx.row(
        "SELECT deployment_id, status, create_time, complete_time AS end_time FROM deployments"
        " WHERE deployment_id = %s",
        (deployment_id,),
    )


def _revision(row: Row, group_names: list[str]) -> Revision:
    return Revision(
        row["application_name"],
        json.loads(row["revision"]),
        row["description"],
        row["register_time"],
        row["first_used_time"],
        row["last_used_time"],
        group_names,
    )
