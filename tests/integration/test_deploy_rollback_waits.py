# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments and rollbacks wait for what still runs on an instance although its deployment has ended."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_targets, list_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

LONGEST = 240.0
ROLLS_BACK = {"events": ["DEPLOYMENT_FAILURE"]}
# Of the new version's script: the process of the events dies, or the module that waits for its answer.
DIES = """
case "$0" in
    */web1/*) kill -9 "$PPID";;
    */web2/*) kill -9 "$(cut -d ' ' -f 4 "/proc/$PPID/stat")";;
esac
"""
HOLD = """
touch {started}
while [ ! -e {release} ]; do sleep 0.1; done
echo "$LIFECYCLE_EVENT of the new version" >> {trace}
"""


class Deployments:
    """Deployments to instances of which each notes in a file what its scripts do."""

    def __init__(self, controller: Controller, fleet: LocalFleet, folder: Path) -> None:
        self.controller, self.fleet, self._folder = controller, fleet, folder
        self.started, self.release = folder / "started", folder / "release"

    def trace(self, name: str) -> list[str]:
        """Return what the scripts of an instance have noted."""
        return (self.fleet.files(name) / "trace").read_text().splitlines()

    def revision(self, version: str, script: str) -> Path:
        """Make a revision with a script for AfterInstall and ApplicationStart."""
        script = script.format(started=self.started, release=self.release, trace='"$DESTINATION_ROOT/trace"')
        scripts = dict.fromkeys(("AfterInstall", "ApplicationStart"), script)
        return Application(self._folder / version, version, **scripts).folder

    def start(self, playbook: str, *arguments: str, **variables: object) -> subprocess.Popen[str]:
        """Start a playbook of the collection for the group."""
        given = {"deploy_group": "web", "deploy_config": "AllAtOnce", **variables}
        whole = self.controller.playbook_arguments(
            f"agentless.codedeploy.{playbook}", self.fleet.inventory(), *arguments, **given
        )
        return self.controller.start("ansible-playbook", *whole, PYTHONUNBUFFERED="1")

    def deploy(self, revision: Path, exit_status: int = 0, **variables: object) -> None:
        """Deploy a revision."""
        running = self.start("deploy", deploy_revision=revision, **variables)
        output = "".join(running.communicate())
        assert running.returncode == exit_status, output

    def when_all_wait(self, running: subprocess.Popen[str], deployment: str, then: Callable[[], object]) -> str:
        """Do something as soon as each instance is said to wait for a deployment; returns the whole output."""
        assert running.stdout is not None
        waiting = {f"{name}: waits for the lifecycle events of {deployment}" for name in self.fleet.names}
        output = ""
        for line in running.stdout:
            output += line
            before, waiting = waiting, {text for text in waiting if text not in line}
            if before and not waiting:
                # Nothing of the one that waits has begun.
                assert all(self.trace(name)[-1] == "the old version" for name in self.fleet.names), output
                then()
        assert not waiting, output + running.communicate()[1]
        return output + running.communicate()[1]

    def released_when_all_wait(self, running: subprocess.Popen[str], deployment: str) -> str:
        """Let the scripts end as soon as each instance is said to wait for them; returns the whole output."""
        return self.when_all_wait(running, deployment, self.release.touch)


def test_after_a_failure(controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path) -> None:
    at_work = Deployments(controller, local_fleet(2), tmp_path)
    old = 'echo "the old version" >> {trace}'
    at_work.deploy(at_work.revision("1", old))
    running = at_work.start(
        "deploy",
        deploy_revision=at_work.revision("2", DIES + HOLD),
        deploy_poll_after=300,
        deploy_auto_rollback_configuration=ROLLS_BACK,
    )
    store = open_store(str(controller.store))
    try:

        def by_user() -> list[str]:
            return [one.deployment_id for one in list_deployments(store) if one.creator == "user"]

        wait_until(lambda: len(by_user()) == 2, "the second deployment is recorded", running)
        identifier = by_user()[0]
        output = at_work.released_when_all_wait(running, identifier)
    finally:
        at_work.release.touch()
    assert running.returncode == 2, output
    rollback, failed, _first = list_deployments(store)
    assert (failed.deployment_id, failed.status) == (identifier, "Failed")
    assert (rollback.creator, rollback.status) == ("codeDeployRollback", "Succeeded"), output
    assert [target.status for target in get_targets(store, rollback.deployment_id)] == ["Succeeded"] * 2, output
    # One process of events was killed with its first script; the other goes on to its end without its module.
    ended = ["AfterInstall of the new version", "ApplicationStart of the new version"]
    assert at_work.trace("web1") == ["the old version"] * 2 + ended[:1] + ["the old version"] * 2
    assert at_work.trace("web2") == ["the old version"] * 2 + ended + ["the old version"] * 2
    assert [installed_version(at_work.fleet.files(name)) for name in at_work.fleet.names] == ["1", "1"]
    store.close()


