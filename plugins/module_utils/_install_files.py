# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The C(files) section: which file of the revision goes where, by the agent's rules."""

import os
import stat
from typing import Any, Dict, List, Optional, Set, Tuple, Union

from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import (
    Listing,
    RecordedStatus,
    listed_records,
    listed_statuses,
    proven,
    same_files,
    still_listed,
    wanted_of,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import (
    ABSENT,
    DANGLING,
    FOLDER,
    OTHER,
    FileSystemAfterCleanup,
    is_folder,
    is_link,
    join,
    lstat,
    scan,
)

ArchiveManifest = Optional[Dict[str, Listing]]
Status = Union[os.stat_result, RecordedStatus]
MOST_LINKED = 100000
EXISTING, KEPT, NEW = "existing", "kept", "new"
FOLDER_STATUS = os.stat_result([stat.S_IFDIR] + [0] * 9)


class Folder:
    """A destination folder.

    C(state): V(existing) is used as it is; V(kept) was made by the previous deployment and is made again, so it stays;
    V(new) is not there. C(real) is where it is or will be. C(inherit) is the group that new entries inherit from a
    setgid folder. C(copies) maps a name to C((source folder, how the record of an unchanged copy begins or None, lstat
    of the source or None when the copy is there already, text of a symbolic link or None, real
    path when it is not real/name)). C(listing): the listing of
    the copies that are there already, all that are not symbolic links. C(rule) is its own, C(rules) has those of names
    in it, C(through) what rules of symbolic links say of these names, and of itself as V("").
    """

    __slots__ = ("path", "real", "state", "copies", "listing", "subfolders", "rule", "rules", "inherit", "wanted") + (
        "through",
        "_left",
    )

    def __init__(self, path: str, real: str, state: str, inherit: Optional[int]) -> None:
        self.path = path
        self.real = real
        self.state = state
        self.inherit = inherit
        self.copies: Dict[str, Tuple[str, Optional[str], Optional[Status], Optional[str], Optional[str]]] = {}
        self.listing: Optional[Listing] = None
        self.subfolders: Set[str] = set()
        self.rule: Any = None
        self.rules: Dict[str, Any] = {}
        self.through: Dict[str, List[Any]] = {}
        self.wanted: Any = None
        self._left: Optional[Set[str]] = None

    @property
    def made(self) -> bool:
        """Whether Install makes it, so that it is recorded and the next deployment removes it."""
        return self.state != EXISTING

    def left(self, system: FileSystemAfterCleanup) -> Set[str]:
        """Return the names that are in it when the previous deployment's files are gone."""
        if self._left is None:
            self._left = system.names(self.real) if self.state == EXISTING else set()
        return self._left


class FileMapping:
    """Walks C(files) in their order; C(folders) holds the result, C(problems) what forbids it.

    :param archive: the unpacked revision.
    :param manifest: what was recorded of its files when it was unpacked.
    :param others: C({folder: names of what is no file}) when nothing can have changed since; then no file is looked at.
    :param behavior: DISALLOW, OVERWRITE or RETAIN.
    :param simple: whether copies keep mode and owner of the revision, so that what is unchanged is known at once.
    """

    def __init__(
        self,
        archive: str,
        manifest: ArchiveManifest,
        behavior: str,
        system: FileSystemAfterCleanup,
        root: str,
        simple: bool,
        others: Optional[Dict[str, List[str]]] = None,
    ) -> None:
        self.archive = archive.rstrip("/")
        self.real_archive = os.path.realpath(archive)
        self.manifest = manifest or {}
        self.others = others or {}
        self.behavior = behavior
        self.system = system
        self.root = root.rstrip("/")
        self.folders: Dict[str, Folder] = {}
        self.problems: List[str] = []
        self.conflicting: List[str] = []
        self.simple = simple
        self._key = ""
        self._linked = 0
        self._multiplied = False
        self._known: Tuple[str, Dict[str, str]] = ("", {})

    def add(self, key: str, entry: Dict[str, Any]) -> None:
        """Plan one entry of C(files).

        :param key: where it stands, such as V(files[0]).
        """
        self._key = key
        source, destination = entry["source"], entry["destination"]
        for name in ("source", "destination"):
            if not isinstance(entry[name], str) or "\0" in entry[name]:
                self.problem(".%s: must be a path, got %r; put it in quotes" % (name, entry[name]))
                return
        path = (self.archive + "/" + source.strip("/")).rstrip("/")
        folder_given = is_folder(path)
        if not self._inside(path if folder_given else os.path.dirname(path)):
            self.problem(".source: %s leads out of the revision; only what is in the bundle is deployed" % source)
            return
        target = self.expand(destination, key + ".destination")
        if target is None:
            return
        folder = self.folder(target)
        if folder is None:
            return
        if folder_given:
            self._folder_content(path, folder)
        else:
            self._single(path, folder, source)

    def problem(self, text: str) -> None:
        """Note what is wrong with the entry that is being planned."""
        self.problems.append(self._key + text)

    def expand(self, path: str, key: str) -> Optional[str]:
        """Return a path of the AppSpec absolute and normalised, below the destination root; None when it is no path."""
        if "\0" in path:
            self.problems.append("%s: must be a path, got %r" % (key, path))
            return None
        if path.startswith("~"):
            self.problems.append("%s: %s: '~' stands for no folder here; write the whole path" % (key, path))
            return None
        full = os.path.join(os.getcwd(), path or "/")
        parts = full.split("/")
        for number, part in enumerate(parts):
            before = self.root + "/".join(parts[:number])
            if part == ".." and not is_folder(before):
                self.problems.append("%s: %s: there is no folder %s for '..' to leave" % (key, path, before))
                return None
        return os.path.normpath(self.root + "/" + os.path.normpath(full).lstrip("/")).replace("//", "/")

    def folder(self, path: str) -> Optional[Folder]:
        """Return the planned folder of a path, planning its missing ancestors; None when it cannot be one."""
        known = self.folders.get(path)
        if known is not None:
            return known
        parent_path, name = os.path.split(path)
        parent = self.folders.get(parent_path) if name else None
        if parent is None or not parent.made:
            kind, real = self.system.locate(path)
            if kind in (OTHER, DANGLING):
                what = "a file" if kind == OTHER else "a symbolic link to nothing"
                self.problem(".destination: %s is %s; destination must be a folder" % (path, what))
                return None
            if kind == FOLDER:
                status = os.stat(real)
                folder = Folder(path, real, EXISTING, status.st_gid if status.st_mode & stat.S_ISGID else None)
                self.folders[path] = folder
                return folder
            parent = parent or self.folder(parent_path)
        # What is below a folder that is made is empty when the previous deployment's files are gone.
        if parent is None:
            return None
        if name in parent.copies:
            self.problem(".destination: %s is a folder here and a file of %s" % (path, parent.copies[name][0]))
            return None
        parent.subfolders.add(name)
        real = join(parent.real, name)
        folder = Folder(path, real, KEPT if real in self.system.previous.folders else NEW, parent.inherit)
        self.folders[path] = folder
        return folder

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self.real_archive or real.startswith(self.real_archive + "/")

    def _single(self, path: str, folder: Folder, source: str) -> None:
        status = lstat(path)
        if status is None:
            self.problem(".source: %s is not in the revision" % source)
            return
        text = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
        self._copy(os.path.dirname(path), os.path.basename(path), status, text, folder)

    def _folder_content(self, source: str, folder: Folder) -> None:
        """Plan the content of a folder of the revision, its subfolders included."""
        # The last part: whether a symbolic link was followed on the way.
        waiting: List[Tuple[str, Folder, bool]] = [(source, folder, False)]
        while waiting:
            source, folder, linked = waiting.pop()
            subfolders = []
            # A folder which is there already may hold anything; in all others a name can only be taken by this plan.
            checked = folder.state == EXISTING or bool(folder.copies) or bool(folder.subfolders)
            special = self._plain(source, folder, checked)
            self._linked += len(special) + len(folder.copies) if linked else 0
            for name, status in sorted(special):
                path = join(source, name)
                text = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
                if stat.S_ISDIR(status.st_mode) or (text is not None and is_folder(path)):
                    further = linked or text is not None
                    if self._may_follow(path, further):
                        subfolders.append((name, further))
                else:
                    self._copy(source, name, status, text, folder)
            for name, further in reversed(subfolders):
                inner = self.folder(join(folder.path, name))
                if inner is not None:
                    waiting.append((join(source, name), inner, further))

    def _may_follow(self, path: str, linked: bool) -> bool:
        """Whether what is in a folder of the revision is deployed; a problem says why not.

        :param linked: whether a symbolic link was followed to get there. Links in a circle end where the system ends
            them, after 40; but each further one of them would double what there is to deploy.
        """
        if linked and is_link(path) and not self._inside(path):
            rule = "is a symbolic link out of the revision; only what is in the bundle is deployed"
        elif linked and self._linked > MOST_LINKED:
            rule = "is behind symbolic links to folders that multiply what is deployed; remove some of them"
        else:
            return True
        if self._linked <= MOST_LINKED or not self._multiplied:
            self._multiplied = self._linked > MOST_LINKED
            self.problem(".source: %s %s" % (path[len(self.archive) + 1 :], rule))
        return False

    def _plain(self, source: str, folder: Folder, checked: bool) -> List[Tuple[str, Status]]:
        """Plan the files of a folder of the revision, return what else is in it; with C(checked) that is everything."""
        relative = source[len(self.archive) + 1 :]
        known = self.manifest.get(relative)
        certain = relative in self.others
        entries: Dict[str, Any] = self._others(relative, source) if certain else scan(source)
        if checked:
            if certain and known is not None:
                entries.update(listed_statuses(known))
            return list(entries.items())
        recorded: Dict[str, RecordedStatus] = {}
        if known is not None and (certain or still_listed(known, entries)):
            there = self.system.previous.listings.get(folder.real)
            if self.simple and folder.state == KEPT and there:
                folder.listing = same_files(there, known)
            if folder.listing is not None:
                names: Any = self.system.previous.files[folder.real]
                if folder.listing is not there or len(names) > there[0].count("/") + 1:
                    names = folder.listing[0].split("/")
                folder.copies = dict.fromkeys(names, (source, None, None, None, None))
            if folder.listing is not there or there is None:
                recorded = listed_statuses(known, folder.copies)
        if certain:
            entries.update(recorded)
        special = []
        for name, status in entries.items() if certain or len(entries) > len(folder.copies) else ():
            if name in folder.copies:
                continue
            if stat.S_ISREG(status.st_mode):
                wanted = recorded[name].wanted if name in recorded else None
                folder.copies[name] = (source, wanted, status, None, None)
            else:
                special.append((name, status))
        return special

    def _others(self, relative: str, source: str) -> Dict[str, Any]:
        """Return the lstat of what is no file in a folder; of folders it is known what it says."""
        prefix = relative + "/" if relative else ""
        return {
            name: FOLDER_STATUS if prefix + name in self.others else os.lstat(join(source, name))
            for name in self.others[relative]
        }

    def _proof(self, source: str, name: str, status: Status) -> Optional[str]:
        """Return how the record of an unchanged copy begins; None when the content is not known without reading it."""
        if isinstance(status, RecordedStatus):
            return status.wanted
        if self._known[0] != source:
            known = self.manifest.get(source[len(self.archive) + 1 :])
            self._known = (source, listed_records(known) if known else {})
        record = proven(self._known[1].get(name), status)
        return wanted_of(record) if record else None

    def _copy(self, source: str, name: str, status: Status, text: Optional[str], folder: Folder) -> None:
        """Plan one file or symbolic link."""
        path = join(folder.path, name)
        if name in folder.copies:
            self.problem(
                ".destination: %s and %s are both for %s; remove one"
                % (join(folder.copies[name][0], name), join(source, name), path)
            )
            return
        if name in folder.subfolders:
            self.problem(".destination: %s is a file of %s and a folder here" % (path, source))
            return
        if text is None and not stat.S_ISREG(status.st_mode):
            self.problem(".source: %s is neither a file, a folder nor a symbolic link" % join(source, name))
            return
        target: Optional[str] = None
        if folder.state == EXISTING and name in folder.left(self.system):
            kind, there = self.system.locate(path)
            if kind in (FOLDER, OTHER):
                if self.behavior == "RETAIN":
                    return
                if self.behavior != "OVERWRITE":
                    self._conflict(path)
                    return
            target = self._existing(path, kind, there, name, text)
            if target is None:
                return
            target = None if target == join(folder.real, name) else target
        proof = self._proof(source, name, status)
        folder.copies[name] = (source, proof, status, text, target)

    def _conflict(self, path: str) -> None:
        self.conflicting.append(path)
        if self.behavior == "DISALLOW":
            self.problem(
                ".destination: %s already exists and no deployment of this group made it; remove it, or deploy with"
                " file_exists_behavior OVERWRITE or RETAIN" % path
            )
        else:
            self.problem(
                ".destination: %s already exists, and file_exists_behavior is %r: must be DISALLOW, OVERWRITE or RETAIN"
                % (path, self.behavior)
            )

    def _existing(self, path: str, kind: str, there: str, name: str, text: Optional[str]) -> Optional[str]:
        """Return the real path that is written when something is at C(path); None with a problem when none can be.

        The agent writes through a symbolic link, also a dangling one, and into a folder that stands there.
        """
        if text is not None and kind in (OTHER, DANGLING):
            self.problem(".destination: %s exists and cannot become a symbolic link; remove it" % path)
            return None
        if kind == DANGLING:
            if not there or self.system.locate(os.path.dirname(there))[0] != FOLDER:
                self.problem(".destination: %s is a symbolic link into a folder that is not there" % path)
                return None
            return there
        if kind == FOLDER:
            there = join(there, os.path.basename(text) if text else name)
            inner = self.system.locate(there)[0]
            if inner == FOLDER or (text is not None and inner != ABSENT):
                self.problem(".destination: %s is a folder, and so is %s; remove it" % (path, there))
                return None
            return there
        if not stat.S_ISREG(os.stat(there).st_mode):
            self.problem(".destination: %s is neither a file nor a folder; remove it" % path)
            return None
        return there
