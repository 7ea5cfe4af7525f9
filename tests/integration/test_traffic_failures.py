# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of instances behind load balancers when deployments fail, are stopped and are rolled back."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.applications import Application
from support.controller import Controller, Result
from support.debian_packages import installable
from support.light_hosts import LightHosts
from support.load_balancers import Haproxy, Nginx, haproxy_on, nginx_on
from support.local_fleet import LocalFleet
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.module_utils._haproxy_socket import answer
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    current_owner,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._stop_deployment import stop
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_haproxy import server_rows

DEPLOY = "agentless.codedeploy.deploy"
FAILS_ON_WEB2 = 'case "$0" in *web2*) exit 1;; esac'
SHOW_STAT = """
import socket
asked = socket.socket(socket.AF_UNIX)
asked.connect("/run/haproxy/admin.sock")
asked.sendall(b"show stat -1 4 -1\\n")
print(asked.makefile().read())
"""
pytestmark = pytest.mark.skipif(
    not installable() and "CI" not in os.environ, reason="haproxy and nginx are installed by root on Debian"
)

# A load balancer of somebody's own: a file for each instance says what was asked last.
PROGRAM = """#!/bin/sh
case $1 in
  status) cat "{folder}/$2" || echo allowed ;;
  *) echo "$1" > "{folder}/$2" ;;
esac
"""
# The same, but it takes its time to let the last requests end.
SLOW_PROGRAM = """#!/bin/sh
if [ "$1" = blocked ]; then
    touch "{folder}/started"
    while [ ! -e "{folder}/release" ]; do sleep 0.1; done
fi
echo "$1" > "{folder}/$2"
"""


class Program:
    """A load balancer of the provider C(command)."""

    def __init__(self, folder: Path, text: str = PROGRAM) -> None:
        folder.mkdir()
        self.folder = folder
        program = folder / "lb"
        program.write_text(text.format(folder=folder))
        program.chmod(0o755)
        self.entry = {"provider": "command"} | {
            order: [str(program), word, "{inventory_hostname}"]
            for order, word in {"block": "blocked", "allow": "allowed", "status": "status"}.items()
        }

    def states(self) -> dict[str, str]:
        """What was asked last for each instance."""
        return {path.name: path.read_text().strip() for path in self.folder.glob("web*")}


class Quiet(http.server.BaseHTTPRequestHandler):
    """Says nothing to the screen."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Write nothing."""


