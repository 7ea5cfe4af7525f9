# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install is stopped at every one of its file system calls: killed before and after it, or refused by an errno.

What a kill leaves is the same from after one call that changes something until before the next such call, so each of
these states is tried once, and at each call one errno, in turn. With CODEDEPLOY_TEST_ALL_POINTS=1 it is killed before
and after each call, with CODEDEPLOY_TEST_EVERY_FAULT=1 each call is refused with each errno.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.install_trees import Instance, memory_folder, snapshot
from support.install_versions import NEW, OLD, new_spec, old_spec

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install

CALLS = (
    "open close read write copy_file_range sendfile fstat lstat stat scandir listdir readlink symlink link rename"
    " unlink rmdir mkdir chmod chown fchmod fchown utime fsync fdopen statvfs access"
).split()


class Template:
    """An instance with the old version installed, and how both versions look."""

    def __init__(self, root: Path) -> None:
        self.root = root
        instance = Instance(root)
        (instance.destination / "folder").mkdir()
        (instance.destination / "foreign").write_text("foreign")
        (instance.destination / "folder" / "foreign").write_text("foreign")
        self.fresh = instance.installed()
        instance.deploy("old", OLD, old_spec(instance))
        self.old = instance.installed()
        instance.deploy("new", NEW, new_spec(instance))
        self.new = instance.installed()
        instance.install(root / "old", old_spec(instance))
        assert instance.installed() == self.old
        assert not instance.leftovers()

        self.instance = instance

    def install_new(self) -> None:
        """Install the new version."""
        self.instance.install(self.root / "new", new_spec(self.instance))

    def undo(self) -> None:
        """Undo or finish what an interrupted Install left."""
        _install.recover_install(self.instance.instructions)

    def reset(self, following: str) -> None:
        """Install a version after a fault, see that it is there as a whole, and go back to the old one."""
        for name in (following, "old"):
            spec, version = (old_spec, self.old) if name == "old" else (new_spec, self.new)
            self.instance.install(self.root / name, spec(self.instance))
            assert self.instance.installed() == version
            assert self.instance.leftovers() == []
            if name == "old":
                return


#: Calls that change nothing that could survive the process; "open" does if it creates.
READING = "close read fstat lstat stat listdir scandir readlink fdopen statvfs access fsync".split()
ERRNOS = ["ENOSPC", "EIO", "EACCES"]
ALL_POINTS = os.environ.get("CODEDEPLOY_TEST_ALL_POINTS") == "1"
EVERY_FAULT = os.environ.get("CODEDEPLOY_TEST_EVERY_FAULT") == "1"
FAULTS = (["kill before"] if ALL_POINTS else []) + ["kill after"] + (ERRNOS if EVERY_FAULT else ["errno"])


class Counter:
    """Stands in front of the calls of ``os`` in a child and does something at the n-th one."""

    def __init__(self, point: int, fault: str) -> None:
        self.point = point
        self.fault = fault
        self.count = 0

    def install(self) -> None:
        for name in CALLS:
            real = getattr(os, name, None)
            if real is not None:
                replacement = self.wrap(name, real)
                setattr(os, name, replacement)
                for functions in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
                    if real in functions:
                        functions.add(replacement)

    def wrap(self, name: str, real: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            changing = name not in READING and (name != "open" or arguments[1] & os.O_CREAT)
            if not changing and self.fault.startswith("kill") and not ALL_POINTS:
                return real(*arguments, **keywords)
            self.count += 1
            if self.count != self.point:
                return real(*arguments, **keywords)
            if self.fault == "kill before":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "kill after":
                with contextlib.suppress(OSError):
                    real(*arguments, **keywords)
                os.kill(os.getpid(), signal.SIGKILL)
            number = getattr(errno, ERRNOS[self.point % 3] if self.fault == "errno" else self.fault)
            raise OSError(number, os.strerror(number), "injected")

        return call


SUCCEEDED, REFUSED, NOT_REACHED = 0, 3, 4


def with_fault(work: Callable[[], object], point: int, fault: str) -> int:
    """Do something in a child with one fault; return its exit status, negative when it was killed."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            counter = Counter(point, fault)
            counter.install()
            try:
                work()
                status = SUCCEEDED if counter.count >= point else NOT_REACHED
            except (_install.InstallError, OSError):
                status = REFUSED
        finally:
            os._exit(status)
    _pid, result = os.waitpid(child, 0)
    return -os.WTERMSIG(result) if os.WIFSIGNALED(result) else os.WEXITSTATUS(result)


def torn_paths(template: Template, seen: dict[str, tuple[Any, ...]]) -> list[str]:
    """Return the paths that are neither what the old nor what the new version has there."""
    wrong = []
    for path in {**template.old, **template.new}:
        allowed = [version.get(path) for version in (template.old, template.new)]
        # An object that changes its type is away for a moment; of a folder only the type counts meanwhile.
        kinds = {entry and entry[0] for entry in allowed}
        there = seen.get(path)
        if there in allowed or (there is None and len(kinds) > 1):
            continue
        if there is not None and there[0] in kinds and there[4] is None:
            continue
        wrong.append(path)
    return wrong


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    with memory_folder(tmp_path_factory.mktemp("faults")) as root:
        yield Template(root)


@pytest.mark.parametrize("fault", FAULTS)
def test_stopped_at_every_call(template: Template, fault: str, record_property: Any) -> None:
    instance = template.instance
    template.reset("old")
    for point in itertools.count(1):
        status = with_fault(template.install_new, point, fault)
        if status == NOT_REACHED:
            break
        seen = instance.installed()
        assert torn_paths(template, seen) == [], (fault, point)
        for path in ("foreign", "folder/foreign"):
            assert seen[path] == template.fresh[path], (fault, point)
        if status == REFUSED:
            assert seen == template.old, (fault, point)
        elif status == SUCCEEDED:
            named = {path: entry for path, entry in seen.items() if ".codedeploy-" not in path}
            assert named == template.new, (fault, point)
        else:
            assert status == -signal.SIGKILL, (fault, point, status)
        template.reset("new" if point % 2 else "old")
    report_points(f"Install, {fault}", point - 1, record_property)
    template.reset("old")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_undoing_is_stopped_at_every_call(template: Template, fault: str, record_property: Any) -> None:
    """The undoing of what a killed Install left is itself stopped; the next Install succeeds."""
    instance = template.instance
    for last in itertools.count(1):
        template.reset("old")
        with_fault(template.install_new, last, "kill after")
        # The last file that only the new version has is in place.
        if (instance.destination / "folder" / "only-new").exists():
            break
    template.reset("old")
    for point in itertools.count(1):
        with_fault(template.install_new, last, "kill after")
        assert (instance.destination / "folder" / "only-new").exists()
        status = with_fault(template.undo, point, fault)
        if status == NOT_REACHED:
            break
        assert status in (-signal.SIGKILL, REFUSED, SUCCEEDED), (fault, point, status)
        assert torn_paths(template, instance.installed()) == [], (fault, point)
        template.reset("old")
    report_points(f"undoing, {fault}", point - 1, record_property)
    template.reset("old")


def report_points(what: str, points: int, record_property: Any) -> None:
    """Say how many points were tried; nothing was tried if the counting itself failed."""
    record_property("points", points)
    print(f"{what}: {points} points, none failed")
    assert points > 20


def test_snapshot_sees_everything(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    first = snapshot(tmp_path)
    (tmp_path / "a").chmod(0o600)
    assert snapshot(tmp_path) != first
