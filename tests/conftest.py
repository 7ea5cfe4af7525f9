# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: the collection imported from this checkout, a controller, and instances to deploy to."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import collection_loader
import hypothesis
import pytest
from support import light_hosts as light
from support.aws_server import AwsServer
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.root_file_system import root_file_system

collection_loader.register_collection()

# The same examples each time, however long they take: a failure is to be one of the code. For others, and more of
# them, there is make fuzz; pytest --hypothesis-profile=default takes random ones here too.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
hypothesis.settings.load_profile("repeatable")

NEEDS_ROOT = {"light_hosts", "conformance_host"}
LEFT_OUT = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Let a run that is told to end do so as after Ctrl-C, so that fixtures clean up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs root where there is none, except in CI, where nothing is left out."""
    if light.available() or "CI" in os.environ:
        return
    without = [item for item in items if NEEDS_ROOT.isdisjoint(getattr(item, "fixturenames", ()))]
    left_out = [item for item in items if item not in without]
    config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT_OUT] = len(left_out)
    items[:] = without


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out."""
    if config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"LEFT OUT: {config.stash[LEFT_OUT]} tests; they need root on Debian")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Give the checkout's own directory."""
    return Path(collection_loader.CHECKOUT)


@pytest.fixture(scope="session")
def collections_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory for ANSIBLE_COLLECTIONS_PATH in which the collection is this checkout."""
    directory = tmp_path_factory.mktemp("collections")
    collection_loader.link_collection(str(directory))
    return directory


@pytest.fixture
def make_controller(tmp_path: Path, collections_path: Path) -> Iterator[Callable[..., Controller]]:
    """Give ``make_controller(virtual_environment=...)``; each call makes a controller with a store of its own."""
    made: list[Controller] = []

    def make(virtual_environment: Path = Path(sys.prefix)) -> Controller:
        home = tmp_path / f"controller{len(made)}"
        home.mkdir()
        # With another ansible-core, how it imports the collection is a part of what is tested.
        here = virtual_environment == Path(sys.prefix)
        made.append(Controller(home, collections_path, virtual_environment, shortcuts=here))
        return made[-1]

    yield make
    for controller in made:
        controller.close()


@pytest.fixture
def controller(make_controller: Callable[..., Controller]) -> Controller:
    """Give a controller with the ansible-core of the environment that runs the tests."""
    return make_controller()


@pytest.fixture
def local_fleet(tmp_path: Path) -> Callable[..., LocalFleet]:
    """Give ``local_fleet(count, **options)``: instances on this machine, options as of :class:`LocalFleet`."""

    def make(count: int, **options: object) -> LocalFleet:
        directory = tmp_path / "fleet"
        directory.mkdir()
        return LocalFleet(count, directory, **options)  # type: ignore[arg-type]  # options are checked there

    return make


@pytest.fixture(scope="session")
def _root_of_light_hosts(checkout: Path) -> Path:
    """Make what light hosts share, which takes a minute in a new checkout, outside what is a test's own time."""
    cache = checkout / "build" / "light-hosts"
    cache.mkdir(parents=True, exist_ok=True)
    root_file_system(cache)
    return cache


@pytest.fixture
def light_hosts(tmp_path: Path, _root_of_light_hosts: Path) -> Iterator[Callable[[int], light.LightHosts]]:
    """Give ``light_hosts(count)``: new hosts reached over ssh, as of :class:`support.light_hosts.LightHosts`."""
    fleets: list[light.LightHosts] = []

    def make(count: int) -> light.LightHosts:
        directory = tmp_path / f"light-hosts{len(fleets)}"
        directory.mkdir()
        fleets.append(light.LightHosts(count, _root_of_light_hosts, directory))
        return fleets[-1]

    yield make
    for fleet in fleets:
        fleet.stop()


def forget_sessions() -> None:
    """Let nothing of the credentials that another test has found be used again."""
    from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _aws

    _aws._session.cache_clear()


@pytest.fixture(scope="session")
def _aws_server() -> Iterator[AwsServer]:
    server = AwsServer()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _no_aws_session_of_another_test() -> None:
    """Let no test have a session that another one has made, with the credentials of that one's environment."""
    access = sys.modules.get("ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws")
    if access is not None:
        access._session.cache_clear()
        access._given.clear()


@pytest.fixture
def aws_server(_aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    """Give an empty AWS, one server for each test process; this process's own settings of AWS do not apply.

    A call of the collection that is not in ``_aws_calls``, of which the policies are made, fails the test.
    """
    for name in [name for name in os.environ if name.startswith(("AWS_", "BOTO"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget_sessions()
    _aws_server.reset()
    yield _aws_server
    assert _aws_server.calls_not_listed() == set()
