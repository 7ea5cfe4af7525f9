# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random trees and pairs of revisions: lifecycle events do exactly what check mode said, which itself does nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.debian_packages import install_packages
from support.dry_run import Instance, changes, contents
from support.install_trees import Tree, memory_folder, permission

from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_process import run_detached

NAMES = st.sampled_from(["a", "b", "c ", "e\n", os.fsdecode(b"\xff"), "g*"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.tuples(st.just("mode"), st.sampled_from([0o644, 0o755, 0o600]), st.sampled_from(["one", "two", ""]))
LINKS = st.sampled_from(["a", "b", "b/a", "../a", "nowhere"])
ENTRIES = st.one_of(st.none(), FILES, st.tuples(st.just("link"), LINKS))
PERMISSIONS = st.lists(
    st.fixed_dictionaries(
        {
            "below": st.sampled_from(["", "", "/b"]),
            "pattern": st.sampled_from(["**", "a", "b", "c *"]),
            "mode": st.sampled_from(["700", "711", None]),
            "owner": st.sampled_from([None, None, "daemon"]) if os.geteuid() == 0 else st.none(),
            "type": st.sampled_from([["file"], ["directory"], ["file", "directory"]]),
        }
    ),
    max_size=3,
)
# What others do to installed files.
DRIFTS: dict[str, Callable[[Path], Any]] = {
    "mode": lambda path: path.chmod(path.stat().st_mode & 0o7777 ^ 0o020),
    "content": lambda path: path.write_text("three"),
    "times": lambda path: os.utime(path, (1, 1)),
    "gone": lambda path: path.unlink(),
    "link": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}


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


def rules(made: Instance, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the ``permissions`` of an AppSpec."""
    return [
        permission(str(made.destination) + entry["below"], **{key: entry[key] for key in entry if key != "below"})
        for entry in entries
    ]


def named(lists: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the lists of a plan, or of changes, with paths in the form of a plan."""

    def form(entry: Any) -> Any:
        if isinstance(entry, dict):
            return {**entry, "path": form(entry["path"])}
        return os.fsencode(entry).decode("utf-8", "backslashreplace")

    return {name: sorted([form(entry) for entry in entries], key=str) for name, entries in lists.items()}


@contextmanager
def instance() -> Iterator[Instance]:
    with tempfile.TemporaryDirectory() as other, memory_folder(Path(other)) as directory:
        yield Instance(directory)


@settings(max_examples=80)
@given(
    old=trees(),
    new=trees(),
    foreign=st.dictionaries(st.sampled_from(["a", "b/a", "z"]), st.sampled_from(["one", "foreign"]), max_size=2),
    permissions=st.tuples(PERMISSIONS, PERMISSIONS),
    behavior=st.sampled_from(["DISALLOW", "OVERWRITE", "RETAIN"]),
    drift=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(sorted(DRIFTS))), max_size=3),
)
@example(
    old={},
    new={"b": ("link", "a")},
    foreign={"a": "one"},
    permissions=([], [{"below": "", "mode": "700", "type": ["file"]}]),
    behavior="DISALLOW",
    drift=[],
)
@example(
    old={"a": "one", "b": ("link", "a")},
    new={"a": "one", "b": ("link", "a")},
    foreign={},
    permissions=(
        [],
        [{"below": "", "pattern": pattern, "mode": mode} for pattern, mode in (("b", "711"), ("a", None))],
    ),
    behavior="DISALLOW",
    drift=[],
)
@example(
    old={"b/c ": "one", "a": ("link", "b")},
    new={"b/c ": "two", "a": ("link", "b/c ")},
    foreign={},
    permissions=([], [{"below": "", "pattern": "a", "mode": "700"}]),
    behavior="DISALLOW",
    drift=[],
)
def test_the_run_does_what_check_mode_said(
    old: Tree,
    new: Tree,
    foreign: dict[str, str],
    permissions: tuple[Any, Any],
    behavior: str,
    drift: list[tuple[int, str]],
) -> None:
    with instance() as made:
        first = made.options("old", old, permissions=rules(made, permissions[0]))
        said = made.check(first)["plan"]
        assert_did(made, first, said)
        for number, kind in drift:
            files = [path for path in sorted(made.destination.rglob("*")) if path.is_file() and not path.is_symlink()]
            if number < len(files):
                DRIFTS[kind](files[number])
        for path, text in foreign.items():
            target = made.destination / path
            if target.parent.is_dir() and not target.is_symlink() and not target.is_dir():
                target.write_text(text)
        second = made.options("new", new, permissions=rules(made, permissions[1]), file_exists_behavior=behavior)
        assert_did(made, second, made.check(second)["plan"])


NOBODY = ["user:nobody:rw-"]
BEHIND: dict[str, Tree] = {
    "a file of the revision": {"a": "one", "l": ("link", "a")},
    "a folder of the revision": {"d/a": "one", "l": ("link", "d")},
    "a link to it": {"a": "one", "k": ("link", "a"), "l": ("link", "k")},
    "somebody's file": {"l": ("link", "theirs")},
    "two links to it": {"k": ("link", "theirs"), "l": ("link", "theirs")},
    "somebody's folder": {"l": ("link", "their folder")},
}
RULES: dict[str, list[dict[str, Any]]] = {
    "an ACL": [{"below": "/l", "acls": NOBODY}],
    "an ACL and a mode": [{"below": "/l", "acls": NOBODY, "mode": "750"}],
    "an ACL, then a mode": [{"below": "/l", "acls": NOBODY}, {"below": "/a", "mode": "600"}],
    "a mode, then an ACL": [{"below": "/l", "mode": "600"}, {"below": "/a", "acls": NOBODY}],
    "two links": [{"below": "/l", "acls": NOBODY, "mode": "640"}, {"below": "/k", "mode": "604"}],
    "nothing": [],
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("rule", RULES)
def test_acls_behind_symbolic_links(behind: str, rule: str) -> None:
    """Deployed without permissions, with them, the same again, and without them again."""
    install_packages({"setfacl": "acl", "getfacl": "acl"})
    tree = BEHIND[behind]
    entries = [entry for entry in RULES[rule] if entry["below"].strip("/") in tree]
    with instance() as made:
        (made.destination / "their folder").mkdir(parents=True)
        (made.destination / "theirs").write_text("theirs")
        for number, each in enumerate([[], entries, entries, []]):
            options = made.options(f"revision{number}", tree, permissions=rules(made, each))
            assert_did(made, options, made.check(options)["plan"])
            if any("acls" in entry for entry in each):
                assert any(entry[5] and entry[5][0] for entry in contents(made.destination).values())
        acls = {path: entry[5] for path, entry in contents(made.destination).items() if "their" not in path}
        assert all(each in (None, [None, None]) for each in acls.values())


def assert_did(made: Instance, options: dict[str, Any], said: dict[str, Any]) -> None:
    """Run the events and compare what has changed with what check mode said."""
    before = contents(made.destination)
    result = run_detached(Lifecycle(options), 600)
    if said["problems"]:
        assert result["failed_event"] == "Install"
        message = result["events"][1]["diagnostics"]["message"]
        assert message
        assert contents(made.destination) == before
        return
    assert result["status"] == "Succeeded", result["events"]
    after = contents(made.destination)
    did = named(changes(before, after))
    assert did == {name: sorted(said["files"][name], key=str) for name in did}
    untouched = named({"files": [path for path in before if before[path] == after.get(path)]})["files"]
    assert set(said["files"]["kept"]) <= set(untouched)
