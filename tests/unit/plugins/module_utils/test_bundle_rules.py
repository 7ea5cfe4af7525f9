# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle may be: its size, count and ratio, setuid bits, owners, and headers that would fill the memory."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.agentless.codedeploy.plugins.module_utils import _bundle_archive
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import BundleError, Rules, unpack
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import EventError, Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_revision import Revision


def tar(path: Path, *members: tuple[str, bytes], **attributes: Any) -> str:
    """Write a tar archive whose members all have these attributes besides."""
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


def refused(kind: str, path: str, top: Path, rules: Rules) -> str:
    """Unpack a bundle that is refused, see that nothing is left, and return the message."""
    with pytest.raises(BundleError) as error:
        unpack(kind, path, str(top), rules)
    assert not top.exists()
    return str(error.value)


def test_the_size_of_all_files_together_is_limited(tmp_path: Path) -> None:
    path = tar(tmp_path / "bundle", ("a", b"12345"), ("b", b"67890"))
    assert "'b'" in refused("tar", path, tmp_path / "top", Rules(size=9))
    assert sorted(unpack("tar", path, str(tmp_path / "top"), Rules(size=10)).files) == ["a", "b"]


def test_the_number_of_members_is_limited_for_every_kind(tmp_path: Path) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    (tmp_path / "folder" / "sub" / "file").touch()
    path = tar(tmp_path / "bundle", ("a", b""), ("b", b""))
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a", b"")
        archive.writestr("b", b"")
    sources = {"tar": path, "zip": str(tmp_path / "zip"), "directory": str(tmp_path / "folder")}
    for kind, source in sources.items():
        assert "more than 1 members" in refused(kind, source, tmp_path / "top", Rules(members=1))
        unpack(kind, source, str(tmp_path / f"top-{kind}"), Rules(members=2))


def test_a_file_that_is_mostly_promised_is_refused_by_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bundle_archive, "RATIO_FROM", 1 << 16)
    path = tmp_path / "bundle"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * (1 << 20))
    assert "100 times" in refused("zip", str(path), tmp_path / "top", Rules(ratio=100))
    unpack("zip", str(path), str(tmp_path / "top"), Rules(ratio=2000))


def test_small_bundles_may_have_any_ratio(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.write_bytes(gzip.compress(Path(tar(tmp_path / "plain", ("zeros", b"\0" * (1 << 20)))).read_bytes()))
    assert list(unpack("tgz", str(path), str(tmp_path / "top"), Rules(ratio=2)).files) == ["zeros"]


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_setuid_bits_are_kept_or_refused(tmp_path: Path, mode: int) -> None:
    path = tar(tmp_path / "bundle", ("program", b"#!"), mode=mode)
    assert "'program'" in refused("tar", path, tmp_path / "top", Rules(reject_setuid=True))
    unpack("tar", path, str(tmp_path / "top"))
    assert stat.S_IMODE((tmp_path / "top" / "program").stat().st_mode) == mode


def test_a_setgid_folder_is_no_program(tmp_path: Path) -> None:
    path = tar(tmp_path / "bundle", ("folder", b""), mode=0o2755, type=tarfile.DIRTYPE)
    unpack("tar", path, str(tmp_path / "top"), Rules(reject_setuid=True))
    assert stat.S_IMODE((tmp_path / "top" / "folder").stat().st_mode) == 0o2755


def test_setuid_modes_of_an_appspec_are_refused(tmp_path: Path) -> None:
    options = {"events": ["Install"], "root": str(tmp_path), "deployment_group_id": "g", "deployment_id": "d-1"}
    entry = {"object": "/a", "type": ["file"], "mode": "4755"}
    with pytest.raises(EventError) as error:
        Revision(Lifecycle({**options, "reject_setuid": True})).plan(str(tmp_path), {"permissions": [entry]})
    assert "permissions[0].mode" in str(error.value)


@pytest.mark.usefixtures("light_hosts")
def test_owners_of_an_archive_are_kept_or_ignored(tmp_path: Path) -> None:
    path = tar(tmp_path / "bundle", ("file", b""), uid=12345, gid=12345)
    for rules, owner in ((Rules(), 12345), (Rules(ignore_ownership=True), os.geteuid())):
        unpack("tar", path, str(tmp_path / str(owner)), rules)
        assert (tmp_path / str(owner) / "file").stat().st_uid == owner


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = tar(tmp_path / "bundle", ("name", b"\0" * (1 << 21)), type=kind)
    assert "2097152 bytes" in refused("tar", path, tmp_path / "top", Rules())


def test_the_member_at_which_a_damage_was_found_is_named(tmp_path: Path) -> None:
    path = tar(tmp_path / "bundle", ("first", b""), ("second", b"x" * 5000))
    os.truncate(path, 2000)
    assert "'second'" in refused("tar", path, tmp_path / "top", Rules())


def test_a_link_that_leads_nowhere_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("link")
        member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, b"a\0b")
    assert "'link' is a symbolic link" in refused("zip", str(path), tmp_path / "top", Rules())


def test_a_file_that_is_shorter_than_it_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("file", b"x" * 4321)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 4321), struct.pack("<I", 9999)))
    assert "4321 of 9999 bytes" in refused("zip", str(path), tmp_path / "top", Rules())


def test_a_zip_that_does_not_fit_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "1")
        archive.infolist()[0].file_size = 1 << 60
    assert "bytes are needed on the file system" in refused("zip", str(path), tmp_path / "top", Rules())


@pytest.mark.parametrize(("blocks", "inodes", "missing"), [(10, 10**6, "bytes"), (10**6, 3, "inodes")])
@pytest.mark.parametrize("kind", ["tar", "tgz", "zip"])
def test_what_does_not_fit_is_refused_before_it_is_unpacked(
    tmp_path: Path, kind: str, blocks: int, inodes: int, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = {"tar": "tar", "tgz": "gztar", "zip": "zip"}[kind]
    for number in range(10):
        (tmp_path / "revision").mkdir(exist_ok=True)
        (tmp_path / "revision" / f"file{number}").write_bytes(os.urandom(10000))
    path = shutil.make_archive(str(tmp_path / "bundle"), shape, tmp_path / "revision")
    little = {"f_bfree": blocks, "f_bavail": blocks, "f_frsize": 4096, "f_files": 10**6, "f_ffree": inodes}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**little))
    made = []
    monkeypatch.setattr(_bundle_archive.Tree, "add_file", lambda *arguments: made.append(arguments))
    assert f"{missing} are needed on the file system of" in refused(kind, path, tmp_path / "top", Rules())
    assert made == []
    monkeypatch.undo()
    assert len(unpack(kind, path, str(tmp_path / "top"), Rules()).files) == 10
