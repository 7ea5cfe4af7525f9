# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file system as it will be when the previous deployment's files are gone, found without touching anything."""

import errno
import os
import stat
from typing import Any, Dict, List, Optional, Set, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import (
    Listing,
    listed_records,
    proven,
    still_listed,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_manifest import Folders, Records

FOLDER, OTHER, DANGLING, ABSENT = "folder", "other", "dangling", "absent"
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_DEEP = 400


def lstat(path: str) -> Optional[os.stat_result]:
    """Return the lstat of a path, V(None) when it is not there."""
    try:
        return os.lstat(path)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None


def exists(path: str) -> bool:
    """Whether there is anything at a path; unlike with os.path a failing disk is not the same as nothing."""
    return lstat(path) is not None


def is_folder(path: str) -> bool:
    """Whether a path leads to a folder, through symbolic links as well."""
    status = lstat(path)
    if status is None or not stat.S_ISLNK(status.st_mode):
        return status is not None and stat.S_ISDIR(status.st_mode)
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return False


def is_link(path: str) -> bool:
    """Whether a path is a symbolic link."""
    status = lstat(path)
    return status is not None and stat.S_ISLNK(status.st_mode)


def join(folder: str, name: str) -> str:
    """Join like os.path.join, for a name that is never absolute."""
    return folder + name if folder == "/" else folder + "/" + name


def real_path(path: str, known: Dict[str, str]) -> str:
    """Return os.path.realpath of an absolute, normalised path; each folder is looked at once."""
    if path == "/":
        return path
    if path not in known:
        if path.count("/") > _DEEP:
            return os.path.realpath(path)
        parent, name = os.path.split(path)
        real = join(real_path(parent, known), name)
        known[path] = os.path.realpath(real) if is_link(real) else real
    return known[path]


def scan(path: str) -> Dict[str, os.stat_result]:
    """Return the lstat of everything in a folder.

    It costs least through the folder's descriptor, which Python 3.6 does not offer.
    """
    if os.scandir not in os.supports_fd:
        with os.scandir(path) as entries:
            return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as entries:
            return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    finally:
        os.close(descriptor)


class PreviousFiles:
    """What of the previous deployment is still there and would be removed, as the agent's cleanup removes it.

    C(files) maps the real path of a folder to C({name: state}) of everything but folders; the state of a file is its
    record if it is proven to be as it was written, else "", of a symbolic link V(l) and its text. Of files in
    C(listings) it is "" although the listing of their folder proves them; C(records) tells more. C(folders) maps the
    real path of each recorded folder that would be empty then to its record, C(statuses) that of each
    recorded folder that is one to its lstat. What is recorded below a folder that has since been replaced (by a
    symbolic link, say) is somebody else's and left alone.
    """

    def __init__(self, recorded: Folders) -> None:
        self.recorded = recorded
        self.files: Dict[str, Dict[str, str]] = {}
        self.listings: Dict[str, Listing] = {}
        self.folders: Dict[str, Optional[str]] = {}
        self.statuses: Dict[str, os.stat_result] = {}
        found: List[Tuple[str, Optional[str]]] = []
        foreign: Set[str] = set()
        children: Dict[str, List[str]] = {}
        replaced: Set[str] = set()
        reals: Dict[str, str] = {}
        for folder, (files, names) in recorded.items():
            if folder not in replaced:
                real = real_path(folder, reals)
                subfolders = self._scan(real, files, names, foreign)
            else:
                real, subfolders = "", []
            children.setdefault(real, []).extend(join(real, name) for name in subfolders)
            for name in subfolders:
                reals[join(folder, name)] = join(real, name)
                found.append((join(real, name), names.get(name)))
            if len(subfolders) < len(names):
                paths = [join(folder, name) for name, record in names.items() if record is None or record[0] == "d"]
                replaced.update(path for path in paths if path in recorded and os.path.basename(path) not in subfolders)
        for real, record in sorted(found, key=lambda item: -len(item[0])):
            if real not in children:
                self._scan(real, None, {}, foreign)
            if real not in foreign and all(child in self.folders for child in children.get(real, ())):
                self.folders[real] = record

    def records(self, real: str) -> Dict[str, str]:
        """Return the states of what C(files) has in one folder, with the records of the files in its listing."""
        if real in self.listings:
            return dict(self.files[real], **listed_records(self.listings[real]))
        return self.files.get(real, {})

    def _scan(self, real: str, files: Optional[Listing], names: Records, foreign: Set[str]) -> List[str]:
        """Sort the entries of one folder; return the recorded ones that are folders now."""
        subfolders: List[str] = []
        gone = self.files.setdefault(real, {})
        try:
            entries = scan(real)
            if files is not None and still_listed(files, entries):
                self.listings[real] = files
                gone.update(dict.fromkeys(files[0].split("/"), ""))
            elif files is not None:
                names = dict(names, **listed_records(files))
            for name, status in entries.items() if len(entries) > len(gone) else ():
                if name in gone:
                    continue
                if name not in names:
                    foreign.add(real)
                elif stat.S_ISREG(status.st_mode):
                    gone[name] = proven(names[name], status)
                elif stat.S_ISDIR(status.st_mode):
                    subfolders.append(name)
                    self.statuses[join(real, name)] = status
                else:
                    gone[name] = "l " + os.readlink(join(real, name)) if stat.S_ISLNK(status.st_mode) else ""
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
        if not gone:
            del self.files[real]
        return subfolders


class FileSystemAfterCleanup:
    """Answers what is at a path once the previous deployment's files are removed."""

    def __init__(self, previous: PreviousFiles) -> None:
        self.previous = previous
        self._located: Dict[str, Tuple[str, str]] = {"/": (FOLDER, "/")}

    def locate(self, path: str, depth: int = 0) -> Tuple[str, str]:
        """Return C((kind, real path)) of an absolute, normalised path; symbolic links are followed.

        :returns: kind V(folder) or V(other) with the real path of what is there; V(dangling) with the real path that
            a symbolic link leads to; V(absent) with the real path where it would be, "" when its folder is not there.
        """
        if path not in self._located:
            self._located[path] = self._locate(path, depth)
        return self._located[path]

    def _locate(self, path: str, depth: int) -> Tuple[str, str]:
        parent, name = os.path.split(path)
        kind, folder = self.locate(parent, depth)
        if kind != FOLDER:
            return ABSENT, ""
        real = join(folder, name)
        if name in self.previous.files.get(folder, ()) or real in self.previous.folders:
            return ABSENT, real
        status = lstat(real)
        if status is None:
            return ABSENT, real
        if stat.S_ISDIR(status.st_mode):
            return FOLDER, real
        if not stat.S_ISLNK(status.st_mode):
            return OTHER, real
        if depth >= 40:
            return DANGLING, ""
        text = os.readlink(real)
        target = os.path.join(folder, text)
        # ".." after a name has a meaning of its own when that name is a link; leading ones have not, folder is real.
        target = os.path.realpath(target) if "/.." in text.lstrip("./") else os.path.normpath(target)
        kind, there = self.locate(target, depth + 1)
        return (DANGLING if kind == ABSENT else kind), there

    def names(self, real: str) -> Set[str]:
        """Return the names that will be left in a folder, given by its real path."""
        gone: Any = self.previous.files.get(real, ())
        folders = self.previous.folders
        return {
            name
            for name, status in scan(real).items()
            if name not in gone and not (stat.S_ISDIR(status.st_mode) and join(real, name) in folders)
        }
