# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of any bytes: each is unpacked wholly inside its folder or refused as a whole, and the controller agrees."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from fuzz.sentinel import Surroundings
from hypothesis import strategies as st

from ansible_collections.agentless.codedeploy.plugins.module_utils import _bundle_archive
from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _bundle_reader

RULES = _bundle_archive.Rules(size=4 * 1024 * 1024, members=100)
# What only whoever reads the contents can find; the controller leaves them to the instance.
OF_CONTENT = ("damaged", "could not be unpacked", "archive_limits")
OF_APPSPEC = ("AppSpec", "leads out of the bundle")

PARTS = ("a", "b", "..", ".", "", "appspec.yml", "with blank", "new\nline", "qu'o\"te", "\udce9", "é", "\\", "x" * 200)
PREFIXES = ("", "", "", "/", "./", "../", "a/", "//", "{outside}/", "C:")
KINDS = ("file", "file", "file", "directory", "link", "hard link", "device", "fifo", "sparse", "setuid")


def check(kind: str, data: bytes) -> None:
    """Read an archive on the controller and unpack it as an instance does; fail for any but the permitted outcomes."""
    with Surroundings() as around:
        archive = around.path / "bundle"
        archive.write_bytes(data)
        top = around.path / "unpacked"
        around.remember()
        listed, refused_there = _listed(str(archive))
        try:
            files = _bundle_archive.unpack(kind, str(archive), str(top), RULES).files
        except _bundle_archive.BundleError as error:
            refused_here = str(error)
            assert "bundle" in refused_here
            assert not os.path.lexists(top), "a refused archive left something behind"
            around.check_untouched()
            if listed is not None and listed.bundle_type == kind:
                assert any(words in refused_here for words in OF_CONTENT), refused_here
            return
        around.check_untouched(besides=[top])
        _check_unpacked(top, files, around)
        if listed is None:
            assert any(words in refused_there for words in (*OF_APPSPEC, "neither a folder nor")), refused_there
        elif listed.bundle_type == kind:
            _check_agreement(top, listed)


def _listed(archive: str) -> tuple[Any, str]:
    try:
        return _bundle_reader.read_contents(archive), ""
    except _bundle_reader.BundleError as error:
        return None, str(error)


def _check_unpacked(top: Path, files: dict[str, str], around: Surroundings) -> None:
    """Check that the returned files are those in the folder, and that none is a name of a file outside."""
    found = {}
    for folder, folders, names in os.walk(os.fsencode(top)):
        for name in folders + names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            assert (status.st_dev, status.st_ino) not in around.inodes
            assert stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as stream:
                    content = stream.read()
                found[os.fsdecode(os.path.relpath(path, os.fsencode(top)))] = hashlib.sha256(content).hexdigest()
    assert found == files


