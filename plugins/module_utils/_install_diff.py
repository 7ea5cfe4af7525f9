# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan of Install changes in files, in the form in which Ansible shows differences."""

import os
import stat
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_report import (
    planned_writes,
    removed_files,
    same_content,
    shown,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import join, lstat

NOTHING = "/dev/null"
# Of the texts of all files together, in the size that one of them may have.
TOTAL = 10
MOST_ENTRIES = 1000


class _Side(NamedTuple):
    """A file before or after: its text, or why that is not shown."""

    text: str
    reason: Optional[str]


_ABSENT = _Side("", None)


class Differences:
    """Collects the differences of one plan.

    :param limit: bytes that a file may have to be shown.
    :param private: show files that others cannot read, too.
    :param root: the folders above it do not count when it is found out who can read a file.
    """

    def __init__(self, plan: Any, limit: int, private: bool, root: str) -> None:
        self.entries: List[Dict[str, Any]] = []
        self._plan = plan
        self._limit = limit
        self._private = private
        self._left = TOTAL * limit
        self._omitted = 0
        self._public: Dict[str, bool] = {os.path.realpath(root): True, "/": True}
        for folder in plan.folders.values():
            if folder.wanted is not None:
                parent = self._readable_folder(os.path.dirname(folder.real))
                self._public[folder.real] = parent and bool(folder.wanted.mode & stat.S_IXOTH)

    def collect(self) -> List[Dict[str, Any]]:
        """Return the entries for the result's C(diff)."""
        for path, real, write, there in sorted(planned_writes(self._plan), key=lambda item: item[0]):
            if there is None:
                self._add(path, _ABSENT, self._planned(real, write), False, True)
                continue
            regular = stat.S_ISREG(there.st_mode) and write.text is None
            source = join(write.source, write.name)
            if not regular or there.st_size != write.size or not same_content(source, real):
                self._add(path, self._present(real, there), self._planned(real, write), True, True)
            if regular:
                self._attributes(path, there, write.mode, write.uid, write.gid)
        for path in sorted(removed_files(self._plan)):
            self._add(path, self._present(path, os.lstat(path)), _ABSENT, True, False)
        for item in self._plan.attributes:
            self._attributes(item.path, os.lstat(item.path), item.mode, item.uid, item.gid)
        if self._omitted:
            self.entries.append({"prepared": f"{self._omitted} more files differ, not shown\n"})
        return self.entries

    def _add(self, path: str, before: _Side, after: _Side, was: bool, will_be: bool) -> None:
        name = shown(path)
        entry: Dict[str, Any] = {
            "before_header": name if was else NOTHING,
            "after_header": name if will_be else NOTHING,
        }
        reason = before.reason or after.reason
        size = len(before.text) + len(after.text)
        if len(self.entries) >= MOST_ENTRIES or reason is None and size > self._left:
            self._omitted += 1
            return
        if reason is None:
            self._left -= size
            entry.update(before=before.text, after=after.text)
        else:
            what = "differs" if was and will_be else "is new" if will_be else "is removed"
            entry["prepared"] = f"{name} {what}; content not shown, {reason}\n"
        self.entries.append(entry)

    def _attributes(self, path: str, there: Any, mode: int, uid: int, gid: int) -> None:
        before = _owner_and_mode(there.st_mode, there.st_uid, there.st_gid)
        after = _owner_and_mode(mode, uid, gid)
        changed = [key for key in before if before[key] != after[key]]
        if not changed:
            return
        if len(self.entries) >= MOST_ENTRIES:
            self._omitted += 1
            return
        sides = {"before": {key: before[key] for key in changed}, "after": {key: after[key] for key in changed}}
        self.entries.append(dict(sides, before_header=shown(path), after_header=shown(path)))

    def _present(self, path: str, there: os.stat_result) -> _Side:
        if stat.S_ISLNK(there.st_mode):
            return _Side(f"symbolic link to {shown(os.readlink(path))}\n", None)
        if not stat.S_ISREG(there.st_mode):
            return _ABSENT
        return self._content(path, path, there.st_mode, there.st_size)

    def _planned(self, real: str, write: Any) -> _Side:
        if write.text is not None:
            return _Side(f"symbolic link to {shown(write.text)}\n", None)
        return self._content(join(write.source, write.name), real, write.mode, write.size)

    def _content(self, path: str, final: str, mode: int, size: int) -> _Side:
        """Return the text of a file that is, or will be, C(final)."""
        if not self._private:
            if not mode & stat.S_IROTH:
                return _Side("", f"mode {stat.S_IMODE(mode):04o}")
            if not self._readable_folder(os.path.dirname(final)):
                return _Side("", "others cannot enter its folder")
        if size > self._limit:
            return _Side("", f"larger than {self._limit} bytes")
        try:
            with open(path, "rb") as stream:
                content = stream.read(self._limit + 1)
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            return _Side("", "it is binary")
        except OSError as error:
            return _Side("", f"it cannot be read: {error.strerror}")
        return _Side("", "it is binary") if "\0" in text else _Side(text, None)

    def _readable_folder(self, real: str) -> bool:
        if real not in self._public:
            status = lstat(real)
            enterable = status is None or bool(status.st_mode & stat.S_IXOTH)
            self._public[real] = enterable and self._readable_folder(os.path.dirname(real))
        return self._public[real]


def _owner_and_mode(mode: int, uid: int, gid: int) -> Dict[str, Any]:
    return {"mode": f"{stat.S_IMODE(mode):04o}", "owner": uid, "group": gid}
