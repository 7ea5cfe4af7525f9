# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an application's bundle on the controller: a folder or an archive, without unpacking it."""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

APPSPEC_NAMES = ("appspec.yml", "appspec.yaml")
MAXIMUM_APPSPEC_SIZE = 1024 * 1024
MAXIMUM_LINKS = 40


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
    opener = {"directory": _folder, "zip": _zip, "tar": _tar, "tgz": _tar}[bundle_type]
    try:
        with opener(path) as (members, read):
            top = "" if bundle_type == "directory" else _single_top_folder(members)
            shown = {name[len(top) :]: member for name, member in members.items() if name.startswith(top)}
            name = _appspec_name(shown, appspec_filename)
            data = _read_appspec(shown, name, top, read) if name else b""
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise BundleError(f"the bundle {path} cannot be read as {bundle_type}: {error}") from error
    return BundleContents(path, bundle_type, shown, name, data)


Reader = tuple[dict[str, Member], Callable[[str], IO[bytes]]]


@contextmanager
def _folder(path: str) -> Iterator[Reader]:
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
    yield members, lambda name: io.FileIO(os.path.join(path, name))


@contextmanager
def _zip(path: str) -> Iterator[Reader]:
    with zipfile.ZipFile(path) as archive:
        names: dict[str, str] = {}
        members: dict[str, Member] = {}
        for info in archive.infolist():
            name = _member_name(info.filename)
            names[name] = info.filename
            mode = info.external_attr >> 16
            if info.is_dir():
                members[name] = Member("directory", 0, stat.S_IMODE(mode))
            elif stat.S_ISLNK(mode):
                members[name] = Member("link", 0, stat.S_IMODE(mode), os.fsdecode(archive.read(info)))
            else:
                members[name] = Member("file", info.file_size, stat.S_IMODE(mode))
        yield _with_folders(members), lambda name: archive.open(names[name])


@contextmanager
def _tar(path: str) -> Iterator[Reader]:
    with tarfile.open(path, "r:*", errors="surrogateescape") as archive:
        members: dict[str, Member] = {}
        infos: dict[str, tarfile.TarInfo] = {}
        for info in archive:
            name = _member_name(info.name)
            infos[name] = info
            if info.islnk():
                source = members.get(_member_name(info.linkname))
                members[name] = source or Member("file", info.size, info.mode)
            elif info.issym():
                members[name] = Member("link", 0, info.mode, info.linkname)
            else:
                kind = "directory" if info.isdir() else "file" if info.isfile() else "other"
                members[name] = Member(kind, info.size if kind == "file" else 0, info.mode)

        def read(name: str) -> IO[bytes]:
            stream = archive.extractfile(infos[name])
            if stream is None:
                raise ValueError(f"{name} is not a file")
            return stream

        yield _with_folders(members), read


def _member_name(name: str) -> str:
    normal = posixpath.normpath("/" + name)
    return normal.lstrip("/")


def _with_folders(members: dict[str, Member]) -> dict[str, Member]:
    members.pop("", None)
    for name in list(members):
        parent = posixpath.dirname(name)
        while parent and parent not in members:
            members[parent] = Member("directory", 0, 0o755)
            parent = posixpath.dirname(parent)
    return members


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


def _read_appspec(members: dict[str, Member], name: str, top: str, read: Callable[[str], IO[bytes]]) -> bytes:
    contents = BundleContents("", "", members, name, b"")
    path = contents.resolve(name)
    found = contents.find(name)
    if path is None or found is None or found.kind != "file":
        raise BundleError(f"the AppSpec file {name} of the bundle is a link to nothing")
    if found.size > MAXIMUM_APPSPEC_SIZE:
        raise BundleError(f"the AppSpec file {name} is {found.size} bytes long, more than {MAXIMUM_APPSPEC_SIZE}")
    with read(top + path) as stream:
        return stream.read()
