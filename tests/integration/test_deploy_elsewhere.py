# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments in other people's playbooks, from an address, by a controller that is killed, and by single roles."""

from __future__ import annotations

import os
import signal
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.record import deployments, events, statuses
from support.waiting import wait_until
from support.web_server import serve

DEPLOY = "agentless.codedeploy.deploy"
STATUS = "agentless.codedeploy.status"
Fleets = Callable[..., LocalFleet]


def playbook(path: Path, *plays: dict[str, object]) -> Path:
    """Write a playbook."""
    path.write_text(yaml.safe_dump(list(plays), sort_keys=False))
    return path


@pytest.mark.parametrize("strategy", ["linear", "free", "host_pinned"])
def test_role_with_serial(controller: Controller, local_fleet: Fleets, tmp_path: Path, strategy: str) -> None:
    fleet = local_fleet(4)
    Application(tmp_path / "application", "1")
    role = {"role": "agentless.codedeploy.deploy", "deploy_application": "HollowWeb", "deploy_config": "HalfAtATime"}
    own = {"name": "Own task", "ansible.builtin.file": {"path": "{{ deploy_root }}/own", "state": "touch"}}
    play = {
        "hosts": "web",
        "gather_facts": False,
        "strategy": strategy,
        "serial": 2,
        "roles": [{**role, "deploy_revision": "application"}],
        "post_tasks": [own],
    }
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    assert result.rc == 0, str(result)
    (deployment,) = deployments(controller)
    assert (deployment["applicationName"], deployment["deploymentGroupName"]) == ("HollowWeb", "web")
    assert deployment["status"] == "Succeeded"
    assert set(statuses(controller, deployment["deploymentId"]).values()) == {"Succeeded"}
    assert all((fleet.deployment_root(name) / "own").exists() for name in fleet.names)


def applications(folder: Path, **hooks: str) -> dict[str, dict[str, object]]:
    """Write the applications One and Two, with hooks of their own, and return a role for each."""
    roles = {}
    for name in ("One", "Two"):
        application = Application(folder / name, name, **hooks)
        application.appspec["files"] = [{"source": "content", "destination": f"/srv/{name}"}]
        application.appspec["hooks"] = {event: [{"location": f"scripts/{event}.sh", "timeout": 900}] for event in hooks}
        application.write_appspec()
        roles[name] = {"role": DEPLOY, "deploy_application": name, "deploy_revision": name}
    return roles


def until(path: str) -> str:
    """Return a shell command that lasts until a file is there."""
    return f"while [ ! -e {path} ]; do sleep 0.1; done"


