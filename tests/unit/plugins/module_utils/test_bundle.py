# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles: fetched from where they are, unpacked as the agent does, refused as a whole when they are unsafe."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import os
import stat
import struct
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle import download_bundle, read_manifest
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import BundleError
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_url import fetch_url
from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import file_record, listed_records
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import DeploymentPaths, DeploymentRoot

MTIME = 1600000000


class Instance:
    """A deployment root with one deployment, into which bundles are brought."""

    def __init__(self, directory: Path) -> None:
        self.root = DeploymentRoot(str(directory / "root"))
        self.bundles = directory / "bundles"
        self.bundles.mkdir()
        self.begin("d-1")

    def begin(self, deployment: str) -> None:
        self.paths: DeploymentPaths = self.root.deployment("g", deployment)
        os.makedirs(self.paths.directory)

    @property
    def archive(self) -> Path:
        return Path(self.paths.archive)

    def get(self, kind: str, path: Path | None = None, **bundle: Any) -> None:
        if path is not None:
            bundle["path"] = str(path)
        download_bundle({"type": kind, **bundle}, self.root, self.paths, fetch_url)

    def refuse(self, kind: str, path: Path) -> str:
        """Bring a bundle that is refused, see that nothing of it is left, and return the message."""
        outside = {entry: entry.lstat().st_mtime_ns for entry in self.bundles.parent.iterdir()}
        with pytest.raises(BundleError) as error:
            self.get(kind, path)
        assert sorted(os.listdir(self.paths.directory)) in ([], ["bundle.tar"])
        assert {entry: entry.lstat().st_mtime_ns for entry in self.bundles.parent.iterdir()} == outside
        return str(error.value)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def file_member(name: str, data: bytes = b"x", **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(data), MTIME, 0o644
    for key, value in attributes.items():
        setattr(member, key, value)
    return member, data


def special_member(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    return file_member(name, b"", type=kind, linkname=target)


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", errors="surrogateescape") as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(*members: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            member = zipfile.ZipInfo(name, (2020, 9, 13, 12, 26, 40))
            member.create_system, member.external_attr = 3, mode << 16
            archive.writestr(member, data)
    return buffer.getvalue()


@pytest.fixture
def written(instance: Instance) -> Callable[[bytes], Path]:
    """Give ``written(data)``: the path of a bundle on the instance with this content."""

    def write(data: bytes) -> Path:
        path = instance.bundles / f"bundle-{len(os.listdir(instance.bundles))}"
        path.write_bytes(data)
        return path

    return write


Written = Callable[[bytes], Path]


@pytest.mark.parametrize(("kind", "pack"), [("tar", bytes), ("tar", gzip.compress), ("tgz", gzip.compress)])
def test_a_tar_keeps_modes_times_and_links(instance: Instance, written: Written, kind: str, pack: Any) -> None:
    data = tar_of(
        file_member("./appspec.yml", b"version: 0.0\n"),
        file_member("bin/run", b"#!", mode=0o4755),
        special_member("bin/again", tarfile.LNKTYPE, "bin/run"),
        special_member("dangling", tarfile.SYMTYPE, "/no/where"),
        file_member("d", b"", type=tarfile.DIRTYPE, mode=0o750),
        file_member("d/f\udce9", b"latin"),
    )
    instance.get(kind, written(pack(data)))
    assert (instance.archive / "appspec.yml").read_bytes() == b"version: 0.0\n"
    run = (instance.archive / "bin" / "run").stat()
    assert (stat.S_IMODE(run.st_mode), run.st_mtime, run.st_nlink) == (0o4755, MTIME, 2)
    assert os.readlink(instance.archive / "dangling") == "/no/where"
    assert stat.S_IMODE((instance.archive / "d").stat().st_mode) == 0o750
    assert (instance.archive / "d" / "f\udce9").read_bytes() == b"latin"
    assert os.path.islink(instance.paths.bundle)


def test_a_zip_keeps_modes_and_links_but_drops_setuid(instance: Instance, written: Written) -> None:
    buffer = io.BytesIO(zip_of(("run", b"#!"), mode=stat.S_IFREG | 0o4755))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "run")
        archive.writestr(zipfile.ZipInfo("empty/"), "")
    instance.get("zip", written(buffer.getvalue()))
    assert stat.S_IMODE((instance.archive / "run").stat().st_mode) == 0o755
    assert os.readlink(instance.archive / "link") == "run"
    assert (instance.archive / "empty").is_dir()


def test_a_zip_made_on_windows(instance: Instance, written: Written) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("folder\\file.txt", "read-only.txt"):
            member = zipfile.ZipInfo(name)
            member.filename = name
            member.create_system, member.external_attr = 0, 0x01 if name.startswith("read") else 0x20
            archive.writestr(member, "x")
    instance.get("zip", written(buffer.getvalue()))
    assert stat.S_IMODE((instance.archive / "folder" / "file.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((instance.archive / "read-only.txt").stat().st_mode) == 0o444


def test_names_of_a_zip_need_not_be_marked_as_utf8(instance: Instance, written: Written) -> None:
    data = zip_of(("n\u00e9.txt", b"x")).replace("né".encode(), b"n\xc3\xa9")
    unmarked = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        unmarked[at : at + 2] = struct.pack("<H", 0)
    instance.get("zip", written(bytes(unmarked)))
    assert os.listdir(instance.archive) == ["né.txt"]


def test_a_folder_keeps_links_and_modes_without_the_umask(instance: Instance) -> None:
    source = instance.bundles / "folder"
    (source / "d").mkdir(parents=True)
    (source / "d" / "f").write_text("x")
    (source / "d" / "f").chmod(0o666)
    (source / "link").symlink_to("d/f")
    os.link(source / "d" / "f", source / "hard")
    instance.get("directory", source)
    assert stat.S_IMODE((instance.archive / "d" / "f").stat().st_mode) == 0o644
    assert (instance.archive / "d" / "f").stat().st_nlink == 1
    assert os.readlink(instance.archive / "link") == "d/f"
    assert not os.path.lexists(instance.paths.bundle)


def test_a_folder_with_a_fifo_is_refused(instance: Instance) -> None:
    source = instance.bundles / "folder"
    source.mkdir()
    os.mkfifo(source / "ff")
    assert "'ff'" in instance.refuse("directory", source)


def test_a_folder_that_holds_the_deployment_root_is_refused(instance: Instance) -> None:
    assert "deployment root" in instance.refuse("directory", instance.bundles.parent)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["top/appspec.yml", "top/a"], ["a", "appspec.yml"]),
        (["top/My-AppSpec-Notes.txt", "top/x"], ["My-AppSpec-Notes.txt", "x"]),
        (["top/a"], ["top"]),
        (["top/appspec.yml", "other/x"], ["other", "top"]),
        (["top/deep/appspec.yml"], ["top"]),
    ],
)
def test_a_single_top_folder_with_an_appspec_is_stripped(
    instance: Instance, written: Written, names: list[str], expected: list[str]
) -> None:
    instance.get("tar", written(tar_of(*(file_member(name) for name in names))))
    assert sorted(os.listdir(instance.archive)) == expected
    found = read_manifest(instance.paths)
    assert found is not None
    assert all((instance.archive / folder / name).is_file() for folder in found for name in found[folder][0].split("/"))


