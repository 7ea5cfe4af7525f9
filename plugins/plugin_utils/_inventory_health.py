# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the record of deployments knows of the health of instances, for the inventory."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_definition import GroupDefinition
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    InstanceHealth,
    RevisionHealth,
    deployment_order,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

GroupHealth = dict[str, tuple[bool | None, RevisionHealth]]


def read_health(location: str | None, groups: Sequence[GroupDefinition]) -> dict[str, GroupHealth]:
    """Read the health of the instances of all groups. A record that does not exist is not made.

    :param location: of the record, None for the usual one.
    :returns: by the group's Ansible name, and the host's: whether it is healthy (None: not known), and its revision.
    :raises StoreError: when the record cannot be read.
    """
    store = open_store(location)
    # A location that is no file is a database server's.
    if "://" not in store.location and not os.path.exists(store.location):
        return {}
    try:
        known = {group.name: get_group(store, group.deployment_group_id) for group in groups}
    finally:
        store.close()
    return {name: group.instances for name, group in known.items() if group is not None}


def ordered(hosts: Iterable[str], health: GroupHealth) -> list[str]:
    """Return hosts in the order in which CodeDeploy deploys to them, each once; where that is alike, by name."""
    names = sorted(set(hosts))
    return deployment_order([InstanceHealth(name, *health.get(name, (None, "Unknown"))) for name in names])


def health_variable(
    groups: Sequence[GroupDefinition], health: dict[str, GroupHealth], hosts: Container[str]
) -> dict[str, dict[str, Any]]:
    """Return the variable C(codedeploy_health) of each host: C(healthy) and C(revision) by the group's name."""
    found: dict[str, dict[str, Any]] = {}
    for group in groups:
        for name, (healthy, revision) in health.get(group.name, {}).items():
            if name in hosts:
                found.setdefault(name, {})[group.name] = {"healthy": healthy, "revision": revision}
    return found
