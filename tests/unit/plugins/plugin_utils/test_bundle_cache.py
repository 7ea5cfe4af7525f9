# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles in the controller's cache: by content, packed the same way every time, and revisions found in it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from support.web_server import serve

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import (
    cached,
    fetch_bundle,
    keep_bundle,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import (
    RevisionError,
    resolve_revision,
    shown_url,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "agentless.codedeploy"


def application(folder: Path) -> Path:
    """Write a folder with a file, a script, a link and hard links, with fixed times."""
    (folder / "content").mkdir(parents=True)
    for name, mode in (("appspec.yml", 0o644), ("content/page", 0o640), ("run.sh", 0o755)):
        (folder / name).write_text(name)
        (folder / name).chmod(mode)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    (folder / "link").symlink_to("run.sh")
    os.utime(folder / "link", (1_700_000_000, 1_700_000_000), follow_symlinks=False)
    os.link(folder / "run.sh", folder / "same")
    for path in (folder / "content", folder):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


def test_the_same_folder_elsewhere_is_the_same_bundle(tmp_path: Path) -> None:
    first = keep_bundle(str(application(tmp_path / "one")))
    second = keep_bundle(str(application(tmp_path / "two")))
    assert first == second
    assert hashlib.sha256(Path(first.path).read_bytes()).hexdigest() == first.digest
    assert cached(first.digest, "tgz") == first
    with tarfile.open(first.path) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ["appspec.yml", "content", "content/page", "link", "run.sh", "same"]
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "root", "root")}
    assert {member.name: oct(member.mode) for member in members if member.isfile()} == {
        "appspec.yml": "0o644",
        "content/page": "0o640",
        "run.sh": "0o755",
        "same": "0o755",
    }
    assert {member.mtime for member in members if not member.isdir()} == {1_700_000_000}


def test_a_change_makes_another_bundle_even_with_the_same_size_and_time(tmp_path: Path) -> None:
    folder = application(tmp_path / "one")
    before = keep_bundle(str(folder))
    (folder / "content" / "page").write_text("content/PAGE")
    os.utime(folder / "content" / "page", (1_700_000_000, 1_700_000_000))
    assert keep_bundle(str(folder)).digest != before.digest


def test_archives_are_copied(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "bundle.anything"
    with tarfile.open(archive, "w") as tar:
        tar.add(application(tmp_path / "one"), arcname=".")
    bundle = keep_bundle(str(archive))
    content = archive.read_bytes()
    archive.write_bytes(b"changed in the middle of a deployment")
    assert Path(bundle.path).read_bytes() == content
    assert Path(bundle.path) == cache / f"{bundle.digest}.tar"
    assert bundle.bundle_type == "tar"


def test_emptied_cache(tmp_path: Path, cache: Path) -> None:
    folder = application(tmp_path / "one")
    before = keep_bundle(str(folder))
    shutil.rmtree(cache)
    assert cached(before.digest, "tgz") is None
    assert keep_bundle(str(folder)) == before
    assert [path.name for path in cache.glob("adding-*")] == []


def test_what_no_bundle_can_hold(tmp_path: Path, cache: Path) -> None:
    folder = application(tmp_path / "one")
    os.mkfifo(folder / "pipe")
    with pytest.raises(BundleError, match="holds pipe, which is neither a file, a folder nor a link"):
        keep_bundle(str(folder))
    assert [path.name for path in cache.glob("adding-*")] == []


def test_download(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(application(tmp_path / "one"), arcname=".")
    with serve("/bundle", buffer.getvalue(), "secret") as (address, _answers):
        bundle = fetch_bundle(address, address, {"X-Token": "secret"})
        assert (bundle.bundle_type, bundle.digest) == ("tgz", hashlib.sha256(buffer.getvalue()).hexdigest())
        with pytest.raises(BundleError, match="the server answered 403"):
            fetch_bundle(address, address, {})
    with pytest.raises(BundleError, match="cannot be downloaded"):
        fetch_bundle(address, address, {})
    with (
        serve("/page", b"<html>", "secret") as (address, _answers),
        pytest.raises(BundleError, match=f"what {address} gives is neither"),
    ):
        fetch_bundle(address, address, {"X-Token": "secret"})


def test_revision_is_looked_for_in_the_folders_in_turn(tmp_path: Path) -> None:
    application(tmp_path / "second" / "app")
    folders = [str(tmp_path / "first"), str(tmp_path / "second")]
    revision = resolve_revision(" app ", folders)
    assert revision.location == str(tmp_path / "second" / "app")
    assert revision.as_record() == {
        "revision_type": "Local",
        "local_location": {"path": revision.location, "bundle_type": "tgz"},
        "digest": revision.bundle.digest,
    }
    application(tmp_path / "first" / "app")
    assert resolve_revision("app", folders).location == str(tmp_path / "first" / "app")
    with pytest.raises(RevisionError, match="looked for .*first/nowhere, .*second/nowhere"):
        resolve_revision("nowhere", folders)


def test_last_successful_revision(tmp_path: Path, cache: Path) -> None:
    folder = application(tmp_path / "app")
    record = resolve_revision(str(folder), []).as_record()
    (folder / "run.sh").write_text("changed since")
    assert resolve_revision("last_successful", [], recorded=record).as_record() == record
    shutil.rmtree(cache)
    with pytest.raises(RevisionError, match="neither in this controller's cache nor, unchanged, where it was"):
        resolve_revision("last_successful", [], recorded=record)
    with pytest.raises(RevisionError, match="no successful deployment yet"):
        resolve_revision("last_successful", [])


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:password@host:8443/a/b.zip?X-Signature=1#x", "https://host:8443/a/b.zip"),
        ("HTTPS://Host/a.zip", "https://host/a.zip"),
    ],
)
def test_addresses_are_shown_without_secrets(address: str, shown: str) -> None:
    assert shown_url(address) == shown
