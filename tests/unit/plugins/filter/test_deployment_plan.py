# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and serial of the deploy playbook's plays."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.agentless.codedeploy.plugins.filter.deployment_plan import deployment_plan

GROUPS = {"all": ["a", "b", "c"], "web": ["a", "b", "c"], "empty": [], "ungrouped": []}


def test_without_a_plan_all_hosts_at_once() -> None:
    assert deployment_plan("web", GROUPS) == {"hosts": ["a", "b", "c"], "serial": [3]}


def test_order_of_the_plan_comes_first_and_nobody_is_lost() -> None:
    created: dict[str, Any] = {"deploy_created": {"plan": {"order": ["c", "gone", "a"], "serial": [2]}}}
    assert deployment_plan("web", GROUPS, {"b": created}) == {"hosts": ["c", "a", "b"], "serial": [2]}


class CountedName(str):
    """A host's name that counts how often it is looked up."""

    lookups = 0

    def __hash__(self) -> int:
        CountedName.lookups += 1
        return super().__hash__()


def test_a_large_group_is_looked_through_once() -> None:
    hosts = [CountedName(f"web{number}") for number in range(500)]
    created: dict[str, Any] = {"deploy_created": {"plan": {"order": hosts[::-1], "serial": [500]}}}
    assert deployment_plan("web", {"web": list(hosts)}, {hosts[0]: created})["hosts"] == hosts[::-1]
    assert CountedName.lookups < 10 * len(hosts)


@pytest.mark.parametrize(
    ("group", "message"),
    [("", "deploy_group is not set"), ("wbe", "no group wbe; .*: web$"), ("empty", "the group empty has no hosts")],
)
def test_no_such_group(group: str, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        deployment_plan(group, GROUPS)


def test_names_that_a_play_cannot_list() -> None:
    with pytest.raises(AnsibleFilterError, match="in the group web the name of 'a b', 'c,d' has a blank or a comma"):
        deployment_plan("web", {"web": ["a b", "c,d", "e-f.example.com", "fe80::1"]})
