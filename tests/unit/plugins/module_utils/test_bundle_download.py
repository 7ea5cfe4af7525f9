# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads of bundles on an instance: broken off and resumed, compared, by expired addresses, with own credentials."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.aws_server import AwsServer

from ansible_collections.agentless.codedeploy.plugins.module_utils import _bundle_url
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import BundleError
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_e_tag import e_tag_of
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_s3 import fetch_s3
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_url import AddressExpired, fetch_url

MIB = 1024 * 1024
CONTENT = hashlib.sha256(b"seed").digest() * (5 * MIB // 32)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
E_TAG = hashlib.md5(CONTENT).hexdigest()
EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


class Server:
    """Gives out :data:`CONTENT`, as S3 does, and breaks off as often as it is told.

    :ivar breaks: after how many bytes the next answers break off.
    :ivar errors: status and body of the next answers.
    :ivar ranges: the header Range of each request.
    :ivar length: what is said to be the length, 0 for what it is.
    """

    def __init__(self) -> None:
        self.url = ""
        self.e_tag = f'"{E_TAG}"'
        self.breaks: list[int] = []
        self.errors: list[tuple[int, bytes]] = []
        self.ranges: list[str | None] = []
        self.length = 0


@contextmanager
def serve() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            server.ranges.append(wanted)
            if server.errors:
                status, body = server.errors.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            begin = int(wanted.split("=")[1].rstrip("-")) if wanted and self.headers["If-Range"] == server.e_tag else 0
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(server.length or len(CONTENT) - begin))
            self.send_header("ETag", server.e_tag)
            self.end_headers()
            self.wfile.write(CONTENT[begin : begin + server.breaks.pop(0) if server.breaks else None])

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{listening.server_port}/a.zip?X-Amz-Signature=s3cr3t"
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(_bundle_url.time, "sleep", lambda seconds: None)
    with serve() as made:
        yield made


def test_a_download_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.breaks = [2 * MIB] + [10] * 3 + [MIB]
    assert fetch_url({"url": server.url}, str(tmp_path / "a")) == DIGEST
    assert (tmp_path / "a").read_bytes() == CONTENT
    begun = [0, 2 * MIB, 2 * MIB + 10, 2 * MIB + 20, 2 * MIB + 30, 3 * MIB + 30]
    assert server.ranges == [f"bytes={size}-" if size else None for size in begun]


def test_attempts_without_progress_end(server: Server, tmp_path: Path) -> None:
    server.errors = [(503, b"<Error><Code>SlowDown</Code></Error>")] * 20
    with pytest.raises(BundleError, match=r"HTTP status 503 \(Service Unavailable\) SlowDown"):
        fetch_url({"url": server.url}, str(tmp_path / "a"))
    assert len(server.ranges) == _bundle_url.ATTEMPTS


def test_an_expired_address_keeps_what_has_arrived(server: Server, tmp_path: Path) -> None:
    server.breaks = [2 * MIB]
    bundle = {"url": server.url, "e_tag": E_TAG, "size": len(CONTENT)}

    def expire(seconds: float) -> None:
        server.errors = [(403, EXPIRED)]

    _bundle_url.time.sleep = expire  # type: ignore[assignment]  # put back by the fixture
    with pytest.raises(AddressExpired) as expired:
        fetch_url(bundle, str(tmp_path / "a"))
    assert "the signed address has expired" in str(expired.value)
    assert "s3cr3t" not in str(expired.value)
    assert fetch_url(bundle, str(tmp_path / "a")) == DIGEST
    assert server.ranges[-1] == f"bytes={2 * MIB}-"


def test_a_replaced_object_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f'its ETag is "{E_TAG}", expected was 1234'):
        fetch_url({"url": server.url, "e_tag": "1234"}, str(tmp_path / "a"))
    with pytest.raises(BundleError, match=f"has {len(CONTENT)} bytes, expected were 7"):
        fetch_url({"url": server.url, "size": 7}, str(tmp_path / "a"))
    server.breaks = [2 * MIB]
    server.e_tag = 'W/"weak"'
    assert fetch_url({"url": server.url}, str(tmp_path / "b")) == DIGEST
    assert server.ranges[-2:] == [None, None]


def test_a_bundle_that_does_not_fit_is_not_fetched(server: Server, tmp_path: Path) -> None:
    server.length = 1 << 60
    with pytest.raises(BundleError, match="bytes are needed on the file system of"):
        fetch_url({"url": server.url}, str(tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_e_tags(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(CONTENT)
    parts = [hashlib.md5(CONTENT[start : start + 2 * MIB]).digest() for start in range(0, 5 * MIB, 2 * MIB)]
    assert e_tag_of(str(path), 0) == E_TAG
    assert e_tag_of(str(path), 2 * MIB) == hashlib.md5(b"".join(parts)).hexdigest() + "-3"
    assert e_tag_of(str(path), 5 * MIB) == hashlib.md5(hashlib.md5(CONTENT).digest()).hexdigest() + "-1"


def test_own_credentials(aws_server: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket="bundles")
    e_tag = s3.put_object(Bucket="bundles", Key="a.zip", Body=CONTENT)["ETag"].strip('"')
    place = {"bucket": "bundles", "key": "a.zip", "region": "us-east-1", "endpoint_url": aws_server.url}
    bundle = {"s3_location": place, "size": len(CONTENT), "e_tag": e_tag}
    path = tmp_path / "a"
    assert fetch_s3(bundle, str(path)) == ""
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BundleError, match="was replaced"):
        fetch_s3({**bundle, "e_tag": "1234"}, str(path))
    aws_server.fail("HEAD", "AccessDenied", status=403)
    with pytest.raises(BundleError, match="with this instance's own credentials: .*deploy_download=presigned"):
        fetch_s3(bundle, str(path))


def test_no_boto3(tmp_path: Path, checkout: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(checkout / "tests")!r})
sys.modules["boto3"] = None
import collection_loader; collection_loader.register_collection()
from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_s3 import fetch_s3
try:
    fetch_s3({{"s3_location": {{}}}}, {str(tmp_path / "a")!r})
except Exception as error:
    print(type(error).__name__, error)
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert "BundleError deploy_download is instance, and" in result.stdout
    assert "has no boto3" in result.stdout
