# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plays of a deployment need to know: which instances, in which order, how many at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    dead_deployment,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    InstanceHealth,
    deployment_order,
    minimum_healthy_hosts,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Abandoned, Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import Zone, serial_of_zones, zones_of

if TYPE_CHECKING:
    from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Prepared
    from ansible_collections.agentless.codedeploy.plugins.plugin_utils._foreseen_group import ForeseenGroup

# Former deployments of a group that are looked through for unfinished instances.
LOOK_BACK = 5


def plan_of_deployment(deployment: Deployment, unfinished: dict[str, str]) -> dict[str, Any]:
    """Return the plan of a recorded deployment.

    :param unfinished: instance -> id of the former deployment that was at work there when its controller ended.
    :returns: C(order), C(window), C(serial), C(minimum_healthy_hosts), C(total), C(unfinished).
    """
    return {
        "order": deployment.order,
        "window": deployment.window,
        "serial": _serial(
            deployment.options.get("rollout", "window"),
            deployment.window,
            deployment.total,
            deployment.zones,
            deployment.zone_instances,
        ),
        "minimum_healthy_hosts": deployment.minimum_healthy_hosts,
        "total": deployment.total,
        "unfinished": unfinished,
    }


def plan_of_preparation(
    prepared: Prepared, foreseen: ForeseenGroup, unfinished: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Return the plan that a deployment would have that is not recorded (check mode).

    :param prepared: of one that is only planned, C(revision) may be None: then all of its instances count as outdated.
    :param unfinished: as of plan_of_deployment().
    """
    total = len(prepared.fleet.instances)
    known = foreseen.group.instances if foreseen.group else {}
    chosen = prepared.fleet.chosen
    if prepared.settings.update_outdated_instances_only:
        chosen = [name for name in chosen if name not in foreseen.up_to_date]
    minimum = minimum_healthy_hosts(prepared.config, total)
    order = deployment_order([InstanceHealth(name, *known.get(name, (None, "Unknown"))) for name in chosen])
    fleet, zones = prepared.fleet, []
    if prepared.config.zonal:
        zones = zones_of(prepared.config, fleet.zone_of, fleet.zone_order)
        order.sort(key=lambda name: fleet.zone_order.index(fleet.zone_of[name]))
    counts = Counter(fleet.zone_of[name] for name in order) if zones else {}
    return {
        "order": order,
        "window": total - minimum,
        "serial": _serial(prepared.settings.rollout, total - minimum, total, zones, counts),
        "minimum_healthy_hosts": minimum,
        "total": total,
        "unfinished": dict(unfinished),
    }


def unfinished_elsewhere(store: Store, deployment: Deployment) -> dict[str, str]:
    """Return which instances an earlier deployment of the group was at work on when its controller ended.

    :returns: instance -> that deployment's id; the newest one for each instance.
    """
    group_id = deployment.deployment_group_id
    formers = list_deployments(store, deployment_group_id=group_id, limit=LOOK_BACK, with_order=False)
    return _unfinished(store, [one for one in formers if one.deployment_id != deployment.deployment_id])


def unfinished_before(store: Store, deployment_group_id: str) -> dict[str, str]:
    """Return the same for a deployment that would be the group's next one."""
    # As many as unfinished_elsewhere() has looked at beside the deployment itself.
    formers = list_deployments(store, deployment_group_id=deployment_group_id, limit=LOOK_BACK - 1, with_order=False)
    return _unfinished(store, formers, dead_deployment(store, deployment_group_id))


def _unfinished(store: Store, formers: Sequence[Deployment], dead: Abandoned | None = None) -> dict[str, str]:
    # What is in work when its dead controller's deployment is ended becomes Unknown by that.
    unfinished = dict.fromkeys(dead.unfinished, dead.deployment_id) if dead else {}
    for former in formers:
        if former.complete_time is not None:
            for target in get_targets(store, former.deployment_id, ["Unknown"]):
                unfinished.setdefault(target.target_id, former.deployment_id)
    return unfinished


def _serial(rollout: str, window: int, total: int, zones: Sequence[Zone], instances: Mapping[str, int]) -> list[int]:
    if zones:
        return serial_of_zones(zones, instances, window, in_batches=rollout == "batches")
    return [window if rollout == "batches" else total]
