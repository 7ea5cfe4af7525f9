# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling deployments behind a real haproxy and a real nginx: no request fails, and without traffic steps some do.

CODEDEPLOY_TEST_TRAFFIC=10 deploys ten times with 100 requests a second (make traffic); pytest -s prints the figures.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.applications import Application
from support.controller import Controller, Result
from support.debian_packages import installable
from support.load_balancers import WEB_SERVER, Haproxy, Nginx, Requests, free_ports, listens, wait_until
from support.local_fleet import LocalFleet
from support.record import deployments, events

from ansible_collections.agentless.codedeploy.plugins.module_utils._haproxy_socket import answer
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_haproxy import server_rows

DEPLOY = "agentless.codedeploy.deploy"
DEPLOYMENTS = int(os.environ.get("CODEDEPLOY_TEST_TRAFFIC") or 2)
RATE = 100 if "CODEDEPLOY_TEST_TRAFFIC" in os.environ else 20
BALANCERS: dict[str, type[Haproxy] | type[Nginx]] = {"haproxy": Haproxy, "nginx": Nginx}
pytestmark = pytest.mark.skipif(
    not installable() and "CI" not in os.environ, reason="haproxy and nginx are installed by root on Debian"
)

# Ends the server that runs and waits until it has; then begins another one and waits until that listens.
STOP = """
pid=$(cat "$WEB/pid") || exit 0
kill -KILL "$pid"
while kill -0 "$pid" 2>/dev/null && ! grep -q zombie "/proc/$pid/status"; do sleep 0.05; done
# Long enough for requests to come while nothing listens.
sleep 1
"""
START = """
setsid {python} "$WEB/server.py" "$(cat "$WEB/port")" "$WEB/version.txt" </dev/null >/dev/null 2>&1 &
echo $! > "$WEB/pid"
"""
VALIDATE = """
{python} - "$(cat "$WEB/port")" <<'END'
import socket, sys, time
for _attempt in range(1200):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close()
        sys.exit(0)
    except OSError:
        time.sleep(0.05)
sys.exit("the server does not listen")
END
"""


class WebFleet:
    """Three instances on this machine, each with a web server of its own that a deployment ends and starts."""

    def __init__(self, fleet: LocalFleet, folder: Path) -> None:
        self.fleet = fleet
        self._folder = folder
        self.ports = dict(zip(fleet.names, free_ports(len(fleet.names)), strict=True))
        for name, port in self.ports.items():
            home = self._home(name)
            home.mkdir()
            (home / "port").write_text(str(port))
            (home / "server.py").write_text(WEB_SERVER)
            (home / "version.txt").write_text("0")
            fleet.host_variables[name]["web_port"] = port

    def _home(self, name: str) -> Path:
        return self.fleet.directory / name / "web"

    def revision(self, version: int, **scripts: str) -> Path:
        """Return the folder of a revision."""
        # A script learns its instance from the destination root alone.
        where = 'WEB="$DESTINATION_ROOT/../web"\n'
        scripts = {
            "ApplicationStop": STOP,
            "ApplicationStart": START.format(python=sys.executable),
            "ValidateService": VALIDATE.format(python=sys.executable),
            **scripts,
        }
        folder = self._folder / f"revision{version}"
        return Application(folder, str(version), **{name: where + text for name, text in scripts.items()}).folder

    def listening(self) -> bool:
        """Tell whether all web servers do."""
        return all(listens(port) for port in self.ports.values())

    def stop(self) -> None:
        """End the web servers."""
        for name in self.fleet.names:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((self._home(name) / "pid").read_text()), signal.SIGKILL)


@pytest.fixture
def web_fleet(local_fleet: Callable[..., LocalFleet], tmp_path: Path) -> Iterator[WebFleet]:
    folder = tmp_path / "revisions"
    folder.mkdir()
    fleet = WebFleet(local_fleet(3), folder)
    yield fleet
    fleet.stop()


@pytest.mark.parametrize("balancer", BALANCERS)
def test_no_request_fails(controller: Controller, web_fleet: WebFleet, tmp_path: Path, balancer: str) -> None:
    fleet = web_fleet.fleet

    def deploy(version: int, **variables: object) -> None:
        result = controller.playbook(
            DEPLOY,
            fleet.inventory(),
            deploy_group=fleet.group,
            deploy_revision=web_fleet.revision(version),
            **variables,
        )
        assert result.rc == 0, str(result)

    deploy(0, deploy_config="AllAtOnce")
    wait_until(web_fleet.listening, "all web servers listen")
    between = BALANCERS[balancer](tmp_path, web_fleet.ports)
    try:
        with Requests(between.port, RATE) as requests:
            wait_until(lambda: requests.answers["200"] >= 20, "requests are answered")
            for version in range(1, DEPLOYMENTS + 1):
                deploy(version, deploy_traffic=[between.entry])
        print(f"\n{balancer}, {DEPLOYMENTS} deployments: {requests}")
        assert not requests.failed, str(requests.answers)
        newest = deployments(controller)[0]["deploymentId"]
        found = events(controller, newest, "web2")
        assert len(found) == 13
        assert {event["status"] for event in found.values()} == {"Succeeded"}
        assert found["BlockTraffic"]["endTime"] <= found["ApplicationStop"]["startTime"]
        assert f"{balancer} web" in found["AllowTraffic"]["diagnostics"]["message"]
        # The control: the same without traffic steps. If nothing failed here, nothing was shown above.
        with Requests(between.port, RATE) as requests:
            wait_until(lambda: requests.answers["200"] >= 20, "requests are answered")
            deploy(DEPLOYMENTS + 1)
        print(f"{balancer}, one deployment without traffic steps: {requests}")
        assert requests.failed
    finally:
        between.stop()


def test_the_role_alone(controller: Controller, web_fleet: WebFleet, tmp_path: Path) -> None:
    between = Haproxy(tmp_path, web_fleet.ports)
    # The orders are given on another host of the inventory.
    web_fleet.fleet.host_variables["web3"]["ansible_become"] = False
    entry = {**between.entry, "host": "web3", "server": "{inventory_hostname}"}
    playbook = tmp_path / "traffic.yml"
    playbook.write_text(
        "- hosts: web1\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.import_role: {name: agentless.codedeploy.traffic}\n"
    )

    def run(state: str, *arguments: str, **variables: object) -> Result:
        inventory = web_fleet.fleet.inventory()
        given = {"traffic_state": state, "traffic_load_balancers": [entry], **variables}
        return controller.playbook(playbook, inventory, *arguments, **given)

    def state() -> str:
        rows = server_rows(answer({"socket": between.socket, "commands": ["show stat -1 4 -1"]})["answers"][0])
        return next(row["status"] for row in rows if row["svname"] == "web1")

    try:
        before = state()
        assert run("blocked", "--check").rc == 0
        assert not state().startswith(("DRAIN", "MAINT")), before
        blocked = run("blocked")
        assert blocked.rc == 0, str(blocked)
        assert state() == "MAINT"
        # Nothing listens there, so that its health checks can never pass.
        refused = run("allowed", traffic_allow_timeout=1)
        assert refused.rc == 2
        assert "web1: not healthy within 1 s: haproxy web/web1 on web3: D" in refused.stdout
        unknown = run("blocked", traffic_load_balancers=[{**entry, "backend": "other"}])
        assert "the backend other has no server web1" in unknown.stdout
    finally:
        between.stop()