@contextmanager
def web_servers(fleet: LocalFleet, address: str = "127.0.0.1") -> Iterator[dict[str, int]]:
    """Let something listen for each instance; gives the ports."""
    servers = {name: http.server.ThreadingHTTPServer((address, 0), Quiet) for name in fleet.names}
    for name, server in servers.items():
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fleet.host_variables[name]["web_port"] = server.server_port
    try:
        yield {name: server.server_port for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()


def in_service(balancer: Haproxy) -> dict[str, bool]:
    """Which instances haproxy has not in maintenance."""
    found = answer({"socket": balancer.socket, "commands": ["show stat -1 4 -1"]})["answers"][0]
    return {row["svname"]: row["status"] != "MAINT" for row in server_rows(found)}


def not_down(balancer: Nginx, ports: dict[str, int]) -> dict[str, bool]:
    """Which instances nginx's file does not mark as down."""
    lines = balancer.upstream.read_text().splitlines()
    return {
        name: not any(f":{port} " in line.replace(";", " ") and "down" in line for line in lines)
        for name, port in ports.items()
    }


class Last:
    """The newest deployment, read from the record itself: a playbook would take seconds for each question."""

    def __init__(self, controller: Controller, before: int = 0) -> None:
        store = open_store(str(controller.store))
        self.all = list_deployments(store)
        self.targets = {target.target_id: target for target in get_targets(store, self.all[before].deployment_id)}
        self.statuses = {name: target.status for name, target in self.targets.items()}

    def event(self, instance: str, name: str) -> dict[str, Any]:
        """One lifecycle event."""
        found = self.targets[instance].lifecycle_events
        return next(dict(event) for event in found if event["lifecycle_event_name"] == name)


def test_failures_and_rollbacks(controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path) -> None:
    fleet = local_fleet(2)
    good = Application(tmp_path / "good", "1")
    # The first of two: one at a time, the last one may fail.
    bad = Application(tmp_path / "bad", "2", ValidateService='case "$0" in *web1*) exit 1;; esac')
    program = Program(tmp_path / "program")
    with web_servers(fleet) as ports:
        haproxy, nginx = Haproxy(tmp_path, ports), Nginx(tmp_path, ports)

        def deploy(application: Application, **variables: object) -> Result:
            entries = [haproxy.entry, nginx.entry, program.entry]
            given = {"deploy_group": "web", "deploy_revision": application.folder, "deploy_traffic": entries}
            return controller.playbook(DEPLOY, fleet.inventory(), **{**given, **variables})

        def assert_all_in_service(*asked: str) -> None:
            assert in_service(haproxy) == dict.fromkeys(fleet.names, True)
            assert not_down(nginx, ports) == dict.fromkeys(fleet.names, True)
            assert program.states() == dict.fromkeys(asked, "allowed")

        try:
            result = deploy(good, deploy_config="AllAtOnce")
            assert result.rc == 0, str(result)
            assert_all_in_service("web1", "web2")
            # The rollback puts it in again, into everything that it was taken out of.
            result = deploy(bad, deploy_auto_rollback_configuration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]})
            assert result.rc == 2, str(result)
            failed, rollback = Last(controller, 1), Last(controller)
            assert failed.statuses == {"web1": "Failed", "web2": "Skipped"}, str(result)
            assert failed.event("web1", "BlockTraffic")["status"] == "Succeeded"
            assert failed.event("web1", "AllowTraffic")["status"] == "Skipped"
            assert rollback.statuses == {"web1": "Succeeded"}, str(result)
            assert rollback.event("web1", "AllowTraffic")["status"] == "Succeeded"
            assert_all_in_service("web1", "web2")
            # Asked for, it is put back although it failed.
            result = deploy(bad, deploy_reregister_on_failure=True)
            assert result.rc == 2, str(result)
            last = Last(controller)
            assert last.statuses == {"web1": "Failed", "web2": "Skipped"}
            assert last.event("web1", "AllowTraffic")["status"] == "Skipped"
            assert "web1: It was put back into haproxy web/web1, nginx " in result.stdout
            assert_all_in_service("web1", "web2")
        finally:
            haproxy.stop()
            nginx.stop()


def stop_when(controller: Controller, started: Path, release: Path, running: subprocess.Popen[str]) -> str:
    """Stop the deployment when an instance has come to a place; returns the output of its run."""
    wait_until(started.exists, "an instance has come to that place", running)
    try:
        store = open_store(str(controller.store))
        stop(store, list_deployments(store)[0].deployment_id, current_owner())
    finally:
        release.touch()
    return " ".join("".join(running.communicate()).split())