def test_a_link_alone_at_the_top_is_not_followed(instance: Instance, written: Written, tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").touch()
    instance.get("tar", written(tar_of(special_member("top", tarfile.SYMTYPE, str(tmp_path)))))
    assert os.listdir(instance.archive) == ["top"]


def test_the_manifest_tells_content_and_state_of_each_file(instance: Instance, written: Written) -> None:
    instance.get("tar", written(tar_of(file_member("d/f\udce9", b"content"))))
    found = read_manifest(instance.paths)
    assert found is not None
    status = (instance.archive / "d" / "f\udce9").stat()
    assert listed_records(found["d"]) == {"f\udce9": file_record(hashlib.sha256(b"content").hexdigest(), status)}
    assert stat.S_IMODE(os.stat(instance.paths.archive_manifest).st_mode) == 0o600


GOOD = file_member("appspec.yml")
UNSAFE_TARS = {
    "absolute": [file_member("/etc/evil")],
    "up": [file_member("a/../../evil")],
    "through a link": [special_member("l", tarfile.SYMTYPE, "/tmp"), file_member("l/evil")],
    "through a link made twice": [special_member("l", tarfile.SYMTYPE, "d"), file_member("l/x/evil")],
    "hard link to outside": [special_member("h", tarfile.LNKTYPE, "/etc/passwd")],
    "hard link up": [special_member("h", tarfile.LNKTYPE, "../bundles")],
    "through a hard link": [
        special_member("s", tarfile.SYMTYPE, "/tmp"),
        special_member("h", tarfile.LNKTYPE, "s"),
        file_member("h/evil"),
    ],
    "fifo": [special_member("f", tarfile.FIFOTYPE)],
    "character device": [special_member("c", tarfile.CHRTYPE)],
    "block device": [special_member("b", tarfile.BLKTYPE)],
    "file as a folder": [file_member("a"), file_member("a/b")],
    "folder as a file": [file_member("a/b"), file_member("a")],
}


@pytest.mark.parametrize("name", UNSAFE_TARS)
def test_an_unsafe_tar_is_refused_as_a_whole(instance: Instance, written: Written, name: str) -> None:
    message = instance.refuse("tar", written(tar_of(GOOD, *UNSAFE_TARS[name])))
    assert repr(UNSAFE_TARS[name][-1][0].name) in message


@pytest.mark.parametrize("name", ["/etc/evil", "../evil", "a/../../evil", "l/evil"])
def test_an_unsafe_zip_is_refused_as_a_whole(instance: Instance, written: Written, name: str) -> None:
    buffer = io.BytesIO(zip_of(("appspec.yml", b"x")))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("l")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/tmp")
        archive.writestr(zipfile.ZipInfo(name), "evil")
    assert repr(name) in instance.refuse("zip", written(buffer.getvalue()))


def test_a_member_that_comes_twice_is_the_later_one(instance: Instance, written: Written) -> None:
    instance.get("tar", written(tar_of(special_member("a", tarfile.SYMTYPE, "/etc/passwd"), file_member("a", b"2"))))
    assert (instance.archive / "a").read_bytes() == b"2"
    assert not (instance.archive / "a").is_symlink()


def test_no_part_of_a_truncated_tar_is_used(instance: Instance, written: Written) -> None:
    data = tar_of(file_member("a", b"a" * 700), file_member("b", b"b" * 700))
    end = 2 * (512 + 1024)
    for length in [*range(0, end, 256), end - 1, end]:
        instance.refuse("tar", written(data[:length]))
    compressed = gzip.compress(data)
    for length in range(0, len(compressed), 7):
        instance.refuse("tgz", written(compressed[:length]))


def test_no_part_of_a_truncated_zip_is_used(instance: Instance, written: Written) -> None:
    data = zip_of(("a", b"a" * 700), ("b", b"b" * 700))
    for length in range(0, len(data), 11):
        instance.refuse("zip", written(data[:length]))


def test_a_wrong_check_sum_is_refused(instance: Instance, written: Written) -> None:
    data = zip_of(("a", b"content"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        crc = archive.getinfo("a").CRC
    spoilt = data.replace(struct.pack("<I", crc), struct.pack("<I", crc ^ 1))
    assert "'a'" in instance.refuse("zip", written(spoilt))
    compressed = bytearray(gzip.compress(tar_of(file_member("a"))))
    compressed[-8] ^= 1
    instance.refuse("tgz", written(bytes(compressed)))


@pytest.mark.parametrize("kind", ["tar", "tgz", "zip"])
def test_what_is_not_an_archive_of_that_type_is_refused(instance: Instance, written: Written, kind: str) -> None:
    instance.refuse(kind, written(b"this is not an archive"))
    instance.refuse(kind, written(b"\0" * 100))
    if kind == "tgz":
        instance.refuse(kind, written(tar_of(GOOD)))


def test_a_refused_bundle_leaves_the_archive_before_it(instance: Instance, written: Written) -> None:
    instance.get("tar", written(tar_of(file_member("a", b"1"))))
    with pytest.raises(BundleError):
        instance.get("tar", written(tar_of(file_member("/a", b"2"))))
    assert (instance.archive / "a").read_bytes() == b"1"


def test_another_bundle_takes_the_place_of_the_first_and_leaves_its_file_alone(
    instance: Instance, written: Written
) -> None:
    first = written(tar_of(file_member("a", b"1")))
    before = first.read_bytes()
    instance.get("tar", first)
    instance.get("tar", written(tar_of(file_member("b", b"2"))))
    assert os.listdir(instance.archive) == ["b"]
    assert first.read_bytes() == before


def test_a_pushed_bundle_is_kept_by_its_digest_and_moved_there(instance: Instance, written: Written) -> None:
    data = tar_of(file_member("a", b"1"))
    digest = hashlib.sha256(data).hexdigest()
    pushed = written(data)
    instance.get("tar", pushed, digest=digest, remove_source=True)
    assert not pushed.exists()
    cached = Path(instance.root.bundle_cache) / digest
    assert cached.stat().st_nlink == 2
    assert os.path.samefile(cached, instance.paths.bundle)
    assert stat.S_IMODE(cached.stat().st_mode) == 0o600
    instance.begin("d-2")
    instance.get("tar", digest=digest)
    assert (instance.archive / "a").read_bytes() == b"1"
    assert cached.stat().st_nlink == 3


def test_a_cached_bundle_goes_with_the_last_deployment_that_had_it(instance: Instance, written: Written) -> None:
    data = [tar_of(file_member("a", bytes([number]))) for number in range(4)]
    for number, content in enumerate(data):
        if number:
            instance.begin(f"d-{number + 1}")
        os.utime(instance.paths.directory, (MTIME + number, MTIME + number))
        instance.root.prune("g", f"d-{number + 1}", 2)
        instance.get("tar", written(content), digest=hashlib.sha256(content).hexdigest(), remove_source=True)
    cached = set(os.listdir(instance.root.bundle_cache))
    assert cached == {hashlib.sha256(content).hexdigest() for content in data[2:]}


def test_a_bundle_that_is_not_what_was_pushed_is_refused(instance: Instance, written: Written) -> None:
    with pytest.raises(BundleError, match="SHA-256"):
        instance.get("tar", written(tar_of(GOOD)), digest="0" * 64)
    assert os.listdir(instance.root.bundle_cache) == []
    with pytest.raises(BundleError, match="push it again"):
        instance.get("tar", digest="1" * 64)
    with pytest.raises(BundleError, match="hexadecimal"):
        instance.get("tar", digest="../../etc/passwd")


def test_a_checksum_is_checked(instance: Instance, written: Written) -> None:
    path = written(tar_of(GOOD))
    instance.get("tar", path, checksum="sha256:" + hashlib.sha256(path.read_bytes()).hexdigest())
    for checksum in ("sha256:" + "0" * 64, "md5:00", "sha256:"):
        with pytest.raises(BundleError):
            instance.get("tar", path, checksum=checksum)


def packed(kind: str) -> bytes:
    """Return a sound archive with a folder, a file and links."""
    if kind == "zip":
        return zip_of(("appspec.yml", b"version: 0.0\n" * 20), ("d/f", b"file"))
    data = tar_of(
        file_member("d", b"", type=tarfile.DIRTYPE, mode=0o755),
        file_member("d/f", b"file" * 200),
        special_member("d/l", tarfile.SYMTYPE, "f"),
        special_member("h", tarfile.LNKTYPE, "d/f"),
    )
    return gzip.compress(data, mtime=0) if kind == "tgz" else data


@pytest.mark.parametrize("kind", ["tar", "tgz", "zip"])
@given(data=strategies.data())
@settings(max_examples=150)
def test_a_damaged_archive_is_refused_or_stays_inside(kind: str, data: strategies.DataObject) -> None:
    content = bytearray(packed(kind))
    for _attempt in range(data.draw(strategies.integers(1, 4))):
        position = data.draw(strategies.integers(0, len(content) - 1))
        patch = data.draw(strategies.sampled_from([b"../", b"/", b"\0", b"\xff\xff\xff\xff", b"77777777", b"2", b"1"]))
        content[position : position + len(patch)] = patch
    with tempfile.TemporaryDirectory() as directory:
        instance = Instance(Path(directory))
        path = instance.bundles / "bundle"
        path.write_bytes(content)
        with contextlib.suppress(BundleError):
            instance.get(kind, path)
        assert sorted(os.listdir(directory)) == ["bundles", "root"]
        assert os.listdir(instance.bundles) == ["bundle"]
        assert os.listdir(instance.root.group("g")) == ["d-1"]
        assert set(os.listdir(instance.paths.directory)) <= {
            "bundle.tar",
            "deployment-archive",
            "archive-manifest.json",
        }
        assert path.read_bytes() == content
        for folder, _folders, _files in os.walk(instance.archive):
            os.chmod(folder, 0o700)


class Website(http.server.BaseHTTPRequestHandler):
    """Serves one bundle to whoever has the token; keeps what it was asked."""

    def __init__(self, content: bytes, asked: list[tuple[str, str | None]], *args: Any) -> None:
        self.content = content
        self.asked = asked
        super().__init__(*args)

    def do_GET(self) -> None:
        token = self.headers.get("X-Token")
        self.asked.append((self.path, token))
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/moved", "/open"))
            self.end_headers()
        elif self.path.startswith("/once") and len(self.asked) == 1:
            self.send_error(503)
        elif self.path.startswith("/gone") or (self.path.startswith("/private") and token != "secret"):
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.content)))
            self.end_headers()
            self.wfile.write(self.content)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def website() -> Iterator[tuple[str, bytes, list[tuple[str, str | None]]]]:
    content = tar_of(file_member("a", b"from the web"))
    asked: list[tuple[str, str | None]] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Website, content, asked))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", content, asked
    server.shutdown()
    thread.join()
    server.server_close()


