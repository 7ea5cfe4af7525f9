# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions in S3, of moto's server."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from support.applications import Application
from support.aws_server import AwsServer

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_e_tag import e_tag_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _revision, _revision_s3
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import cache_directory, keep_bundle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError, read_contents
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import revision_identity
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import RevisionError, resolve_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_access import RevisionAccess
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._signed_address import signed_address

PART_SIZE = 5 * 1024 * 1024


@pytest.fixture(autouse=True)
def s3(aws_server: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a client; the bucket ``bundles`` has versions, ``plain`` has none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    made = aws_server.client("s3")
    made.create_bucket(Bucket="bundles")
    made.put_bucket_versioning(Bucket="bundles", VersioningConfiguration={"Status": "Enabled"})
    made.create_bucket(Bucket="plain")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Application(tmp_path / "application", "1", AfterInstall="true").folder


def zipped(folder: Path, padding: int = 0) -> bytes:
    """Pack a folder; the padding is a file of that size that cannot be compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, str(path.relative_to(folder)))
        link = zipfile.ZipInfo("content/link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "version.txt")
        if padding:
            archive.writestr("content/padding", os.urandom(padding))
    return content.getvalue()


def tarred(folder: Path) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(folder, ".")
    return content.getvalue()


@pytest.mark.parametrize("key", ["app.zip", "app.tar.gz", "app"])
def test_small_bundles_are_fetched_once(s3: Any, aws_server: AwsServer, folder: Path, key: str) -> None:
    content = tarred(folder) if key.endswith("gz") else zipped(folder)
    version = s3.put_object(Bucket="bundles", Key=key, Body=content)["VersionId"]
    access = RevisionAccess(bundle_type="" if "." in key else "zip")
    revision = resolve_revision(f"s3://bundles/{key}", [], access=access)
    assert revision.bundle.digest == hashlib.sha256(content).hexdigest()
    assert revision.contents(None).appspec_filename == "appspec.yml"
    record = revision.as_record()
    assert set(record["s3_location"]) == {"bucket", "key", "bundle_type"}
    assert record["bundle"]["version"] == version
    assert record["bundle"]["size"] == len(content)
    assert revision.location == f"s3://bundles/{key}?versionId={version}"
    aws_server.forget_calls()
    assert resolve_revision(f"s3://bundles/{key}", [], access=access) == revision
    assert [call["action"].split()[0] for call in aws_server.calls] == ["HEAD"]


def test_a_big_zip_is_not_fetched(
    s3: Any, aws_server: AwsServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_revision, "WHOLE_UP_TO", 100_000)
    content = zipped(folder, padding=3_000_000)
    s3.put_object(Bucket="bundles", Key="big.zip", Body=content)
    fetched: list[int] = []
    read = _revision_s3._Ranges.readinto

    def counting(self: Any, buffer: Any) -> int:
        fetched.append(read(self, buffer))
        return fetched[-1]

    monkeypatch.setattr(_revision_s3._Ranges, "readinto", counting)
    revision = resolve_revision("s3://bundles/big.zip", [])
    contents = revision.contents(None)
    assert 0 < sum(fetched) < 600_000
    assert (revision.bundle.path, revision.bundle.digest) == ("", "")
    local = folder.parent / "big.zip"
    local.write_bytes(content)
    whole = read_contents(str(local))
    assert (contents.members, contents.appspec_data) == (whole.members, whole.appspec_data)
    assert contents.members["content/link"].target == "version.txt"
    aws_server.forget_calls()
    fetched.clear()
    assert resolve_revision("s3://bundles/big.zip", []).contents(None) == contents
    assert not fetched
    pushed = resolve_revision("s3://bundles/big.zip", [], access=RevisionAccess(download="push"))
    assert Path(pushed.bundle.path).read_bytes() == content
    assert revision_identity(pushed.as_record()) == revision_identity(revision.as_record())


def test_a_big_zip_that_was_sent_in_parts(s3: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_revision, "WHOLE_UP_TO", 100_000)
    local = folder.parent / "big.zip"
    local.write_bytes(zipped(folder, padding=7_000_000))
    parts = TransferConfig(multipart_threshold=PART_SIZE, multipart_chunksize=PART_SIZE)
    s3.upload_file(str(local), "bundles", "big.zip", Config=parts)
    known = resolve_revision("s3://bundles/big.zip", []).as_record()["bundle"]
    assert known["part_size"] == PART_SIZE
    assert e_tag_of(str(local), PART_SIZE) == known["e_tag"]


def test_e_tag_and_version(s3: Any, folder: Path) -> None:
    first = s3.put_object(Bucket="bundles", Key="a.zip", Body=zipped(folder))
    (folder / "content" / "version.txt").write_text("2")
    s3.put_object(Bucket="bundles", Key="a.zip", Body=zipped(folder))
    e_tag = first["ETag"].strip('"')
    text = f"s3://bundles/a.zip?versionId={first['VersionId']}&eTag={e_tag}"
    revision = resolve_revision(text, [])
    assert revision.as_record()["s3_location"]["version"] == first["VersionId"]
    assert revision.as_record()["s3_location"]["e_tag"] == e_tag
    with pytest.raises(BundleError, match=f"expected was the ETag {e_tag}, and it has .*replaced since"):
        resolve_revision(f"s3://bundles/a.zip?eTag={e_tag}", [])


def test_latest_below_a_prefix(s3: Any, folder: Path) -> None:
    for number in ("1", "2"):
        (folder / "content" / "version.txt").write_text(number)
        put = s3.put_object(Bucket="bundles", Key=f"releases/app-{number}.zip", Body=zipped(folder))
    s3.put_object(Bucket="bundles", Key="releases/z-notes.txt", Body=b"x")
    s3.put_object(Bucket="bundles", Key="other/app-9.zip", Body=zipped(folder))
    revision = resolve_revision("s3://bundles/releases/?latest", [])
    assert revision.as_record()["s3_location"] == {
        "bucket": "bundles",
        "key": "releases/app-2.zip",
        "bundle_type": "zip",
        "version": put["VersionId"],
        "e_tag": put["ETag"].strip('"'),
    }
    with pytest.raises(BundleError, match="there is no zip, tar or tar.gz with a key that begins so"):
        resolve_revision("s3://bundles/nothing/?latest", [])


def test_a_recorded_revision_is_that_version(s3: Any, folder: Path) -> None:
    s3.put_object(Bucket="bundles", Key="a.zip", Body=zipped(folder))
    first = resolve_revision("s3://bundles/a.zip", [])
    (folder / "content" / "version.txt").write_text("2")
    s3.put_object(Bucket="bundles", Key="a.zip", Body=zipped(folder))
    Path(first.bundle.path).unlink()
    again = resolve_revision("last_successful", [], recorded=first.as_record())
    assert again.bundle.digest == first.bundle.digest
    assert revision_identity(again.as_record()) == revision_identity(first.as_record())
    newer = resolve_revision("s3://bundles/a.zip", [])
    assert revision_identity(newer.as_record()) != revision_identity(first.as_record())


def test_an_object_that_is_gone(s3: Any, folder: Path) -> None:
    s3.put_object(Bucket="plain", Key="a.zip", Body=zipped(folder))
    first = resolve_revision("s3://plain/a.zip", [])
    s3.delete_object(Bucket="plain", Key="a.zip")
    with pytest.raises(BundleError, match="revision s3://plain/a.zip: there is no such object .* push it again"):
        resolve_revision("s3://plain/a.zip", [])
    kept = resolve_revision("last_successful", [], recorded=first.as_record())
    assert kept.contents(None).appspec_filename == "appspec.yml"
    assert kept.as_record()["bundle"]["gone"]
    assert revision_identity(kept.as_record()) == revision_identity(first.as_record())
    Path(first.bundle.path).unlink()
    with pytest.raises(RevisionError, match="revision last_successful: .*there is no such object"):
        resolve_revision("last_successful", [], recorded=first.as_record())


def test_messages(s3: Any, aws_server: AwsServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleError, match="nowhere"):
        resolve_revision("s3://nowhere/a.zip", [])
    s3.put_object(Bucket="bundles", Key="a", Body=b"x")
    with pytest.raises(BundleError, match="set deploy_bundle_type"):
        resolve_revision("s3://bundles/a", [])
    with pytest.raises(BundleError, match=r"revision s3://bundles/a: "):
        resolve_revision("s3://bundles/a", [], access=RevisionAccess(bundle_type="tgz"))
    s3.put_object(Bucket="bundles", Key="b.zip", Body=zipped(folder), Metadata={"sha256": "0" * 64})
    with pytest.raises(BundleError, match="and it says 0000"):
        resolve_revision("s3://bundles/b.zip", [])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")  # or the session that is there would be used
    with pytest.raises(BundleError, match="there are no AWS credentials"):
        resolve_revision("s3://bundles/a", [])


def test_signed_addresses(s3: Any, aws_server: AwsServer, folder: Path) -> None:
    content = zipped(folder)
    version = s3.put_object(Bucket="bundles", Key="a b.zip", Body=content)["VersionId"]
    s3.put_object(Bucket="bundles", Key="a b.zip", Body=b"newer")
    place = {"bucket": "bundles", "key": "a b.zip", "version": version}
    url = signed_address(place, {})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == content
    assert "X-Amz-Signature=" in url
    assert signed_address(place, {}) == url
    signed = Path(cache_directory()) / "signed"
    assert stat.S_IMODE(signed.stat().st_mode) == 0o700
    assert [stat.S_IMODE(entry.stat().st_mode) for entry in signed.iterdir()] == [0o600]
    assert signed_address({**place, "version": ""}, {}) != url
    (entry,) = [entry for entry in signed.iterdir() if url in entry.read_text()]
    entry.write_text(entry.read_text().replace('"expires": ', '"expires": 1.0, "was": '))
    again = signed_address(place, {})
    assert again == signed_address(place, {})
    assert keep_bundle(str(folder)).size
