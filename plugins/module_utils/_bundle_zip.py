# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack a zip archive as the agent's C(unzip) does."""

import os
import stat
import struct
import time
import zipfile
from typing import Any, Callable, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import BundleError, Tree

MS_DOS, UNIX = 0, 3


def unpack_zip(kind: str, source: str, tree: Tree) -> None:
    """Unpack a zip archive.

    :raises BundleError: when a member is unsafe.
    """
    with zipfile.ZipFile(source) as archive:
        tree.check_room(sum(member.file_size for member in archive.infolist()), len(archive.infolist()))
        add_members(archive, tree)


def add_members(archive: zipfile.ZipFile, tree: Tree) -> None:
    """Add the members of an open archive.

    :raises BundleError: when a member is unsafe.
    """
    for member in archive.infolist():
        name = _zip_name(member)
        relative = tree.path(name)
        mode = _zip_mode(member)
        times = (_zip_time(member),) * 2
        if name.endswith("/"):
            tree.add_directory(relative, mode & 0o777, _zip_finisher(mode, times))
            continue
        with archive.open(member) as content:
            if stat.S_ISLNK(mode):
                if member.file_size > 4096:
                    raise BundleError(f"member {name!r} is a symbolic link with a text of {member.file_size} bytes")
                tree.add_link(relative, os.fsdecode(content.read()))
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                finish = _zip_finisher(mode, times)
                tree.add_file(relative, content, member.file_size, mode & 0o777, finish)
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
