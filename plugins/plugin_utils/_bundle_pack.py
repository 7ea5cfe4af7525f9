# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pack a folder into a bundle: the same folder always becomes the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import stat
import struct
import tarfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError

Entry = tuple[str, os.stat_result]
EARLIEST = (1980, 1, 1, 0, 0, 0)
UNIX = 3
CHUNK = 1024 * 1024


def entries_of(path: str, ignore_hidden: bool = False) -> list[Entry]:
    """Return what is below a folder, sorted: relative path and status, links as links.

    :param ignore_hidden: leave out what has a name with a dot at its beginning, and what is below it.
    :raises OSError: it cannot be read.
    """
    return sorted(_walk(path, "", ignore_hidden), key=lambda entry: entry[0])


def pack(path: str, entries: Sequence[Entry], bundle_type: str, target: Any) -> None:
    """Write a folder as an archive that depends on nothing but names, modes, modification times, links and contents.

    :param bundle_type: C(tgz) or C(zip).
    :param target: has C(write); needs no positions.
    :raises BundleError: it holds what no bundle can carry.
    """
    if bundle_type == "zip":
        _pack_zip(path, entries, target)
    else:
        _pack_tgz(path, entries, target)


def content_digest(path: str, entries: Sequence[Entry]) -> str:
    """Return the SHA-256 of what a folder holds, in hexadecimal digits: names, modes, links, contents, and no times."""
    whole = hashlib.sha256()
    for name, status in entries:
        source = os.path.join(path, name)
        if stat.S_ISREG(status.st_mode):
            with open(source, "rb") as stream:
                content = _digest(stream)
        else:
            content = os.readlink(source) if stat.S_ISLNK(status.st_mode) else ""
        mode = 0 if stat.S_ISLNK(status.st_mode) else status.st_mode
        whole.update(os.fsencode(f"{name}\0{mode:o}\0{content}\0"))
    return whole.hexdigest()


def _digest(stream: Any) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _walk(path: str, folder: str, ignore_hidden: bool) -> Iterator[Entry]:
    with os.scandir(os.path.join(path, folder)) as found:
        for entry in found:
            if ignore_hidden and entry.name.startswith("."):
                continue
            name = os.path.join(folder, entry.name)
            yield name, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(path, name, ignore_hidden)


def _check(path: str, name: str, status: os.stat_result) -> None:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise BundleError(f"the bundle {path} holds {name}, which is neither a file, a folder nor a link; remove it")


def _pack_tgz(path: str, entries: Sequence[Entry], target: Any) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=target, compresslevel=6, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive,
    ):
        for name, status in entries:
            _check(path, name, status)
            _add_to_tar(archive, path, name)


def _add_to_tar(archive: tarfile.TarFile, path: str, name: str) -> None:
    source = os.path.join(path, name)
    archive.inodes.clear()  # type: ignore[attr-defined]  # hard links are packed as the files that they are
    info = archive.gettarinfo(source, arcname=name)
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = int(info.mtime)
    if info.isfile():
        with open(source, "rb") as content:
            archive.addfile(info, content)
    else:
        archive.addfile(info)


def _pack_zip(path: str, entries: Sequence[Entry], target: Any) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, status in entries:
            _check(path, name, status)
            try:
                _add_to_zip(archive, os.path.join(path, name), name, status)
            except UnicodeEncodeError:
                shown = os.fsencode(name).decode("utf-8", "backslashreplace")
                raise BundleError(f"the bundle {path} holds {shown}, whose name is not UTF-8; use a tar.gz") from None


def _add_to_zip(archive: zipfile.ZipFile, source: str, name: str, status: os.stat_result) -> None:
    seconds = int(status.st_mtime)
    info = zipfile.ZipInfo(name, max(time.gmtime(seconds)[:6], EARLIEST))
    info.create_system = UNIX
    info.external_attr = status.st_mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    if 0 <= seconds < 2**31:
        # The field of Info-ZIP for the time in UTC; the one above has no zone.
        info.extra = struct.pack("<HHBi", 0x5455, 5, 1, seconds)
    if stat.S_ISDIR(status.st_mode):
        info.filename += "/"
        archive.writestr(info, b"", zipfile.ZIP_STORED)
    elif stat.S_ISLNK(status.st_mode):
        archive.writestr(info, os.fsencode(os.readlink(source)), zipfile.ZIP_STORED)
    else:
        info.file_size = status.st_size
        with open(source, "rb") as content, archive.open(info, "w") as member:
            shutil.copyfileobj(content, member, CHUNK)
