# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deploy playbook and the roles in check mode: what is said, and that nothing is touched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.applications import DESTINATION, Application
from support.controller import Controller, Result
from support.dry_run import everything
from support.light_hosts import LightHosts
from support.local_fleet import LocalFleet
from support.record import deployments

DEPLOY = "agentless.codedeploy.deploy"
Fleets = Callable[..., LocalFleet]


def run(controller: Controller, fleet: LocalFleet, application: Path, *arguments: str, **variables: object) -> Result:
    """Run the deploy playbook."""
    variables = {"deploy_group": fleet.group, "deploy_revision": application, **variables}
    return controller.playbook(DEPLOY, fleet.inventory(), *arguments, **variables)


def check(controller: Controller, fleet: LocalFleet, application: Path, *arguments: str, **variables: object) -> Result:
    """Run the deploy playbook in check mode; nothing that belongs to an instance has changed."""
    places = [fleet.directory / name for name in fleet.names]
    before, recorded = everything(*places), deployments(controller)
    result = run(controller, fleet, application, "--check", *arguments, **variables)
    assert everything(*places) == before
    temporary = fleet.directory / "tmp"
    assert not temporary.exists() or list(temporary.iterdir()) == []
    assert deployments(controller) == recorded
    assert "Traceback" not in result.stdout + result.stderr
    return result


