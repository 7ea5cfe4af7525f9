# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Ansible's commands for real, from any environment that has an ansible-core, without the user's own settings."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

THIS_ENVIRONMENT = Path(sys.prefix)


@functools.cache
def compiling_once() -> dict[str, str]:
    """Return environment variables with which Ansible compiles no collection or module a second time.

    That is a fifth of what a playbook costs. See :file:`compile_once/sitecustomize.py`.
    """
    folder = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"PYTHONPATH": str(Path(__file__).with_name("compile_once")), "CODEDEPLOY_TEST_COMPILED": folder}


@dataclass(frozen=True)
class Result:
    """What a command did: exit status, standard output, standard error."""

    rc: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"exit status {self.rc}\n{self.stdout}\n{self.stderr}"


class Controller:
    """The place where Ansible runs: an environment with an ansible-core, a home directory, a store of deployments.

    :param home: empty directory for everything that Ansible and the collection keep on the controller.
    :param collections_path: directory for ANSIBLE_COLLECTIONS_PATH.
    :param virtual_environment: environment whose ansible-playbook is used.
    :param shortcuts: keep compiled code from run to run and look for results less often; not where cost is measured or
        Ansible's own importing is a part of what is tested.
    """

    def __init__(
        self,
        home: Path,
        collections_path: Path,
        virtual_environment: Path = THIS_ENVIRONMENT,
        *,
        shortcuts: bool = True,
    ) -> None:
        self.home = home
        self.store = home / "deployments.sqlite"
        configuration = home / "ansible.cfg"
        # Seconds between two looks for what workers have sent; Ansible's own costs a good part of a processor.
        configuration.write_text("[defaults]\ninternal_poll_interval = 0.01\n" if shortcuts else "")
        self._bin = virtual_environment / "bin"
        # The path of a socket has at most 108 characters, and home may be far down.
        self._sockets = Path(tempfile.mkdtemp(prefix="ssh-"))
        self.environment = {
            "PATH": os.pathsep.join([str(self._bin), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANSIBLE_CONFIG": str(configuration),
            "ANSIBLE_COLLECTIONS_PATH": str(collections_path),
            "ANSIBLE_HOME": str(home / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._sockets),
            "ANSIBLE_SSH_TIMEOUT": "30",
            "CODEDEPLOY_STORE": str(self.store),
            **(compiling_once() if shortcuts else {}),
        }

    def run(self, command: str, *arguments: str, **environment: str) -> Result:
        """Run a command of ansible-core, as ``run("ansible", "--version")``; keywords are environment variables."""
        with self.start(command, *arguments, **environment) as process:
            stdout, stderr = process.communicate()
        return Result(process.returncode, stdout, stderr)

    def start(self, command: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of ansible-core and return at once; as :meth:`run`."""
        return subprocess.Popen(
            [str(self._bin / command), *arguments],
            cwd=self.home,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def playbook_arguments(self, playbook: str, inventory: Path, *arguments: str, **variables: object) -> list[str]:
        """Return the arguments of ansible-playbook; keywords are extra variables, of any JSON type."""
        return ["--inventory", str(inventory), *arguments, "--extra-vars", json.dumps(variables, default=str), playbook]

    def playbook(self, playbook: str | Path, inventory: Path, *arguments: str, **variables: object) -> Result:
        """Run a playbook, a file or one of the collection by its full name; keywords are extra variables."""
        return self.run("ansible-playbook", *self.playbook_arguments(str(playbook), inventory, *arguments, **variables))

    def close(self) -> None:
        """End the ssh connections that Ansible keeps open for its next run."""
        for control in self._sockets.iterdir():
            end = ["ssh", "-F", "none", "-o", f"ControlPath={control}", "-O", "exit", "none"]
            subprocess.run(end, capture_output=True, check=False)
        shutil.rmtree(self._sockets, ignore_errors=True)
