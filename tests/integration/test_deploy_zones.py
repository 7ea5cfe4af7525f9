# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zonal configurations with the deploy playbook, and with the role in a play of somebody's own."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.alarms import alarm_configuration, put_alarm
from support.applications import Application, installed_version
from support.aws_server import AwsServer
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.record import deployments, statuses
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_targets, list_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import process_start
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

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


def test_an_alarm_and_a_stop_while_it_bakes(
    controller: Controller, local_fleet: Fleets, aws_server: AwsServer, tmp_path: Path
) -> None:
    fleet = local_fleet(2)
    for name, zone in zip(fleet.names, "ab", strict=True):
        fleet.host_variables[name]["deploy_zone"] = zone
    put_alarm(aws_server, "errors", "OK")
    controller.environment.update(aws_server.environment)
    one, two = (Application(tmp_path / version, version).folder for version in "12")
    first = controller.playbook(
        "agentless.codedeploy.deploy", fleet.inventory(), deploy_group="web", deploy_revision=one
    )
    assert first.rc == 0, str(first)
    arguments = controller.playbook_arguments(
        "agentless.codedeploy.deploy",
        fleet.inventory(),
        deploy_group="web",
        deploy_revision=two,
        deploy_config={
            "deployment_config_name": "ZoneByZone",
            "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 0},
            "zonal_config": {"monitor_duration_in_seconds": 36000},
        },
        deploy_alarm_configuration=alarm_configuration("errors"),
        deploy_alarm_poll_interval=0,
        deploy_auto_rollback_configuration={"events": ["DEPLOYMENT_STOP_ON_ALARM"]},
    )
    store = open_store(str(controller.store))

    def bakes(number: int) -> subprocess.Popen[str]:
        """Deploy, as the deployment of this number, up to where the first zone bakes."""
        running = controller.start("ansible-playbook", *arguments)
        wait_until(
            lambda: [one.status for one in list_deployments(store)[:-number]] == ["Baking"], "a zone bakes", running
        )
        return running

    running = bakes(1)
    put_alarm(aws_server, "errors", "ALARM")
    output = "".join(running.communicate())
    assert running.returncode == 2, output
    rollback, stopped, _first = list_deployments(store)
    assert (stopped.status, (stopped.error_information or {})["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert [target.status for target in get_targets(store, stopped.deployment_id)] == ["Succeeded", "Skipped"]
    assert (rollback.creator, rollback.status, rollback.order) == ("codeDeployRollback", "Succeeded", ["web1"])
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
    put_alarm(aws_server, "errors", "OK")
    running = bakes(3)
    result = controller.run("ansible-playbook", "agentless.codedeploy.stop", "-e", "deploy_group=web")
    assert result.rc == 0, str(result)
    output = "".join(running.communicate())
    assert running.returncode == 2, output
    stopped = list_deployments(store)[0]
    assert f"Deployment {stopped.deployment_id}: Stopped. No more lifecycle events will be started." in result.stdout
    assert (stopped.status, (stopped.error_information or {})["code"]) == ("Stopped", "MANUAL_STOP")
    assert [target.status for target in get_targets(store, stopped.deployment_id)] == ["Succeeded", "Skipped"]
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["2", "1"]
    store.close()


def children(parent: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
    return found


def test_killed_while_it_bakes(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    """What waits for the end of a zone's bake time begins nothing without its controller; a further run goes on."""
    fleet = local_fleet(2)
    for name, zone in zip(fleet.names, "ab", strict=True):
        fleet.host_variables[name]["deploy_zone"] = zone
    trace = tmp_path / "trace"
    application(tmp_path / "revision", trace)
    other = Application(tmp_path / "other", "2").folder
    store = open_store(str(controller.store))
    given = {
        "deploy_group": "web",
        "deploy_config": {
            "deployment_config_name": "ZoneByZone",
            "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 0},
            "zonal_config": {"monitor_duration_in_seconds": 36000},
        },
    }

    def killed(revision: Path) -> str:
        """Deploy, and be killed while the first zone bakes and the second one waits for it; returns its id."""
        arguments = controller.playbook_arguments(
            "agentless.codedeploy.deploy", fleet.inventory(), **given, deploy_revision=revision
        )
        running = controller.start("ansible-playbook", *arguments)

        def waits() -> bool:
            with store.reading() as tx:
                return bool(
                    tx.rows(
                        "SELECT 1 FROM deployments JOIN targets ON targets.deployment_id = deployments.deployment_id"
                        " WHERE deployments.status = 'Baking' AND complete_time IS NULL AND targets.asked_time > 0"
                        " AND targets.status = 'Pending'"
                    )
                )

        wait_until(waits, "the second zone waits while the first one bakes", running)
        workers = [(pid, process_start(pid)) for pid in children(running.pid)]
        assert workers
        running.kill()
        running.communicate()
        wait_until(lambda: all(process_start(pid) != start for pid, start in workers), "its processes have ended")
        return list_deployments(store)[0].deployment_id

    left = killed(tmp_path / "revision")
    shown = controller.run("ansible-playbook", "agentless.codedeploy.status", "-e", f"deployment_id={left}")
    assert "Baking" in shown.stdout and "left by its controller" in " ".join(shown.stdout.split()), str(shown)
    assert trace.read_text().split() == ["web1"]
    resumed = controller.playbook(
        "agentless.codedeploy.deploy", fleet.inventory(), deploy_group="web", deploy_resume=True
    )
    assert resumed.rc == 0, str(resumed)
    last, former = list_deployments(store)
    assert (former.deployment_id, former.status) == (left, "Failed")
    assert [target.status for target in get_targets(store, left)] == ["Succeeded", "Skipped"]
    assert (last.status, last.order, last.options["resumed_deployment_id"]) == ("Succeeded", ["web2"], left)
    assert trace.read_text().split() == ["web1", "web2"]
    # Without resuming, the next deployment ends what was left in the same way.
    left = killed(other)
    config = {**ZONAL, "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 0}}
    following = controller.playbook(
        "agentless.codedeploy.deploy",
        fleet.inventory(),
        deploy_group="web",
        deploy_revision=other,
        deploy_config=config,
    )
    assert following.rc == 0, str(following)
    assert f"{left} had been left by its controller" in following.stdout
    last, former = list_deployments(store)[:2]
    assert (former.deployment_id, former.status, last.status) == (left, "Failed", "Succeeded")
    assert [target.status for target in get_targets(store, left)] == ["Succeeded", "Skipped"]
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["2", "2"]
    store.close()
