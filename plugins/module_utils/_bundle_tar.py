# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack a tar archive, plain or compressed, as the agent's C(tar -xps) does."""

import grp
import os
import pwd
import tarfile
from typing import Any, Dict, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import CHUNK, BundleError, Tree

COMPRESSIONS = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"))

_END_MARK = tarfile.EOFHeaderError  # type: ignore[attr-defined]  # not in the stubs, in every Python since 3.2


MOST_COMPRESSED = 20
LARGEST_HEADER = 1024 * 1024
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _TarMember(tarfile.TarInfo):
    """Notes on the archive that its end mark was seen; the library ends silently at a damaged header too."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        """The library reads a header of any length into memory."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in _HEADERS and member.size > LARGEST_HEADER:
            raise BundleError(f"a name or header in it is {member.size} bytes long")
        return member

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Any:
        try:
            return super().fromtarfile(tarfile)
        except _END_MARK:
            tarfile.end_mark_seen = True
            raise


def _open(source: str, compression: str) -> tarfile.TarFile:
    mode: Any = "r:" + compression
    return tarfile.open(source, mode, tarinfo=_TarMember, encoding="utf-8", errors="surrogateescape")


def unpack_tar(kind: str, source: str, tree: Tree) -> None:
    """Unpack a tar archive; V(tgz) must be compressed with gzip, V(tar) may be compressed in any way.

    :raises BundleError: when a member is unsafe, or the end is missing.
    """
    with open(source, "rb") as stream:
        start = stream.read(6)
    compression = next((name for magic, name in COMPRESSIONS if start.startswith(magic)), "")
    if kind == "tgz" and compression != "gz":
        raise BundleError("it is not compressed with gzip")
    most = os.path.getsize(source) * (MOST_COMPRESSED if compression else 1)
    if not tree.fits(most, most // tarfile.BLOCKSIZE):
        # It may not fit. To know is a part of the work of unpacking it.
        with _open(source, compression) as archive:
            sizes = [member.size for member in archive]
        tree.check_room(sum(sizes), len(sizes))
    owners = _Owners() if os.geteuid() == 0 and not tree.rules.ignore_ownership else None
    with _open(source, compression) as archive:
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
        tree.add_directory(relative, member.mode, finish)
    elif member.issym():
        tree.add_link(relative, member.linkname, (lambda path: os.lchown(path, *owners.of(member))) if owners else None)
    elif member.islnk():
        tree.add_hard_link(relative, member.linkname)
    elif member.isreg():
        content = archive.extractfile(member)
        if content is None:
            raise BundleError(f"member {member.name!r} has no content")
        with content:
            tree.add_file(relative, content, member.size, member.mode, finish)
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
