# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions, destinations and Installs on real folders, for the tests of the Install event."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import InstructionFiles

# What a tree is made of: text of a file, None for a folder, ("link", text), ("mode", bits, text).
Tree = dict[str, Any]


def make_tree(root: Path, tree: Tree) -> Path:
    """Make files, folders and links below a folder; every file's times are the same."""
    root.mkdir(parents=True, exist_ok=True)
    for name, what in tree.items():
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(path if what is None else os.path.dirname(path), exist_ok=True)
        if what is None:
            continue
        kind, *rest = what if isinstance(what, tuple) else ("mode", 0o644, what)
        if kind == "link":
            os.symlink(os.fsencode(rest[0]), path)
            continue
        with open(path, "wb") as stream:
            stream.write(os.fsencode(rest[1]))
        os.chmod(path, rest[0])
        os.utime(path, (1600000000, 1600000000))
    return root


def snapshot(root: Path | str, times: bool = False) -> dict[str, tuple[Any, ...]]:
    """Return everything below a folder: path -> (type, mode, uid, gid, content or link text[, mtime])."""
    found: dict[str, tuple[Any, ...]] = {}
    base = os.fsencode(root)
    for folder, folders, files in os.walk(base):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content: bytes | None = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as stream:
                    content = stream.read()
            entry = (stat.S_IFMT(status.st_mode), status.st_mode & 0o7777, status.st_uid, status.st_gid, content)
            if times and stat.S_ISREG(status.st_mode):
                entry += (status.st_mtime_ns,)
            found[os.fsdecode(os.path.relpath(path, base))] = entry
    return found


def permission(target: object, **values: Any) -> dict[str, Any]:
    """Return an entry of ``permissions`` in the parsed form."""
    entry: dict[str, Any] = {"object": str(target), "pattern": "**", "except": [], "type": ["file", "directory"]}
    entry.update(owner=None, group=None, mode=None, acls=None, context=None)
    entry.update({"except" if key == "exclude" else key: value for key, value in values.items()})
    return entry


@contextmanager
def memory_folder(otherwise: Path) -> Iterator[Path]:
    """Give a new folder in memory, where syncing costs nothing; another one on a machine that has none."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield otherwise
        return
    with tempfile.TemporaryDirectory(prefix="codedeploy-test-", dir=memory) as path:
        yield Path(path)


class Instance:
    """One deployment group on one instance: archives, a destination and the group's instruction files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.destination = root / "destination"
        self.destination.mkdir(parents=True, exist_ok=True)
        self.instructions = InstructionFiles(str(root / "deployment-instructions"), "group")
        self.warnings: list[str] = []

    def archive(self, name: str, tree: Tree) -> Path:
        """Unpack a revision."""
        path = self.root / name
        if path.exists():
            shutil.rmtree(path)
        return make_tree(path, tree)

    def spec(self, permissions: list[dict[str, Any]] | None = None, files: Any = None) -> dict[str, Any]:
        """Return a parsed AppSpec that installs the whole revision, or other ``files`` as (source, destination)."""
        pairs = [("/", self.destination)] if files is None else files
        return {
            "file_exists_behavior": None,
            "files": [{"source": source, "destination": str(destination)} for source, destination in pairs],
            "permissions": permissions or [],
        }

    def plan(self, archive: Path, spec: dict[str, Any] | None = None, behavior: str = "DISALLOW", **more: Any) -> Any:
        """Plan the Install of a revision."""
        return _install.plan_install(str(archive), spec or self.spec(), behavior, self.instructions, **more)

    def install(
        self, archive: Path, spec: dict[str, Any] | None = None, behavior: str = "DISALLOW", **more: Any
    ) -> Any:
        """Install a revision and return the plan that was carried out."""
        plan = self.plan(archive, spec, behavior, **more)
        _install.apply_install(plan, self.instructions)
        return plan

    def deploy(self, name: str, tree: Tree, *arguments: Any, **more: Any) -> Any:
        """Unpack and install a revision."""
        return self.install(self.archive(name, tree), *arguments, **more)

    def installed(self, times: bool = False) -> dict[str, tuple[Any, ...]]:
        """Return what is in the destination."""
        return snapshot(self.destination, times)

    def cleanup(self) -> list[str]:
        """Return the lines of the cleanup file, relative to the destination where they are in it."""
        text = os.fsdecode(Path(self.instructions.cleanup).read_bytes())
        return [line.replace(str(self.destination) + "/", "") for line in text.split("\n")[:-1]]

    def leftovers(self) -> list[str]:
        """Return what an Install must not leave: its temporary names anywhere, its journal, unfinished state files."""
        left = [name for name in snapshot(self.root) if os.path.basename(name).startswith(".codedeploy-")]
        state = os.listdir(self.instructions.directory) if os.path.isdir(self.instructions.directory) else []
        return left + [name for name in state if name.endswith(("-journal", ".staged"))]
