# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays of other people in which not every instance arrives at the deployment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.record import deployments, statuses
from support.waiting import wait_until

Fleets = Callable[..., LocalFleet]
ROLE = "agentless.codedeploy.deploy"
CONCLUDE = {"ansible.builtin.import_role": {"name": ROLE, "tasks_from": "conclude"}}


def playbook(path: Path, *plays: dict[str, object]) -> Path:
    """Write a playbook."""
    path.write_text(yaml.safe_dump(list(plays), sort_keys=False))
    return path


def deploying(failing: str, **more: object) -> dict[str, object]:
    """A play that deploys, with a task before on which some of the hosts fail."""
    fail = {"ansible.builtin.fail": {"msg": "own task"}, "when": f"inventory_hostname in {failing.split()}"}
    role = {"role": ROLE, "deploy_revision": "application", "deploy_config": "HalfAtATime"}
    return {"hosts": "web", "gather_facts": False, "pre_tasks": [fail], "roles": [role], **more}


CONCLUDING = {"hosts": "web", "gather_facts": False, "tasks": [CONCLUDE]}


def test_instances_that_never_arrive_have_failed(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(4)
    fleet.make_unreachable("web3")
    Application(tmp_path / "application", "1")
    plays = deploying("web1", serial=2, gather_facts=True, gather_subset=["!all"]), CONCLUDING
    result = controller.playbook(playbook(tmp_path / "site.yml", *plays), fleet.inventory())
    assert "Traceback" not in result.stdout + result.stderr
    (deployment,) = deployments(controller)
    found = statuses(controller, deployment["deploymentId"])
    assert found == {"web1": "Failed", "web2": "Succeeded", "web3": "Failed", "web4": "Succeeded"}
    assert deployment["status"] == "Succeeded", str(result)
    assert f"Deployment {deployment['deploymentId']}: Succeeded" in result.stdout
    # Ansible's own figure for a host that failed and one that was unreachable.
    assert result.rc in (2, 4), str(result)


def test_conclude_among_post_tasks_lets_other_batches_go_on(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    fleet = local_fleet(4)
    Application(tmp_path / "application", "1")
    play = deploying("web1 web4", serial=2, post_tasks=[CONCLUDE])
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    (deployment,) = deployments(controller)
    assert "goes on, with web3, web4" in result.stdout, str(result)
    assert deployment["status"] == "Succeeded", str(result)
    found = statuses(controller, deployment["deploymentId"])
    assert found == {"web1": "Failed", "web2": "Succeeded", "web3": "Succeeded", "web4": "Failed"}


@pytest.mark.parametrize("strategy", ["ansible.builtin.linear", "ansible.builtin.free"])
def test_conclude_with_too_many_missing(
    controller: Controller, local_fleet: Fleets, tmp_path: Path, strategy: str
) -> None:
    fleet = local_fleet(4)
    Application(tmp_path / "application", "1")
    play = deploying("web1 web2 web3", strategy=strategy)
    result = controller.playbook(playbook(tmp_path / "site.yml", play, CONCLUDING), fleet.inventory())
    assert result.rc == 2, str(result)
    (deployment,) = deployments(controller)
    assert f"Deployment {deployment['deploymentId']} Failed: HEALTH_CONSTRAINTS" in " ".join(result.stdout.split())
    assert deployment["status"] == "Failed"
    # Two may be out of service: once two have failed, nothing more is started.
    found = sorted(statuses(controller, deployment["deploymentId"]).values())
    assert found == ["Failed", "Failed", "Skipped", "Succeeded"]


def test_play_that_ended_early(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(4)
    Application(tmp_path / "application", "1")
    site = playbook(tmp_path / "site.yml", deploying("web3 web4", serial=2), CONCLUDING)
    result = controller.playbook(site, fleet.inventory())
    assert result.rc == 2, str(result)
    (left,) = deployments(controller)
    assert left["status"] == "InProgress"
    alone = controller.playbook(playbook(tmp_path / "conclude.yml", CONCLUDING), fleet.inventory(), deploy_group="web")
    assert alone.rc == 0, str(alone)
    (ended,) = deployments(controller)
    assert ended["status"] == "Succeeded"
    assert list(statuses(controller, left["deploymentId"]).values()) == ["Succeeded", "Succeeded", "Failed", "Failed"]
    nothing = controller.playbook(tmp_path / "conclude.yml", fleet.inventory(), deploy_group="web")
    assert nothing.rc == 0, str(nothing)
    assert (
        "this run has made no deployment"
        in controller.playbook(tmp_path / "conclude.yml", fleet.inventory(), "-v").stdout
    )


def test_conclude_leaves_deployments_of_living_controllers_alone(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    fleet = local_fleet(2)
    release = tmp_path / "release"
    Application(tmp_path / "application", "1", BeforeInstall=f"while [ ! -e {release} ]; do sleep 0.1; done")
    site = playbook(tmp_path / "site.yml", deploying("nobody"))
    conclude = playbook(tmp_path / "conclude.yml", CONCLUDING)
    running = controller.start("ansible-playbook", *controller.playbook_arguments(str(site), fleet.inventory()))
    try:
        wait_until(lambda: deployments(controller), "the deployment is in the record", running)
        deployment_id = deployments(controller)[0]["deploymentId"]
        assert controller.playbook(conclude, fleet.inventory()).rc == 0
        one = {"agentless.codedeploy.deployment": {"state": "concluded", "deployment_id": deployment_id}}
        play = {**CONCLUDING, "tasks": [one]}
        refused = controller.playbook(playbook(tmp_path / "one.yml", play), fleet.inventory())
        assert refused.rc == 2, str(refused)
        assert "which lives: stop the deployment instead" in " ".join(refused.stdout.split())
    finally:
        release.touch()
        output = running.communicate()[0]
    assert running.returncode == 0, output
    assert deployments(controller)[0]["status"] == "Succeeded"
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
