# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that cannot be made are refused with a clear message, before any instance is touched."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import Application, installed_version
from support.controller import Controller, Result
from support.local_fleet import LocalFleet
from support.record import deployments, statuses
from support.waiting import wait_until

DEPLOY = "agentless.codedeploy.deploy"
Fleets = Callable[..., LocalFleet]


def deploy(
    controller: Controller, fleet: LocalFleet, application: Path, *arguments: str, **variables: object
) -> Result:
    """Run the deploy playbook."""
    variables = {"deploy_group": fleet.group, "deploy_revision": application, **variables}
    return controller.playbook(DEPLOY, fleet.inventory(), *arguments, **variables)


def assert_refused(result: Result, fleet: LocalFleet, *messages: str) -> None:
    """Check that a run failed with these messages, without a traceback and without touching an instance."""
    output = " ".join((result.stdout + result.stderr).split())
    assert result.rc != 0, str(result)
    assert "Traceback" not in output
    for message in messages:
        assert message in output, str(result)
    assert not any(fleet.deployment_root(name).exists() for name in fleet.names)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "deploy_group is not set: pass -e deploy_group=NAME"),
        ({"deploy_group": "wbe"}, "the inventory has no group wbe; groups of this inventory: web"),
        ({"deploy_group": "nobody"}, "the group nobody has no hosts"),
    ],
)
def test_group(
    controller: Controller, local_fleet: Fleets, tmp_path: Path, variables: dict[str, object], message: str
) -> None:
    fleet = local_fleet(1)
    inventory = fleet.inventory()
    inventory.write_text(inventory.read_text() + "    nobody: {}\n")
    result = controller.playbook(DEPLOY, inventory, deploy_revision=tmp_path, **variables)
    assert_refused(result, fleet, message)


