# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random trees and pairs of revisions: the result of a redeployment is that of a fresh install, as planned."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.install_trees import Instance, Tree, memory_folder, permission

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install, _install_journal
from ansible_collections.agentless.codedeploy.plugins.module_utils._install import InstallError

NAMES = st.sampled_from(["a", "b", "c ", " d", "e\n", os.fsdecode(b"\xff"), "-f", "g*"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
MODES = st.sampled_from([0o644, 0o755, 0o600, 0o4755])
ENTRIES = st.one_of(
    st.none(),
    st.tuples(st.just("mode"), MODES, st.sampled_from(["one", "two", ""])),
    st.tuples(st.just("link"), st.sampled_from(["a", "c ", "nowhere", "../b"])),
)
PERMISSIONS = st.lists(
    st.fixed_dictionaries(
        {
            "pattern": st.sampled_from(["**", "a", "b*"]),
            "mode": st.sampled_from([None, "700", "711"]),
            "type": st.sampled_from([["file"], ["directory"], ["file", "directory"]]),
        }
    ),
    max_size=2,
)


@st.composite
def trees(draw: Any, size: int = 8) -> Tree:
    """Draw a tree in which no path goes through a file or a link."""
    tree: Tree = {}
    for path, what in draw(st.dictionaries(PATHS, ENTRIES, max_size=size)).items():
        inside = [other for other in tree if other.startswith(path + "/")]
        through = [tree.get(path.rsplit("/", depth)[0]) for depth in range(1, path.count("/") + 1)]
        if not inside and all(each is None for each in through):
            tree[path] = what
    return tree


@contextmanager
def instance() -> Iterator[Instance]:
    with tempfile.TemporaryDirectory() as other, memory_folder(Path(other)) as directory:
        yield Instance(directory)


def spec(made: Instance, permissions: list[dict[str, Any]]) -> dict[str, Any]:
    return made.spec([permission(made.destination, **values) for values in permissions])


THOROUGH = settings(max_examples=150)


@THOROUGH
@given(revisions=st.lists(st.tuples(trees(), PERMISSIONS), min_size=2, max_size=4))
def test_redeployed_is_as_installed_afresh(revisions: list[tuple[Tree, Any]]) -> None:
    with instance() as made, instance() as fresh:
        for tree, permissions in revisions:
            outcomes = []
            for each in (made, fresh):
                try:
                    each.deploy("revision", tree, spec(each, permissions))
                    outcomes.append("")
                except InstallError as error:
                    outcomes.append(str(error).replace(str(each.root), ""))
            assert outcomes[0] == outcomes[1]
            assert made.leftovers() == []
            if not outcomes[0]:
                assert made.installed() == fresh.installed()
                assert sorted(made.cleanup()) == sorted(fresh.cleanup())
            fresh.deploy("nothing", {})
            assert fresh.installed() == {}


@THOROUGH
@given(old=trees(), new=trees(), foreign=trees(4), behavior=st.sampled_from(["DISALLOW", "OVERWRITE", "RETAIN"]))
@example(old={"a/a": None}, new={"a": "one"}, foreign={"a/b": None}, behavior="OVERWRITE")
def test_the_run_does_what_the_plan_said(old: Tree, new: Tree, foreign: Tree, behavior: str) -> None:
    with instance() as made:
        made.deploy("old", old)
        for path, what in foreign.items():
            target = made.destination / path
            if not os.path.lexists(target) and all(not parent.is_symlink() for parent in target.parents):
                if not target.parent.is_dir():
                    continue
                if what is None:
                    target.mkdir()
                else:
                    target.write_text("foreign")
        before, attributes = made.installed(), inodes(made)
        archive = made.archive("new", new)
        try:
            planned = made.plan(archive, None, behavior, dry_run=True)
        except InstallError:
            assert (made.installed(), inodes(made)) == (before, attributes)
            return
        lists = {
            kind: {os.path.relpath(path, made.destination) for path in getattr(planned, kind)}
            for kind in ("added", "replaced", "kept", "removed")
        }
        assert (made.installed(), inodes(made)) == (before, attributes)
        try:
            made.install(archive, None, behavior)
        except InstallError:
            assert made.installed() == before
            return
        after, now = made.installed(), inodes(made)
        files = {path for path, entry in after.items() if entry[4] is not None}
        assert {path for path in before if path not in after} <= lists["removed"] | lists["replaced"]
        assert lists["removed"] & set(after) == set()
        assert lists["kept"] == {path for path in lists["kept"] if now[path] == attributes[path]}
        assert files - set(before) <= lists["added"]
        assert lists["added"] <= set(after)
        changed = {path for path in files & set(attributes) if now[path] != attributes[path]}
        assert changed <= lists["replaced"]
        assert made.leftovers() == []


def inodes(made: Instance) -> dict[str, tuple[int, int]]:
    """Return inode and change time of everything but folders."""
    found = {}
    for folder, folders, files in os.walk(made.destination):
        for name in folders + files:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isdir(path):
                status = os.lstat(path)
                found[os.path.relpath(path, made.destination)] = (status.st_ino, status.st_ctime_ns)
    return found


READER = """
import os, sys
folder, names, sizes = sys.argv[1], sys.argv[2].split(), {1000, 200000}
print("ready", flush=True)
rounds = 0
while not rounds or not os.path.exists(folder + "/../stop"):
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            data = stream.read()
        if len(data) not in sizes or len(set(data)) != 1:
            sys.exit("torn: %s, %d bytes of %r" % (name, len(data), set(data)))
    rounds += 1
print(rounds)
"""


def refuse_links(*_arguments: Any, **_keywords: Any) -> None:
    """What a file system without hard links, or protected_hardlinks, answers."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("links", [True, False])
def test_a_reader_never_sees_half_a_file(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Instance(tmp_path)
    if not links:
        monkeypatch.setattr(os, "link", refuse_links)
    names = ["a", "folder/b", "folder/deep/c"]
    # Besides, a file and a folder change places, and a link and a file, which is there in both.
    one: Tree = {name: "1" * 1000 for name in names} | {"only-first": "1", "turned": ("link", "a"), "swapped": "1"}
    two: Tree = {name: "2" * 200000 for name in names} | {"other/only-second": "2", "swapped/inner": "2"}
    first = made.archive("first", {**one, "back/inner": "1"})
    second = made.archive("second", {**two, "turned": "2" * 1000, "back": "2"})
    names.append("turned")
    made.install(first)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, made.destination, " ".join(names)], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for archive in itertools.islice(itertools.cycle([second, first]), 100):
        made.install(archive)
    (tmp_path / "stop").touch()
    output, _none = reader.communicate()
    assert reader.returncode == 0
    assert int(output) > 0


@pytest.fixture
def somebody() -> Iterator[Instance]:
    """Give an instance that another user deploys to, in whose folders root has put files."""
    if os.geteuid():
        pytest.skip("needs root to be two users")
    with tempfile.TemporaryDirectory() as directory:
        made = Instance(Path(directory))
        for path in (made.root, made.destination):
            os.chown(path, 1, 1)
            path.chmod(0o755)
        yield made


def foreign_files(made: Instance) -> list[str]:
    names = [f"file{number}" for number in range(50)]
    for name in names:
        (made.destination / name).write_text("1" * 1000)
    return names


def as_somebody(work: Callable[[], object]) -> None:
    """Do something as the user 1 in a child, which must succeed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(1)
            os.setuid(1)
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("step", [True, False])
def test_files_of_another_user_are_replaced_without_root(
    somebody: Instance, step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = foreign_files(somebody)
    archive = somebody.archive("new", {name: "2" * 200000 for name in names})
    if not step:
        monkeypatch.setattr(_install_journal, "_RENAME_EXCHANGE", 1 << 20)  # no system knows it
        as_somebody(lambda: somebody.install(archive, None, "OVERWRITE"))
    else:
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, somebody.destination, " ".join(names)], stdout=subprocess.PIPE, text=True
        )
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        as_somebody(lambda: somebody.install(archive, None, "OVERWRITE"))
        (somebody.root / "stop").touch()
        output, _none = reader.communicate()
        assert (reader.returncode, int(output) > 0) == (0, True)
    found = somebody.installed()
    assert {name: (found[name][2], found[name][4]) for name in names} == dict.fromkeys(names, (1, b"2" * 200000))
    assert somebody.leftovers() == []


@pytest.mark.parametrize("flag", [2, 1 << 20])
@pytest.mark.parametrize("done", [0, 1, 25, 49])
def test_files_of_another_user_come_back(
    somebody: Instance, flag: int, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_install_journal, "_RENAME_EXCHANGE", flag)
    names = foreign_files(somebody)
    before = somebody.installed(times=True)
    archive = somebody.archive("new", {name: "2" for name in names})
    perform, operations = _install_journal.perform, []

    def killed(operation: list[Any]) -> None:
        if len(operations) == done:
            os._exit(0)
        operations.append(operation)
        perform(operation)

    monkeypatch.setattr(_install_journal, "perform", killed)
    as_somebody(lambda: somebody.install(archive, None, "OVERWRITE"))
    assert (somebody.installed(times=True) == before) == (done == 0) or somebody.leftovers() != []
    as_somebody(lambda: _install.recover_install(somebody.instructions))
    assert somebody.installed(times=True) == before
    assert somebody.leftovers() == []


def test_a_running_program_can_be_replaced(tmp_path: Path) -> None:
    made = Instance(tmp_path)
    archive = made.archive("one", {})
    shutil.copy("/bin/sleep", archive / "program")
    made.install(archive)
    running = subprocess.Popen([made.destination / "program", "60"])
    try:
        made.deploy("two", {"program": ("mode", 0o755, "#!/bin/sh\n")})
        assert (made.destination / "program").read_text() == "#!/bin/sh\n"
    finally:
        running.kill()
        running.wait()


def test_a_dry_run_says_that_an_interrupted_install_comes_first(tmp_path: Path) -> None:
    made = Instance(tmp_path)
    made.deploy("one", {"a": "1"})
    journal = {"state": "staging", "prefix": ".codedeploy-x-", "folders": [], "operations": []}
    _install_journal.write_journal(made.instructions, journal)
    plan = made.plan(tmp_path / "one", dry_run=True)
    assert "an interrupted Install would be undone first" in plan.warnings[0]
    assert os.path.exists(made.instructions.journal)
    assert _install.recover_install(made.instructions)
    assert not _install.recover_install(made.instructions)
    assert not os.path.exists(made.instructions.journal)


def test_a_failure_without_hard_links_restores_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Instance(tmp_path)
    monkeypatch.setattr(os, "link", refuse_links)
    made.deploy("one", {"a": ("mode", 0o4755, "1"), "b": ("link", "a"), "c": "1"})
    before = made.installed(times=True)
    archive = made.archive("two", {"a": "2", "b": ("link", "c"), "c": "2"})
    rename, done = os.rename, []

    def full(source: str, target: str) -> None:
        if target == f"{made.destination}/c" and not done:
            done.append(target)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(InstallError):
        made.install(archive)
    assert done
    assert made.installed(times=True) == before
    assert made.leftovers() == []
