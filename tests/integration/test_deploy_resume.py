# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments whose controller is killed at each of its steps, and that a further run goes on with.

By default some of the steps; with CODEDEPLOY_TEST_KILL_EVERYWHERE=1 all of them.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.applications import Application, installed_version
from support.controller import Controller, Result
from support.local_fleet import LocalFleet
from support.postgresql import DATABASE, PASSWORD, PASSWORD_USER, PostgreSQLServer
from support.waiting import LONGEST

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import group_id_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Deployment,
    Target,
    get_group,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

DEPLOY = "agentless.codedeploy.deploy"
INSTANCES = ["web1", "web2", "web3", "web4"]
HOOKS = ["BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"]
EVENTS = ["ApplicationStop", "DownloadBundle", *HOOKS[:1], "Install", *HOOKS[1:]]
MOMENTS = ["before", "after"]
OF_THE_CONTROLLER = [f"create_deployment {moment}" for moment in MOMENTS] + [
    f"{name} {instance} {moment}"
    for instance in INSTANCES
    for name in ("ask_to_start", "module", "finish_instance")
    for moment in MOMENTS
]
OF_A_HOOK = [f"hook {instance} {event}" for instance in INSTANCES for event in HOOKS]
WHILE_FOLLOWED = [f"record_event {instance} {event} after" for instance in INSTANCES for event in EVENTS]
SAMPLE = [
    "create_deployment after",
    "ask_to_start web1 after",
    "module web2 after",
    "hook web2 AfterInstall",
    "record_event web4 Install after",
]
EVERYWHERE = "CODEDEPLOY_TEST_KILL_EVERYWHERE" in os.environ
STEPS = [*OF_THE_CONTROLLER, *OF_A_HOOK, *WHILE_FOLLOWED] if EVERYWHERE else SAMPLE


class Killed:
    """A run that deploys to four instances and is killed at a step, and the run that goes on.

    Every hook notes where it ran; the one that is the step kills the controller, and goes on itself.
    """

    def __init__(self, controller: Controller, fleet: LocalFleet, folder: Path, step: str) -> None:
        self.controller, self.fleet, self.step = controller, fleet, step
        self._group, self.trace = folder / "process-group", folder / "trace"
        self.trace.touch()
        here = 'here=$(expr "$0" : ".*/\\(web[0-9]*\\)/")'
        note = f'echo "$DEPLOYMENT_ID $here $LIFECYCLE_EVENT" >> {self.trace}'
        kill = f'[ "hook $here $LIFECYCLE_EVENT" != "{step}" ] || [ -e {folder}/killed ] ||'
        kill += f" {{ touch {folder}/killed; kill -9 -$(cat {self._group}); }}"
        self._application = Application(folder / "application", "2", **dict.fromkeys(HOOKS, f"{here}; {kill}\n{note}"))

    def run(self, **variables: object) -> Result:
        """Run the deploy playbook."""
        return self.controller.playbook(DEPLOY, self.fleet.inventory(), deploy_group="web", **variables)

    def deploy(self) -> Result:
        """Deploy, and be killed."""
        folder = Path(__file__).parents[1] / "support" / "callback_plugins"
        environment = {
            "ANSIBLE_CALLBACK_PLUGINS": str(folder),
            "ANSIBLE_CALLBACKS_ENABLED": "kill_controller",
            "CODEDEPLOY_TEST_KILL_GROUP": str(self._group),
            "CODEDEPLOY_TEST_KILL_AT": self.step,
        }
        variables: dict[str, object] = {"deploy_group": "web", "deploy_revision": self._application.folder}
        variables["deploy_poll_after"] = 0 if self.step.startswith("record_event") else 60
        arguments = self.controller.playbook_arguments(DEPLOY, self.fleet.inventory(), **variables)
        return self.controller.run("ansible-playbook", *arguments, **environment)

    def go_on(self) -> Result:
        """Resume; where nothing had been recorded yet, deploy."""
        result = self.run(deploy_resume=True)
        if "there is nothing to resume: the deployment group web has no deployment yet" in _words(result):
            return self.run(deploy_revision=self._application.folder)
        return result

    def scripts(self) -> Counter[tuple[str, str]]:
        """Return how often each hook ran on each instance."""
        return Counter((where, event) for _id, where, event in map(str.split, self.trace.read_text().splitlines()))

    def log(self, instance: str, deployment_id: str) -> dict[str, str]:
        """Return the states of the events by the instance's own log of a deployment; C(end) is its last line's."""
        states = {}
        for path in self.fleet.deployment_root(instance).glob(f"*/{deployment_id}/events.jsonl"):
            for line in map(json.loads, path.read_text().splitlines()):
                states["end" if line.get("finished") else line["lifecycle_event_name"]] = line["status"]
        return states


