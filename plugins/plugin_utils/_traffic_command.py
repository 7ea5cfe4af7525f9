# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any load balancer, by commands of the user's own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import LoadBalancer, Progress, TrafficError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_place import Answer, Place

BLOCKED, ALLOWED = "blocked", "allowed"


@dataclass(frozen=True)
class Commands:
    """Commands as lists of a program and its arguments.

    :param status: prints V(blocked) or V(allowed) as its first word when it has come to that; what else it prints is
        the reason why not yet. None: the other commands end only when it has.
    """

    block: Sequence[str]
    allow: Sequence[str]
    status: Sequence[str] | None = None


class CommandProvider(LoadBalancer):
    """One instance behind a load balancer of which only commands are known."""

    def __init__(self, place: Place, commands: Commands) -> None:
        self._place = place
        self._commands = commands
        self.name = f"command {commands.block[0]}" + (f" on {place.name}" if place.name else "")

    def problems(self) -> list[str]:
        """Return nothing: it is not known which of the commands changes nothing but status."""
        if self._commands.status is None:
            return []
        try:
            self._run(self._commands.status)
        except (OSError, TrafficError) as error:
            return [f"{self.name}: {error}"]
        return []

    def block(self) -> None:
        """Run the command that takes the instance out."""
        self._run(self._commands.block)

    def blocked(self) -> Progress:
        """Ask the command C(status)."""
        return self._status(BLOCKED)

    def allow(self) -> None:
        """Run the command that puts the instance back."""
        self._run(self._commands.allow)

    def allowed(self) -> Progress:
        """Ask the command C(status)."""
        return self._status(ALLOWED)

    def _status(self, wanted: str) -> Progress:
        if self._commands.status is None:
            return Progress(True)
        answer = self._call(self._commands.status)
        word = answer.stdout.split()[:1]
        if answer.rc:
            return Progress(False, f"exit status {answer.rc}: {answer.words}")
        return Progress(word == [wanted], answer.words or "it says nothing")

    def _run(self, argv: Sequence[str]) -> Answer:
        answer = self._call(argv)
        if answer.rc:
            raise TrafficError(f"{argv[0]} ended with exit status {answer.rc}: {answer.words}")
        return answer

    def _call(self, argv: Sequence[str]) -> Answer:
        try:
            return self._place.command(argv)
        except subprocess.TimeoutExpired as error:
            raise TrafficError(f"{argv[0]} did not end within {error.timeout:g} s") from None
        except OSError as error:
            raise TrafficError(f"{argv[0]} cannot be run: {error.strerror or error}") from error
