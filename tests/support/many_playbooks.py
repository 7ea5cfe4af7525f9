# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook very often: each run is a fork of this process, which has imported everything that one needs.

Started as a script it reads a JSON list of runs, each with C(arguments), C(environment) and C(output), a file, and
writes the list of their exit statuses. It imports nothing of the tests, so that Ansible finds the collection itself.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

COLLECTION = "agentless.codedeploy"
# What a run of the deploy playbook loads only in its workers.
PLUGINS = {
    "action_loader": [f"{COLLECTION}.deployment", f"{COLLECTION}.deploy_instance"],
    "connection_loader": ["ansible.builtin.local", "ansible.builtin.ssh"],
    "shell_loader": ["ansible.builtin.sh"],
    "filter_loader": [f"{COLLECTION}.deployment_plan"],
}
MODULES = ("ansible.executor.module_common", "ansible.executor.powershell.module_manifest")


@dataclass(frozen=True)
class PlaybookRun:
    """One run: the command's arguments, environment variables besides, and a file for what it writes."""

    arguments: list[str]
    environment: dict[str, str]
    output: str


def run_playbooks(
    runs: Sequence[PlaybookRun], at_once: int, environment: dict[str, str], python: str = sys.executable
) -> list[int]:
    """Run ansible-playbook as often as there are runs, several at once; returns their exit statuses."""
    done = subprocess.run(
        [python, __file__, str(at_once)],
        input=json.dumps([asdict(run) for run in runs]),
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    statuses: list[int] = json.loads(done.stdout)
    return statuses


def _serve(runs: list[dict[str, object]], at_once: int) -> list[int]:
    _import_early()
    shared = Path(tempfile.mkdtemp(prefix="ansiballz-", dir=os.environ["HOME"]))
    statuses: dict[int, int] = {}
    working: dict[int, int] = {}
    for number, run in enumerate(runs):
        while len(working) >= at_once:
            _wait(working, statuses)
        pid = os.fork()
        if not pid:
            _become(run, shared)
        working[pid] = number
    while working:
        _wait(working, statuses)
    return [statuses[number] for number in range(len(runs))]


def _wait(working: dict[int, int], statuses: dict[int, int]) -> None:
    pid, status = os.wait()
    # The playbook that was run at first may have left a worker.
    if pid in working:
        statuses[working.pop(pid)] = os.waitstatus_to_exitcode(status)


def _import_early() -> None:
    """Run a small playbook in this process, so that forks have what it has loaded, and load what workers need."""
    from ansible.cli.playbook import PlaybookCLI
    from ansible.parsing import vault
    from ansible.utils import context_objects

    home = Path(os.environ["HOME"])
    inventory = home / "inventory.yml"
    inventory.write_text("all: {hosts: {one: {ansible_connection: local}}}")
    playbook = home / "first.yml"
    playbook.write_text("[{hosts: all, gather_facts: false, tasks: [{debug: {msg: \"{{ 'x' | default(1) }}\"}}]}]")
    PlaybookCLI(["ansible-playbook", "--inventory", str(inventory), str(playbook)]).run()
    # The next run, in a fork, is to have options and secrets of its own.
    context_objects.GlobalCLIArgs._Singleton__instance = None
    if hasattr(vault, "VaultSecretsContext"):
        vault.VaultSecretsContext._current = None
    for name in MODULES:
        importlib.import_module(name)
    loaders = importlib.import_module("ansible.plugins.loader")
    for loader, names in PLUGINS.items():
        for name in names:
            assert getattr(loaders, loader).get(name, class_only=True), name


def _become(run: dict[str, object], shared: Path) -> None:
    """Be one run of ansible-playbook in a fork, with a temporary directory of its own, and end."""
    status = 70
    try:
        output = os.open(str(run["output"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for mine, theirs in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(mine, theirs)
        os.environ.update(run["environment"])  # type: ignore[call-overload]  # a mapping, as JSON has it
        from ansible import constants
        from ansible.cli.playbook import PlaybookCLI
        from ansible.utils import vars as identities

        own = Path(tempfile.mkdtemp(prefix="ansible-local-", dir=os.environ["HOME"]))
        (own / "ansiballz_cache").symlink_to(shared)
        constants.DEFAULT_LOCAL_TMP = str(own)
        # A fork would give its tasks the same numbers as another one.
        identities.random_int = f"{os.getpid():08x}"
        status = int(PlaybookCLI(["ansible-playbook", *run["arguments"]]).run() or 0)  # type: ignore[misc]  # a list
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    statuses = _serve(json.load(sys.stdin), int(sys.argv[1]))
    os.write(answer, json.dumps(statuses).encode())