def _words(result: Result) -> str:
    return " ".join((result.stdout + result.stderr).split())


def settled(store: Store) -> list[tuple[Deployment, list[Target]]]:
    """Return the record, oldest first, when the last of the killed run's processes has written to it."""
    deadline = time.monotonic() + LONGEST
    while True:
        found = [(one, get_targets(store, one.deployment_id)) for one in reversed(list_deployments(store))]
        if time.monotonic() > deadline or not any(
            target.status in ("Pending", "InProgress", "Unknown") for _one, targets in found for target in targets
        ):
            return found
        time.sleep(0.2)


def check(killed: Killed, store: Store) -> None:
    """Kill, go on, and compare the record with what the instances say themselves."""
    first = killed.deploy()
    if not (killed.step.startswith("record_event") and first.rc == 0):
        # A process group that is killed leaves no exit status of its own.
        assert first.rc == -signal.SIGKILL, str(first)
    second = killed.go_on()
    everything_done = "there is nothing to resume: everything runs the revision of" in _words(second)
    assert everything_done or second.rc == 0, str(second)
    assert [installed_version(killed.fleet.files(name)) for name in INSTANCES] == ["2"] * 4
    record = settled(store)
    scripts = killed.scripts()
    last, _targets = record[-1]
    assert last.status == "Succeeded", str(second)
    assert all(one.complete_time is not None for one, _targets in record)
    of_group = get_group(store, group_id_of("web", "web"))
    assert of_group is not None and (of_group.last_successful_deployment or {})["deployment_id"] == last.deployment_id
    assert {state for state, _revision in of_group.instances.values()} == {True}
    begun, targets = record[0]
    if len(record) == 2:
        assert last.options["resumed_deployment_id"] == begun.deployment_id
        done = {target.target_id for target in targets if target.status == "Succeeded"}
        assert not everything_done
        # By the rules of the last instance, it succeeds without the one in work when nothing was pending.
        reached = [target for target in targets if target.status != "Skipped"]
        assert begun.status == "Failed" or (begun.status == "Succeeded" and len(reached) == 4)
    for target in targets:
        log = killed.log(target.target_id, begun.deployment_id)
        recorded = {event["lifecycle_event_name"]: event["status"] for event in target.lifecycle_events}
        if log:
            assert target.status == log.pop("end")
            assert {name: recorded[name] for name in log} == log
        for event in HOOKS:
            ran = scripts[target.target_id, event]
            assert ran == 1 if target.status == "Succeeded" else 1 <= ran <= 2, (killed.step, scripts)
    if len(record) == 2:
        # Who had succeeded is not in the second one, or is there without having been deployed to.
        for target in record[1][1]:
            ran_here = {event["status"] for event in target.lifecycle_events}
            assert target.status == "Succeeded" and ran_here == (
                {"Skipped"} if target.target_id in done else {"Succeeded"}
            )


@pytest.mark.parametrize("step", STEPS)
def test_killed_and_resumed(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path, step: str
) -> None:
    killed = Killed(controller, local_fleet(4), tmp_path, step)
    store = open_store(str(controller.store))
    check(killed, store)
    store.close()


@pytest.fixture(scope="module")
def postgresql_location() -> Iterator[str]:
    """Location of an empty store on a server."""
    server = PostgreSQLServer()
    server.execute(f"CREATE SCHEMA record AUTHORIZATION {PASSWORD_USER}", database=DATABASE)
    yield server.location(user=PASSWORD_USER, options="-csearch_path=record")
    server.stop()


def test_killed_and_resumed_on_postgresql(
    postgresql_location: str,
    controller: Controller,
    local_fleet: Callable[..., LocalFleet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    controller.environment.update(CODEDEPLOY_STORE=postgresql_location, PGPASSWORD=PASSWORD)
    store = open_store(postgresql_location)
    check(Killed(controller, local_fleet(4), tmp_path, "finish_instance web3 before"), store)
    store.close()
