# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an application's bundle on the controller: a folder or an archive, without unpacking it."""

from __future__ import annotations

import io
import os
import posixpath
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from ansible_collections.agentless.codedeploy.plugins.module_utils import _bundle_archive
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_zip import add_members

APPSPEC_NAMES = ("appspec.yml", "appspec.yaml")
MAXIMUM_APPSPEC_SIZE = 1024 * 1024
MAXIMUM_LINKS = 40
ENCRYPTED = 0x1


class BundleError(Exception):
    """A bundle cannot be read or found; the message says which one, why, and what to do."""


@dataclass(frozen=True)
class Member:
    """One path of a bundle.

    :param kind: C(file), C(directory), C(link) or C(other) (devices, sockets, named pipes).
    :param size: bytes of a file, else 0.
    :param mode: permission bits.
    :param target: text of a symbolic link, else empty.
    """

    kind: str
    size: int = 0
    mode: int = 0
    target: str = ""


@dataclass(frozen=True)
class BundleContents:
    """What a bundle holds once a single top folder has been left out.

    :param bundle_type: C(directory), C(tar), C(tgz) or C(zip).
    :param members: relative path -> L{Member}; all folders are listed.
    :param appspec_filename: the AppSpec's path, None when there is none.
    :param appspec_data: its content.
    """

    path: str
    bundle_type: str
    members: dict[str, Member]
    appspec_filename: str | None
    appspec_data: bytes

    def find(self, path: str) -> Member | None:
        """Return the member that C(path) leads to, through links, or None when nothing is there.

        :raises BundleError: when the path or a link on its way leaves the bundle.
        """
        name = self.resolve(path)
        if name == "":
            return Member("directory", mode=0o755)
        return None if name is None else self.members.get(name)

    def resolve(self, path: str) -> str | None:
        """Return the relative path without links that C(path) leads to, as the kernel would; None for a circle.

        :raises BundleError: when the path or a link on its way leaves the bundle.
        """
        pending = path.split("/")[::-1]
        reached: list[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not reached:
                    raise BundleError(f"{path} leads out of the bundle")
                reached.pop()
                continue
            member = self.members.get("/".join([*reached, part]))
            if member is None or member.kind != "link":
                reached.append(part)
                continue
            links += 1
            if links > MAXIMUM_LINKS:
                return None
            if member.target.startswith("/"):
                raise BundleError(f"{path} leads out of the bundle through the link {part} -> {member.target}")
            pending.extend(member.target.split("/")[::-1])
        return "/".join(reached)

    def files_below(self, path: str) -> list[str]:
        """Return the files and links below a folder of the bundle, relative to it."""
        prefix = posixpath.normpath(path.lstrip("/") or ".")
        prefix = "" if prefix == "." else prefix + "/"
        return [
            name[len(prefix) :]
            for name, member in self.members.items()
            if name.startswith(prefix) and member.kind in ("file", "link")
        ]


def bundle_type_of(path: str) -> str:
    """Return C(directory), C(tar), C(tgz) or C(zip), by content and not by name.

    :raises BundleError: when it is none of them or cannot be read.
    """
    try:
        if os.path.isdir(path):
            return "directory"
        with open(path, "rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise BundleError(f"the bundle {path} cannot be read: {error.strerror}") from error
    if head.startswith(b"\x1f\x8b"):
        return "tgz"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head[257:262] == b"ustar":
        return "tar"
    raise BundleError(f"the bundle {path} is neither a folder nor a zip, tar or tar.gz archive")


def read_contents(path: str, appspec_filename: str | None = None) -> BundleContents:
    """List a bundle and read its AppSpec.

    :param path: folder or archive on the controller.
    :param appspec_filename: name of the AppSpec, default C(appspec.yml), else C(appspec.yaml).
    :raises BundleError: when the bundle cannot be read.
    """
    bundle_type = bundle_type_of(path)
    if bundle_type == "directory":
        return _contents(path, bundle_type, None, appspec_filename)
    return _contents(path, bundle_type, lambda wanted: _archive(bundle_type, path, wanted), appspec_filename)


def read_zip(shown: str, stream: IO[bytes], appspec_filename: str | None = None) -> BundleContents:
    """List a zip archive and read its AppSpec, reading as little of it as possible.

    :param shown: what messages call it; C(path) of the result.
    :param stream: with positions.
    :raises BundleError: when it cannot be read.
    """

    def archive(wanted: int | None) -> _Listing:
        listing = _Listing(wanted)
        add_members(_LazyZip(stream), listing)
        return listing

    return _contents(shown, "zip", archive, appspec_filename)


def _contents(
    path: str, bundle_type: str, archive: Callable[[int | None], _Listing] | None, appspec_filename: str | None
) -> BundleContents:
    try:
        listing = archive(None) if archive else None
        members = listing.members if listing else _folder(path)
        top = _single_top_folder(members) if listing else ""
        shown = {name[len(top) :]: member for name, member in members.items() if name.startswith(top)}
        name = _appspec_name(shown, appspec_filename)
        inside = _appspec_path(shown, name) if name else None
        if inside is None:
            data = b""
        elif archive is None or listing is None:
            with open(os.path.join(path, inside), "rb") as stream:
                data = stream.read()
        else:
            data = archive(listing.contents[top + inside]).data
    except _bundle_archive.BundleError as error:
        raise BundleError(f"the bundle {path} cannot be deployed: {error}") from error
    except BundleError:
        raise
    except Exception as error:  # what a damaged archive raises is nowhere listed
        reason = str(error) or type(error).__name__
        raise BundleError(f"the bundle {path} cannot be read as {bundle_type}: {reason}") from error
    return BundleContents(path, bundle_type, shown, name, data)


def _folder(path: str) -> dict[str, Member]:
    members: dict[str, Member] = {}
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(path, folder)) as entries:
            for entry in entries:
                name = posixpath.join(folder, entry.name)
                status = entry.stat(follow_symlinks=False)
                mode = stat.S_IMODE(status.st_mode)
                if entry.is_symlink():
                    members[name] = Member("link", 0, mode, os.readlink(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    members[name] = Member("directory", 0, mode)
                    pending.append(name)
                elif entry.is_file(follow_symlinks=False):
                    members[name] = Member("file", status.st_size, mode)
                else:
                    members[name] = Member("other", 0, mode)
    return members


class _Listing(_bundle_archive.Tree):
    """Takes the members of an archive down as unpacking it on an instance would make them, by the same code.

    C(contents) says which of the contents in the archive, counted from 0, each file has; hard links share one.

    :param wanted: which of them is read, to C(data).
    """

    def __init__(self, wanted: int | None = None) -> None:
        self.members: dict[str, Member] = {}
        self.contents: dict[str, int] = {}
        self.wanted = wanted
        self.data = b""
        self._count = 0
        super().__init__("", _bundle_archive.Rules())

    def add_directory(self, relative: str, mode: int, finish: Any = None) -> None:
        super().add_directory(relative, mode, finish)
        if relative:
            self.members[relative] = Member("directory", 0, stat.S_IMODE(mode))

    def _make(self, relative: str) -> None:
        if relative:
            self.members[relative] = Member("directory", 0, 0o755)

    def _remove(self, relative: str) -> None:
        del self.members[relative]

    def _link(self, relative: str, target: str, finish: Any) -> None:
        self.members[relative] = Member("link", 0, 0o777, target)

    def _hard_link(self, relative: str, source: str) -> None:
        self.members[relative] = self.members[source]
        self.contents[relative] = self.contents[source]

    def _write(self, relative: str, stream: IO[bytes], size: int, mode: int, finish: Any) -> str:
        self.members[relative] = Member("file", size, stat.S_IMODE(mode))
        self.contents[relative] = self._count
        if self._count == self.wanted:
            self.data = stream.read()
        self._count += 1
        return ""


class _LazyZip(zipfile.ZipFile):
    """A zip archive in which opening a member reads nothing of it yet."""

    def open(self, name: Any, mode: Any = "r", pwd: bytes | None = None, *, force_zip64: bool = False) -> Any:
        """Return a stream that opens the member when it is read."""
        if name.flag_bits & ENCRYPTED:
            raise BundleError(f"the bundle is encrypted (member {name.filename})")
        return _LazyMember(lambda: super(_LazyZip, self).open(name, mode, pwd))


class _LazyMember(io.RawIOBase):
    def __init__(self, opened: Callable[[], IO[bytes]]) -> None:
        self._open = opened

    def read(self, size: int = -1) -> bytes:
        with self._open() as stream:
            return stream.read(size)


def _archive(bundle_type: str, path: str, wanted: int | None = None) -> _Listing:
    listing = _Listing(wanted)
    _bundle_archive.unpacker(bundle_type)(bundle_type, path, listing)
    return listing


def _single_top_folder(members: dict[str, Member]) -> str:
    """Return the folder, with its slash, that unpacking leaves out: alone at the top, with an AppSpec, as the agent."""
    tops = {name.split("/", 1)[0] for name in members}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    if members[top].kind != "directory":
        return ""
    inside = [name.split("/")[1] for name in members if name.startswith(top + "/")]
    return top + "/" if any("appspec" in name.lower() for name in inside) else ""


def _appspec_name(members: dict[str, Member], wanted: str | None) -> str | None:
    for name in [wanted] if wanted else APPSPEC_NAMES:
        if members.get(name, Member("")).kind in ("file", "link"):
            return name
    return None


def _appspec_path(members: dict[str, Member], name: str) -> str:
    """Return the relative path of the AppSpec file itself, which C(name) may be a link to."""
    contents = BundleContents("", "", members, name, b"")
    path = contents.resolve(name)
    found = contents.find(name)
    if path is None or found is None or found.kind != "file":
        raise BundleError(f"the AppSpec file {name} of the bundle is a link to nothing")
    if found.size > MAXIMUM_APPSPEC_SIZE:
        raise BundleError(f"the AppSpec file {name} is {found.size} bytes long, more than {MAXIMUM_APPSPEC_SIZE}")
    return path
