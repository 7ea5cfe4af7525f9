# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which deployment belongs to which place in somebody's play where the role stands.

A registered variable does not say it: with C(run_once) Ansible registers a result for every host of the play, and in
the strategies C(free) and C(host_pinned), where hosts go on alone, the result of another role may come in between.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import Settings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    active_deployment,
    conclude,
    get_deployment,
    get_target,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import DoesNotExist, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_queue import same_controller
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import play_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

# Strategies in which one host goes on without waiting for the others; others are derived from them by name.
ALONE = ("free", "host_pinned")
# A group's newest deployments in which those of this play are looked for; no other run can have made many in between.
LOOK_BACK = 20


def invocation_of(action: ActionBase) -> str:
    """Return what all tasks of a role have in common at one place of a play, the same on each host and in each batch.

    A role under C(roles) is an object of its own, and so is each task that imports or includes one. What a dynamic
    include loads is loaded anew, for some strategies once for each host: below it only the place in the file counts.
    """
    role = getattr(action._task, "_role", None)
    node, includes = action._task._parent, []
    while node is not None:
        if hasattr(node, "statically_loaded") and hasattr(node, "action") and getattr(node, "_role", None) is not role:
            includes.append(node)
        node = node._parent
    parts, dynamic = [], False
    for include in reversed(includes):
        parts.append(str(include.get_path()) if dynamic else str(include._uuid))
        dynamic = dynamic or not include.statically_loaded
    if role is not None:
        parts.append(repr(sorted(role._role_params.items())) if dynamic else str(getattr(role, "_uuid", "")))
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()


def is_whole_role(action: ActionBase) -> bool:
    """Say whether the task's role creates the deployment and deploys, and not one of its parts (C(tasks_from))."""
    role = getattr(action._task, "_role", None)
    return role is not None and Path(str(role._from_files.get("tasks") or "main")).stem == "main"


def hosts_go_alone(action: ActionBase) -> bool:
    """Say whether the strategy of the play lets a host go on before the others are as far."""
    strategy = str(getattr(play_of(action), "strategy", ""))
    return strategy.endswith(ALONE)


def deployment_of_place(
    store: Store, settings: Settings, run: Owner, invocation: str, instance: str
) -> Deployment | None:
    """Return the deployment that this play has made at this place and that an instance has not been through.

    With serial, C(run_once) runs once in each batch: all batches join the deployment of the first. A place inside a
    loop comes again: then each turn has a deployment of its own.
    """
    for deployment in _deployments_of_play(store, settings, run):
        wanted = (invocation, settings.request_digest)
        if (deployment.options.get("invocation"), deployment.options.get("request_digest")) != wanted:
            continue
        if not _was_started(store, deployment.deployment_id, instance):
            return get_deployment(store, deployment.deployment_id)
    return None


def _was_started(store: Store, deployment_id: str, instance: str) -> bool:
    try:
        return get_target(store, deployment_id, instance).start_time is not None
    except DoesNotExist:
        return False


def deployment_of_task(store: Store, registered: Deployment | None, run: Owner, invocation: str) -> Deployment | None:
    """Return the deployment that the role's task before this one has created or joined.

    :param registered: what the variable says that both share.
    :returns: None when there is none: it was refused.
    """
    if registered is not None and (registered.owner, registered.options.get("invocation")) == (run, invocation):
        return registered
    for deployment in list_deployments(store, with_order=False):
        if (deployment.owner, deployment.options.get("invocation")) == (run, invocation):
            return deployment
    return None


def make_room(store: Store, settings: Settings, run: Owner, task_vars: dict[str, Any], alone: bool) -> None:
    """End what this run has left active in the group, when no instance can come to it any more.

    :param task_vars: the variables of a task of the play.
    :param alone: the hosts of the play do not wait for each other.
    :raises PreflightError: instances of the play are still on their way to it.
    """
    earlier = _deployments_of_play(store, settings, run)
    if earlier and alone:
        raise PreflightError(
            f"this play comes a second time to the deployment group {settings.deployment_group_name}, after "
            f"{earlier[-1].deployment_id}; its hosts do not wait for each other, so that some may still be on their "
            "way to the first deployment: use strategy linear, or a play of its own for the second"
        )
    active = active_deployment(store, settings.deployment_group_id)
    if active is None or not same_controller(active.owner, run):
        return
    if active.owner == run:
        batch, there = set(task_vars.get("ansible_play_batch", ())), set(task_vars.get("ansible_play_hosts", ()))
        pending = [target.target_id for target in get_targets(store, active.deployment_id, ["Pending"])]
        coming = [name for name in pending if name in there - batch]
        if coming:
            raise PreflightError(
                f"the deployment {active.deployment_id} of this play to the group {settings.deployment_group_name} "
                f"waits for {', '.join(coming)} of later batches, so that no second one can begin: leave serial out, "
                "or take a play of its own for the second"
            )
    conclude(store, active.deployment_id)


def _deployments_of_play(store: Store, settings: Settings, run: Owner) -> list[Deployment]:
    newest = list_deployments(
        store, deployment_group_id=settings.deployment_group_id, limit=LOOK_BACK, with_order=False
    )
    return [deployment for deployment in reversed(newest) if deployment.owner == run]


class Notes:
    """What the tasks of one place in a play tell each other besides the record, for as long as this run lasts.

    :param invocation: the place.
    :param among: whom the notes are for of those that come to the place, as a host's name.
    """

    def __init__(self, invocation: str, among: str) -> None:
        name = hashlib.sha256(json.dumps([invocation, among]).encode("utf-8", "surrogatepass")).hexdigest()
        self._path = Path(constants.DEFAULT_LOCAL_TMP) / f"codedeploy-{name}.json"

    def read(self, name: str) -> Any:
        """Return what was noted, None when nothing was."""
        try:
            return json.loads(self._path.read_text(encoding="utf-8")).get(name)
        except FileNotFoundError:
            return None

    def write(self, name: str, value: Any) -> None:
        """Note something, in place of all that was noted before."""
        draft = self._path.with_suffix(f".{hashlib.sha256(repr(value).encode()).hexdigest()}")
        draft.write_text(json.dumps({name: value}), encoding="utf-8")
        draft.replace(self._path)
