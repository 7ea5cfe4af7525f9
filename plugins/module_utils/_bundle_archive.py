# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack a bundle (zip, tar, compressed tar, folder) without ever writing outside of one new folder."""

import hashlib
import os
import shutil
import stat
from typing import IO, Any, Callable, Dict, List, Optional, Set

CHUNK = 1024 * 1024


class BundleError(Exception):
    """A bundle cannot be used; the message names the bundle or the member and says why."""


class Tree:
    """A folder being filled; it knows what it holds, so no member can reach beyond it.

    C(files) maps the relative path of each file to the hexadecimal SHA-256 of its content.
    """

    def __init__(self, top: str) -> None:
        self.top = top
        self.files: Dict[str, str] = {}
        self._links: Set[str] = set()
        self._directories: Dict[str, Optional[Callable[[str], None]]] = {"": None}
        os.mkdir(top)

    def path(self, member: str) -> str:
        """Return the relative path of a member's name, V("") for the top folder itself.

        :raises BundleError: for a name that is absolute, or goes up.
        """
        if member.startswith("/"):
            raise BundleError(f"member {member!r} has an absolute name")
        parts = [part for part in member.split("/") if part not in ("", ".")]
        if ".." in parts or "\0" in member:
            raise BundleError(f"member {member!r} leaves the bundle")
        return "/".join(parts)

    def _place(self, relative: str) -> str:
        if not relative:
            raise BundleError("a member has no name")
        self._enter(relative.rpartition("/")[0], relative)
        if relative in self._directories:
            raise BundleError(f"member {relative!r} is a folder and something else")
        path = os.path.join(self.top, relative)
        if relative in self.files or relative in self._links:
            os.unlink(path)
            self.files.pop(relative, None)
            self._links.discard(relative)
        return path

    def _enter(self, directory: str, member: str) -> None:
        if directory in self._directories:
            return
        if directory in self._links:
            raise BundleError(f"member {member!r} goes through the symbolic link {directory!r}")
        if directory in self.files:
            raise BundleError(f"member {member!r} lies below the file {directory!r}")
        self._enter(directory.rpartition("/")[0], member)
        os.mkdir(os.path.join(self.top, directory))
        self._directories[directory] = None

    def add_directory(self, relative: str, finish: Optional[Callable[[str], None]] = None) -> None:
        """Add a folder; C(finish) sets its mode and times once everything is in it."""
        self._enter(relative, relative)
        self._directories[relative] = finish

    def add_link(self, relative: str, target: str) -> str:
        """Add a symbolic link (its text is kept as it is) and return its path."""
        path = self._place(relative)
        os.symlink(target, path)
        self._links.add(relative)
        return path

    def add_hard_link(self, relative: str, target: str) -> None:
        """Add another name of a file, or of a symbolic link, that is already there.

        :raises BundleError: when the target is not one of the bundle.
        """
        source = "/".join(part for part in target.split("/") if part not in ("", "."))
        path = os.path.join(self.top, source)
        if target.startswith("/") or source == relative or source not in self.files and source not in self._links:
            raise BundleError(f"member {relative!r} is a hard link to {target!r}, which is not a file of the bundle")
        if source in self._links:
            self.add_link(relative, os.readlink(path))
        else:
            os.link(path, self._place(relative))
            self.files[relative] = self.files[source]

    def add_file(self, relative: str, stream: IO[bytes], finish: Callable[[int], None]) -> None:
        """Add a file with the stream's content; C(finish) sets owner, mode and times of the descriptor."""
        path = self._place(relative)
        digest = hashlib.sha256()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            while True:
                chunk = stream.read(CHUNK)
                if not chunk:
                    break
                digest.update(chunk)
                while chunk:
                    chunk = chunk[os.write(descriptor, chunk) :]
            finish(descriptor)
        finally:
            os.close(descriptor)
        self.files[relative] = digest.hexdigest()

    def finish(self) -> None:
        """Set what was put off: modes and times of the folders, deepest first."""
        for relative in sorted(self._directories, reverse=True):
            finish = self._directories[relative]
            if finish:
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


def unpack(kind: str, source: str, top: str) -> Dict[str, str]:
    """Unpack a bundle into the new folder C(top) and return the SHA-256 of each file by relative path.

    :param kind: V(directory), V(tar), V(tgz) or V(zip).
    :raises BundleError: when any member is unsafe or unreadable; C(top) is removed then.
    """
    fill = unpacker(kind)
    try:
        tree = Tree(top)
        fill(kind, source, tree)
        tree.finish()
    except BaseException as error:
        shutil.rmtree(top, ignore_errors=True)
        if isinstance(error, BundleError):
            raise BundleError(f"the bundle {source} was refused: {error}") from None
        if isinstance(error, OSError) and error.errno:
            raise BundleError(f"the bundle {source} could not be unpacked: {error}") from error
        if isinstance(error, Exception):
            text = str(error) or type(error).__name__
            raise BundleError(f"the bundle {source} is damaged, or not of type {kind}: {text}") from error
        raise
    return tree.files


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
                tree.add_link(relative, os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                tree.add_directory(relative)
                pending.append(relative)
            elif stat.S_ISREG(status.st_mode):
                mode = stat.S_IMODE(status.st_mode) & ~umask
                with open(path, "rb") as stream:
                    tree.add_file(relative, stream, _mode_setter(mode))
            else:
                raise BundleError(f"{relative!r} is a device, a socket or a fifo")


def _mode_setter(mode: int) -> Callable[[int], None]:
    return lambda descriptor: os.fchmod(descriptor, mode)


def manifest(top: str, files: Dict[str, str]) -> Dict[str, List[Any]]:
    """Return C({relative path: [sha256, size, mode, mtime_ns, ctime_ns, inode]}) of unpacked files."""
    result: Dict[str, List[Any]] = {}
    for relative, digest in files.items():
        status = os.lstat(os.path.join(top, relative))
        result[relative] = [
            digest,
            status.st_size,
            stat.S_IMODE(status.st_mode),
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
        ]
    return result
