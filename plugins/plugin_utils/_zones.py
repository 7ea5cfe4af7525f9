# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Zones of a deployment with a zonal configuration: which there are, in which order, and what a play must be like.

Pure: no input or output. The rules of one zone are those of a whole group, in ``_ledger``.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import HealthConstraintsInvalid, InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import (
    DeploymentConfig,
    minimum_healthy_hosts,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import (
    Candidate,
    Decision,
    LedgerState,
    Verdict,
    decide,
    too_few_healthy,
    too_many_failed,
)

ZONE_VARIABLE = "deploy_zone"


@dataclasses.dataclass(frozen=True)
class Zone:
    """One zone.

    :param total: instances of the whole deployment group that are in it.
    :param minimum_healthy: how many of them must stay healthy.
    :param monitor_seconds: how long it bakes before the next zone is begun.
    """

    name: str
    total: int
    minimum_healthy: int
    monitor_seconds: int

    @property
    def window(self) -> int:
        """The number of its instances that may be out of service at any time."""
        return self.total - self.minimum_healthy


def zones_of(config: DeploymentConfig, zone_of: t.Mapping[str, str], order: t.Sequence[str]) -> list[Zone]:
    """Return the zones of a deployment group.

    :param zone_of: instance -> zone, of the whole group.
    :param order: the zones in the order in which they are deployed to.
    :returns: none without a zonal configuration.
    :raises HealthConstraintsInvalid: as many instances of a zone would have to stay healthy as it has.
    """
    zonal = config.zonal
    if zonal is None:
        return []
    zones: list[Zone] = []
    of_a_zone = DeploymentConfig(config.name, zonal.type, zonal.value)
    for position, name in enumerate(order):
        total = sum(zone == name for zone in zone_of.values())
        try:
            minimum = minimum_healthy_hosts(of_a_zone, total)
        except HealthConstraintsInvalid as error:
            raise HealthConstraintsInvalid(f"zone {name}, minimum_healthy_hosts_per_zone: {error.message}") from error
        seconds = zonal.monitor_seconds if position else zonal.first_zone_monitor_seconds
        zones.append(Zone(name, total, minimum, seconds))
    return zones


def order_of_zones(
    zone_of: t.Mapping[str, str], hosts: t.Sequence[str], batches: t.Sequence[t.Sequence[str]]
) -> list[str]:
    """Return the order of the zones in a play of somebody's own: that in which it comes to them.

    :param hosts: the deployment's instances.
    :param batches: the hosts of the play as C(serial) splits them.
    :raises InvalidInput: a batch has hosts of several zones, or a zone's hosts are not one after the other.
    """
    order: list[str] = []
    taking_part = set(hosts)
    for batch in batches:
        names = list(dict.fromkeys(zone_of[host] for host in batch if host in taking_part))
        if len(names) > 1 or (names and names[0] in order[:-1]):
            raise InvalidInput(
                f"zonal_config: this play does not come to one zone after the other: a batch has {', '.join(names)}. "
                "Let serial and the order of the hosts give each batch hosts of one zone, and all of a zone one after "
                "the other, or use the playbook agentless.codedeploy.deploy, which does so.",
                "InvalidZonalDeploymentConfiguration",
            )
        order += [name for name in names if name not in order]
    return order


def serial_of_zones(
    zones: t.Sequence[Zone], instances: t.Mapping[str, int], window: int, in_batches: bool
) -> list[int]:
    """Return C(serial) for a play that comes to one zone after the other.

    :param instances: zone -> how many instances of it the deployment has.
    :param window: how many of the whole group may be out of service at once.
    :param in_batches: whether a zone is deployed to in batches, too.
    """
    serial: list[int] = []
    for zone in zones:
        left = instances.get(zone.name, 0)
        size = min(window, zone.window) if in_batches else left
        while left > 0:
            serial.append(min(size, left))
            left -= serial[-1]
    return serial or [1]


def decide_in_zone(whole: Decision, zone: LedgerState, name: str, instance: Candidate) -> Decision:
    """May a pending instance of the zone that is deployed to start, when the rule of the whole group has answered?"""
    own = decide(zone, instance)
    own = dataclasses.replace(own, reason=f"Zone {name}: {own.reason}")
    if "stop" in (whole.action, own.action):
        return whole if whole.action == "stop" else own
    return whole if whole.action == "wait" else own


def zone_verdict(zone: LedgerState, name: str) -> Verdict | None:
    """Fail the deployment when a zone has come below its minimum; so the other zones are not begun.

    :returns: None when the zone does not decide.
    """
    reason = None
    if zone.in_progress:
        return None
    if zone.failed > zone.window or (zone.pending and zone.failed >= zone.window):
        reason = too_many_failed(zone)
    elif zone.pending and not zone.unhealthy_pending and zone.healthy_available - 1 < zone.minimum_healthy:
        reason = too_few_healthy(zone)
    return Verdict("Failed", "HEALTH_CONSTRAINTS", f"Zone {name}: {reason}") if reason else None
