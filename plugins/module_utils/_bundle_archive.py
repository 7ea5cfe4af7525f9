# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack a bundle (zip, tar, compressed tar, folder) without ever writing outside of one new folder."""

import hashlib
import os
import shutil
import stat
from typing import IO, Any, Callable, Dict, List, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import (
    Listing,
    file_record,
    listing,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import lacking

CHUNK = 1024 * 1024
RATIO_FROM = 100 * 1024 * 1024
DEEPEST = 200
BLOCK = 4096
# The controller makes a new address when a message has these words, and the download goes on.
EXPIRED = "the signed address has expired"
SETUID_SETGID = stat.S_ISUID | stat.S_ISGID


class BundleError(Exception):
    """A bundle cannot be used; the message names the bundle or the member and says why."""


def check_room(path: str, size: int, files: int = 1) -> None:
    """Check that the file system of a path has room for so many more bytes and files.

    :raises BundleError: when it has not.
    """
    problems = lacking(path if os.path.isdir(path) else os.path.dirname(path), size, files)
    if problems:
        raise BundleError("; ".join(problems) + "; make room there")


class Rules:
    """What a bundle may be; C(0): no limit.

    :param size: bytes that its files may have together.
    :param members: how many files, links and folders it may hold.
    :param ratio: how many times as big as the archive its files may be together, counted from 100 MiB on.
    :param reject_setuid: whether files that run as their owner or group are refused.
    :param ignore_ownership: whether files get the owner of a new file and not the archive's.
    """

    def __init__(
        self,
        size: int = 0,
        members: int = 0,
        ratio: int = 0,
        reject_setuid: bool = False,
        ignore_ownership: bool = False,
    ) -> None:
        self.size = size
        self.members = members
        self.ratio = ratio
        self.reject_setuid = reject_setuid
        self.ignore_ownership = ignore_ownership


class Tree:
    """A folder being filled; it knows what it holds, so no member can reach beyond it.

    C(files) maps the relative path of each file to the hexadecimal SHA-256 of its content. C(member) is the name of
    the member that is being added.
    """

    def __init__(self, top: str, rules: Rules, archive_size: int = 0) -> None:
        self.top = top
        self.rules = rules
        self.files: Dict[str, str] = {}
        self.member = ""
        self._links: Dict[str, str] = {}
        self._directories: Dict[str, Optional[Callable[[str], None]]] = {"": None}
        self._members = 0
        self._size = 0
        self._by_ratio = max(rules.ratio * archive_size, RATIO_FROM) if rules.ratio and archive_size else 0
        self._make("")

    def check_room(self, size: int, members: int) -> None:
        """Check that the file system has room for what an archive says that it holds.

        :raises BundleError: when it has not.
        """
        if self.top:
            check_room(self.top, size + members * (BLOCK // 2), members)

    def fits(self, size: int, members: int) -> bool:
        """Return whether there is room for so much; there is for a tree that is only a list and has no folder."""
        return not self.top or not lacking(self.top, size, members)

    def path(self, member: str) -> str:
        """Return the relative path of a member's name, V("") for the top folder itself.

        :raises BundleError: for a name that is absolute, or goes up.
        """
        self.member = member
        self._members += 1
        if self.rules.members and self._members > self.rules.members:
            raise BundleError(f"it has more than {self.rules.members} members, archive_limits.members")
        if member.startswith("/"):
            raise BundleError(f"member {member!r} has an absolute name")
        parts = [part for part in member.split("/") if part not in ("", ".")]
        if len(parts) > DEEPEST:
            raise BundleError(f"member {member!r} is below more than {DEEPEST} folders")
        if ".." in parts or "\0" in member:
            raise BundleError(f"member {member!r} leaves the bundle")
        return "/".join(parts)

    def _place(self, relative: str) -> None:
        if not relative:
            raise BundleError("a member has no name")
        self._enter(relative.rpartition("/")[0], relative)
        if relative in self._directories:
            raise BundleError(f"member {relative!r} is a folder and something else")
        if relative in self.files or relative in self._links:
            self._remove(relative)
            self.files.pop(relative, None)
            self._links.pop(relative, None)

    def _enter(self, directory: str, member: str) -> None:
        if directory in self._directories:
            return
        if directory in self._links:
            raise BundleError(f"member {member!r} goes through the symbolic link {directory!r}")
        if directory in self.files:
            raise BundleError(f"member {member!r} lies below the file {directory!r}")
        self._enter(directory.rpartition("/")[0], member)
        self._make(directory)
        self._directories[directory] = None

    def add_directory(self, relative: str, mode: int, finish: Optional[Callable[[str], None]] = None) -> None:
        """Add a folder; C(finish) sets its mode and times once everything is in it."""
        self._enter(relative, relative)
        self._directories[relative] = finish

    def add_link(self, relative: str, target: str, finish: Optional[Callable[[str], None]] = None) -> None:
        """Add a symbolic link (its text is kept as it is); C(finish) sets its owner.

        :raises BundleError: when the text can be none.
        """
        if not target or "\0" in target:
            raise BundleError(f"member {relative!r} is a symbolic link to {target!r}, which is no path")
        self._place(relative)
        self._link(relative, target, finish)
        self._links[relative] = target

    def add_hard_link(self, relative: str, target: str) -> None:
        """Add another name of a file, or of a symbolic link, that is already there.

        :raises BundleError: when the target is not one of the bundle.
        """
        source = "/".join(part for part in target.split("/") if part not in ("", "."))
        if target.startswith("/") or source == relative or source not in self.files and source not in self._links:
            raise BundleError(f"member {relative!r} is a hard link to {target!r}, which is not a file of the bundle")
        if source in self._links:
            self.add_link(relative, self._links[source])
        else:
            self._place(relative)
            self._hard_link(relative, source)
            self.files[relative] = self.files[source]

    def add_file(self, relative: str, stream: IO[bytes], size: int, mode: int, finish: Callable[[int], None]) -> None:
        """Add a file with the stream's content; C(finish) sets owner, mode and times of the descriptor.

        :param size: how long the archive says that it is, C(-1) if nothing does.
        :raises BundleError: when it is refused for its mode, or makes the bundle too big.
        """
        if mode & SETUID_SETGID and self.rules.reject_setuid:
            raise BundleError(f"member {relative!r} has a setuid or setgid bit, and reject_setuid is set")
        self._place(relative)
        self.files[relative] = self._write(relative, stream, size, mode, finish)

    def _make(self, relative: str) -> None:
        os.mkdir(os.path.join(self.top, relative) if relative else self.top)

    def _remove(self, relative: str) -> None:
        os.unlink(os.path.join(self.top, relative))

    def _link(self, relative: str, target: str, finish: Optional[Callable[[str], None]]) -> None:
        path = os.path.join(self.top, relative)
        os.symlink(target, path)
        if finish:
            finish(path)

    def _hard_link(self, relative: str, source: str) -> None:
        os.link(os.path.join(self.top, source), os.path.join(self.top, relative))

    def _write(self, relative: str, stream: IO[bytes], size: int, mode: int, finish: Callable[[int], None]) -> str:
        digest, before = hashlib.sha256(), self._size
        path = os.path.join(self.top, relative)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            while True:
                chunk = stream.read(CHUNK)
                if not chunk:
                    break
                self._grow(len(chunk))
                digest.update(chunk)
                while chunk:
                    chunk = chunk[os.write(descriptor, chunk) :]
            if size not in (-1, self._size - before):
                raise BundleError(f"member {relative!r} is damaged: {self._size - before} of {size} bytes are there")
            finish(descriptor)
        finally:
            os.close(descriptor)
        return digest.hexdigest()

    def _grow(self, size: int) -> None:
        self._size += size
        if self.rules.size and self._size > self.rules.size:
            raise BundleError(
                f"with member {self.member!r} it has more than {self.rules.size} bytes, archive_limits.size"
            )
        if self._by_ratio and self._size > self._by_ratio:
            raise BundleError(
                f"with member {self.member!r} it has more than {self.rules.ratio} times the bytes of the archive, "
                "archive_limits.ratio"
            )

    def others(self) -> Dict[str, List[str]]:
        """Return C({relative path of each folder: names of what is in it and no file})."""
        found: Dict[str, List[str]] = {folder: [] for folder in self._directories}
        for path in list(self._links) + [folder for folder in self._directories if folder]:
            folder, _slash, name = path.rpartition("/")
            found[folder].append(name)
        return found

    def finish(self) -> None:
        """Set what was put off: modes and times of the folders, deepest first."""
        for relative in sorted(self._directories, reverse=True):
            finish = self._directories[relative]
            if finish:
                self.member = relative
                finish(os.path.join(self.top, relative))


def unpacker(kind: Any) -> Callable[[str, str, Tree], None]:
    """Return what unpacks a kind of bundle. The code for it is loaded now, and only for that kind.

    :raises BundleError: when there is no such kind.
    """
    if kind == "zip":
        from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_zip import unpack_zip

        return unpack_zip
    if kind in ("tar", "tgz"):
        from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_tar import unpack_tar

        return unpack_tar
    if kind == "directory":
        return _copy_directory
    raise BundleError(f"bundle type {kind!r} is unknown; use directory, tar, tgz or zip")


def unpack(kind: str, source: str, top: str, rules: Optional[Rules] = None) -> Tree:
    """Unpack a bundle into the new folder C(top) and return what is in it.

    :param kind: V(directory), V(tar), V(tgz) or V(zip).
    :param rules: what the bundle may be; by default anything.
    :raises BundleError: when any member is unsafe or unreadable, or the bundle breaks a rule; C(top) is removed then.
    """
    fill = unpacker(kind)
    member = ""
    try:
        tree = Tree(top, rules or Rules(), 0 if kind == "directory" else os.path.getsize(source))
        try:
            fill(kind, source, tree)
            tree.finish()
        finally:
            member = f" (at member {tree.member!r})" if tree.member else ""
    except BaseException as error:
        shutil.rmtree(top, ignore_errors=True)
        if isinstance(error, BundleError):
            raise BundleError(f"the bundle {source} was refused: {error}") from None
        if isinstance(error, OSError) and error.errno:
            raise BundleError(f"the bundle {source} could not be unpacked{member}: {error}") from error
        if isinstance(error, Exception):
            text = str(error) or type(error).__name__
            raise BundleError(f"the bundle {source} is damaged{member}, or not of type {kind}: {text}") from error
        raise
    return tree


def _copy_directory(kind: str, source: str, tree: Tree) -> None:
    inside = os.path.realpath(tree.top) + os.sep
    if inside.startswith(os.path.realpath(source).rstrip(os.sep) + os.sep):
        raise BundleError("it holds the deployment root itself")
    umask = os.umask(0o022)
    os.umask(umask)
    pending = [""]
    while pending:
        directory = pending.pop()
        for name in sorted(os.listdir(os.path.join(source, directory))):
            relative = os.path.join(directory, name)
            path = os.path.join(source, relative)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                tree.add_link(tree.path(relative), os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                tree.add_directory(tree.path(relative), status.st_mode)
                pending.append(relative)
            elif stat.S_ISREG(status.st_mode):
                mode = stat.S_IMODE(status.st_mode) & ~umask
                with open(path, "rb") as stream:
                    tree.add_file(tree.path(relative), stream, -1, mode, _mode_setter(mode))
            else:
                raise BundleError(f"{relative!r} is a device, a socket or a fifo")


def _mode_setter(mode: int) -> Callable[[int], None]:
    return lambda descriptor: os.fchmod(descriptor, mode)


def manifest(top: str, files: Dict[str, str]) -> Dict[str, Listing]:
    """Return C({relative path of a folder: listing}) of unpacked files, see C(_file_record); the top folder is ""."""
    result: Dict[str, Dict[str, str]] = {}
    for relative, digest in files.items():
        folder, _slash, name = relative.rpartition("/")
        result.setdefault(folder, {})[name] = file_record(digest, os.lstat(os.path.join(top, relative)))
    return {folder: listing(records) for folder, records in result.items()}
