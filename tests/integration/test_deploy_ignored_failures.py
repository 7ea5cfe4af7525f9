# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ignore_application_stop_failures behind a load balancer: the three events that it is about, and no other one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_targets, list_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

OF_THE_FORMER = ["BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop"]


def test_the_three_events(controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path) -> None:
    orders, broken = tmp_path / "orders", tmp_path / "broken"
    program = tmp_path / "balancer"
    program.write_text(f'#!/bin/sh\necho "$1" >> {orders}\n')
    program.chmod(0o755)
    balancer = {"provider": "command", "block": [str(program), "block"], "allow": [str(program), "allow"]}
    fleet = local_fleet(1, deploy_traffic=[balancer])
    store = open_store(str(controller.store))

    def deploy(version: str, ignore: bool) -> tuple[int, dict[str, str], str]:
        """Deploy; returns the exit status, the states of the events that are no success, and the output."""
        scripts = dict.fromkeys(OF_THE_FORMER, "exit 1")
        folder = Application(tmp_path / version, version, BeforeAllowTraffic=f"[ ! -e {broken} ]", **scripts).folder
        result = controller.playbook(
            "agentless.codedeploy.deploy",
            fleet.inventory(),
            deploy_group="web",
            deploy_revision=folder,
            deploy_ignore_application_stop_failures=ignore,
        )
        (target,) = get_targets(store, list_deployments(store)[0].deployment_id)
        states = {event["lifecycle_event_name"]: event["status"] for event in target.lifecycle_events}
        assert len(states) == 13
        return result.rc, {name: state for name, state in states.items() if state != "Succeeded"}, str(result)

    # The first one has no revision before it.
    code, others, output = deploy("1", ignore=False)
    assert (code, others) == (0, {}), output
    code, others, output = deploy("2", ignore=True)
    assert (code, others) == (0, dict.fromkeys(OF_THE_FORMER, "Failed")), output
    assert "ApplicationStop: ScriptFailed scripts/ApplicationStop.sh (ignored)" in output
    assert installed_version(fleet.files("web1")) == "2"
    assert orders.read_text().split() == ["block", "allow"] * 2
    code, others, output = deploy("3", ignore=False)
    assert (code, others.pop("BeforeBlockTraffic")) == (2, "Failed"), output
    assert set(others.values()) == {"Skipped"}
    assert orders.read_text().split() == ["block", "allow"] * 2
    broken.touch()
    code, others, output = deploy("3", ignore=True)
    failed = dict.fromkeys([*OF_THE_FORMER, "BeforeAllowTraffic"], "Failed")
    skipped = dict.fromkeys(["AllowTraffic", "AfterAllowTraffic"], "Skipped")
    assert (code, others) == (2, {**failed, **skipped}), output
    assert "BeforeAllowTraffic: ScriptFailed scripts/BeforeAllowTraffic.sh\n" in output
    # What fails after BlockTraffic stays out of service, as with CodeDeploy.
    assert orders.read_text().split() == ["block", "allow"] * 2 + ["block"]
    store.close()
