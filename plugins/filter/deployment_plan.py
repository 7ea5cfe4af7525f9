# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts a play of the deploy playbook is for, in which order and how many at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible import context
from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

APART = re.compile(r"[\s,]")
LISTINGS = ("syntax", "listhosts", "listtasks", "listtags")
NOBODY = ["deploy_group_is_not_set"]
# Matches no host, without the warning that a name which is not in the inventory gives.
NOTHING = ["all", "!all"]


def deployment_plan(
    group: Any, groups: Mapping[str, list[str]], hostvars: Any = None, created: str = "deploy_created"
) -> dict[str, list[Any]]:
    """Return C(hosts) and C(serial) of a play.

    :param group: name of an Ansible group.
    :param groups: Ansible's C(groups).
    :param hostvars: Ansible's C(hostvars); the play that creates the deployment registers its plan there.
    :param created: name of the registered variable; of any but C(deploy_created) only the plan's own hosts count.
    :raises AnsibleFilterError: when the group is not named, unknown or empty.
    """
    name = str(group or "")
    hosts = list(groups.get(name) or [])
    if not hosts:
        if any(context.CLIARGS.get(listing) for listing in LISTINGS):
            return {"hosts": NOBODY, "serial": [1]}
        raise AnsibleFilterError(_complaint(name, groups))
    _check_names(name, hosts)
    _check_limit(name, groups)
    plan = _registered_plan(hosts, hostvars or {}, created)
    members = set(hosts)
    order = [host for host in plan.get("order", ()) if host in members]
    if created != "deploy_created":
        return {"hosts": order or NOTHING, "serial": list(plan.get("serial") or [1])}
    planned = set(order)
    rest = [host for host in hosts if host not in planned]
    return {"hosts": order + rest, "serial": list(plan.get("serial") or [len(hosts)])}


def _registered_plan(hosts: list[str], hostvars: Any, name: str) -> Mapping[str, Any]:
    for host in hosts:
        if host in hostvars:
            created = hostvars[host].get(name)
            if created and created.get("plan"):
                return created["plan"]
    return {}


def _check_limit(group: str, groups: Mapping[str, list[str]]) -> None:
    """Refuse a limit that leaves nothing of the group: Ansible would skip every play and call that a success."""
    limit = context.CLIARGS.get("subset")
    if not limit:
        return
    inventory = InventoryManager(DataLoader(), parse=False)
    for name, hosts in groups.items():
        inventory.add_group(name)
        for host in hosts:
            inventory.add_host(host, group=name)
    inventory.subset(limit)
    if not inventory.get_hosts(group):
        raise AnsibleFilterError(
            f"--limit {limit} leaves no host of the group {group}; limit to some of its hosts, or not"
        )


def _check_names(group: str, hosts: list[str]) -> None:
    """Refuse names that a play's hosts cannot list: Ansible would take them apart, and leave the host out."""
    apart = [host for host in hosts if APART.search(host)]
    if apart:
        raise AnsibleFilterError(
            f"deploy_group: in the group {group} the name of {', '.join(map(repr, apart))} has a blank or a comma; "
            "give the host another name, and this one as its ansible_host"
        )


def _complaint(name: str, groups: Mapping[str, list[str]]) -> str:
    known = sorted(group for group, hosts in groups.items() if hosts and group not in ("all", "ungrouped"))
    choice = f"groups of this inventory: {', '.join(known)}" if known else "the inventory has no group with hosts (-i)"
    if not name:
        return f"deploy_group is not set: pass -e deploy_group=NAME, the group to deploy to; {choice}"
    if name in groups:
        return f"deploy_group: the group {name} has no hosts; {choice}"
    return f"deploy_group: the inventory has no group {name}; {choice}"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Return them by name."""
        return {"deployment_plan": deployment_plan}