def test_variables_that_only_later_tasks_read(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet, application = local_fleet(1), Application(tmp_path / "application", "1")
    wrong = {"deploy_poll_after": "soon", "deploy_revisions_to_keep": "many"}
    result = deploy(controller, fleet, application.folder, **wrong)
    assert_refused(result, fleet, "2 problems, no instance was touched", "deploy_poll_after: ", "to int")
    assert "deploy_revisions_to_keep: " in result.stdout
    result = deploy(controller, fleet, application.folder, "--check", deploy_configs="CodeDeployDefault.AllAtOnce")
    assert result.rc == 0, str(result)
    output = " ".join((result.stdout + result.stderr).split())
    assert "deploy_configs is not a variable of the role deploy; is deploy_config meant?" in output
    assert deployments(controller) == []


def test_invalid_sections_do_not_hide_what_is_missing(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1", AfterInstall="true")
    application.appspec["permissions"] = [{"object": "/srv", "mode": 999}]
    application.write_appspec()
    (application.folder / "scripts" / "AfterInstall.sh").unlink()
    result = deploy(controller, fleet, application.folder)
    assert_refused(result, fleet, "2 problems", "permissions[0].mode: 999", "scripts/AfterInstall.sh")


def test_settings_that_are_not_supported(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    settings: dict[str, object] = {"blue_green_deployment_configuration": {"deployment_ready_option": {}}}
    result = deploy(controller, fleet, application.folder, codedeploy_deployment_groups={fleet.group: settings})
    assert_refused(
        result,
        fleet,
        "blue_green_deployment_configuration of the group web is not supported in this version; remove it",
    )


def test_limit_to_hosts_of_another_group(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    inventory = fleet.inventory()
    inventory.write_text(inventory.read_text() + "    other: {hosts: {elsewhere: {}}}\n")
    arguments = controller.playbook_arguments(
        DEPLOY, inventory, "--limit", "elsewhere", deploy_group="web", deploy_revision=tmp_path
    )
    result = controller.run("ansible-playbook", *arguments)
    assert_refused(result, fleet, "--limit elsewhere leaves no host of the group web")


def test_syntax_check_needs_no_variables(controller: Controller) -> None:
    result = controller.run("ansible-playbook", "--syntax-check", DEPLOY)
    assert result.rc == 0, str(result)


def test_no_revision(controller: Controller, local_fleet: Fleets) -> None:
    fleet = local_fleet(1)
    result = controller.playbook(DEPLOY, fleet.inventory(), deploy_group="web")
    assert_refused(result, fleet, "deploy_revision is not set")


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("s3://bucket", "revision s3://bucket: a revision in S3 is s3://bucket/key"),
        ("github:owner/repository@abc", "the commit must be all its 40 digits"),
        ("nowhere/at/all", "is not on this machine (looked for "),
        ("http://127.0.0.1:9/application.zip", "http://127.0.0.1:9/application.zip cannot be downloaded"),
    ],
)
def test_revision(controller: Controller, local_fleet: Fleets, revision: str, message: str) -> None:
    fleet = local_fleet(1)
    assert_refused(deploy(controller, fleet, Path("x"), deploy_revision=revision), fleet, message)


def test_everything_wrong_in_one_report(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    application = Application(tmp_path / "application", "1", BeforeInstall="true", AfterInstall="true")
    application.appspec["files"] = [
        {"source": "content", "destination": "/srv/one"},
        {"source": "content/version.txt", "destination": "/srv/one"},
        {"source": "absent", "destination": "/srv/two"},
        {"source": "../outside", "destination": "/srv/three"},
    ]
    application.write_appspec()
    (application.folder / "scripts/AfterInstall.sh").unlink()
    config = {"minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 2}}
    result = deploy(
        controller, fleet, application.folder, deploy_config=config, deploy_file_exists_behavior="overwrite"
    )
    assert_refused(
        result,
        fleet,
        "6 problems, no instance was touched:",
        "HEALTH_CONSTRAINTS_INVALID",
        "deploy_file_exists_behavior: 'overwrite' is none of",
        "appspec.yml: hooks.AfterInstall[0].location: scripts/AfterInstall.sh: there is no such script in the bundle",
        "appspec.yml: files[2].source: absent: there is no such file or folder in the bundle",
        "appspec.yml: files[3].source: ../outside leads out of the bundle",
        "appspec.yml: files[0] and files[1] both install /srv/one/version.txt",
    )
    assert deployments(controller) == []


def test_appspec_errors(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    application.appspec.update({"version": 1.0, "file_exists_behavior": "maybe"})
    application.write_appspec()
    assert_refused(
        deploy(controller, fleet, application.folder), fleet, "2 problems", "version", "file_exists_behavior"
    )
    (application.folder / "appspec.yml").write_text("version: [")
    assert_refused(deploy(controller, fleet, application.folder), fleet, "1 problem", "appspec.yml")


def test_appspec_elsewhere(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    Application(tmp_path / "outer" / "inner" / "application", "1")
    (tmp_path / "outer" / "README").write_text("")
    result = deploy(controller, fleet, tmp_path / "outer")
    assert_refused(result, fleet, "no appspec.yml or appspec.yaml at the root of the bundle", "inner/application")


def test_windows(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    application.appspec["os"] = "windows"
    application.write_appspec()
    assert_refused(deploy(controller, fleet, application.folder), fleet, "instances running Windows are not supported")


def test_lock_on_the_instance(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    assert deploy(controller, fleet, application.folder).rc == 0
    (lock,) = (fleet.deployment_root("web1") / "deployment-instructions").glob("*-lock")
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.truncate(0)
        held.write("deployment d-ELSEWHERE")
        held.flush()
        result = deploy(controller, fleet, application.folder)
    assert result.rc == 2
    assert "deployment d-ELSEWHERE is in progress for deployment group" in " ".join(result.stdout.split())
    assert statuses(controller, deployments(controller)[0]["deploymentId"]) == {"web1": "Failed"}


def test_two_deployments_of_one_group(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    started, release = tmp_path / "started", tmp_path / "release"
    hold = f"touch {started}; while [ ! -e {release} ]; do sleep 0.1; done"
    first = Application(tmp_path / "first", "1", BeforeInstall=hold)
    second = Application(tmp_path / "second", "2")
    arguments = controller.playbook_arguments(
        DEPLOY, fleet.inventory(), deploy_group="web", deploy_revision=first.folder
    )
    running = controller.start("ansible-playbook", *arguments)
    try:
        wait_until(started.exists, "BeforeInstall has begun", running)
        result = deploy(controller, fleet, second.folder)
    finally:
        release.touch()
        output = running.communicate()[0]
    assert running.returncode == 0, output
    assert result.rc == 2
    assert "DeploymentLimitExceeded: the deployment group web already has an active deployment d-" in result.stdout
    assert f"(process {running.pid}" in result.stdout
    assert installed_version(fleet.files("web1")) == "1"
    assert len(deployments(controller)) == 1


def test_a_record_that_cannot_be_written_is_said_once(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    (tmp_path / "file").touch()
    result = deploy(controller, fleet, application.folder, deploy_store=tmp_path / "file" / "deployments.sqlite")
    assert_refused(result, fleet, f"Store {tmp_path}/file/deployments.sqlite", "choose another")
    assert [message.count("Store ") for message in re.findall(r'"msg": "([^"]*)"', result.stdout)] == [1]
