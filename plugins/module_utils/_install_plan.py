# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of an Install event: everything is decided and checked here, nothing is touched."""

import hashlib
import os
import stat
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import STATE, wanted_record
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import read_acls, shown_mode
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_files import (
    EXISTING,
    KEPT,
    NEW,
    FileMapping,
    Folder,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_manifest import record_acls
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import (
    PreviousFiles,
    exists,
    is_folder,
    join,
    lstat,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import lacking

#: Bytes that a file takes in cleanup file, install.json and manifest together, and how many files these are.
RECORD, RECORDS = 512, 8


class InstallError(Exception):
    """Install cannot be done. C(problems): one readable text each; C(plan): the plan as far as it got, or None."""

    def __init__(self, problems: List[str], plan: Any = None) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.plan = plan


class Write(NamedTuple):
    """One file or symbolic link to be written; C(target) is its real path when that is not folder/name."""

    name: str
    source: str
    size: int
    text: Optional[str]
    sha256: Optional[str]
    mode: int
    uid: int
    gid: int
    times: Tuple[int, int]
    acl: List[str]
    target: Optional[str]


class Attributes(NamedTuple):
    """What an object that stays is made to be; C(acl) None: left alone, []: none."""

    path: str
    mode: int
    uid: int
    gid: int
    acl: Optional[List[str]]


class InstallPlan:
    """What Install will do.

    C(writes), C(records): per folder path, the files to write and the records of those that stay. C(attributes):
    folders that stay with another mode, owner or ACL. C(later): real paths and rules for what can be changed only when
    everything is in place, see C(LinkRules). C(removed_files), C(removed_folders): real paths of what goes.
    C(partial): some of it could not be planned, for its C(problems).
    """

    def __init__(self, mapping: FileMapping, previous: PreviousFiles, old_contexts: List[List[Any]]) -> None:
        self.recorded = previous.recorded
        self.folders: Dict[str, Folder] = mapping.folders
        self.previous = previous
        self.conflicting = mapping.conflicting
        self.problems = mapping.problems
        self.partial = False
        self.warnings: List[str] = []
        self.archive = mapping.archive
        self.writes: Dict[str, List[Write]] = {}
        self.records: Dict[str, Dict[str, Optional[str]]] = {}
        self.attributes: List[Attributes] = []
        self.later: List[Tuple[str, Any]] = []
        self.old_contexts = old_contexts
        self.contexts: List[List[Any]] = []
        self.removed_files: List[str] = []
        self.removed_folders: List[str] = []

    def _paths(self, kept: bool) -> Iterator[str]:
        for path, folder in self.folders.items():
            records = self.records.get(path, {})
            for name, copy in folder.copies.items():
                if (name in records or copy[2] is None) == kept:
                    yield copy[4] or join(path, name)

    @property
    def kept(self) -> List[str]:
        """Paths of files that are left alone: same content, mode and owner."""
        return list(self._paths(True))

    @property
    def added(self) -> List[str]:
        """Paths of files that are not there yet."""
        return [path for path in self._paths(False) if not exists(path)]

    @property
    def replaced(self) -> List[str]:
        """Paths of files that are there and get another content, mode or owner."""
        return [path for path in self._paths(False) if exists(path)]

    @property
    def removed(self) -> List[str]:
        """Real paths of files and folders of the previous deployment that are not in this one."""
        planned = {
            copy[4] or join(folder.real, name)
            for folder in self.folders.values()
            for name, copy in folder.copies.items()
        }
        return [path for path in self.removed_files + self.removed_folders if path not in planned]


def permission_code() -> Tuple[Any, Any, Any]:
    """Return C(PermissionRules), C(LinkRules) and C(outcomes), which few deployments need; they are loaded now."""
    from ansible_collections.agentless.codedeploy.plugins.module_utils._install_links import LinkRules, outcomes
    from ansible_collections.agentless.codedeploy.plugins.module_utils._install_permissions import PermissionRules

    return PermissionRules, LinkRules, outcomes


class Decisions:
    """Decides for every planned file whether it is written, and with what attributes."""

    def __init__(self, plan: InstallPlan) -> None:
        self.plan = plan
        self.uid = os.geteuid()
        self.gid = os.getegid()
        self.groups = set(os.getgroups()) | {self.gid}
        self.umask = os.umask(0o022)
        os.umask(self.umask)

    def decide(self) -> None:
        """Fill the plan in."""
        if any(_leads_on(folder, name) for folder in self.plan.folders.values() for name in folder.rules):
            permission_code()[1](self.plan).assign()
        for folder in self.plan.folders.values():
            if folder.made:
                self._folder(folder)
            self._files(folder)
            if folder.rule or folder.rules:
                self._contexts(folder)
        self._removals()

    def _files(self, folder: Folder) -> None:
        writes: List[Write] = []
        records: Dict[str, Optional[str]] = {}
        self.plan.records[folder.path] = records
        if folder.listing is not None and len(folder.copies) == folder.listing[0].count("/") + 1:
            return
        previous = self.plan.previous
        # What the listing leaves is written: of the files that were there, it has all that stay.
        known = previous.files.get(folder.real, {}) if folder.listing is not None else previous.records(folder.real)
        prior = known if folder.state != NEW else {}
        special, before = bool(self.uid or folder.rules or folder.through), prior.get
        for name, (source, proof, status, text, target) in folder.copies.items():
            if status is None:
                continue
            if special or proof is None or text is not None or target is not None:
                self._special(folder, name, status, before(name), writes, records)
                continue
            record = before(name)
            if record and record.startswith(proof) and len(record) == len(proof) + STATE:
                records[name] = record
                continue
            mode, times = status.st_mode & 0o7777, (status.st_atime_ns, status.st_mtime_ns)
            owner, group = status.st_uid, status.st_gid
            writes.append(Write(name, source, status.st_size, None, proof[2:66], mode, owner, group, times, [], None))
        if writes:
            self.plan.writes[folder.path] = writes

    def _special(
        self,
        folder: Folder,
        name: str,
        status: Any,
        there: Optional[str],
        writes: List[Write],
        records: Dict[str, Optional[str]],
    ) -> None:
        """Decide about a symbolic link, a file with permissions, one that is written elsewhere, or without root."""
        source, proof, _status, text, target = folder.copies[name]
        if text is not None:
            if there == "l " + text:
                records[name] = there
            else:
                writes.append(Write(name, source, 0, text, None, 0, 0, 0, (0, 0), [], target))
            return
        mode, uid, gid = self._owned(status)
        acl: List[str] = []
        rule = folder.rules.get(name) if target is None else None
        for each in _in_order(rule, folder.through.get(name)):
            mode, uid, gid, acl = each.after(mode, uid, gid, acl, False)
        sha256 = proof[2:66] if proof else None
        wanted = (stat.S_IFREG | shown_mode(mode, acl), uid, gid)
        if there and there.startswith(wanted_record(sha256 or there[2:66], *wanted)) and record_acls(there) == acl:
            sha256 = sha256 or file_sha256(join(source, name))
            if sha256 == there[2:66]:
                records[name] = there
                return
        times = (status.st_atime_ns, status.st_mtime_ns)
        writes.append(Write(name, source, status.st_size, None, sha256, mode, uid, gid, times, acl, target))

    def _owned(self, status: Any) -> Tuple[int, int, int]:
        """Return mode and owner of a copy: as in the revision; who may not give files away loses setuid with them."""
        mode = status.st_mode & 0o7777
        if not self.uid:
            return mode, status.st_uid, status.st_gid
        if status.st_uid == self.uid and status.st_gid in self.groups:
            return mode, status.st_uid, status.st_gid
        return mode & 0o1777, self.uid, self.gid

    def _folder(self, folder: Folder) -> None:
        """Find the attributes of a folder that is made; one that stays gets them, too."""
        mode = 0o777 & ~self.umask
        gid = self.gid
        if folder.inherit is not None:
            mode |= stat.S_ISGID
            gid = folder.inherit
        acl: List[str] = []
        uid = self.uid
        for rule in _in_order(folder.rule, folder.through.get("")):
            mode, uid, gid, acl = rule.after(mode, uid, gid, acl, True)
        folder.wanted = Attributes(folder.real, mode, uid, gid, acl)
        if folder.state != KEPT:
            return
        there = self.plan.previous.statuses[folder.real]
        record = self.plan.previous.folders[folder.real]
        had = [acl for acl in read_acls(folder.real) if acl] if record is None else record_acls(record)
        same = (stat.S_IMODE(there.st_mode), there.st_uid, there.st_gid) == (shown_mode(mode, acl), uid, gid)
        if not same or had != acl:
            self.plan.attributes.append(Attributes(folder.real, mode, uid, gid, acl if had or acl else None))

    def _contexts(self, folder: Folder) -> None:
        rules = [(folder.path, folder.rule)] + [(join(folder.path, name), rule) for name, rule in folder.rules.items()]
        for path, rule in rules:
            if rule is not None and rule.context is not None:
                self.plan.contexts.append([path, rule.context])

    def _removals(self) -> None:
        """List what of the previous deployment is not planned again."""
        planned: Dict[str, Any] = {}
        for folder in self.plan.folders.values():
            names = folder.copies.keys()
            planned[folder.real] = planned[folder.real] | names if folder.real in planned else names
        made = {folder.real for folder in self.plan.folders.values() if folder.made}
        for real, there in self.plan.previous.files.items():
            if len(there) == len(planned.get(real, ())) and there.keys() == planned[real]:
                continue
            gone = there.keys() - planned.get(real, ())
            self.plan.removed_files += sorted({join(real, name) for name in gone} - made)
        for real in self.plan.previous.folders:
            if real not in made:
                self.plan.removed_folders.append(real)


def _leads_on(folder: Folder, name: str) -> bool:
    """Whether a rule for a name is about something else, which is behind a symbolic link."""
    return folder.copies[name][3] is not None or folder.copies[name][4] is not None


def _in_order(rule: Any, through: Optional[List[Any]]) -> List[Any]:
    """Return the rules for one object in the order in which C(permissions) has them."""
    rules = ([rule] if rule is not None else []) + (through or [])
    return sorted(rules, key=lambda rule: rule.number)


def check_room(plan: InstallPlan, instructions_directory: str) -> None:
    """Add the problems of writing where the plan writes: no permission, read-only, not enough space or inodes."""
    needed: Dict[int, List[Any]] = {}

    def need(path: str, size: int, files: int) -> None:
        while not is_folder(path):
            path = os.path.dirname(path)
        wanted = needed.setdefault(os.stat(path).st_dev, [path, 0, 0])
        wanted[1] += size
        wanted[2] += files

    for path, folder in plan.folders.items():
        writes = plan.writes.get(path, ())
        if writes or folder.state == NEW:
            need(folder.real, sum((write.size + 4095) & ~4095 for write in writes), len(writes) + 1)
    if plan.writes:
        need(instructions_directory, RECORD * sum(len(folder.copies) for folder in plan.folders.values()), RECORDS)
    for real, size, files in needed.values():
        plan.problems.extend("files: " + problem for problem in lacking(real, size, files))
    _check_access(plan)


def _check_access(plan: InstallPlan) -> None:
    """Add a problem for each folder in which this user may not do what is planned."""
    taken = plan.removed_files + plan.removed_folders
    changed: Dict[str, List[str]] = {os.path.dirname(path): [] for path in taken}
    for path, folder in plan.folders.items():
        if folder.state == NEW:
            changed.setdefault(os.path.dirname(folder.real), [])
        elif path in plan.writes:
            taken = taken + [join(folder.real, write.name) for write in plan.writes[path] if write.target is None]
            changed.setdefault(folder.real, [])
        for target in [write.target for write in plan.writes.get(path, ()) if write.target]:
            changed.setdefault(os.path.dirname(target), [])
            taken = taken + [target]
    uid = os.geteuid()
    for path in taken if uid else ():
        changed[os.path.dirname(path)].append(path)
    for real in sorted(changed):
        status = lstat(real)
        if status is None or not stat.S_ISDIR(status.st_mode):
            continue
        if not os.access(real, os.W_OK | os.X_OK, effective_ids=True):
            plan.problems.append("files: %s cannot be written; check its owner, its mode and its mount" % real)
        elif status.st_mode & stat.S_ISVTX and status.st_uid != uid:
            foreign = [there for there in map(lstat, changed[real]) if there is not None and there.st_uid != uid]
            if foreign:
                plan.problems.append(
                    "files: in %s only owners may replace files (sticky bit), and %d of them are another user's"
                    % (real, len(foreign))
                )


def check_aliases(plan: InstallPlan) -> None:
    """Add a problem for each real path that the plan would write twice under different names."""
    reals = [folder.real for folder in plan.folders.values()]
    targets = [item[4] for folder in plan.folders.values() for item in folder.copies.values() if item[4] is not None]
    if len(set(reals)) == len(reals) and not targets:
        return
    seen: Dict[str, str] = {}
    for folder in plan.folders.values():
        objects = [(folder.real, folder.path)] if folder.state != EXISTING else []
        objects += [
            (item[4] or join(folder.real, name), join(folder.path, name)) for name, item in folder.copies.items()
        ]
        for real, path in objects:
            if seen.setdefault(real, path) != path:
                plan.problems.append("files: %s and %s are the same path, %s" % (seen[real], path, real))


def file_sha256(path: str) -> str:
    """Return the sha256 of a file as hex."""
    digest = hashlib.sha256()
    with open(path, "rb", 0) as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
