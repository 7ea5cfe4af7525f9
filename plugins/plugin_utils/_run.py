# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an action plugin knows of the run it is part of: the play, its hosts, the folders, the controller's process."""

from __future__ import annotations

import os
import shlex
from typing import Any

from ansible import context
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import requester


def play_of(action: ActionBase) -> Any:
    """Return the play of the action's task, None when there is none."""
    block = action._task._parent
    return getattr(block, "_play", None)


def this_run(action: ActionBase) -> Owner:
    """Return who runs the deployment: the process of ansible-playbook (an action runs in a child of it) and the play.

    All serial batches of one play have the same C(run_id), two plays of the process do not.
    """
    play = play_of(action)
    number = str(play._uuid).rpartition("-")[2].lstrip("0") if play is not None else ""
    return requester(f"play {number}" if number else None)


def revision_folders(task_vars: dict[str, Any]) -> list[str]:
    """Return where a revision with a relative path is looked for."""
    playbook = task_vars.get("playbook_dir")
    return [os.getcwd(), *([str(playbook)] if playbook else [])]


def group_of_play(action: ActionBase, task_vars: dict[str, Any]) -> str | None:
    """Return the inventory group that the play is for, when C(hosts) names exactly one."""
    hosts = getattr(play_of(action), "hosts", None)
    names = [hosts] if isinstance(hosts, str) else list(hosts or [])
    return names[0] if len(names) == 1 and names[0] in task_vars.get("groups", {}) else None


def delegation_problem(action: ActionBase, host: str) -> str | None:
    """Say that a task for one host works on another one, so that the record would be wrong about both."""
    delegate = action._task.delegate_to
    if not delegate or str(delegate) == host:
        return None
    return (
        f"{host}: not started. delegate_to is {delegate}, and what is deployed there would be recorded for {host}: "
        f"leave delegate_to out, and let the play have the hosts that are deployed to"
    )


def configured_forks() -> int:
    """Return how many instances ansible-playbook works on at once."""
    return int(context.CLIARGS.get("forks") or 1)


def inventory_options() -> str:
    """Return the C(-i) options of this run, for commands that are shown."""
    return "".join(f" -i {shlex.quote(str(source))}" for source in context.CLIARGS.get("inventory") or ())


def shows_failures() -> bool:
    """Say whether Ansible itself shows the text of a failure in readable lines, as it does since ansible-core 2.19."""
    return tuple(int(part) for part in ansible_version.split(".")[:2]) >= (2, 19)