def test_a_stop_leaves_no_healthy_instance_out(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    fleet = local_fleet(2)
    program = Program(tmp_path / "program")

    def start(revision: Path, *entries: dict[str, object]) -> subprocess.Popen[str]:
        variables = {"deploy_group": "web", "deploy_revision": revision, "deploy_traffic": list(entries)}
        return controller.start(
            "ansible-playbook", *controller.playbook_arguments(DEPLOY, fleet.inventory(), **variables)
        )

    first = start(Application(tmp_path / "one", "1").folder, program.entry)
    assert first.wait() == 0, first.communicate()[0]
    # While the first instance is taken out of service nothing has run there yet: it goes on as it was.
    slow = Program(tmp_path / "slow", SLOW_PROGRAM)
    running = start(Application(tmp_path / "two", "2").folder, {**slow.entry, "status": None})
    output = stop_when(controller, slow.folder / "started", slow.folder / "release", running)
    assert running.returncode == 2, output
    assert Last(controller).statuses == {"web1": "Failed", "web2": "Skipped"}
    assert slow.states() == {"web1": "allowed"}
    # In the middle of its events it is neither the old nor the new one, and stays out; the one before it is in service.
    hold = (
        f'case "$0" in *web2*) touch {tmp_path}/started; while [ ! -e {tmp_path}/release ]; do sleep 0.1; done;; esac'
    )
    running = start(Application(tmp_path / "three", "3", BeforeInstall=hold).folder, program.entry)
    output = stop_when(controller, tmp_path / "started", tmp_path / "release", running)
    assert Last(controller).statuses == {"web1": "Succeeded", "web2": "Failed"}, output
    assert program.states() == {"web1": "allowed", "web2": "blocked"}


def test_load_balancers_on_another_host(
    controller: Controller,
    local_fleet: Callable[..., LocalFleet],
    light_hosts: Callable[[int], LightHosts],
    tmp_path: Path,
) -> None:
    fleet, hosts = local_fleet(2), light_hosts(1)
    (host,) = hosts.hosts
    bad = Application(tmp_path / "bad", "1", ValidateService=FAILS_ON_WEB2)
    access = hosts.inventory(tmp_path / "balancers.yml", "balancers")
    access.write_text(access.read_text().replace("web1:", "lb1:"))
    place = {"host": "lb1", "become": True}
    with web_servers(fleet, host.gateway) as ports:
        servers = {name: f"{host.gateway}:{port}" for name, port in ports.items()}
        haproxy_on(host, servers)
        nginx_on(host, servers)
        host.path("/usr/local/bin/lb").write_text(PROGRAM.format(folder="/srv"))
        host.path("/usr/local/bin/lb").chmod(0o755)
        words = {"block": "blocked", "allow": "allowed", "status": "status"}
        command = {order: ["/usr/local/bin/lb", word, "{inventory_hostname}"] for order, word in words.items()}
        variables = {
            "deploy_group": "web",
            "deploy_revision": bad.folder,
            "deploy_traffic": [
                {"provider": "haproxy", "backend": "web", **place},
                {
                    "provider": "nginx",
                    "file": "/etc/nginx/conf.d/upstream.conf",
                    "server": host.gateway + ":{web_port}",
                    **place,
                },
                {"provider": "command", **command, **place},
            ],
        }

        def deploy() -> Result:
            arguments = controller.playbook_arguments(DEPLOY, fleet.inventory(), "-i", str(access), **variables)
            return controller.run("ansible-playbook", *arguments)

        result = deploy()
        # One at a time: the last instance may fail.
        assert result.rc == 0, str(result)
        last = Last(controller)
        assert last.statuses == {"web1": "Succeeded", "web2": "Failed"}, str(result)
        found = last.event("web1", "AllowTraffic")["diagnostics"]["message"]
        assert "haproxy web/web1 on lb1" in found
        stat = host.run("python3", "-c", SHOW_STAT)
        assert {row["svname"]: row["status"] == "MAINT" for row in server_rows(stat)} == {"web1": False, "web2": True}
        lines = host.path("/etc/nginx/conf.d/upstream.conf").read_text().splitlines()
        assert [f":{ports['web2']}" in line for line in lines if "down" in line] == [True]
        assert [host.run("cat", f"/srv/{name}").strip() for name in fleet.names] == ["allowed", "blocked"]
        # A load balancer that cannot be reached is found before anything is touched.
        host.stop_sshd()
        controller.close()
        result = deploy()
        assert result.rc == 2
        assert "haproxy web/web1 on lb1: " in result.stdout
        assert "Traceback" not in result.stdout + result.stderr
        assert len(Last(controller).all) == 1
