# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance in check mode, what a folder holds in every detail, and what changed between two looks at it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from support.install_trees import Tree, make_tree

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import read_acls
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_plan import plan_events, temporary_folder

Everything = dict[str, tuple[Any, ...]]


def everything(*directories: Path) -> Everything:
    """Return path -> (inode, mode, links, owner, size, mtime, ctime) of some folders and all they hold."""
    found: Everything = {}
    for directory in directories:
        paths = [os.fsencode(directory)]
        for folder, folders, files in os.walk(paths[0]):
            paths += [os.path.join(folder, name) for name in folders + files]
        for path in paths:
            if os.path.lexists(path):
                found[os.fsdecode(path)] = _facts(os.lstat(path))
    return found


def _facts(status: os.stat_result) -> tuple[Any, ...]:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    owner = (status.st_uid, status.st_gid)
    return (status.st_ino, status.st_mode, status.st_nlink, *owner, status.st_size, *times)


def contents(directory: Path) -> dict[str, tuple[Any, ...]]:
    """Return path -> (type and mode, owner, group, inode, content or text of a link, ACLs) of all in a folder."""
    found = {}
    for path in everything(directory):
        status = os.lstat(path)
        content: bytes | None = None
        if stat.S_ISLNK(status.st_mode):
            content = os.fsencode(os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            content = Path(path).read_bytes()
        inode = None if stat.S_ISDIR(status.st_mode) else status.st_ino
        acls = None if stat.S_ISLNK(status.st_mode) else read_acls(path)
        found[path] = (status.st_mode, status.st_uid, status.st_gid, inode, content, acls)
    return found


def changes(before: dict[str, tuple[Any, ...]], after: dict[str, tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Return what changed between two looks at a folder, in the lists of a plan that name what changes."""

    def folder(entry: tuple[Any, ...] | None) -> bool:
        return entry is not None and stat.S_ISDIR(entry[0])

    lists: dict[str, list[Any]] = {"added": [], "replaced": [], "removed": []}
    lists.update(folders_added=[], folders_changed=[], folders_removed=[])
    for path in sorted(set(before) | set(after)):
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        if folder(was) and folder(now):
            lists["folders_changed"].append({"path": path, "reasons": _reasons(was, now)})
        elif was is not None and now is not None and not folder(now):
            lists["replaced"].append({"path": path, "reasons": _reasons(was, now)})
        else:
            if was is not None:
                lists["folders_removed" if folder(was) else "removed"].append(path)
            if now is not None:
                lists["folders_added" if folder(now) else "added"].append(path)
    return lists


def _reasons(was: Any, now: Any) -> list[str]:
    if stat.S_IFMT(was[0]) != stat.S_IFMT(now[0]):
        return ["type"]
    differs = {"content": was[4] != now[4], "mode": was[0] != now[0], "owner": was[1:3] != now[1:3]}
    differs["acl"] = was[5] != now[5]
    return [reason for reason, true in differs.items() if true] or ["times"]


class Instance:
    """An instance whose destination and deployment root are folders of this machine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root"
        self.destination = directory / "destination"
        self.temporary = directory / "temporary"
        self.temporary.mkdir()

    def options(self, name: str, tree: Tree, **options: Any) -> dict[str, Any]:
        """Make a revision and return what deploys it.

        :param options: ``hooks`` and ``permissions`` of its AppSpec, and options of the module.
        """
        folder = make_tree(self.directory / name, tree)
        files = [{"source": "/", "destination": str(self.destination)}]
        hooks = {
            event: [{"location": location, "timeout": 60, "runas": None, "sudo": None}]
            for event, location in options.pop("hooks", {}).items()
        }
        appspec = {"version": 0.0, "os": "linux", "hooks": hooks, "files": files}
        return {
            "deployment_id": f"d-{name}",
            "deployment_group_id": "g",
            "root": str(self.root),
            "bundle": {"type": "directory", "path": str(folder)},
            "appspec": {**appspec, "permissions": options.pop("permissions", [])},
            "events": ["DownloadBundle", "Install"],
            **options,
        }

    def check(self, options: dict[str, Any], **diff: Any) -> dict[str, Any]:
        """Return what check mode says; nothing on the instance has changed."""
        before = everything(self.root, self.destination)
        with temporary_folder(str(self.temporary)) as folder:
            result = plan_events(Lifecycle(dict(options)), folder, {"limit": 1000, "private": True, **diff})
        assert everything(self.root, self.destination) == before
        assert os.listdir(self.temporary) == []
        assert str(self.temporary) not in json.dumps(result)
        return result
