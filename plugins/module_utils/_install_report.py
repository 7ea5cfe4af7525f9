# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan of Install comes to, path by path, and why."""

import os
import stat
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_acl import has_acl
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import shown_mode
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_files import NEW
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_plan import permission_code
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import join, lstat

CHUNK = 1024 * 1024
NO_CHANGE: Dict[str, List[Any]] = {
    "added": [],
    "replaced": [],
    "kept": [],
    "removed": [],
    "conflicting": [],
    "folders_added": [],
    "folders_changed": [],
    "folders_removed": [],
}


def shown(path: str) -> str:
    """Return a path as text that any screen and any JSON takes; bytes that are not UTF-8 become C(\\xNN)."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def planned_writes(plan: Any) -> Iterator[Tuple[str, str, Any, Optional[os.stat_result]]]:
    """Yield C((path as the AppSpec leads to it, real path, write, lstat of what is there or None))."""
    for folder_path, writes in plan.writes.items():
        folder = plan.folders[folder_path]
        for write in writes:
            real = write.target or join(folder.real, write.name)
            there = None if folder.state == NEW else lstat(real)
            yield write.target or join(folder_path, write.name), real, write, there


def removed_files(plan: Any) -> List[str]:
    """Return the real paths of files and symbolic links that go, those that make room for a folder included."""
    gone = set(plan.removed_folders)
    files = [path for path in plan.removed if path not in gone]
    return files + [
        folder.real for folder in plan.folders.values() if folder.state == NEW and lstat(folder.real) is not None
    ]


def report(plan: Any) -> Dict[str, List[Any]]:
    """Return the lists of RV(plan.files) of M(agentless.codedeploy.lifecycle_events).

    :param plan: an C(InstallPlan); of one that is partial only conflicts are listed.
    """
    lists: Dict[str, List[Any]] = {name: [] for name in NO_CHANGE}
    lists["conflicting"] = sorted(map(shown, plan.conflicting))
    if plan.partial:
        return lists
    for path, real, write, there in planned_writes(plan):
        if there is None:
            lists["added"].append(shown(path))
        else:
            lists["replaced"].append({"path": shown(path), "reasons": _reasons(real, write, there)})
    lists["kept"] = [shown(path) for path in plan.kept]
    lists["removed"] = [shown(path) for path in removed_files(plan)]
    gone = set(plan.removed_folders)
    lists["folders_removed"] = [shown(path) for path in plan.removed if path in gone]
    lists["folders_added"] = [shown(folder.path) for folder in plan.folders.values() if folder.state == NEW]
    for item in plan.attributes:
        lists["folders_changed"].append({"path": shown(item.path), "reasons": _folder_reasons(item)})
    for path, is_folder, reasons in _changed_through_links(plan):
        lists["folders_changed" if is_folder else "replaced"].append({"path": shown(path), "reasons": reasons})
    for name in ("replaced", "folders_changed"):
        lists[name].sort(key=lambda entry: entry["path"])
    for name in ("added", "kept", "removed", "folders_added", "folders_removed"):
        lists[name].sort()
    return lists


def _reasons(real: str, write: Any, there: os.stat_result) -> List[str]:
    """Return why a file that is there is written: type, content, mode, owner, acl; times when it is none of these."""
    if stat.S_IFMT(there.st_mode) != (stat.S_IFREG if write.text is None else stat.S_IFLNK):
        return ["type"]
    if write.text is not None:
        return ["content"]
    reasons = []
    if there.st_size != write.size or not same_content(join(write.source, write.name), real):
        reasons.append("content")
    if stat.S_IMODE(there.st_mode) != shown_mode(write.mode, write.acl):
        reasons.append("mode")
    if (there.st_uid, there.st_gid) != (write.uid, write.gid):
        reasons.append("owner")
    if not has_acl(real, write.acl):
        reasons.append("acl")
    return reasons or ["times"]


def same_content(source: str, there: str) -> bool:
    """Return whether two files of the same size have the same content."""
    try:
        with open(source, "rb", 0) as one, open(there, "rb", 0) as other:
            while True:
                block = one.read(CHUNK)
                if block != other.read(CHUNK):
                    return False
                if not block:
                    return True
    except OSError:
        # Nothing can be told from a file that this user may not read.
        return False


def _folder_reasons(item: Any) -> List[str]:
    there = os.lstat(item.path)
    reasons = []
    if stat.S_IMODE(there.st_mode) != shown_mode(item.mode, item.acl or []):
        reasons.append("mode")
    if (there.st_uid, there.st_gid) != (item.uid, item.gid):
        reasons.append("owner")
    if item.acl is not None and not has_acl(item.path, item.acl):
        reasons.append("acl")
    return reasons


def _changed_through_links(plan: Any) -> List[Tuple[str, bool, List[str]]]:
    """Return path, whether it is a folder, and reasons for what no deployment made and a link's rule changes."""
    found = []
    for real, (mode, uid, gid, _acls), wanted, acl in permission_code()[2](plan.later) if plan.later else ():
        reasons = ["mode"] if shown_mode(wanted[0], acl) != mode else []
        reasons += ["owner"] if wanted[1:3] != [uid, gid] else []
        reasons += ["acl"] if acl and not has_acl(real, acl, default=False) else []
        if reasons:
            found.append((real, os.path.isdir(real), reasons))
    return found
