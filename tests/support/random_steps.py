# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Anything that controllers and workers may ask of the record, as chance has it."""

from __future__ import annotations

import random
from collections.abc import Callable

from support.deployments import GONE, GROUP_ID, install_event, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Owner,
    abandon,
    ask_to_start,
    conclude,
    create_deployment,
    finish_instance,
    list_deployments,
    record_event,
    stop_deployment,
    wait_for_group,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


def one_step(store: Store, chance: random.Random, me: Owner) -> None:
    """Do one thing that a controller or a worker may do, whether it is the time for it or not."""
    deployment_id = chance.choice(list_deployments(store, limit=3)).deployment_id
    instance = chance.choice("abcdef")
    status = chance.choice(["Succeeded", "Failed"])
    new = {"owner": chance.choice([me, GONE]), "rollback_of": chance.choice([None, deployment_id])}
    steps: list[Callable[[], object]] = [
        lambda: create_deployment(store, request("abcdef", "HalfAtATime", 2, **new)),
        lambda: wait_for_group(store, GROUP_ID, "production", me, 0),
        lambda: ask_to_start(store, deployment_id, instance),
        lambda: record_event(store, deployment_id, instance, install_event()),
        lambda: finish_instance(store, deployment_id, instance, status, [install_event()]),
        lambda: stop_deployment(store, deployment_id, me),
        lambda: conclude(store, deployment_id),
        lambda: abandon(store, deployment_id, me),
    ]
    chance.choice(steps)()
