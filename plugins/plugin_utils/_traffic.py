# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""BlockTraffic and AllowTraffic: take an instance out of its load balancers and put it back, waiting until that is so.

What one load balancer does is a class of its own below :class:`LoadBalancer`; the waiting is the same for all.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible.errors import AnsibleError

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError

# As long as CodeDeploy lets an event take.
EVENT_SECONDS = 3600.0
FIRST_PAUSE = 0.2


class TrafficError(Exception):
    """A load balancer refused, or did not come to it in time; the message has its own words."""


@dataclass(frozen=True)
class Progress:
    """How far a load balancer is.

    :param reason: what it says itself about the instance.
    """

    done: bool
    reason: str = ""


class LoadBalancer(ABC):
    """One load balancer and one instance behind it.

    Methods raise TrafficError for what waiting does not mend (the instance or the load balancer is not known to it);
    any other error is met again until the time is over.
    """

    #: What a reader calls it: C(target group web).
    name: str
    #: Seconds between two questions.
    pause = 1.0

    @abstractmethod
    def problems(self) -> list[str]:
        """Return what would keep the events from succeeding; changes nothing."""

    @abstractmethod
    def block(self) -> None:
        """Let no new requests reach the instance. One that gets none already is left alone."""

    @abstractmethod
    def blocked(self) -> Progress:
        """Tell whether the last request to the instance has ended."""

    @abstractmethod
    def allow(self) -> None:
        """Let requests reach the instance, as soon as the load balancer finds it healthy."""

    @abstractmethod
    def allowed(self) -> Progress:
        """Tell whether the load balancer finds the instance healthy and sends it requests."""

    def put_back(self) -> None:
        """Let requests reach an instance that has failed; nobody waits for what the load balancer thinks of it."""
        self.allow()


@dataclass(frozen=True)
class TrafficOptions:
    """How long the events may take, in seconds, and what becomes of an instance that fails between them."""

    block_timeout: float = EVENT_SECONDS
    allow_timeout: float = EVENT_SECONDS
    reregister_on_failure: bool = False


class Traffic:
    """All load balancers of one instance.

    :param alive: called again and again while it waits.
    """

    def __init__(
        self,
        load_balancers: Sequence[LoadBalancer],
        options: TrafficOptions | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.load_balancers = list(load_balancers)
        self.options = options or TrafficOptions()
        self._alive = alive

    def block(self) -> str:
        """Take the instance out of all load balancers, then wait for all (BlockTraffic).

        :returns: what was done.
        :raises TrafficError: with the load balancer's own words.
        """
        for balancer in self.load_balancers:
            _attempt(balancer, balancer.block)
        self._wait([(balancer, balancer.blocked) for balancer in self.load_balancers], "block", "drained")
        return f"no more requests from {self._names()}"

    def allow(self) -> str:
        """Put the instance back into all load balancers, then wait until all find it healthy (AllowTraffic).

        :returns: what was done.
        :raises TrafficError: with the load balancer's own words.
        """
        for balancer in self.load_balancers:
            _attempt(balancer, balancer.allow)
        self._wait([(balancer, balancer.allowed) for balancer in self.load_balancers], "allow", "healthy")
        return f"healthy in {self._names()}"

    def put_back(self) -> str:
        """Put an instance that has failed back into all load balancers, without waiting; says what came of it."""
        refusals = []
        for balancer in self.load_balancers:
            try:
                _attempt(balancer, balancer.put_back)
            except TrafficError as error:
                refusals.append(str(error))
        if refusals:
            return f"It was not put back into all load balancers: {'; '.join(refusals)}"
        return f"It was put back into {self._names()}."

    def _wait(self, questions: Sequence[tuple[LoadBalancer, Callable[[], Progress]]], option: str, state: str) -> None:
        seconds = self.options.block_timeout if option == "block" else self.options.allow_timeout
        deadline = time.monotonic() + seconds
        left, pause = list(questions), FIRST_PAUSE
        while True:
            answers = [(balancer, ask, _ask(balancer, ask)) for balancer, ask in left]
            left = [(balancer, ask) for balancer, ask, progress in answers if not progress.done]
            if not left:
                return
            if time.monotonic() >= deadline:
                reasons = [f"{one.name}: {progress.reason}" for one, _ask, progress in answers if not progress.done]
                raise TrafficError(
                    f"not {state} within {seconds:g} s: {'; '.join(reasons)} (the time-out is "
                    f"deploy_{option}_traffic_timeout)"
                )
            self._alive()
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
            pause = min(pause * 2, min(balancer.pause for balancer, _ask in left))

    def _names(self) -> str:
        return ", ".join(balancer.name for balancer in self.load_balancers)


def _attempt(balancer: LoadBalancer, act: Callable[[], None]) -> None:
    try:
        act()
    except TrafficError as error:
        raise TrafficError(f"{balancer.name}: {error}") from None
    except (CodeDeployError, AnsibleError, OSError) as error:
        raise TrafficError(f"{balancer.name}: {_text(error)}") from error


def _ask(balancer: LoadBalancer, ask: Callable[[], Progress]) -> Progress:
    try:
        return ask()
    except TrafficError as error:
        raise TrafficError(f"{balancer.name}: {error}") from None
    except (CodeDeployError, AnsibleError, OSError) as error:
        return Progress(False, _text(error))


def _text(error: Exception) -> str:
    return error.message if isinstance(error, CodeDeployError) else str(error)
