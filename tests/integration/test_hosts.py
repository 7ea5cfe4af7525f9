# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that other tests deploy to are what they are said to be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.waiting import wait_until

PING = """
- hosts: web
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
    - ansible.builtin.command: id -un
      become: true
      register: who
    - ansible.builtin.assert:
        that: who.stdout == "root"
"""


def ping_playbook(directory: Path) -> Path:
    playbook = directory / "ping.yml"
    playbook.write_text(PING)
    return playbook


def summary(stdout: str, host: str) -> str:
    """Return a host's line of the recap."""
    return next(line for line in stdout.splitlines() if line.startswith(f"{host} ") and "unreachable=" in line)


def test_light_hosts_answer_over_ssh(light_hosts, controller, tmp_path):
    hosts = light_hosts(3)
    for user in ("deploy", "root"):
        inventory = hosts.inventory(tmp_path / f"{user}.yml", "web", user=user)
        result = controller.playbook(ping_playbook(tmp_path), inventory)
        assert result.rc == 0, result
        assert "ok=3" in summary(result.stdout, "web3")


def test_light_hosts_become_unreachable_and_come_back(light_hosts, controller, tmp_path):
    hosts = light_hosts(3)
    inventory = hosts.inventory(tmp_path / "inventory.yml", "web")
    hosts[0].unplug()
    hosts[1].stop_sshd()
    result = controller.playbook(ping_playbook(tmp_path), inventory)
    assert result.rc == 4, result
    assert ["unreachable=1" in summary(result.stdout, host.name) for host in hosts.hosts] == [True, True, False]
    hosts[0].plug_in()
    hosts[1].start_sshd()
    result = controller.playbook(ping_playbook(tmp_path), inventory)
    assert result.rc == 0, result


def test_light_hosts_do_not_share_files_and_have_small_disks(light_hosts):
    hosts = light_hosts(2)
    hosts[0].path("/srv/only-here").write_text("first")
    assert not hosts[1].path("/srv/only-here").exists()
    hosts[0].small_disk("/srv/small", "64k")
    copied = hosts[0].run("sh", "-c", "head -c 1M /dev/zero > /srv/small/file 2>&1 || echo full; id -un", user="root")
    assert "full" in copied
    assert hosts[0].run("id", "-un", user="webapp") == "webapp\n"


@pytest.mark.usefixtures("light_hosts")
def test_light_hosts_end_with_a_killed_process(tmp_path, checkout):
    script = """
        import sys
        from pathlib import Path
        from support.light_hosts import LightHosts
        hosts = LightHosts(1, Path(sys.argv[1]), Path(sys.argv[2]))
        print(hosts[0].pid, flush=True)
        sys.stdin.read()
    """
    program = tmp_path / "hold.py"
    program.write_text(textwrap.dedent(script))
    cache = checkout / "build" / "light-hosts"
    environment = {**os.environ, "PYTHONPATH": str(checkout / "tests")}
    with subprocess.Popen(
        [sys.executable, str(program), str(cache), str(tmp_path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        host = Path("/proc") / holder.stdout.readline().strip()
        assert (host / "root/etc/hostname").read_text() == "web1\n"
        holder.send_signal(signal.SIGKILL)
    wait_until(lambda: not host.exists(), "the host has ended")


def test_local_fleet_runs_modules_and_can_be_unreachable(local_fleet, controller, tmp_path):
    fleet = local_fleet(2)
    fleet.make_unreachable("web2")
    playbook = tmp_path / "ping.yml"
    playbook.write_text("- hosts: web\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n")
    result = controller.playbook(playbook, fleet.inventory())
    assert result.rc == 4, result
    assert "ok=1" in summary(result.stdout, "web1")
    assert "unreachable=1" in summary(result.stdout, "web2")
