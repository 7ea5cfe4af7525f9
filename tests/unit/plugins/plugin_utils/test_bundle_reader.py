# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller sees in a bundle, whatever its kind."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import (
    BundleError,
    bundle_type_of,
    read_contents,
)

APPSPEC = b"version: 0.0\nos: linux\n"


def make_folder(folder: Path) -> Path:
    """Write a small application and return its folder."""
    (folder / "content" / "deep").mkdir(parents=True)
    (folder / "appspec.yml").write_bytes(APPSPEC)
    (folder / "content" / "deep" / "page").write_text("12345")
    (folder / "run.sh").write_text("")
    (folder / "run.sh").chmod(0o750)
    (folder / "latest").symlink_to("content/deep")
    return folder


def as_tar(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(folder, arcname=".")
    return target


def as_tgz(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        archive.add(folder, arcname="top")
    return target


def as_zip(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            info = zipfile.ZipInfo(str(path.relative_to(folder)))
            info.external_attr = path.lstat().st_mode << 16
            if path.is_symlink():
                archive.writestr(info, os.readlink(path))
            elif path.is_file():
                archive.writestr(info, path.read_bytes())
    return target


def as_folder(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target, symlinks=True)
    return target


KINDS = [("directory", as_folder), ("tar", as_tar), ("tgz", as_tgz), ("zip", as_zip)]


@pytest.mark.parametrize(("kind", "make"), KINDS)
def test_same_contents_in_every_kind(tmp_path: Path, kind: str, make: Callable[[Path, Path], Path]) -> None:
    bundle = make(make_folder(tmp_path / "source"), tmp_path / "bundle")
    assert bundle_type_of(str(bundle)) == kind
    contents = read_contents(str(bundle))
    assert (contents.appspec_filename, contents.appspec_data) == ("appspec.yml", APPSPEC)
    assert {name: member.kind for name, member in contents.members.items()} == {
        "appspec.yml": "file",
        "content": "directory",
        "content/deep": "directory",
        "content/deep/page": "file",
        "latest": "link",
        "run.sh": "file",
    }
    page = contents.find("/latest/../deep/page")
    assert page is not None
    assert page.size == 5
    assert contents.members["run.sh"].mode == 0o750
    assert contents.find("content/other") is None
    assert contents.files_below("/content/") == ["deep/page"]


@pytest.mark.parametrize("path", ["..", "content/../../x", "/../x"])
def test_paths_that_leave_the_bundle(tmp_path: Path, path: str) -> None:
    contents = read_contents(str(make_folder(tmp_path / "source")))
    with pytest.raises(BundleError, match="leads out of the bundle"):
        contents.find(path)


def test_links_that_leave_the_bundle_or_turn_in_circles(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "source")
    (folder / "absolute").symlink_to("/etc")
    (folder / "up").symlink_to("../..")
    (folder / "circle").symlink_to("circle")
    contents = read_contents(str(folder))
    for path in ("absolute/passwd", "up/x"):
        with pytest.raises(BundleError, match="leads out of the bundle"):
            contents.find(path)
    assert contents.find("circle") is None


def test_only_a_lone_folder_with_an_appspec_is_left_out(tmp_path: Path) -> None:
    def packed(names: list[str]) -> str:
        target = tmp_path / "bundle.zip"
        with zipfile.ZipFile(target, "w") as archive:
            for name in names:
                archive.writestr(name, APPSPEC)
        return str(target)

    assert read_contents(packed(["top/appspec.yaml", "top/x"])).appspec_filename == "appspec.yaml"
    assert read_contents(packed(["top/appspec.yml", "README"])).appspec_filename is None
    assert read_contents(packed(["top/readme", "top/deep/appspec.yml"])).appspec_filename is None


def test_default_names_of_the_appspec(tmp_path: Path) -> None:
    (tmp_path / "appspec.yaml").write_bytes(b"other")
    assert read_contents(str(tmp_path)).appspec_filename == "appspec.yaml"
    (tmp_path / "appspec.yml").write_bytes(APPSPEC)
    assert read_contents(str(tmp_path)).appspec_filename == "appspec.yml"
    (tmp_path / "appspec.yml").rename(tmp_path / "AppSpec.yml")
    (tmp_path / "appspec.yaml").unlink()
    assert read_contents(str(tmp_path)).appspec_filename is None


def test_named_appspec(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "source")
    (folder / "deploy").mkdir()
    (folder / "deploy" / "production.yml").symlink_to("../other.yml")
    (folder / "other.yml").write_bytes(b"other")
    assert read_contents(str(folder), "deploy/production.yml").appspec_data == b"other"
    assert read_contents(str(folder), "appspec.yaml").appspec_filename is None


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken", b"\x1f\x8b broken"])
def test_what_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.zip"):
        read_contents(str(path))
    with pytest.raises(BundleError, match="cannot be read"):
        read_contents(str(tmp_path / "absent"))
