# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller takes an archive to hold: exactly what unpacking it on an instance makes, or refuses."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError, read_contents

APPSPEC = b"version: 0.0\nos: linux\n"


def tar(path: Path, *members: tuple[str, bytes, bytes, str]) -> str:
    """Write a tar archive of C((name, type, content, target))."""
    with tarfile.open(path, "w", encoding="utf-8", errors="surrogateescape") as archive:
        for name, kind, data, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(data), target
            archive.addfile(member, io.BytesIO(data))
    return str(path)


@pytest.mark.parametrize("name", ["../outside", "/absolute", "a/../../b"])
def test_members_that_lead_out_are_refused_on_the_controller_already(tmp_path: Path, name: str) -> None:
    path = tar(tmp_path / "bundle", ("appspec.yml", tarfile.REGTYPE, APPSPEC, ""), (name, tarfile.REGTYPE, b"", ""))
    with pytest.raises(BundleError, match="member"):
        read_contents(path)


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.BLKTYPE, ""), (tarfile.FIFOTYPE, ""), (tarfile.LNKTYPE, "nothing")]
)
def test_members_that_no_instance_takes_are_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    path = tar(tmp_path / "bundle", ("appspec.yml", kind, b"", target))
    with pytest.raises(BundleError, match="appspec.yml"):
        read_contents(path)


def test_an_appspec_may_be_a_hard_link(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "bundle",
        ("other.yml", tarfile.REGTYPE, APPSPEC, ""),
        ("appspec.yml", tarfile.LNKTYPE, b"", "other.yml"),
    )
    assert read_contents(path).appspec_data == APPSPEC


def test_names_in_a_zip_are_the_bytes_that_the_instance_writes(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("caf_")
        member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
        archive.writestr(member, b"")
    path.write_bytes(path.read_bytes().replace(b"caf_", b"caf\xe9"))
    assert list(read_contents(str(path)).members) == ["caf\udce9"]


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "bundle", ("a", tarfile.REGTYPE, b"", ""), ("a/b", tarfile.REGTYPE, b"", ""))
    with pytest.raises(BundleError, match="below the file"):
        read_contents(path)


def test_a_link_with_an_endless_text_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo("link")
        member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, b"x" * 100_000, zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError, match="'link'.*100000 bytes"):
        read_contents(str(path))
