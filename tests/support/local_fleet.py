# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances without hosts: inventory hosts with connection local, each with a deployment root and files of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml


class LocalFleet:
    """Inventory hosts on this machine that do not see each other's deployments.

    :param count: how many, named ``web1`` and so on.
    :param directory: empty directory for all that the instances write: ``web1/deployment-root`` is the first one's
        deployment root, and every destination of an AppSpec lies below ``web1/files``.
    :param group: name of the Ansible group.
    :param interpreter: Python that the module runs with there.
    :param variables: further variables of the group.
    """

    def __init__(
        self, count: int, directory: Path, group: str = "web", interpreter: str = sys.executable, **variables: object
    ) -> None:
        self.directory = directory
        self.group = group
        self.names = [f"web{number + 1}" for number in range(count)]
        self.variables: dict[str, object] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": interpreter,
            # Else below the home directory that the user's entry in the password file names.
            "ansible_remote_tmp": str(directory / "tmp"),
            "deploy_become": False,
            **variables,
        }
        #: Variables of single hosts: name -> variables; changes take effect with the next :meth:`inventory`.
        self.host_variables: dict[str, dict[str, object]] = {
            name: {
                "deploy_root": str(self.deployment_root(name)),
                "deploy_destination_root": str(self.files(name)),
            }
            for name in self.names
        }
        for name in self.names:
            self.files(name).mkdir(parents=True)

    def deployment_root(self, name: str) -> Path:
        """Return an instance's deployment root; it does not exist before the first deployment."""
        return self.directory / name / "deployment-root"

    def files(self, name: str) -> Path:
        """Return the directory that stands for an instance's own file system."""
        return self.directory / name / "files"

    def make_unreachable(self, name: str) -> None:
        """Let an instance be reached by ssh at a port of this machine where nothing listens."""
        self.host_variables[name].update(
            {
                "ansible_connection": "ssh",
                "ansible_host": "127.0.0.1",
                "ansible_port": 1,
                "ansible_ssh_common_args": "-F none",
            }
        )

    def inventory(self) -> Path:
        """Write the inventory as it is now and return its path."""
        path = self.directory / "inventory.yml"
        group = {"hosts": self.host_variables, "vars": self.variables}
        path.write_text(yaml.safe_dump({"all": {"children": {self.group: group}}}, sort_keys=False))
        return path
