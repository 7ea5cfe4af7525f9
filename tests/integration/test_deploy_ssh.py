# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deploy playbook over real ssh, as a user who becomes root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import DESTINATION, Application
from support.controller import Controller
from support.light_hosts import LightHost, LightHosts
from support.record import deployments, events, statuses
from support.waiting import wait_until

DEPLOY = "agentless.codedeploy.deploy"
Hosts = Callable[[int], LightHosts]


def test_deploys_as_root_by_become(controller: Controller, light_hosts: Hosts, tmp_path: Path) -> None:
    hosts = light_hosts(2)
    application = Application(tmp_path / "application", "1", ApplicationStart="id -un > /srv/who")
    inventory = hosts.inventory(tmp_path / "inventory.yml", "web")
    for expected in ("1", "2"):
        (application.folder / "content" / "version.txt").write_text(expected)
        result = controller.playbook(DEPLOY, inventory, deploy_group="web", deploy_revision=application.folder)
        assert result.rc == 0, str(result)
        for host in hosts.hosts:
            assert host.run("cat", f"{DESTINATION}/version.txt") == expected
            assert host.run("cat", "/srv/who").strip() == "root"
            assert host.run("find", "/tmp", "/home", "-name", "ansible-tmp-*") == ""


def resets(host: LightHost) -> int:
    """Return how many packets the host has answered with a reset, as it does where nothing listens."""
    names, values = (line.split() for line in host.run("grep", "^Tcp:", "/proc/net/snmp").splitlines())
    return int(values[names.index("OutRsts")])


@pytest.mark.parametrize("poll_after", [1, 60], ids=["while it is followed", "in the call that starts it"])
def test_connection_lost_in_mid_event(
    controller: Controller, light_hosts: Hosts, tmp_path: Path, poll_after: int
) -> None:
    hosts = light_hosts(1)
    hold = "touch /srv/started; while [ ! -e /srv/release ]; do sleep 0.1; done; echo once >> /srv/trace"
    application = Application(tmp_path / "application", "1", BeforeInstall=hold)
    inventory = hosts.inventory(tmp_path / "inventory.yml", "web")
    arguments = controller.playbook_arguments(
        DEPLOY, inventory, deploy_group="web", deploy_revision=application.folder, deploy_poll_after=poll_after
    )
    running = controller.start("ansible-playbook", *arguments)
    (host,) = hosts.hosts
    wait_until(host.path("/srv/started").exists, "the script runs", running)
    refused_before = resets(host)
    host.stop_sshd()
    wait_until(lambda: resets(host) > refused_before, "a connection is tried in vain", running)
    host.run("touch", "/srv/release")
    host.start_sshd()
    output = running.communicate()[0]
    assert running.returncode == 0, output
    (deployment,) = deployments(controller)
    assert statuses(controller, deployment["deploymentId"]) == {"web1": "Succeeded"}
    assert events(controller, deployment["deploymentId"], "web1")["BeforeInstall"]["status"] == "Succeeded"
    assert host.run("cat", "/srv/trace") == "once\n"


def test_events_that_take_long(controller: Controller, light_hosts: Hosts, tmp_path: Path) -> None:
    hosts = light_hosts(1)
    hold = "touch /srv/{0}; while [ ! -e /srv/{0}-release ]; do sleep 0.1; done".format
    scripts = {event: hold(event) for event in ("AfterInstall", "ApplicationStart", "ValidateService")}
    application = Application(tmp_path / "application", "1", **scripts)
    inventory = hosts.inventory(tmp_path / "inventory.yml", "web")
    arguments = controller.playbook_arguments(
        DEPLOY, inventory, deploy_group="web", deploy_revision=application.folder, deploy_poll_after=0
    )
    running = controller.start("ansible-playbook", *arguments, PYTHONUNBUFFERED="1")
    assert running.stdout is not None
    before = {"Install": "AfterInstall", "AfterInstall": "ApplicationStart", "ApplicationStart": "ValidateService"}
    output = ""
    for line in running.stdout:
        output += line
        for event, following in before.items():
            # Only when the controller has seen one event does the next one end, so that the log is read many times.
            if line.startswith(f"web1: {event} Succeeded"):
                hosts[0].run("touch", f"/srv/{following}-release")
    assert running.wait() == 0, output
    (deployment,) = deployments(controller)
    recorded = events(controller, deployment["deploymentId"], "web1")
    assert {event["status"] for event in recorded.values()} == {"Succeeded"}
    assert "web1: ValidateService Succeeded" in output