def _check_agreement(top: Path, listed: Any) -> None:
    """Check that controller and instance know the same members: names, kinds, sizes, texts of links."""
    here = {}
    names = os.listdir(top)
    if len(names) == 1 and (top / names[0]).is_dir() and not (top / names[0]).is_symlink():
        inside = os.listdir(top / names[0])
        if any("appspec" in name.lower() for name in inside):
            top = top / names[0]
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            relative = os.path.relpath(path, top)
            if stat.S_ISLNK(status.st_mode):
                here[relative] = ("link", 0, os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                here[relative] = ("directory", 0, "")
            else:
                here[relative] = ("file", status.st_size, "")
    there = {name: (member.kind, member.size, member.target) for name, member in listed.members.items()}
    assert here == there


def members() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return lists of members, good and bad."""
    name = st.tuples(st.sampled_from(PREFIXES), st.lists(st.sampled_from(PARTS), min_size=1, max_size=3)).map(
        lambda parts: parts[0] + "/".join(parts[1])
    )
    plain = st.sampled_from(["a", "b", "a/b", "a/appspec.yml", "appspec.yml", "b/c"])
    any_name = st.one_of(plain, plain, name)
    member = st.fixed_dictionaries(
        {
            "name": any_name,
            "kind": st.sampled_from(KINDS),
            "target": any_name,
            "content": st.one_of(st.binary(max_size=40), st.just(b"\0" * 5000)),
            "mode": st.sampled_from([0o644, 0o755, 0o4755, 0o000, 0o777]),
            "utf8": st.booleans(),
            "system": st.sampled_from([0, 3, 3, 10]),
        }
    )
    return st.lists(member, max_size=6)


def zip_of(entries: list[dict[str, Any]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive of members, whatever they are."""
    target = io.BytesIO()
    types = {"directory": stat.S_IFDIR, "link": stat.S_IFLNK, "device": stat.S_IFBLK, "fifo": stat.S_IFIFO}
    with zipfile.ZipFile(target, "w", compression) as archive:
        for entry in entries:
            info = zipfile.ZipInfo()
            info.filename = _outside(entry["name"]) + ("/" if entry["kind"] == "directory" else "")
            info.compress_type = compression
            info.create_system = entry["system"]
            info.external_attr = (types.get(entry["kind"], stat.S_IFREG) | entry["mode"]) << 16
            content = os.fsencode(_outside(entry["target"])) if entry["kind"] == "link" else entry["content"]
            raw = os.fsencode(info.filename)
            info.filename = raw.decode("utf-8", "replace") if entry["utf8"] else raw.decode("latin-1")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a name is there already
                archive.writestr(info, content)
    return target.getvalue()


def tar_of(entries: list[dict[str, Any]], form: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a tar archive of members, whatever they are."""
    target = io.BytesIO()
    types = {
        "directory": tarfile.DIRTYPE,
        "link": tarfile.SYMTYPE,
        "hard link": tarfile.LNKTYPE,
        "device": tarfile.BLKTYPE,
        "fifo": tarfile.FIFOTYPE,
    }
    with tarfile.open(fileobj=target, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for entry in entries:
            info = tarfile.TarInfo(_outside(entry["name"]))
            info.type = types.get(entry["kind"], tarfile.REGTYPE)
            info.mode = entry["mode"]
            info.uid = info.gid = os.geteuid()
            if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = _outside(entry["target"])
            content = entry["content"] if info.isreg() else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def _outside(name: str) -> str:
    return name.replace("{outside}", Surroundings.ABSOLUTE)


def damaged(data: bytes, damages: list[tuple[str, int, int]]) -> bytes:
    """Return an archive that was cut or changed: C(("cut" | "byte" | "number" | "repeat", position, value))."""
    for kind, position, value in damages:
        at = position % max(1, len(data))
        if kind == "cut":
            data = data[:at]
        elif kind == "byte":
            data = data[:at] + bytes([value % 256]) + data[at + 1 :]
        elif kind == "number":
            data = data[:at] + struct.pack("<I", value) + data[at + 4 :]
        else:
            data = data[:at] + data[at : at + value % 600] + data[at:]
    return data


class Archive(NamedTuple):
    """How an archive is made: a failing example shows its members, not its bytes."""

    kind: str
    members: list[dict[str, Any]]
    form: int
    damages: list[tuple[str, int, int]]
    damaged_before_compression: bool

    def data(self) -> bytes:
        """Return the bytes."""
        if self.kind == "zip":
            return damaged(zip_of(self.members), self.damages)
        try:
            plain = tar_of(self.members, self.form)
        except ValueError:  # a name that this format cannot have
            plain = tar_of(self.members)
        if self.kind == "tar":
            return damaged(plain, self.damages)
        if self.damaged_before_compression:
            return gzip.compress(damaged(plain, self.damages), 1, mtime=0)
        return damaged(gzip.compress(plain, 1, mtime=0), self.damages)


def cases() -> st.SearchStrategy[Archive]:
    """Return archives of members good and bad, many of them damaged afterwards."""
    damage = st.tuples(
        st.sampled_from(["cut", "byte", "number", "repeat"]), st.integers(0, 1 << 16), st.integers(0, 1 << 31)
    )
    forms = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
    kinds = st.sampled_from(["zip", "tar", "tgz"])
    return st.builds(Archive, kinds, members(), forms, st.lists(damage, max_size=2), st.booleans())


def check_archive(archive: Archive) -> None:
    """Check an archive that is given by how it is made."""
    check(archive.kind, archive.data())


def check_bytes(data: bytes) -> None:
    """Check bytes as each kind of archive; the first byte of a seed says which."""
    check(("zip", "tar", "tgz")[data[0] % 3 if data else 0], data[1:])


def seeds() -> list[bytes]:
    """Return archives to begin with, each behind the number of its kind."""
    entries = [
        {"name": name, "kind": kind, "target": "a", "content": b"text", "mode": 0o644, "utf8": True, "system": 3}
        for name, kind in (("a", "file"), ("b", "directory"), ("b/c", "file"), ("d", "link"), ("appspec.yml", "file"))
    ]
    plain = [tar_of(entries, form) for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    long_name = tar_of([dict(entries[0], name="n" * 300)])
    return [
        b"\0" + zip_of(entries),
        b"\0" + zip_of(entries, zipfile.ZIP_STORED),
        *(b"\1" + data for data in (*plain, long_name)),
        *(b"\2" + gzip.compress(data, mtime=0) for data in plain),
    ]
