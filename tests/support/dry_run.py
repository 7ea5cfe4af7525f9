# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a folder holds, in every detail that a change would show in, and what changed between two looks."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

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
    """Return path -> (type and mode, owner, group, inode, content or text of a link) of all that a folder holds."""
    found = {}
    for path in everything(directory):
        status = os.lstat(path)
        content: bytes | None = None
        if stat.S_ISLNK(status.st_mode):
            content = os.fsencode(os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            content = Path(path).read_bytes()
        inode = None if stat.S_ISDIR(status.st_mode) else status.st_ino
        found[path] = (status.st_mode, status.st_uid, status.st_gid, inode, content)
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
    return [reason for reason, true in differs.items() if true] or ["times"]