def test_hosts_that_were_never_deployed_to(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    application = Application(tmp_path / "application", "1", ApplicationStart="exit 1")
    result = check(controller, fleet, application.folder)
    assert result.rc == 0, str(result)
    assert "would deploy" in result.stdout
    assert "web1, web2: 1 added, 2 folders" in result.stdout
    assert result.stdout.count(f"+ {DESTINATION}/version.txt") == 1
    assert "hook ApplicationStart: scripts/ApplicationStart.sh (of the new revision)" in result.stdout
    assert not fleet.deployment_root("web1").exists()
    (application.folder / "appspec.yml").unlink()
    assert check(controller, fleet, application.folder).rc == 2


def test_second_revision_with_differences(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(3)
    first = Application(tmp_path / "one", "one\n", ApplicationStop="true")
    (first.folder / "content" / "old.txt").write_text("of the first")
    assert run(controller, fleet, first.folder).rc == 0
    (fleet.files("web3") / "srv/application/version.txt").chmod(0o640)
    second = Application(tmp_path / "two", "two\n", AfterInstall="true")
    (second.folder / "content" / "binary").write_bytes(b"\0\1\2")
    (second.folder / "content" / "secret").write_text("the password\n")
    (second.folder / "content" / "secret").chmod(0o600)
    result = check(controller, fleet, second.folder, "--diff")
    assert result.rc == 0, str(result)
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert "web1, web2: 2 added, 1 replaced, 1 removed" in lines
    assert "web3: 2 added, 1 replaced, 1 removed" in lines
    assert f"~ {DESTINATION}/version.txt (content)" in lines
    assert f"~ {DESTINATION}/version.txt (content, mode)" in lines
    assert lines.count(f"- {DESTINATION}/old.txt") == 2
    (previous,) = [found["deploymentId"] for found in deployments(controller)]
    assert f"hook ApplicationStop: scripts/ApplicationStop.sh (of {previous})" in lines
    # Once for web1 and web2; on web3 others cannot read what is there.
    assert lines.count("-one") == lines.count("+two") == 1
    assert f"{DESTINATION}/binary is new; content not shown, it is binary" in lines
    assert f"{DESTINATION}/secret is new; content not shown, mode 0600" in lines
    assert "the password" not in result.stdout
    shown = check(controller, fleet, second.folder, "--diff", deploy_diff_private_files=True)
    assert "+the password" in shown.stdout
    small = controller.environment | {"ANSIBLE_MAX_DIFF_SIZE": "3"}
    controller.environment = small
    assert "larger than 3 bytes" in check(controller, fleet, second.folder, "--diff").stdout


def test_the_run_does_what_was_said(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    assert run(controller, fleet, application.folder).rc == 0
    unchanged = check(controller, fleet, application.folder)
    assert "web1: 1 kept" in unchanged.stdout
    (application.folder / "content" / "version.txt").write_text("2")
    assert "web1: 1 replaced" in check(controller, fleet, application.folder).stdout


def test_an_instance_that_would_fail(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(3)
    foreign = fleet.files("web2") / "srv/application/version.txt"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("of somebody else")
    application = Application(tmp_path / "application", "1")
    result = check(controller, fleet, application.folder, "--diff")
    assert result.rc == 2, str(result)
    assert "web1, web3: 1 added, 2 folders" in result.stdout
    assert "web2: would fail, 1 problem; 1 conflicting" in result.stdout
    assert f"Install: files[0].destination: {DESTINATION}/version.txt already exists" in result.stdout
    assert "the deployment would fail on 1 of 3" in result.stdout
    assert "+1" in result.stdout
    agreed = check(controller, fleet, application.folder, deploy_file_exists_behavior="OVERWRITE")
    assert agreed.rc == 0, str(agreed)
    assert f"~ {DESTINATION}/version.txt (content)" in agreed.stdout


def test_an_instance_that_cannot_be_reached(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    fleet.make_unreachable("web1")
    result = check(controller, fleet, Application(tmp_path / "application", "1").folder)
    assert result.rc != 0
    assert "web2: 1 added, 2 folders" in result.stdout
    assert "web1: no plan: " in result.stdout


def test_an_interrupted_install(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    assert run(controller, fleet, application.folder).rc == 0
    (cleanup,) = (fleet.deployment_root("web1") / "deployment-instructions").glob("*-cleanup")
    journal = cleanup.with_name(cleanup.name.replace("-cleanup", "-journal"))
    journal.write_text(json.dumps({"state": "staging", "prefix": ".codedeploy-x-", "folders": [], "operations": []}))
    result = check(controller, fleet, application.folder)
    assert result.rc == 0, str(result)
    assert "an interrupted Install would be undone or finished first" in result.stdout
    assert journal.exists()


@pytest.mark.parametrize("rollout", ["window", "batches"])
def test_many_instances_are_reported_once(
    controller: Controller, local_fleet: Fleets, tmp_path: Path, rollout: str
) -> None:
    fleet = local_fleet(5)
    application = Application(tmp_path / "application", "1")
    for number in range(60):
        (application.folder / "content" / f"{number:02}.txt").write_text("text")
    result = check(controller, fleet, application.folder, deploy_rollout=rollout, deploy_config="HalfAtATime")
    assert result.rc == 0, str(result)
    assert "web1, web2, web3, web4, web5: 61 added, 2 folders" in result.stdout
    assert result.stdout.count(f"+ {DESTINATION}/00.txt") == 1
    assert "  and 23 more" in result.stdout


def playbook(path: Path, **play: Any) -> Path:
    path.write_text(yaml.safe_dump([{"hosts": "web", "gather_facts": False, **play}]))
    return path


def test_the_role_in_a_playbook_with_serial(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    application = Application(tmp_path / "application", "1\n")
    variables = {"deploy_revision": str(application.folder)}
    site = playbook(tmp_path / "site.yml", serial=1, vars=variables, roles=["agentless.codedeploy.deploy"])
    before = everything(fleet.directory / "web1", fleet.directory / "web2")
    result = controller.playbook(site, fleet.inventory(), "--check", "--diff")
    assert result.rc == 0, str(result)
    assert everything(fleet.directory / "web1", fleet.directory / "web2") == before
    assert "web1: 1 added, 2 folders" in result.stdout
    assert "web2: 1 added, 2 folders" in result.stdout
    assert result.stdout.count("\n+1") == 2


def test_roles_of_single_parts(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1\n", ApplicationStart="true")
    roles = [
        "agentless.codedeploy.download_bundle",
        "agentless.codedeploy.install",
        {"role": "agentless.codedeploy.lifecycle_hook", "lifecycle_hook_event": "ApplicationStart"},
    ]
    site = playbook(tmp_path / "site.yml", vars={"deploy_revision": str(application.folder)}, roles=roles)
    before = everything(fleet.directory / "web1")
    result = controller.playbook(site, fleet.inventory(), "--check", "--diff")
    assert result.rc == 0, str(result)
    assert everything(fleet.directory / "web1") == before
    assert f"+ {DESTINATION}/version.txt" in result.stdout
    assert "\n+1" in result.stdout
    assert "hook ApplicationStart: scripts/ApplicationStart.sh (of the new revision)" in result.stdout
    result = controller.playbook(site, fleet.inventory())
    assert result.rc == 0, str(result)
    assert "1 kept" in controller.playbook(site, fleet.inventory(), "--check").stdout


def test_names_of_any_bytes(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    for name in (b"\xff", b"two\nlines", "ü".encode()):
        (application.folder / "content" / os.fsdecode(name)).write_text("text\n")
    result = check(controller, fleet, application.folder, "--diff")
    assert result.rc == 0, str(result)
    for shown in (r"\xff", r"two\nlines", "ü"):
        assert f"  + {DESTINATION}/{shown}\n" in result.stdout


def test_hosts_over_ssh(controller: Controller, light_hosts: Callable[[int], LightHosts], tmp_path: Path) -> None:
    hosts = light_hosts(1)
    (host,) = hosts.hosts
    inventory = hosts.inventory(tmp_path / "inventory.yml", "web")
    application = Application(tmp_path / "application", "1")
    places = ("/opt", "/srv", "/etc", "/var/lib")
    look = ("find", *places, "-printf", r"%p %i %m %U:%G %n %s %T@ %C@\n")
    host.run("mkdir", "-p", *places)
    for added in (True, False):
        before = host.run(*look)
        result = controller.playbook(
            DEPLOY, inventory, "--check", deploy_group="web", deploy_revision=application.folder
        )
        assert result.rc == 0, str(result)
        assert ("web1: 1 added" if added else "web1: 1 kept") in result.stdout
        assert host.run(*look) == before
        assert host.run("find", "/tmp", "/home", "/root", "-name", "ansible-tmp-*") == ""
        assert host.run("find", "/tmp", "/home", "/root", "-name", "codedeploy-*") == ""
        assert controller.playbook(DEPLOY, inventory, deploy_group="web", deploy_revision=application.folder).rc == 0