def test_roles_of_two_applications_and_one_twice(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    trace = tmp_path / "trace"
    roles = applications(tmp_path, ApplicationStart=f'echo "$APPLICATION_NAME $DEPLOYMENT_ID" >> {trace}')
    play = {"hosts": "web", "gather_facts": False}
    play["roles"] = [roles["One"], roles["Two"], {**roles["One"], "deploy_poll_after": 11}]
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    assert result.rc == 0, str(result)
    lines = [line.split() for line in trace.read_text().splitlines()]
    assert [application for application, _id in lines] == ["One", "One", "Two", "Two", "One", "One"]
    assert len({identifier for _application, identifier in lines}) == 3
    assert [deployment["status"] for deployment in deployments(controller)] == ["Succeeded"] * 3


def test_roles_of_two_applications_where_hosts_go_alone(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    # Ansible registers what a host creates or joins for all hosts. web3 joins the first deployment when the others have
    # come to the second one, where one of them waits for its turn and has not begun yet.
    fleet = local_fleet(3)
    trace, arrived, late, hold = (tmp_path / name for name in ("trace", "arrived", "late", "hold"))
    wait = f"case $APPLICATION_NAME in One) file={arrived};; *) file={hold};; esac; {until('$file')}"
    roles = applications(tmp_path, BeforeInstall=wait, ApplicationStart=f'echo "$APPLICATION_NAME $0" >> {trace}')
    # Only the task that creates or joins reads this variable.
    arrive = f"touch {arrived}; {until(str(late))}; echo {{}}"
    fleet.host_variables["web3"]["codedeploy_deployment_groups"] = (
        f"{{{{ lookup('ansible.builtin.pipe', '{arrive}') | from_yaml }}}}"
    )
    play = {"hosts": "web", "gather_facts": False, "strategy": "host_pinned"}
    play["roles"] = [{**roles["One"], "deploy_config": "AllAtOnce"}, roles["Two"]]
    site = playbook(tmp_path / "site.yml", play)
    running = controller.start(
        "ansible-playbook", *controller.playbook_arguments(str(site), fleet.inventory()), PYTHONUNBUFFERED="1"
    )
    # The role has three tasks. Those of the first application, and all but the last of the second one.
    wait_for_results(running, {"web1": 5, "web2": 5})
    late.touch()
    wait_for_results(running, {"web3": 2})
    hold.touch()
    output = running.communicate()[0]
    assert running.returncode == 0, output
    lines = [line.split() for line in trace.read_text().splitlines()]
    assert sorted(application for application, _script in lines) == ["One"] * 3 + ["Two"] * 3, lines
    assert len({tuple(line) for line in lines}) == 6
    found = deployments(controller)
    assert [(one["applicationName"], one["status"]) for one in found] == [("Two", "Succeeded"), ("One", "Succeeded")]


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_a_group_twice_where_hosts_go_alone(
    controller: Controller, local_fleet: Fleets, tmp_path: Path, strategy: str
) -> None:
    fleet = local_fleet(2)
    trace = tmp_path / "trace"
    one = applications(tmp_path, ApplicationStart=f'echo "$0" >> {trace}')["One"]
    play = {"hosts": "web", "gather_facts": False, "strategy": strategy}
    play["roles"] = [one, {**one, "deploy_poll_after": 11}]
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    assert result.rc == 2, str(result)
    text = " ".join(result.stdout.split())
    assert "this play comes a second time to the deployment group web" in text
    assert "use strategy linear, or a play of its own for the second" in text
    (deployment,) = deployments(controller)
    assert deployment["status"] == "Succeeded"
    assert len(trace.read_text().splitlines()) == 2


def test_a_loop_where_hosts_go_alone(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    # One place of the play, to which a host comes again and again.
    fleet = local_fleet(1)
    roles = applications(tmp_path, ApplicationStart="exit 0")
    chosen = (roles[name] for name in ("One", "Two", "One"))
    turns = [{key: role[key] for key in role if key.startswith("deploy_")} for role in chosen]
    variables = {f"deploy_{name}": f"{{{{ item.deploy_{name} }}}}" for name in ("application", "revision")}
    include = {"name": "Deploy", "ansible.builtin.include_role": {"name": DEPLOY}, "vars": variables, "loop": turns}
    site = playbook(
        tmp_path / "site.yml", {"hosts": "web", "gather_facts": False, "strategy": "free", "tasks": [include]}
    )
    checked = controller.playbook(site, fleet.inventory(), "--check")
    assert checked.rc == 0, str(checked)
    assert f"would deploy {tmp_path / 'Two'} " in checked.stdout
    result = controller.playbook(site, fleet.inventory())
    assert result.rc == 2, str(result)
    text = " ".join(result.stdout.split())
    assert "not started: the deployment was refused: this play comes a second time to the deployment group web" in text
    found = deployments(controller)
    assert [(one["applicationName"], one["status"]) for one in found] == [("Two", "Succeeded"), ("One", "Succeeded")]


def test_hosts_with_another_application_are_refused(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    fleet = local_fleet(2)
    for name, application in zip(fleet.names, ("HollowWeb", "Other"), strict=True):
        fleet.host_variables[name]["of_host"] = application
    Application(tmp_path / "application", "1")
    role = {"role": DEPLOY, "deploy_application": "{{ of_host }}", "deploy_revision": "application"}
    play = {"hosts": "web", "gather_facts": False, "roles": [role]}
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    assert result.rc == 2, str(result)
    assert "deploy_application is Other for this host, and this deployment is of HollowWeb" in result.stdout
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", None]
    (deployment,) = deployments(controller)
    assert statuses(controller, deployment["deploymentId"]) == {"web1": "Succeeded", "web2": "Failed"}


@pytest.mark.parametrize("part", ["main", "instance"])
def test_delegation_is_refused(controller: Controller, local_fleet: Fleets, tmp_path: Path, part: str) -> None:
    fleet = local_fleet(2)
    Application(tmp_path / "application", "1")
    variables = {"deploy_application": "HollowWeb", "deploy_revision": "application"}
    create = {"name": "Create", "ansible.builtin.import_role": {"name": DEPLOY, "tasks_from": "create"}}
    deploy = {"name": "Deploy", "ansible.builtin.import_role": {"name": DEPLOY, "tasks_from": part}}
    tasks = [*([create] if part == "instance" else []), {**deploy, "delegate_to": "web2"}]
    play = {"hosts": "web", "gather_facts": False, "vars": variables, "tasks": tasks}
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory(), "--limit", "web1")
    assert result.rc == 2, str(result)
    assert "web1: not started. delegate_to is web2" in " ".join(result.stdout.split())
    assert [installed_version(fleet.files(name)) for name in fleet.names] == [None, None]
    assert len(deployments(controller)) == (part == "instance")


def test_a_group_twice_with_batches_to_come(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    one = applications(tmp_path)["One"]
    play = {"hosts": "web", "gather_facts": False, "serial": 1, "roles": [one, {**one, "deploy_poll_after": 11}]}
    second = {"hosts": "web", "gather_facts": False, "roles": [{**one, "deploy_config": "AllAtOnce"}]}
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    assert result.rc == 2, str(result)
    assert "waits for web2 of later batches, so that no second one can begin" in " ".join(result.stdout.split())
    following = controller.playbook(playbook(tmp_path / "second.yml", second), fleet.inventory())
    assert following.rc == 0, str(following)
    newest, left = deployments(controller)
    assert newest["status"] == "Succeeded"
    # What never arrived has failed; one may fail, and another one succeeded.
    assert statuses(controller, left["deploymentId"]) == {"web1": "Succeeded", "web2": "Failed"}


def test_role_with_failures_does_not_go_on(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(4)
    fails_on_web1_and_web2 = 'case "$0" in *web[12]*) exit 1;; esac'
    Application(tmp_path / "application", "1", BeforeInstall=fails_on_web1_and_web2)
    role = {"role": "agentless.codedeploy.deploy", "deploy_revision": "application", "deploy_config": "HalfAtATime"}
    own = {"name": "Own task", "ansible.builtin.file": {"path": "{{ deploy_destination_root }}/own", "state": "touch"}}
    play = {"hosts": "web", "gather_facts": False, "serial": 1, "max_fail_percentage": 100, "roles": [role]}
    play["post_tasks"] = [own]
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    assert result.rc == 2, str(result)
    (deployment,) = deployments(controller)
    assert deployment["status"] in ("Failed", "InProgress", "Created")
    assert not any((fleet.files(name) / "own").exists() for name in ("web1", "web2"))


def test_address_with_header(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    application = Application(tmp_path / "application", "1")
    archive = tmp_path / "application.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(application.folder, arcname="application")
    with serve("/builds/application.tar.gz", archive.read_bytes(), "s3cr3t-token") as (address, answers):
        variables = {"deploy_group": "web", "deploy_revision": f"{address}?signature=s3cr3t-signature"}
        headers = {"X-Token": "s3cr3t-token"}
        result = controller.playbook(DEPLOY, fleet.inventory(), "-vvv", **variables, deploy_revision_headers=headers)
        refused = controller.playbook(DEPLOY, fleet.inventory(), **variables)
    assert result.rc == 0, str(result)
    assert answers == [200, 200, 200, 403]
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
    assert f"{address} cannot be downloaded: the server answered 403" in " ".join(refused.stdout.split())
    assert "s3cr3t" not in result.stdout + result.stderr + refused.stdout + refused.stderr
    assert b"s3cr3t" not in b"".join(path.read_bytes() for path in controller.home.glob("deployments.sqlite*"))
    again = controller.playbook(DEPLOY, fleet.inventory(), deploy_group="web", deploy_revision="last_successful")
    assert again.rc == 0, str(again)


def test_killed_controller(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    release, trace = tmp_path / "release", tmp_path / "trace"
    hold = f'echo "$DEPLOYMENT_ID" >> {trace}; while [ ! -e {release} ]; do sleep 0.1; done'
    application = Application(tmp_path / "application", "1", AfterInstall=hold)
    arguments = controller.playbook_arguments(
        DEPLOY, fleet.inventory(), deploy_group="web", deploy_revision=application.folder, deploy_poll_after=1
    )
    running = controller.start("ansible-playbook", *arguments, PYTHONUNBUFFERED="1")
    wait_for_line(running, "web1: Install Succeeded")
    kill_with_children(running.pid)
    running.communicate()
    (killed,) = deployments(controller)
    assert killed["status"] == "InProgress"
    assert "InProgress, left by its controller" in controller.run("ansible-playbook", STATUS).stdout
    second = controller.start("ansible-playbook", *arguments, PYTHONUNBUFFERED="1")
    wait_for_line(second, f"web1: waits for the lifecycle events of {killed['deploymentId']}")
    release.touch()
    output = second.communicate()[0]
    assert second.returncode == 0, output
    newest, former = deployments(controller)
    assert newest["status"] == "Succeeded"
    assert former["deploymentId"] == killed["deploymentId"]
    assert former["status"] == "Failed"
    assert statuses(controller, former["deploymentId"]) == {"web1": "Succeeded", "web2": "Skipped"}
    assert events(controller, former["deploymentId"], "web1")["ValidateService"]["status"] == "Succeeded"
    assert trace.read_text().split() == [
        former["deploymentId"],
        newest["deploymentId"],
        newest["deploymentId"],
    ]


def test_orphaned_worker_records_the_result(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    release = tmp_path / "release"
    hold = f"while [ ! -e {release} ]; do sleep 0.1; done"
    application = Application(tmp_path / "application", "1", AfterInstall=hold)
    arguments = controller.playbook_arguments(
        DEPLOY, fleet.inventory(), deploy_group="web", deploy_revision=application.folder, deploy_poll_after=1
    )
    running = controller.start("ansible-playbook", *arguments, PYTHONUNBUFFERED="1")
    wait_for_line(running, "web1: Install Succeeded")
    running.kill()
    running.wait()
    release.touch()
    wait_until(lambda: deployments(controller)[0]["status"] != "InProgress", "the worker has recorded the end")
    (deployment,) = deployments(controller)
    assert deployment["status"] == "Succeeded"
    assert events(controller, deployment["deploymentId"], "web1")["AfterInstall"]["status"] == "Succeeded"


def test_roles_of_single_parts(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    trace = tmp_path / "trace"
    Application(tmp_path / "application", "1", ApplicationStart=f'echo "$DEPLOYMENT_ID" >> {trace}')
    play = {
        "hosts": "web",
        "gather_facts": False,
        "vars": {"deploy_revision": "application", "deploy_application": "HollowWeb"},
        "roles": [
            "agentless.codedeploy.download_bundle",
            "agentless.codedeploy.install",
            {"role": "agentless.codedeploy.lifecycle_hook", "lifecycle_hook_event": "ApplicationStart"},
        ],
    }
    checked = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory(), "--check")
    assert checked.rc == 0, str(checked)
    assert not any(fleet.deployment_root(name).exists() for name in fleet.names)
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    assert result.rc == 0, str(result)
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
    identifiers = trace.read_text().split()
    assert len(identifiers) == 2
    assert len(set(identifiers)) == 1


def wait_for_results(process: subprocess.Popen[str], expected: dict[str, int]) -> None:
    """Read a process's output until hosts have so many results of tasks that were not skipped."""
    assert process.stdout is not None
    seen: list[str] = []
    left = dict(expected)
    guard = threading.Timer(900, process.kill)
    guard.start()
    try:
        for line in process.stdout:
            seen.append(line)
            for name in left:
                left[name] -= line.startswith((f"ok: [{name}]", f"changed: [{name}]"))
            if max(left.values()) <= 0:
                return
    finally:
        guard.cancel()
    raise AssertionError("".join(seen))


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read a process's output up to a line that holds a text."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError("".join(seen))


def kill_with_children(pid: int) -> None:
    """Kill a process and all that it has started and that is still its child."""
    # Stopped first, so that none of them sees another one end.
    os.kill(pid, signal.SIGSTOP)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        kill_with_children(int(child))
    os.kill(pid, signal.SIGKILL)


def test_single_parts_and_whole_deployments_know_each_other(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    settings = {"web": {"application_name": "HollowWeb", "deployment_group_name": "production"}}
    fleet = local_fleet(1, codedeploy_deployment_groups=settings)
    variables = {"deploy_group": "web", "deploy_revision": str(Application(tmp_path / "one", "1").folder)}
    assert controller.playbook(DEPLOY, fleet.inventory(), **variables).rc == 0
    variables["deploy_revision"] = str(Application(tmp_path / "two", "2").folder)
    roles = ["agentless.codedeploy.download_bundle", "agentless.codedeploy.install"]
    play = {"hosts": "web", "gather_facts": False, "vars": variables, "roles": roles}
    result = controller.playbook(playbook(tmp_path / "site.yml", play), fleet.inventory())
    # What the other has installed is not in the way.
    assert result.rc == 0, str(result)
    assert installed_version(fleet.files("web1")) == "2"
