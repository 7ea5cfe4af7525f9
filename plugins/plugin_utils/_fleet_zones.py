# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The zones of a play's hosts, for deployments with a zonal configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.helpers import pct_to_int

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Fleet
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import deployment_config
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._role_invocation import is_whole_role
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import play_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import ZONE_VARIABLE, order_of_zones


def with_zones(fleet: Fleet, config: Any, action: ActionBase, task_vars: dict[str, Any]) -> Fleet:
    """Return the fleet with its zones when the configuration is a zonal one, else as it is.

    In a play of somebody's own the zones come in the play's order, else by name.

    :param config: as C(deployment_config) takes it; a wrong one is left to others to report.
    :raises PreflightError: a host has no C(deploy_zone).
    :raises InvalidInput: a play of somebody's own does not come to one zone after the other.
    """
    try:
        if deployment_config(config).zonal is None:
            return fleet
    except CodeDeployError:
        return fleet
    zone_of = {name: str(task_vars["hostvars"][name].get(ZONE_VARIABLE) or "") for name in fleet.instances}
    missing = [name for name, zone in zone_of.items() if not zone]
    if missing:
        raise PreflightError(
            f"{ZONE_VARIABLE} is not set for {', '.join(missing)}: a zonal configuration needs it of each instance"
        )
    if is_whole_role(action):
        batches = _batches(getattr(play_of(action), "serial", None) or [-1], task_vars["ansible_play_hosts_all"])
        order = order_of_zones(zone_of, fleet.chosen, batches)
    else:
        order = sorted({zone_of[name] for name in fleet.chosen})
    return dataclasses.replace(fleet, zone_of=zone_of, zone_order=order)


def _batches(serial: Sequence[Any], hosts: Sequence[str]) -> list[list[str]]:
    """Split hosts as Ansible does: the last value of C(serial) counts for all that follow, 0 and less for the rest."""
    sizes, left, batches = list(serial), [str(host) for host in hosts], []
    while left:
        size = pct_to_int(sizes[0], len(hosts))
        size = size if size > 0 else len(left)
        batches.append(left[:size])
        left = left[size:]
        sizes = sizes[1:] or sizes
    return batches
