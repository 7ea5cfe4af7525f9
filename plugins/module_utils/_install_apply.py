# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying a plan of Install out: prepare everything, put it in place, and restore the old version when that fails."""

import os
import stat
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple, Union

from ansible_collections.agentless.codedeploy.plugins.module_utils import _install_journal as journal_file
from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import file_record
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import attributes, set_attributes
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_copy import copy_file
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_files import NEW, Folder
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_manifest import (
    Records,
    cleanup_text,
    folder_manifest,
    install_json_parts,
    manifest_parts,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_plan import (
    InstallPlan,
    Write,
    permission_code,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import join, lstat
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import read_file, replace_file
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_sync import FEW, settle


def set_acls(objects: List[Tuple[str, List[str]]]) -> None:
    """Give each C((path, complete list)) its list, where there is any."""
    if objects:
        from ansible_collections.agentless.codedeploy.plugins.module_utils._install_acl import set_acls as set_all

        set_all(objects)


class Installation:
    """One run of Install; C(run) does everything.

    :param revision: folder of the deployment that the group's last successful one becomes, V(None) to leave that.
    """

    def __init__(self, plan: InstallPlan, instructions: Any, revision: Optional[str] = None) -> None:
        self.plan = plan
        self.revision = revision
        self.instructions = instructions
        self.prefix = ".codedeploy-" + os.urandom(4).hex() + "-"
        self.uid = os.geteuid()
        self.umask = os.umask(0o022)
        os.umask(self.umask)
        self.physical: Dict[str, str] = {}
        self.operations: List[List[Any]] = []
        self.folders_aside: List[List[Any]] = []
        self.journal: Dict[str, Any] = {"state": "staging", "prefix": self.prefix, "operations": []}
        self.acls: List[Tuple[str, List[str]]] = []
        self.written: Dict[str, Dict[str, Optional[str]]] = {}
        self.unsettled: List[Tuple[str, Write]] = []
        self.durable = sum(len(writes) for writes in plan.writes.values()) <= FEW
        self._names = 0
        self._gone: Set[str] = set()

    def run(self) -> None:
        """Make the instance what the plan says.

        :raises OSError: nothing was changed then, or everything was put back, unless putting it back failed as well.
        """
        tops = self._places()
        os.makedirs(self.instructions.directory, exist_ok=True)
        self.journal["folders"] = sorted(self._folders_touched(tops))
        journal_file.write_journal(self.instructions, self.journal)
        try:
            self._stage()
            self._operations(tops)
            self._settle()
            self._commit()
        except BaseException:
            if journal_file.recover(self.instructions) != "committed":
                raise
            return
        try:
            journal_file.finish(self.instructions, self.journal)
        except OSError as error:
            # The new version is complete; the journal stays and the next Install tidies up.
            self.plan.warnings.append("files: not everything of the old version could be deleted yet: %s" % error)

    def _name(self, folder: str) -> str:
        self._names += 1
        return join(folder, self.prefix + str(self._names))

    def _places(self) -> List[Tuple[Folder, str]]:
        """Find where each folder is while it is prepared: a new tree as a whole under one name of ours."""
        tops = []
        for path, folder in self.plan.folders.items():
            if folder.state != NEW:
                self.physical[path] = folder.real
                continue
            parent, name = os.path.split(path)
            if self.plan.folders[parent].state == NEW:
                self.physical[path] = join(self.physical[parent], name)
            else:
                self.physical[path] = self._name(os.path.dirname(folder.real))
                tops.append((folder, self.physical[path]))
        return tops

    def _folders_touched(self, tops: List[Tuple[Folder, str]]) -> Set[str]:
        touched = {os.path.dirname(folder.real) for folder, _new in tops}
        for path, writes in self.plan.writes.items():
            folder = self.plan.folders[path]
            if folder.state != NEW:
                touched.add(folder.real)
            touched.update(os.path.dirname(write.target) for write in writes if write.target)
        touched.update(os.path.dirname(path) for path in self.plan.removed_files + self.plan.removed_folders)
        return touched

    def _stage(self) -> None:
        """Write everything new, where nobody looks for it."""
        plan = self.plan
        for path, folder in plan.folders.items():
            physical = self.physical[path]
            records: Dict[str, Optional[str]] = dict(plan.records.get(path, {}))
            if folder.state == NEW:
                os.mkdir(physical)
            for write in plan.writes.get(path, ()):
                final = write.target or join(folder.real, write.name)
                new = join(physical, write.name) if folder.state == NEW else self._name(os.path.dirname(final))
                records[write.name] = self._write(write, new)
                if folder.state != NEW:
                    self._place(final, new)
                if write.target:
                    records[write.name] = None
                elif write.text is None and (write.acl or folder.state != NEW):
                    self.unsettled.append((path, write))
            self.written[path] = records
        set_acls(self.acls)
        for path, folder in reversed(list(plan.folders.items())):
            if folder.state == NEW and (folder.rule is not None or folder.through):
                _path, mode, uid, gid, acl = folder.wanted
                set_attributes(self.physical[path], [mode, uid, gid, None])
                if acl:
                    set_acls([(self.physical[path], acl)])

    def _write(self, write: Write, new: str) -> str:
        if write.text is not None:
            os.symlink(write.text, new)
            return "l " + write.text
        sha256, status = copy_file(join(write.source, write.name), new, write, self.umask, self.durable)
        if write.acl:
            self.acls.append((new, write.acl))
        return file_record(sha256, status, write.acl)

    def _place(self, final: str, new: str) -> None:
        old = None
        there = lstat(final)
        if there is not None:
            if stat.S_ISDIR(there.st_mode):
                self._aside(final)
            else:
                old = self._name(os.path.dirname(final))
                if self.uid and there.st_uid != self.uid:
                    self.operations.append(["exchange", final, new, old, self.uid])
                    return
        self.operations.append(["place", final, new, old])

    def _aside(self, path: str) -> None:
        """Take a file or a whole folder of the previous deployment away."""
        if path in self._gone:
            return
        self._gone.add(path)
        old = self._name(os.path.dirname(path))
        self.operations.append(["aside", path, old])
        if path in self.plan.previous.folders:
            inside = path + "/"
            known = [
                [real[len(inside) :] for real in paths if real.startswith(inside)]
                for paths in (self._previous_files(), self.plan.previous.folders)
            ]
            self.folders_aside.append([path, old, known])

    def _previous_files(self) -> Iterator[str]:
        for real, names in self.plan.previous.files.items():
            for name in names:
                yield join(real, name)

    def _operations(self, tops: List[Tuple[Folder, str]]) -> None:
        """List what is to be done at once, in order; what is removed comes last."""
        for folder, new in tops:
            if lstat(folder.real) is not None:
                self._aside(folder.real)
            self.operations.append(["place", folder.real, new, None])
        for path, mode, uid, gid, acl in self.plan.attributes:
            found = attributes(path)
            self.operations.append(["attributes", path, [mode, uid, gid, None if acl is None else [None, None]], found])
        gone = self.plan.previous.folders
        removed = set(self.plan.removed_folders)
        for path in self.plan.removed_folders:
            if os.path.dirname(path) not in removed:
                self._aside(path)
        for path in self.plan.removed_files:
            if os.path.dirname(path) not in gone or os.path.dirname(path) not in removed:
                self._aside(path)

    def _settle(self) -> None:
        """Have what was prepared on disk before it replaces anything."""
        plan = self.plan
        settle(
            {self.physical[path] for path in plan.folders if plan.folders[path].state == NEW or path in plan.writes},
            self.durable,
        )

    def _commit(self) -> None:
        """Do the operations, then write down what came out; only then is the old version given up."""
        journal = self.journal
        for path, context in self.plan.old_contexts:
            self.operations.append(["uncontext", path, context])
        journal.update(state="commit", operations=self.operations)
        journal_file.write_journal(self.instructions, journal)
        for operation in self.operations:
            journal_file.perform(operation)
        set_acls([(item.path, item.acl) for item in self.plan.attributes if item.acl])
        self._later()
        settle(journal["folders"], self.durable)
        self._state_files()
        journal.update(state="committed", operations=[], folders_aside=self.folders_aside, **self._left())
        journal_file.write_journal(self.instructions, journal)

    def _left(self) -> Dict[str, Any]:
        """Return the names under which the old version's files are still there, unless it is simpler to look."""
        names = {"place": (3,), "exchange": (2, 3), "aside": (2,)}
        left = [operation[at] for operation in self.operations for at in names.get(operation[0], ())]
        left = [path for path in left if path is not None]
        return {"left": left} if len(left) <= len(self.journal["folders"]) + FEW else {}

    def _later(self) -> None:
        """Do what needs everything in place: rules of symbolic links, which are followed, and SELinux contexts."""
        found = permission_code()[2](self.plan.later) if self.plan.later else []
        more: List[List[Any]] = [["attributes", real, wanted, there] for real, there, wanted, _acl in found]
        for path, context in self.plan.contexts:
            more.append(["context", os.path.realpath(path), context])
        if not more:
            return
        self.journal["operations"] = self.operations + more
        journal_file.write_journal(self.instructions, self.journal)
        for operation in more:
            journal_file.perform(operation)
        set_acls([(real, acl) for real, _there, _wanted, acl in found if acl])

    def _state_files(self) -> None:
        """Write manifest, cleanup file and install.json beside the present ones."""
        for path, write in self.unsettled:
            record = self.written[path][write.name]
            status = os.lstat(join(self.plan.folders[path].real, write.name))
            self.written[path][write.name] = file_record((record or "").split(" ", 2)[1], status, write.acl)
        records: Dict[str, Records] = {}
        for path, folder in self.plan.folders.items():
            if folder.made:
                parent, name = os.path.split(path)
                acl = ",".join(folder.wanted.acl or ())
                records.setdefault(parent, {})[name] = "d - " + acl if acl else "d"
            if folder.copies:
                records.setdefault(path, {}).update(self.written[path])
        listings = {path: folder.listing for path, folder in self.plan.folders.items()}
        manifest = {path: folder_manifest(listings.get(path), each) for path, each in records.items()}
        folders = list(self.plan.folders.values())
        contexts = [[os.path.realpath(path), context] for path, context in self.plan.contexts]
        cleanup = cleanup_text(folders, contexts)
        self._state_file(self.instructions.install_json, install_json_parts(folders, self._permissions()), 0o644)
        if (manifest, contexts) != (self.plan.recorded, self.plan.old_contexts) or cleanup != read_file(
            self.instructions.cleanup
        ):
            self._state_file(self.instructions.cleanup, cleanup, 0o644)
            self._state_file(self.instructions.manifest, manifest_parts(cleanup, manifest, contexts), 0o600)
        if self.revision:
            self._state_file(self.instructions.last_successful_install, os.fsencode(self.revision), 0o644)

    @staticmethod
    def _state_file(path: str, text: Union[bytes, Iterable[bytes]], mode: int) -> None:
        replace_file(path + journal_file.STAGED, text, mode)

    def _permissions(self) -> Iterator[Dict[str, Any]]:
        for folder in self.plan.folders.values():
            for name, rule in folder.rules.items():
                yield from rule.instructions(join(folder.path, name))
            if folder.rule is not None:
                yield from folder.rule.instructions(folder.path)
