# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any AppSpec on any trees: Install is done, or refused with an InstallError, and nothing outside is touched."""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from fuzz.sentinel import Surroundings
from hypothesis import strategies as st
from support.install_trees import Tree, make_tree, snapshot

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install_files
from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import AppSpecError, parse_appspec
from ansible_collections.agentless.codedeploy.plugins.module_utils._install import (
    InstallError,
    apply_install,
    plan_install,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import InstructionFiles

# The limit itself is what an instance can bear; this is what many tries can.
_install_files.MOST_LINKED = 500

NAMES = ("a", "b", "c", "with blank", "new\nline", "\udce9", "-n", ".hidden", "*")


class Deployment(NamedTuple):
    """One revision and what its AppSpec says; C(before) is put into the destination first, by somebody else."""

    tree: Tree
    files: list[dict[str, Any]]
    permissions: list[dict[str, Any]]
    behavior: str
    before: Tree


def paths() -> st.SearchStrategy[str]:
    """Return relative paths, some of which lead elsewhere."""
    parts = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
    odd = st.sampled_from(
        [
            "/",
            "",
            ".",
            "..",
            "../..",
            "a/..",
            "a/../b",
            "/a//b/",
            "~",
            "~root/x",
            "a\0b",
            "a/" * 600,
            "x" * 300,
            "./a/.",
        ]
    )
    return st.one_of(parts, parts, parts, odd)


def trees() -> st.SearchStrategy[Tree]:
    """Return trees of files, folders and links; no name is below another name that is a file."""
    names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
    link = st.tuples(st.just("link"), st.sampled_from(["a", "b/c", "..", "../..", "nowhere", "/{outside}", "."]))
    file = st.tuples(st.just("mode"), st.sampled_from([0o644, 0o755, 0o4755, 0o000]), st.sampled_from(["", "1", "22"]))
    return st.dictionaries(names, st.one_of(file, file, st.none(), link), max_size=6).map(_possible)


def _possible(tree: Tree) -> Tree:
    return {
        name: ("link", what[1].replace("/{outside}", Surroundings.ABSOLUTE)) if what and what[0] == "link" else what
        for name, what in tree.items()
        if not any(other != name and name.startswith(other + "/") and tree[other] is not None for other in tree)
    }


def deployments() -> st.SearchStrategy[list[Deployment]]:
    """Return revisions to be deployed one after the other."""
    text = st.one_of(paths(), st.none(), st.integers(), st.sampled_from(["root", "no-such-user", "a\0b"]))
    files = st.lists(st.fixed_dictionaries({"source": text, "destination": text}), max_size=3)
    whole = st.just([{"source": "/", "destination": "/"}])
    permission = st.fixed_dictionaries(
        {"object": st.one_of(st.just("/"), st.just("/a"), paths())},
        optional={
            "pattern": st.sampled_from(["**", "*", "a*", "[", "*" * 30]),
            "except": st.lists(st.sampled_from(["a", "*", 5]), max_size=2),
            "type": st.sampled_from([["file"], ["directory"], ["file", "directory"], []]),
            "owner": text,
            "group": text,
            "mode": st.sampled_from(["644", "4755", "0", 7, "8", "a\0b"]),
            "acls": st.lists(st.sampled_from(["user:root:rw-", "d:u:root:7", "user:a\0b:r", "m::7", "x"]), max_size=2),
        },
    )
    before = st.one_of(st.just({}), trees().map(lambda tree: {k: v for k, v in tree.items() if not _is_link(v)}))
    one = st.builds(
        Deployment,
        trees(),
        st.one_of(whole, files),
        st.lists(permission, max_size=2),
        st.sampled_from(["DISALLOW", "OVERWRITE", "RETAIN", "other"]),
        before,
    )
    return st.lists(one, min_size=1, max_size=3)


def _is_link(what: Any) -> bool:
    return bool(what) and what[0] == "link"


def check(chain: list[Deployment]) -> None:
    """Deploy revisions one after the other; fail for any exception but InstallError and any change outside."""
    with Surroundings() as around:
        root = around.path / "root"
        state = around.path / "state"
        for folder in (root, state):
            folder.mkdir()
        instructions = InstructionFiles(str(state), "group")
        for number, deployment in enumerate(chain):
            archive = make_tree(around.path / f"archive-{number}", deployment.tree)
            with contextlib.suppress(OSError):  # something else is there
                make_tree(root, deployment.before)
            around.remember()
            _deploy(str(archive), deployment, instructions, str(root))
            around.check_untouched(besides=(root, state))
            left = [name for name in snapshot(root) if os.path.basename(name).startswith(".codedeploy-")]
            assert not left and not os.path.exists(instructions.journal)


def _deploy(archive: str, deployment: Deployment, instructions: InstructionFiles, root: str) -> None:
    document = {"version": 0.0, "os": "linux", "files": deployment.files, "permissions": deployment.permissions}
    try:
        spec = parse_appspec(document)
    except AppSpecError:
        return
    before = snapshot(root)
    try:
        plan = plan_install(archive, spec, deployment.behavior, instructions, destination_root=root)
        assert snapshot(root) == before, "planning has changed something"
        apply_install(plan, instructions)
    except InstallError as error:
        assert error.problems and str(error)
        assert snapshot(root) == before, "a failed Install has left something"
