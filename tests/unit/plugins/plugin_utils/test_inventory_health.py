# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory learns from the record of deployments."""

from __future__ import annotations

import pytest
from support.deployments import deploy, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_definition import read_groups
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._inventory_health import (
    health_variable,
    ordered,
    read_health,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store


@pytest.fixture
def groups():
    return read_groups("HollowWeb", [{"deployment_group_name": "production"}])


def test_hosts_are_in_the_order_of_deployments(groups, tmp_path):
    store = open_store(str(tmp_path / "deployments.sqlite"))
    own = {"deployment_group_id": groups[0].deployment_group_id}
    deploy(store, request("abcd", number=1, **own))
    deploy(store, request("ab", number=2, **own), failing="b")
    store.close()
    health = read_health(str(tmp_path / "deployments.sqlite"), groups)
    found = health["HollowWeb_production"]
    assert found["b"][0] is False
    assert ordered("edcba", found)[:2] == ["b", "e"]
    variable = health_variable(groups, health, {"a", "b"})
    assert set(variable) == {"a", "b"}
    assert variable["b"]["HollowWeb_production"]["healthy"] is False


def test_a_record_is_not_made_by_a_listing(groups, tmp_path):
    path = tmp_path / "deployments.sqlite"
    assert read_health(str(path), groups) == {}
    assert not path.exists()


def test_without_a_record_hosts_are_in_the_order_of_their_names():
    assert ordered(["web2", "web1", "web2"], {}) == ["web1", "web2"]