Served = tuple[str, bytes, "list[tuple[str, str | None]]"]


def test_a_bundle_is_downloaded_with_headers_and_checked(instance: Instance, website: Served) -> None:
    address, content, _asked = website
    digest = hashlib.sha256(content).hexdigest()
    url = f"{address}/private/a.tar?X-Amz-Signature=abc"
    instance.get("tar", url=url, headers={"X-Token": "secret"}, checksum=f"sha256:{digest}")
    assert (instance.archive / "a").read_bytes() == b"from the web"
    assert stat.S_IMODE(os.lstat(instance.paths.bundle).st_mode) == 0o600
    with pytest.raises(BundleError, match="SHA-256"):
        instance.get("tar", url=url, headers={"X-Token": "secret"}, checksum="sha256:" + "0" * 64)


def test_a_downloaded_bundle_is_kept_by_its_digest(instance: Instance, website: Served) -> None:
    address, content, asked = website
    digest = hashlib.sha256(content).hexdigest()
    instance.get("tar", url=f"{address}/open/a", digest=digest)
    instance.begin("d-2")
    instance.get("tar", url=f"{address}/open/a", digest=digest)
    assert len(asked) == 1


def test_a_failed_download_says_why_without_its_secrets(instance: Instance, website: Served) -> None:
    with pytest.raises(BundleError) as error:
        instance.get("tar", url=f"{website[0]}/gone/a.tar?X-Amz-Signature=abc", headers={"X-Token": "secret"})
    assert "/gone/a.tar" in str(error.value) and "404" in str(error.value)
    assert "abc" not in str(error.value) and "secret" not in str(error.value)
    assert os.listdir(instance.paths.directory) == []


def test_a_server_in_trouble_is_asked_again(instance: Instance, website: Served) -> None:
    instance.get("tar", url=f"{website[0]}/once/a.tar")
    assert len(website[2]) == 2


def test_headers_do_not_follow_a_redirect(instance: Instance, website: Served) -> None:
    instance.get("tar", url=f"{website[0]}/moved/a.tar", headers={"X-Token": "secret"})
    assert website[2] == [("/moved/a.tar", "secret"), ("/open/a.tar", None)]
