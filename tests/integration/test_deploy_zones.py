# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zonal configurations with the deploy playbook, and with the role in a play of somebody's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.applications import Application
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.record import deployments, statuses

Fleets = Callable[..., LocalFleet]
ZONES = {"web1": "b", "web2": "a", "web3": "b", "web4": "a"}
ZONAL = {
    "deployment_config_name": "ZoneByZone",
    "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 2},
    "zonal_config": {"first_zone_monitor_duration_in_seconds": 1},
}


@pytest.fixture
def fleet(local_fleet: Fleets) -> LocalFleet:
    made = local_fleet(4)
    for name, zone in ZONES.items():
        made.host_variables[name]["deploy_zone"] = zone
    return made


def application(folder: Path, trace: Path) -> Path:
    """Make a revision whose script writes the instance's name."""
    script = f'basename "$(dirname "$DESTINATION_ROOT")" >> {trace}'
    return Application(folder, "1", ApplicationStart=script).folder


def play(folder: Path, **more: Any) -> Path:
    """Write a playbook of somebody's own with the role."""
    path = folder / "site.yml"
    role = {"role": "agentless.codedeploy.deploy", "deploy_application": "HollowWeb", "deploy_config": ZONAL}
    path.write_text(yaml.safe_dump([{"gather_facts": False, "hosts": "web", **more, "roles": [role]}], sort_keys=False))
    return path


@pytest.mark.parametrize("rollout", ["window", "batches"])
def test_one_zone_after_the_other(controller: Controller, fleet: LocalFleet, tmp_path: Path, rollout: str) -> None:
    trace = tmp_path / "trace"
    revision = application(tmp_path / "revision", trace)
    result = controller.playbook(
        "agentless.codedeploy.deploy",
        fleet.inventory(),
        deploy_group="web",
        deploy_revision=revision,
        deploy_config=ZONAL,
        deploy_rollout=rollout,
    )
    assert result.rc == 0, str(result)
    assert "a (at most 2 at a time, bakes 1 s), then b (at most 2 at a time)" in result.stdout
    done = trace.read_text().split()
    assert (set(done[:2]), set(done[2:])) == ({"web2", "web4"}, {"web1", "web3"})
    (deployment,) = deployments(controller)
    assert deployment["status"] == "Succeeded"


def test_a_host_without_a_zone_is_refused(controller: Controller, fleet: LocalFleet, tmp_path: Path) -> None:
    del fleet.host_variables["web3"]["deploy_zone"]
    revision = application(tmp_path / "revision", tmp_path / "trace")
    variables = {"deploy_group": "web", "deploy_revision": revision, "deploy_config": ZONAL}
    result = controller.playbook("agentless.codedeploy.deploy", fleet.inventory(), **variables)
    assert result.rc == 2, str(result)
    assert "deploy_zone is not set for web3" in result.stdout + result.stderr
    assert deployments(controller) == []


def test_a_play_of_somebodys_own(controller: Controller, fleet: LocalFleet, tmp_path: Path) -> None:
    """An instance that fails in the play's own tasks is one that failed, so that its zone does not hold up the next."""
    for name, zone in zip(fleet.names, "aabb", strict=True):
        fleet.host_variables[name]["deploy_zone"] = zone
    trace = tmp_path / "trace"
    revision = application(tmp_path / "revision", trace)
    fail = {"ansible.builtin.fail": {}, "when": "inventory_hostname == 'web2'"}
    site = play(tmp_path, serial=2, pre_tasks=[fail])
    result = controller.playbook(site, fleet.inventory(), deploy_revision=revision)
    assert result.rc == 2, str(result)
    done = trace.read_text().split()
    assert (done[:1], set(done[1:])) == (["web1"], {"web3", "web4"})
    (deployment,) = deployments(controller)
    ended = statuses(controller, deployment["deploymentId"])
    assert ended == {"web1": "Succeeded", "web2": "Failed", "web3": "Succeeded", "web4": "Succeeded"}, str(result)
    assert deployment["status"] == "Succeeded"


def test_a_play_that_mixes_zones_is_refused(controller: Controller, fleet: LocalFleet, tmp_path: Path) -> None:
    revision = application(tmp_path / "revision", tmp_path / "trace")
    result = controller.playbook(play(tmp_path), fleet.inventory(), deploy_revision=revision)
    assert result.rc == 2, str(result)
    assert "does not come to one zone after the other: a batch has b, a." in json.dumps(result.stdout + result.stderr)
    assert deployments(controller) == []
