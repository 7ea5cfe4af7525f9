# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack a bundle (zip, tar, compressed tar, folder) without ever writing outside of one new folder."""

import grp
import hashlib
import os
import pwd
import shutil
import stat
import struct
import tarfile
import time
import zipfile
from typing import IO, Any, Callable, Dict, List, Optional, Set, Tuple

CHUNK = 1024 * 1024
COMPRESSIONS = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"))
MS_DOS, UNIX = 0, 3


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


def unpack(kind: str, source: str, top: str) -> Dict[str, str]:
    """Unpack a bundle into the new folder C(top) and return the SHA-256 of each file by relative path.

    :param kind: V(directory), V(tar), V(tgz) or V(zip).
    :raises BundleError: when any member is unsafe or unreadable; C(top) is removed then.
    """
    unpackers = {"directory": _copy_directory, "tar": _unpack_tar, "tgz": _unpack_tar, "zip": _unpack_zip}
    if kind not in unpackers:
        raise BundleError(f"bundle type {kind!r} is unknown; use directory, tar, tgz or zip")
    try:
        tree = Tree(top)
        unpackers[kind](kind, source, tree)
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


_END_MARK = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # not in the stubs, in every Python since 3.2


class _TarMember(tarfile.TarInfo):
    """Notes on the archive that its end mark was seen; the library ends silently at a damaged header too."""

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Any:
        try:
            return super().fromtarfile(tarfile)
        except _END_MARK:
            tarfile.end_mark_seen = True
            raise


def _unpack_tar(kind: str, source: str, tree: Tree) -> None:
    with open(source, "rb") as stream:
        start = stream.read(6)
    compression = next((name for magic, name in COMPRESSIONS if start.startswith(magic)), "")
    if kind == "tgz" and compression != "gz":
        raise BundleError("it is not compressed with gzip")
    owners = _Owners() if os.geteuid() == 0 else None
    mode: Any = "r:" + compression
    with tarfile.open(source, mode, tarinfo=_TarMember, encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            _unpack_tar_member(archive, member, tree, owners)
        if not getattr(archive, "end_mark_seen", False):
            raise BundleError("its end is missing or damaged")
        content: Any = archive.fileobj
        while content.read(CHUNK):  # the check sum of a compressed archive is known at its very end
            pass


def _unpack_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, tree: Tree, owners: Any) -> None:
    relative = tree.path(member.name)

    def finish(target: Any) -> None:
        if owners:
            os.chown(target, *owners.of(member))
        os.chmod(target, member.mode & 0o7777)
        os.utime(target, (member.mtime, member.mtime))

    if member.isdir():
        tree.add_directory(relative, finish)
    elif member.issym():
        path = tree.add_link(relative, member.linkname)
        if owners:
            os.lchown(path, *owners.of(member))
    elif member.islnk():
        tree.add_hard_link(relative, member.linkname)
    elif member.isreg():
        content = archive.extractfile(member)
        if content is None:
            raise BundleError(f"member {member.name!r} has no content")
        with content:
            tree.add_file(relative, content, finish)
    else:
        raise BundleError(f"member {member.name!r} is a device or a fifo")


class _Owners:
    """Owners of tar members: by name, where this host knows the name, else by number."""

    def __init__(self) -> None:
        self._users: Dict[Tuple[str, int], int] = {}
        self._groups: Dict[Tuple[str, int], int] = {}

    def of(self, member: tarfile.TarInfo) -> Tuple[int, int]:
        user, group = (member.uname, member.uid), (member.gname, member.gid)
        if user not in self._users:
            try:
                self._users[user] = pwd.getpwnam(member.uname).pw_uid
            except (KeyError, ValueError):
                self._users[user] = member.uid
        if group not in self._groups:
            try:
                self._groups[group] = grp.getgrnam(member.gname).gr_gid
            except (KeyError, ValueError):
                self._groups[group] = member.gid
        return self._users[user], self._groups[group]


def _unpack_zip(kind: str, source: str, tree: Tree) -> None:
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            name = _zip_name(member)
            relative = tree.path(name)
            mode = _zip_mode(member)
            times = (_zip_time(member),) * 2
            if name.endswith("/"):
                tree.add_directory(relative, _zip_finisher(mode, times))
                continue
            with archive.open(member) as content:
                if stat.S_ISLNK(mode):
                    if member.file_size > 4096:
                        raise BundleError(f"member {name!r} is a symbolic link with a text of {member.file_size} bytes")
                    tree.add_link(relative, os.fsdecode(content.read()))
                elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                    tree.add_file(relative, content, _zip_finisher(mode, times))
                else:
                    raise BundleError(f"member {name!r} is a device or a fifo")


def _zip_finisher(mode: int, times: Tuple[float, float]) -> Callable[[Any], None]:
    def finish(target: Any) -> None:
        os.chmod(target, mode & 0o777)
        os.utime(target, times)

    return finish


def _zip_name(member: zipfile.ZipInfo) -> str:
    name = member.filename
    if not member.flag_bits & 0x800:
        raw = name.encode("cp437", "replace")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = os.fsdecode(raw) if member.create_system == UNIX else name
    if member.create_system == MS_DOS and "/" not in name:
        name = name.replace("\\", "/")
    return name


def _zip_mode(member: zipfile.ZipInfo) -> int:
    mode = member.external_attr >> 16
    if member.create_system in (MS_DOS, UNIX) and mode:
        return mode
    read_only, folder = member.external_attr & 0x01, member.external_attr & 0x10
    return (0o444 if read_only else 0o644) | (0o111 if folder or member.filename.endswith("/") else 0)


def _zip_time(member: zipfile.ZipInfo) -> float:
    """Return the time of a member: of the extended field (UTC) if it has one, else its local time."""
    extra = member.extra
    while len(extra) >= 4:
        tag, size = struct.unpack("<HH", extra[:4])
        if tag == 0x5455 and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return float(struct.unpack("<i", extra[5:9])[0])
        extra = extra[4 + size :]
    try:
        return time.mktime(member.date_time + (0, 0, -1))
    except (OverflowError, ValueError):
        return 0.0


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
