# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushing bundles: what they are made of, and what S3 has then."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.applications import Application
from support.aws_server import AwsServer

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import unpack
from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _push
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._push import Packed, Pushed, pack_source, push
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import resolve_revision


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = Application(tmp_path / "application", "1", AfterInstall="true").folder
    (made / "content" / ".htaccess").write_text("Deny from all")
    (made / "content" / "link").symlink_to("version.txt")
    (made / "content" / "empty").mkdir()
    (made / "content" / "secret").write_text("s")
    (made / "content" / "secret").chmod(0o600)
    return made


@pytest.fixture
def s3(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    made = aws_server.client("s3")
    made.create_bucket(Bucket="bundles")
    made.put_bucket_versioning(Bucket="bundles", VersioningConfiguration={"Status": "Enabled"})
    return made


def packed(folder: Path, bundle_type: str = "zip", ignore_hidden: bool = False) -> Packed:
    return pack_source(str(folder), bundle_type, None, ignore_hidden)


def pushed(folder: Path, target: str = "s3://bundles/app.zip", check: bool = False, bundle_type: str = "zip") -> Pushed:
    return push(packed(folder, bundle_type), target, "HollowWeb", {}, check)


@pytest.mark.parametrize("bundle_type", ["zip", "tgz"])
def test_a_bundle_is_what_the_folder_is(folder: Path, tmp_path: Path, bundle_type: str) -> None:
    os.utime(folder / "content" / "version.txt", (1_500_000_001, 1_500_000_001))
    bundle = packed(folder, bundle_type).bundle
    unpack(bundle_type, bundle.path, str(tmp_path / "unpacked"))

    def described(top: Path) -> dict[str, tuple[Any, ...]]:
        return {
            str(path.relative_to(top)): (
                oct(path.lstat().st_mode) if not path.is_symlink() else os.readlink(path),
                path.read_bytes() if path.is_file() else b"",
                int(path.lstat().st_mtime) if path.is_file() and not path.is_symlink() else 0,
            )
            for path in top.rglob("*")
        }

    assert described(tmp_path / "unpacked") == described(folder)
    if bundle_type == "zip":
        with zipfile.ZipFile(bundle.path) as archive:
            assert archive.testzip() is None
        assert subprocess.run(["unzip", "-tqq", bundle.path], check=False).returncode == 0


@pytest.mark.parametrize("bundle_type", ["zip", "tgz"])
def test_the_same_folder_is_the_same_bundle(folder: Path, tmp_path: Path, bundle_type: str) -> None:
    first = packed(folder, bundle_type)
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    copy = packed(tmp_path / "copy", bundle_type)
    assert (copy.bundle.digest, copy.content) == (first.bundle.digest, first.content)
    os.utime(tmp_path / "copy" / "appspec.yml", (0, 0))
    touched = packed(tmp_path / "copy", bundle_type)
    assert touched.bundle.digest != first.bundle.digest
    assert touched.content == first.content
    (tmp_path / "copy" / "appspec.yml").chmod(0o700)
    assert packed(tmp_path / "copy", bundle_type).content != first.content


def test_hidden_files(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("x")
    assert "holds .git" in packed(folder).warnings[0]
    without = packed(folder, ignore_hidden=True)
    with zipfile.ZipFile(without.bundle.path) as archive:
        assert not [name for name in archive.namelist() if "/." in f"/{name}"]
    assert not without.warnings


@pytest.mark.parametrize("name", ["__MACOSX/x", "content/.DS_Store", "content/._version.txt", "Thumbs.db"])
def test_what_systems_leave_behind_is_refused(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    with pytest.raises(PreflightError, match="left there by macOS or Windows") as refused:
        packed(folder)
    assert "nothing was pushed" in str(refused.value)
    if "/." in name:
        packed(folder, ignore_hidden=True)


def test_the_app_spec_is_checked(folder: Path) -> None:
    (folder / "scripts" / "AfterInstall.sh").unlink()
    with pytest.raises(PreflightError, match=r"scripts/AfterInstall\.sh"):
        packed(folder)
    (folder / "appspec.yml").rename(folder / "content" / "appspec.yml")
    with pytest.raises(
        PreflightError, match=r"application/appspec\.yml was not found: the AppSpec belongs at the root"
    ):
        packed(folder)


def test_push(s3: Any, aws_server: AwsServer, folder: Path) -> None:
    assert pushed(folder, check=True).revision is None
    assert "Contents" not in s3.list_objects_v2(Bucket="bundles")
    first = pushed(folder)
    assert first.changed
    assert first.revision is not None
    head = s3.head_object(Bucket="bundles", Key="app.zip")
    record = first.revision.as_record()
    assert record["s3_location"] == {
        "bucket": "bundles",
        "key": "app.zip",
        "bundle_type": "zip",
        "version": head["VersionId"],
        "e_tag": head["ETag"].strip('"'),
    }
    body = s3.get_object(Bucket="bundles", Key="app.zip")["Body"].read()
    assert record["digest"] == hashlib.sha256(body).hexdigest() == head["Metadata"]["sha256"]
    os.utime(folder / "appspec.yml", (0, 0))
    aws_server.forget_calls()
    again = pushed(folder)
    assert (again.changed, again.revision and again.revision.as_record()) == (False, record)
    assert {call["action"].split()[0] for call in aws_server.calls} == {"HEAD"}
    (folder / "content" / "version.txt").write_text("2")
    assert pushed(folder, check=True).changed
    assert pushed(folder).changed
    assert len(s3.list_object_versions(Bucket="bundles")["Versions"]) == 2
    assert resolve_revision("s3://bundles/app.zip", []).bundle.digest == packed(folder).bundle.digest


def test_push_in_parts(s3: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "content" / "big").write_bytes(os.urandom(6 * 1024 * 1024))
    monkeypatch.setattr(_push, "PART", 5 * 1024 * 1024)
    revision = pushed(folder, "s3://bundles/big.tar.gz", bundle_type="tgz").revision
    assert revision is not None
    assert revision.s3 is not None
    assert revision.s3.e_tag.endswith("-2")
    head = s3.head_object(Bucket="bundles", Key="big.tar.gz", ChecksumMode="ENABLED")
    assert head["ContentLength"] == revision.bundle.size


def test_what_arrives_is_compared(s3: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = packed(folder)

    def replaced(found: Any, options: Any) -> Any:
        s3.put_object(Bucket="bundles", Key="app.zip", Body=b"x" * bundle.bundle.size)
        return _push_s3_object(found, options)

    _push_s3_object = _push.s3_object
    monkeypatch.setattr(_push, "s3_object", replaced)
    with pytest.raises(BundleError, match="is not what was sent: its SHA-256 is not known"):
        push(bundle, "s3://bundles/app.zip", "HollowWeb", {}, False)


def test_names_made_of_the_content(s3: Any, folder: Path) -> None:
    location = pushed(folder, "s3://bundles/releases/").location
    assert location == f"s3://bundles/releases/HollowWeb-{packed(folder).content[:12]}.zip"
    assert not pushed(folder, "s3://bundles/releases/").changed


def test_push_to_a_folder(folder: Path, tmp_path: Path) -> None:
    target = f"{tmp_path}/releases/"
    assert pushed(folder, target, check=True).revision is None
    assert not (tmp_path / "releases").exists()
    first = pushed(folder, target)
    assert first.changed
    assert first.revision is not None
    assert first.revision.as_record()["revision_type"] == "Local"
    assert Path(first.location).parent == tmp_path / "releases"
    assert [path.name for path in (tmp_path / "releases").iterdir()] == [Path(first.location).name]
    assert not pushed(folder, target).changed
    assert resolve_revision(first.location, []).bundle.digest == packed(folder).bundle.digest


def test_an_archive_is_pushed_as_it_is(s3: Any, folder: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "made"), "zip", folder)
    revision = push(pack_source(archive, "tgz", None, False), "s3://bundles/a.zip", "HollowWeb", {}, False).revision
    assert revision is not None
    assert revision.bundle.digest == hashlib.sha256(Path(archive).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("s3://bundles/app.tar.gz", "would be a tgz archive, and the bundle is zip"),
        ("s3://bundles/app.zip?versionId=V", "names a version"),
        ("https://example.com/a.zip", "neither s3://bucket/key nor a path"),
    ],
)
def test_targets_that_cannot_be(s3: Any, folder: Path, target: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        pushed(folder, target)


def test_no_bucket(s3: Any, folder: Path) -> None:
    with pytest.raises(AwsError, match="there is no bucket nowhere"):
        pushed(folder, "s3://nowhere/app.zip")
