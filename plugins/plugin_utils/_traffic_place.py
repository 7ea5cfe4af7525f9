# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a load balancer is given its orders: on the controller, or on a host of the inventory."""

from __future__ import annotations

import copy
import inspect
import json
import posixpath
import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ansible import constants
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import become_loader, connection_loader

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import EVENT_SECONDS, TrafficError

MARK = "agentless.codedeploy answer:"
# What an older host's own Python is called, and what is there without a name of its own in the search path.
PYTHON = '"$(command -v python3 || command -v /usr/libexec/platform-python || echo /usr/bin/python3)"'


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    rc: int
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """What it said, on one line."""
        return " ".join(f"{self.stdout} {self.stderr}".split())


class Place(ABC):
    """Where commands and programs run."""

    #: What a reader calls it, empty for the controller.
    name: str

    @abstractmethod
    def command(self, argv: Sequence[str]) -> Answer:
        """Run a command, without a shell."""

    @abstractmethod
    def program(self, module: ModuleType, request: Mapping[str, Any]) -> dict[str, Any]:
        """Call the function C(answer) of a module that imports the standard library alone.

        :raises OSError: it could not do what it was asked.
        """


class Controller(Place):
    """This machine."""

    name = ""

    def command(self, argv: Sequence[str]) -> Answer:
        """Run a command, without a shell."""
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=EVENT_SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def program(self, module: ModuleType, request: Mapping[str, Any]) -> dict[str, Any]:
        """Call the function C(answer) of a module."""
        return dict(module.answer(dict(request)))


class InventoryHost(Place):
    """A host of the inventory, reached with its own variables by the connection that these name.

    :param action: the task at work.
    :param become: whether to become there; None: as the task, unless the host's variables say.
    :raises TrafficError: the inventory has no such host.
    """

    def __init__(self, action: ActionBase, task_vars: Mapping[str, Any], name: str, become: bool | None) -> None:
        self.name = name
        hosts = task_vars.get("hostvars") or {}
        if name not in hosts:
            raise TrafficError(f"the inventory has no host {name}")
        self._variables = hosts[name]
        self._action = _on_connection(action, self._variables, become)

    def command(self, argv: Sequence[str]) -> Answer:
        """Run a command, without a shell of its own."""
        return self._run(" ".join(shlex.quote(word) for word in argv))

    def program(self, module: ModuleType, request: Mapping[str, Any]) -> dict[str, Any]:
        """Call the function C(answer) of a module, on the host."""
        call = (
            "import json, sys\n"
            "try:\n    found = answer(json.loads(sys.argv[1]))\n"
            "except OSError as error:\n    found = {'failure': str(error)}\n"
            f"print({MARK!r} + json.dumps(found))\n"
        )
        source = f"{inspect.getsource(module)}\n{call}"
        answer = self._run(f"{self._python()} -c {shlex.quote(source)} {shlex.quote(json.dumps(dict(request)))}")
        mark, text = answer.stdout.rpartition(MARK)[1:]
        if not mark:
            raise OSError(f"{self.name}: {answer.words or 'no answer'}")
        found: dict[str, Any] = json.loads(text)
        if "failure" in found:
            raise OSError(f"{self.name}: {found['failure']}")
        return found

    def _python(self) -> str:
        given = str(self._variables.get("ansible_python_interpreter") or "")
        return shlex.quote(given) if posixpath.isabs(given) else PYTHON

    def _run(self, command: str) -> Answer:
        done = self._action._low_level_execute_command(command)
        return Answer(done["rc"], done["stdout"], done["stderr"])


def _on_connection(action: ActionBase, variables: Mapping[str, Any], become: bool | None) -> ActionBase:
    """Return an action like another one, on the connection of another host."""
    other = copy.copy(action)
    context = other._play_context = action._play_context.copy()
    context.remote_addr = str(variables.get("ansible_host") or variables["inventory_hostname"])
    kind = str(variables.get("ansible_connection") or constants.DEFAULT_TRANSPORT)
    connection = connection_loader.get("ssh" if kind == "smart" else kind, context, None)
    if connection is None:
        raise TrafficError(f"there is no connection {kind} for the host {variables['inventory_hostname']}")
    keys = action._task.dump_attrs()
    keys.pop("retries", None)
    keys["timeout"] = context.timeout
    if context.password:
        keys["password"] = context.password
    connection.set_options(task_keys=keys, var_options=_known(variables, "connection", connection))
    shell = connection._shell
    shell.set_options(task_keys=keys, var_options=_known(variables, "shell", shell))
    wanted = action._task.become if become is None else become
    said = variables.get("ansible_become")
    if boolean(said) if become is None and said is not None else wanted:
        method = str(variables.get("ansible_become_method") or action._task.become_method or "sudo")
        plugin = become_loader.get(method)
        if context.become_pass:
            keys["become_pass"] = context.become_pass
        plugin.set_options(task_keys=keys, var_options=_known(variables, "become", plugin))
        connection.set_become_plugin(plugin)
    else:
        connection.set_become_plugin(None)
    other._connection = connection
    return other


def _known(variables: Mapping[str, Any], kind: str, plugin: Any) -> dict[str, Any]:
    names = constants.config.get_plugin_vars(kind, plugin._load_name)
    return {name: variables[name] for name in names if name in variables}
