# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the deploy playbook that a user or the system interrupts with a signal."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.record import deployments, events, statuses
from support.waiting import wait_until

DEPLOY = "agentless.codedeploy.deploy"
Fleets = Callable[..., LocalFleet]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_next_run_reconciles_and_offers_the_rollback(
    controller: Controller, local_fleet: Fleets, tmp_path: Path, number: signal.Signals
) -> None:
    fleet = local_fleet(2)
    started, release = tmp_path / "started", tmp_path / "release"
    hold = f"touch {started}; while [ ! -e {release} ]; do sleep 0.1; done"
    variables = {
        "deploy_group": "web",
        "deploy_revision": Application(tmp_path / "application", "1", AfterInstall=hold).folder,
        "deploy_poll_after": 0,
        "deploy_auto_rollback_configuration": {"events": ["DEPLOYMENT_FAILURE"]},
    }
    arguments = controller.playbook_arguments(DEPLOY, fleet.inventory(), **variables)
    running = controller.start("ansible-playbook", *arguments)
    wait_until(started.exists, "AfterInstall has begun", running)
    running.send_signal(number)
    running.communicate()
    assert running.returncode != 0
    shown = controller.run("ansible-playbook", "agentless.codedeploy.status").stdout
    assert "InProgress, left by its controller" in shown
    interrupted = deployments(controller)[0]["deploymentId"]
    release.touch()
    result = controller.playbook(DEPLOY, fleet.inventory(), **variables)
    assert result.rc == 0, str(result)
    assert f"{interrupted} had been left by its controller" in result.stdout
    output = " ".join((result.stdout + result.stderr).split())
    assert f"{interrupted} failed and was to be rolled back, but its run was interrupted before that." in output
    assert statuses(controller, interrupted) == {"web1": "Succeeded", "web2": "Skipped"}
    assert events(controller, interrupted, "web1")["ValidateService"]["status"] == "Succeeded"
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