def test_after_a_stop_without_controller(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    at_work = Deployments(controller, local_fleet(1), tmp_path)
    at_work.deploy(at_work.revision("1", 'echo "the old version" >> {trace}'))
    running = at_work.start("deploy", deploy_revision=at_work.revision("2", HOLD), deploy_poll_after=0)
    try:
        wait_until(at_work.started.exists, "the script runs", running)
        running.terminate()
        running.communicate()
        arguments = ["agentless.codedeploy.stop", "-e", "deploy_group=web", "-e", "stop_rollback=true"]
        stopped = controller.run("ansible-playbook", *arguments)
        assert stopped.rc == 0, str(stopped)
        assert "To roll it back: ansible-playbook agentless.codedeploy.rollback -e deploy_group=web" in " ".join(
            stopped.stdout.split()
        )
        store = open_store(str(controller.store))
        identifier = list_deployments(store)[0].deployment_id
        back = at_work.start("rollback")
        output = at_work.released_when_all_wait(back, identifier)
    finally:
        at_work.release.touch()
    assert back.returncode == 0, output
    lines = at_work.trace("web1")
    assert lines[-2:] == ["the old version"] * 2
    assert "AfterInstall of the new version" in lines[2:-2]
    assert installed_version(at_work.fleet.files("web1")) == "1"
    rollback, stopped_one, _first = list_deployments(store)
    assert (stopped_one.status, rollback.status) == ("Stopped", "Succeeded")
    store.close()


def test_the_next_deployment_waits_too(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    at_work = Deployments(controller, local_fleet(2), tmp_path)
    at_work.deploy(at_work.revision("1", 'echo "the old version" >> {trace}'))
    at_work.deploy(at_work.revision("2", DIES + HOLD), exit_status=2, deploy_poll_after=300)
    third = at_work.revision("3", 'echo "the third version" >> {trace}')
    store = open_store(str(controller.store))
    failed = list_deployments(store)[0].deployment_id
    stops: list[str] = []

    def stop() -> None:
        arguments = ["agentless.codedeploy.stop", "-e", "deploy_group=web"]
        stops.append(str(controller.run("ansible-playbook", *arguments)))

    try:
        checked = at_work.start("deploy", "--check", deploy_revision=third)
        output = "".join(checked.communicate())
        assert checked.returncode == 0, output
        assert f"the lifecycle events of {failed} still run here and would be waited for" in output
        stopped = at_work.start("deploy", deploy_revision=third)
        output = at_work.when_all_wait(stopped, failed, stop)
        assert stopped.returncode == 2, output
        latest = list_deployments(store)[0]
        assert latest.status == "Stopped", output + "".join(stops)
        ended = get_targets(store, latest.deployment_id)
        assert {target.message for target in ended} == {
            f"The deployment was stopped while it waited for the events of {failed}."
        }
        assert [target.lifecycle_events for target in ended] == [[], []]
        running = at_work.start("deploy", deploy_revision=third)
        output = at_work.released_when_all_wait(running, failed)
    finally:
        at_work.release.touch()
    assert running.returncode == 0, output
    # Which script it is that is waited for.
    assert "still running there (scripts/AfterInstall.sh of AfterInstall, process " in output
    ended_before = ["AfterInstall of the new version", "ApplicationStart of the new version"]
    assert at_work.trace("web1") == ["the old version"] * 2 + ended_before[:1] + ["the third version"] * 2
    assert at_work.trace("web2") == ["the old version"] * 2 + ended_before + ["the third version"] * 2
    assert [installed_version(at_work.fleet.files(name)) for name in at_work.fleet.names] == ["3", "3"]
    store.close()
