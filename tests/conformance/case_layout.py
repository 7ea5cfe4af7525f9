# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays out what a recorded case starts from: bundles, destinations and what else the host has.

Texts of a case name its work folder ``@ROOT@``.
"""

from __future__ import annotations

import base64
import grp
import io
import os
import pwd
import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

MTIME = 1600000000
ZIP_TIME = (2020, 9, 13, 12, 26, 40)
FOLDERS = ("bundles", "dest", "outside", "bin", "agent", "log", "cwd")
# Called by the scripts of the cases: one line a call with script, folder, user, groups, umask and environment.
PROBE = r"""#!/bin/sh
{ printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$(pwd)" "$(id -un)" "$(id -Gn)" "$(umask)" "$(env -0 | base64 -w0)"; } \
  >> @ROOT@/probe.log
"""


def text_of(text: str, root: Path) -> str:
    """Return a text of a case with the work folder's own name."""
    return text.replace("@ROOT@", str(root))


def user_id(name: str) -> int:
    """Return the number of a user given by number or name."""
    return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid


def group_id(name: str) -> int:
    """Return the number of a group given by number or name."""
    return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid


def content_of(entry: Entry, root: Path) -> bytes:
    """Return the content of a file entry."""
    if "b64" in entry:
        return base64.b64decode(entry["b64"])
    return text_of(entry.get("text", ""), root).encode("utf-8", "surrogateescape")


def name_of(entry: Entry, root: Path) -> str:
    """Return the path of an entry, which need not be UTF-8."""
    if "pb64" in entry:
        return os.fsdecode(base64.b64decode(entry["pb64"]))
    return text_of(entry["p"], root)


def mode_of(entry: Entry, default: str) -> int:
    """Return the permission bits of an entry."""
    return int(entry.get("mode", default), 8)


def lay(base: Path, entries: list[Entry], root: Path) -> None:
    """Make entries below a folder, in order; an entry may also remove a path or be a shell command."""
    base.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        if "sh" in entry:
            command = ["/bin/sh", "-c", text_of(entry["sh"], root)]
            subprocess.run(command, check=False, cwd=base, capture_output=True)
        elif entry.get("rm"):
            remove(base / name_of(entry, root))
        else:
            make(base, entry, root)


def remove(path: Path) -> None:
    """Remove whatever is at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make(base: Path, entry: Entry, root: Path) -> None:
    """Make one entry."""
    path = base / name_of(entry, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = entry.get("t", "file")
    if kind == "dir":
        path.mkdir(exist_ok=True)
        path.chmod(mode_of(entry, "0755"))
    elif kind == "link":
        path.symlink_to(text_of(entry["to"], root))
    elif kind == "hard":
        os.link(base / entry["to"], path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(content_of(entry, root))
        path.chmod(mode_of(entry, "0644"))
    if "owner" in entry:
        user, group = entry["owner"].split(":")
        os.chown(path, user_id(user), group_id(group), follow_symlinks=False)
        if kind in ("file", "dir") and "mode" in entry:
            path.chmod(int(entry["mode"], 8))
    if kind == "file":
        os.utime(path, (MTIME, MTIME))


def make_tar(path: Path, entries: list[Entry], root: Path, compression: str) -> None:
    """Write entries into a tar archive; owners are given by name, and by 12345 where this host has no such name."""
    mode = "w:gz" if compression else "w"
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as archive:
        for entry in entries:
            member, data = tar_member(entry, root)
            archive.addfile(member, io.BytesIO(data) if data is not None else None)


def tar_member(entry: Entry, root: Path) -> tuple[tarfile.TarInfo, bytes | None]:
    """Return header and content of one member."""
    member = tarfile.TarInfo(name_of(entry, root))
    member.mtime = MTIME
    data = None
    kind = entry.get("t", "file")
    if kind == "file":
        data = content_of(entry, root)
        member.size, member.mode = len(data), mode_of(entry, "0644")
    elif kind == "dir":
        member.type, member.mode = tarfile.DIRTYPE, mode_of(entry, "0755")
    elif kind == "link":
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, text_of(entry["to"], root), 0o777
    else:
        member.type, member.mode = (tarfile.LNKTYPE if kind == "hard" else tarfile.FIFOTYPE), 0o644
        member.linkname = text_of(entry.get("to", ""), root)
    member.uname, member.gname = entry.get("owner", "root:root").split(":")
    if "owner" in entry:
        try:
            member.uid, member.gid = user_id(member.uname), group_id(member.gname)
        except KeyError:
            member.uid = member.gid = 12345
    return member, data


def make_zip(path: Path, entries: list[Entry], root: Path) -> None:
    """Write entries into a zip archive as a Unix program does."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            name, kind = name_of(entry, root), entry.get("t", "file")
            member = zipfile.ZipInfo(name + "/" if kind == "dir" and not name.endswith("/") else name, ZIP_TIME)
            member.create_system = 3
            member.compress_type = zipfile.ZIP_DEFLATED
            mode = {"dir": stat.S_IFDIR, "link": stat.S_IFLNK | 0o777}.get(kind, stat.S_IFREG)
            if kind != "link":
                mode |= mode_of(entry, "0755" if kind == "dir" else "0644")
            member.external_attr = mode << 16 | (0x10 if kind == "dir" else 0)
            data = b"" if kind == "dir" else content_of(entry, root)
            archive.writestr(member, os.fsencode(text_of(entry["to"], root)) if kind == "link" else data)


def spoil(path: Path, member: str) -> None:
    """Give a member of a zip archive a wrong check sum, in both places where it stands."""
    with zipfile.ZipFile(path) as archive:
        crc = archive.getinfo(member).CRC
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", crc), struct.pack("<I", crc ^ 1)))


def make_bundle(path: Path, bundle: dict[str, Any], root: Path) -> None:
    """Make one bundle of a case."""
    kind = bundle.get("kind", "directory")
    if kind == "directory":
        lay(path, bundle["entries"], root)
    elif kind in ("tar", "tgz"):
        make_tar(path, bundle["entries"], root, "gz" if kind == "tgz" else "")
    elif kind == "zip":
        make_zip(path, bundle["entries"], root)
        if bundle.get("bad_crc"):
            spoil(path, bundle["bad_crc"])
    else:
        path.write_bytes(content_of(bundle, root))


def prepare(case: dict[str, Any], root: Path) -> None:
    """Make the work folder of a case with everything that is there before its first deployment."""
    root.mkdir()
    for folder in (root, *(root / name for name in FOLDERS)):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    probe = root / "bin" / "probe"
    probe.write_text(text_of(PROBE, root))
    probe.chmod(0o755)
    empty_probe_log(root)
    (root / "outside" / "secret").write_text("secret\n")
    lay(root, case.get("setup", []), root)
    for name, bundle in case["bundles"].items():
        make_bundle(root / "bundles" / name, bundle, root)


def empty_probe_log(root: Path) -> None:
    """Make the file that scripts of any user write to."""
    log = root / "probe.log"
    log.write_text("")
    log.chmod(0o666)
