# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment group as a deployment would find it that is only planned."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_ending import (
    abandon_if_dead,
    active_row,
    dead_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import instances_with, read_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, Transaction


@dataclass(frozen=True)
class ForeseenGroup:
    """A group when what a dead controller has left active was ended.

    :param group: None when nothing was ever deployed to it.
    :param up_to_date: its instances that are healthy and run the revision that is to be deployed.
    """

    group: Group | None
    up_to_date: frozenset[str] = frozenset()


class _Undone(Exception):
    """Ends a transaction that is to leave nothing behind."""


def foresee_group(
    store: Store,
    deployment_group_id: str,
    revision: Mapping[str, Any] | None,
    owner: Owner,
) -> ForeseenGroup:
    """Return what create_deployment() would find, and change nothing.

    To create a deployment ends the one of a dead controller, which makes instances unhealthy and by that changes the
    order. So it is ended here as well, by the same statements, in a transaction that is undone.

    :param revision: record of what is to be deployed; None when that is not known.
    :param owner: who would create the deployment.
    """
    if dead_deployment(store, deployment_group_id) is None:
        with store.reading() as tx:
            return _read(tx, deployment_group_id, revision)
    foreseen = ForeseenGroup(None)
    with contextlib.suppress(_Undone), store.transaction() as tx:
        row = active_row(tx, deployment_group_id)
        if row is not None:
            abandon_if_dead(tx, row, owner)
        foreseen = _read(tx, deployment_group_id, revision)
        raise _Undone
    return foreseen


def _read(tx: Transaction, deployment_group_id: str, revision: Mapping[str, Any] | None) -> ForeseenGroup:
    group = read_group(tx, deployment_group_id)
    if revision is None:
        return ForeseenGroup(group)
    return ForeseenGroup(group, frozenset(instances_with(tx, deployment_group_id, revision)))
