# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment is to be, before it is checked: what a run asked for, or what is left of a former deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Fleet, Prepared, fleet_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import Settings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._fleet_zones import with_zones
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._foreseen_group import ForeseenGroup, foresee_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._plan import (
    plan_of_preparation,
    unfinished_before,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._restart import is_restart, restart
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._resume import Resumption, resume
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._rollback import perhaps_running
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


@dataclass(frozen=True)
class Intention:
    """A deployment that is to be made.

    :param only: the instances that are left of the former deployment, None without one.
    :param unfinished: those on which something may still run of it, with its id.
    """

    settings: Settings
    fleet: Fleet
    only: list[str] | None
    unfinished: dict[str, str]
    resumption: Resumption | None

    @property
    def chosen(self) -> list[str]:
        """The instances that it may deploy to."""
        return self.fleet.chosen if self.only is None else self.only


def intend(
    store: Store, arguments: Mapping[str, Any], settings: Settings, action: ActionBase, task_vars: dict[str, Any]
) -> Intention:
    """Return what a run of the module M(agentless.codedeploy.deployment) is to deploy, and where.

    :param settings: made of the arguments.
    :raises PreflightError: the play's hosts are not of the group, or there is nothing to resume or to restart.
    """
    fleet = fleet_of(settings.group, task_vars["groups"], task_vars["ansible_play_hosts_all"])
    resumption, only, unfinished = None, None, {}
    if arguments["resume"]:
        resumption = resume(store, arguments, settings, fleet)
        settings, fleet, only = resumption.settings, resumption.fleet, resumption.instances
        unfinished = perhaps_running(store, resumption.former)
    elif is_restart(settings.recorded):
        settings = restart(store, settings)
    fleet = with_zones(fleet, settings.config, action, task_vars)
    return Intention(settings, fleet, only, unfinished, resumption)


def foresee(
    store: Store, prepared: Prepared, intention: Intention, owner: Owner
) -> tuple[ForeseenGroup, dict[str, Any]]:
    """Return the group as it would be found by a deployment that is not recorded, and the plan that this would have.

    :param prepared: one without a revision can be planned as well.
    :param owner: who would create it.
    """
    settings, revision = prepared.settings, prepared.revision
    record = revision.as_record() if revision else None
    foreseen = foresee_group(store, settings.deployment_group_id, record, owner)
    unfinished = {**intention.unfinished, **unfinished_before(store, settings.deployment_group_id)}
    fleet = prepared.fleet if intention.only is None else replace(prepared.fleet, limited_to=intention.only)
    return foreseen, plan_of_preparation(replace(prepared, fleet=fleet), foreseen, unfinished)
