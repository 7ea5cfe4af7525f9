# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install is stopped at every one of its file system calls: killed before and after it, or refused by an errno."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from support.install_trees import Instance, Tree, permission, snapshot

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install

CALLS = (
    "open close read write copy_file_range sendfile fstat lstat stat scandir listdir readlink symlink link rename"
    " unlink rmdir mkdir chmod chown fchmod fchown utime fsync fdopen statvfs access"
).split()

OLD: Tree = {
    "same": "same",
    "changed": "old",
    "mode": ("mode", 0o644, "mode"),
    "only-old": "old",
    "folder/same": "same",
    "folder/changed": "old",
    "folder/only-old": "old",
    "gone/a": "old",
    "gone/deep/b": "old",
    "file-then-folder": "old",
    "folder-then-file/a": "old",
    "link": ("link", "same"),
    "link-then-file": ("link", "same"),
    "locked/x": "same",
}
NEW: Tree = {
    "same": "same",
    "changed": "new",
    "mode": ("mode", 0o755, "mode"),
    "only-new": "new",
    "folder/same": "same",
    "folder/changed": "new",
    "folder/only-new": "new",
    "fresh/a": "new",
    "fresh/deep/b": "new",
    "file-then-folder/a": "new",
    "folder-then-file": "new",
    "link": ("link", "changed"),
    "link-then-file": "new",
    "locked/x": "same",
}


def old_spec(instance: Instance) -> dict[str, Any]:
    return instance.spec()


def new_spec(instance: Instance) -> dict[str, Any]:
    return instance.spec([permission(instance.destination, pattern="locked", mode="700", type=["directory"])])


class Template:
    """An instance with the old version installed, copied for every point; and how both versions look."""

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

    def instance(self) -> Instance:
        """Return the instance with the old version, which is put back from a copy at the same path."""
        copy = self.root.with_name("saved")
        if not copy.exists():
            subprocess_copy(self.root, copy)
        shutil.rmtree(self.root)
        subprocess_copy(copy, self.root)
        return Instance(self.root)


def subprocess_copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)


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
                replacement = self.wrap(real)
                setattr(os, name, replacement)
                for functions in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
                    if real in functions:
                        functions.add(replacement)

    def wrap(self, real: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self.count += 1
            if self.count != self.point:
                return real(*arguments, **keywords)
            if self.fault == "kill before":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "kill after":
                real(*arguments, **keywords)
                os.kill(os.getpid(), signal.SIGKILL)
            number = getattr(errno, self.fault)
            raise OSError(number, os.strerror(number), "injected")

        return call


SUCCEEDED, REFUSED, NOT_REACHED = 0, 3, 4


def install_with_fault(instance: Instance, archive: Path, spec: dict[str, Any], point: int, fault: str) -> int:
    """Install in a child with one fault; return its exit status, negative when it was killed."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            counter = Counter(point, fault)
            counter.install()
            try:
                instance.install(archive, spec)
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
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    memory = Path("/dev/shm")
    root = tmp_path_factory.mktemp("faults")
    if os.access(memory, os.W_OK):
        root = memory / f"codedeploy-test-faults-{os.getpid()}"
        root.mkdir()
    made = Template(root / "instance")
    yield made
    shutil.rmtree(root)


@pytest.mark.parametrize("fault", ["kill before", "kill after", "ENOSPC", "EIO", "EACCES"])
def test_stopped_at_every_call(template: Template, fault: str, record_property: Any) -> None:
    point, points = 0, 0
    while True:
        point += 1
        instance = template.instance()
        status = install_with_fault(instance, instance.root / "new", new_spec(instance), point, fault)
        if status == NOT_REACHED:
            break
        points += 1
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
        following = ("new", new_spec, template.new) if point % 2 else ("old", old_spec, template.old)
        instance.install(instance.root / following[0], following[1](instance))
        assert instance.installed() == following[2], (fault, point)
        assert instance.leftovers() == [], (fault, point)
    record_property("points", points)
    assert points > 200


@pytest.mark.parametrize("fault", ["kill before", "kill after", "EIO"])
def test_the_undoing_is_stopped_at_every_call(template: Template, fault: str, record_property: Any) -> None:
    """The next Install, which undoes what a killed one left, is itself stopped; the one after that succeeds."""
    instance = template.instance()
    commit = 1
    while True:
        # The journal in the state "commit" is there once the first version's file was replaced.
        instance = template.instance()
        install_with_fault(instance, instance.root / "new", new_spec(instance), commit, "kill before")
        if (instance.destination / "only-new").exists():
            break
        commit += 1
    point, points = 0, 0
    while True:
        point += 1
        instance = template.instance()
        install_with_fault(instance, instance.root / "new", new_spec(instance), commit, "kill before")
        status = install_with_fault(instance, instance.root / "new", new_spec(instance), point, fault)
        if status == NOT_REACHED:
            break
        points += 1
        assert torn_paths(template, instance.installed()) == [], (fault, point)
        instance.install(instance.root / "old", old_spec(instance))
        assert instance.installed() == template.old, (fault, point)
        assert instance.leftovers() == [], (fault, point)
    record_property("points", points)
    assert points > 200


def test_snapshot_sees_everything(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    first = snapshot(tmp_path)
    (tmp_path / "a").chmod(0o600)
    assert snapshot(tmp_path) != first
