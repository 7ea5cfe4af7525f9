# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployment mode RESTART."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.applications import Application
from support.controller import Controller, Result
from support.dry_run import everything
from support.local_fleet import LocalFleet
from support.record import deployments, events

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import group_id_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

DEPLOY = "agentless.codedeploy.deploy"
SCRIPTS = ["ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]


def health(controller: Controller) -> dict[str, tuple[bool | None, str]]:
    """Return the health of the group's instances, their own and that of what they run."""
    store = open_store(str(controller.store))
    group = get_group(store, group_id_of("web", "web"))
    store.close()
    assert group is not None
    return dict(group.instances)


def test_restart(controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path) -> None:
    fleet = local_fleet(1)
    inventory, trace = fleet.inventory(), tmp_path / "trace"

    def restart(**variables: object) -> Result:
        given = {"deploy_group": "web", "deploy_deployment_mode": "RESTART", **variables}
        return controller.playbook(DEPLOY, inventory, **given)

    nothing = restart()
    assert nothing.rc == 2
    assert "no deployment of the group has succeeded" in " ".join((nothing.stdout + nothing.stderr).split())
    note = f'echo "$LIFECYCLE_EVENT" >> {trace}'
    folder = Application(tmp_path / "one", "1", **dict.fromkeys(SCRIPTS, note)).folder
    first = controller.playbook(
        DEPLOY, inventory, deploy_group="web", deploy_revision=folder, deploy_file_exists_behavior="OVERWRITE"
    )
    assert first.rc == 0, str(first)
    trace.unlink()
    refused = restart(deploy_revision=folder)
    assert refused.rc == 2
    assert "a restart has no revision of its own" in " ".join((refused.stdout + refused.stderr).split())
    result = restart()
    assert result.rc == 0, str(result)
    assert trace.read_text().split() == ["ApplicationStop", "ApplicationStart", "ValidateService"]
    newest = deployments(controller)[0]
    assert (newest["status"], newest["fileExistsBehavior"]) == ("Succeeded", "OVERWRITE")
    recorded = events(controller, newest["deploymentId"], "web1")
    assert {name: event["status"] for name, event in recorded.items()} == dict.fromkeys(
        trace.read_text().split(), "Succeeded"
    )


def test_what_would_be_restarted(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    """One instance has another revision than the group: its own scripts are run, and the record knows that after it."""
    fleet = local_fleet(3)
    inventory, trace = fleet.inventory(), tmp_path / "trace"

    def run(*arguments: str, **variables: object) -> Result:
        return controller.playbook(DEPLOY, inventory, *arguments, deploy_group="web", **variables)

    one = Application(tmp_path / "one", "1", ApplicationStart=f"echo one >> {trace}").folder
    two = Application(tmp_path / "two", "2", ApplicationStop=f"echo two >> {trace}").folder
    assert run(deploy_revision=one).rc == 0
    assert run("--limit", "web2", deploy_revision=two).rc == 0
    second, first = (found["deploymentId"] for found in deployments(controller))
    trace.unlink()
    places = [fleet.directory / name for name in fleet.names]
    before = everything(*places)
    result = run("--check", deploy_deployment_mode="RESTART")
    assert result.rc == 0, str(result)
    lines = [line.strip() for line in result.stdout.splitlines()]
    order = "check mode: would restart the application on 3 instances, at most 1 at a time, in this order: "
    (line,) = [line for line in lines if line.startswith(order)]
    # What the last deployment did not bring is restarted first.
    assert line.removeprefix(order).split(", ")[0] == "web2"
    assert f"hook ApplicationStart: scripts/ApplicationStart.sh (of {first})" in lines
    assert f"hook ApplicationStop: scripts/ApplicationStop.sh (of {second})" in lines
    assert "web2: 1 hook" in lines
    plan = controller.playbook(
        "agentless.codedeploy.plan", inventory, deploy_group="web", deploy_deployment_mode="RESTART"
    )
    assert plan.rc == 0, str(plan)
    assert f"hook ApplicationStop: scripts/ApplicationStop.sh (of {second})" in plan.stdout
    assert everything(*places) == before
    assert not trace.exists()
    assert len(deployments(controller)) == 2
    done = run(deploy_deployment_mode="RESTART")
    assert done.rc == 0, str(done)
    assert sorted(trace.read_text().split()) == ["one", "one", "two"]
    assert health(controller) == {"web1": (True, "Current"), "web2": (True, "Old"), "web3": (True, "Current")}
    refused = run(deploy_deployment_mode="RESTART", deploy_application_stop="skip")
    assert refused.rc == 2
    assert "deploy_application_stop: a restart has no new revision" in " ".join(refused.stdout.split())


def test_a_restart_that_failed_is_gone_on_with(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    fleet = local_fleet(1)
    broken, trace = tmp_path / "broken", tmp_path / "trace"
    script = f'echo "$LIFECYCLE_EVENT" >> {trace}; [ ! -e {broken} ]'
    folder = Application(tmp_path / "one", "1", BeforeInstall=script, ApplicationStart=script).folder

    def run(*arguments: str, **variables: object) -> Result:
        return controller.playbook(DEPLOY, fleet.inventory(), *arguments, deploy_group="web", **variables)

    assert run(deploy_revision=folder).rc == 0
    broken.touch()
    trace.unlink()
    assert run(deploy_deployment_mode="RESTART").rc == 2
    assert health(controller) == {"web1": (False, "Current")}
    broken.unlink()
    resumed = run(deploy_resume=True)
    assert resumed.rc == 0, str(resumed)
    assert trace.read_text().split() == ["ApplicationStart", "ApplicationStart"]
    assert health(controller) == {"web1": (True, "Current")}
    # A deployment of a revision that failed is not gone on with as a restart.
    bad = Application(tmp_path / "two", "2", AfterInstall="exit 1").folder
    assert run(deploy_revision=bad).rc == 2
    mixed = run(deploy_resume=True, deploy_deployment_mode="RESTART")
    assert mixed.rc == 2
    assert "was no restart, and goes on as it began" in " ".join(mixed.stdout.split())
    # What is installed after a failure is not what is known to work.
    assert run(deploy_deployment_mode="RESTART").rc == 0
    assert health(controller) == {"web1": (False, "Current")}
