# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for GitHub on loopback: its API on one host and port, the archives on another, as it answers."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class GitHub:
    """What the stand-in has and was asked.

    :ivar folder: content of the one repository, ``acme/hollowweb``, at the one commit, :data:`COMMIT`.
    :ivar token: whoever does not have it gets what a private repository gives; empty: a public one.
    :ivar failures: answers with which the API begins: status and headers.
    :ivar requests: host, path and Authorization header of each request.
    """

    folder: Path
    token: str = ""
    api_url: str = ""
    archives_url: str = ""
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)

    def archive(self, kind: str) -> bytes:
        """Pack the repository as GitHub does: everything below one folder."""
        top = f"acme-hollowweb-{COMMIT[:7]}"
        content = io.BytesIO()
        if kind == "zipball":
            with zipfile.ZipFile(content, "w") as archive:
                for path in sorted(self.folder.rglob("*")):
                    archive.write(path, f"{top}/{path.relative_to(self.folder)}")
        else:
            with tarfile.open(fileobj=content, mode="w:gz") as archive_:
                archive_.add(self.folder, top)
        return content.getvalue()


@contextmanager
def serve_github(folder: Path, token: str = "") -> Iterator[GitHub]:
    """Serve a folder as the repository ``acme/hollowweb``."""
    github = GitHub(folder, token)

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    class Api(Handler):
        def do_GET(self) -> None:
            authorization = self.headers.get("Authorization")
            github.requests.append(("api", self.path, authorization))
            if github.failures:
                self.answer(*github.failures.pop(0))
            elif authorization and authorization != f"Bearer {github.token}":
                self.answer(401, {})
            elif self.path.startswith("/repos/acme/old-name/"):
                self.answer(301, {"Location": self.path.replace("/repos/acme/old-name/", "/repositories/42/")})
            else:
                self.archive(authorization)

        def archive(self, authorization: str | None) -> None:
            parts = self.path.replace("/repositories/42/", "/repos/acme/hollowweb/").strip("/").split("/")
            known = parts[:3] == ["repos", "acme", "hollowweb"] and parts[4:] == [COMMIT]
            if not known or (github.token and not authorization):
                self.answer(404, {})
                return
            query = f"?token=link-{github.token}" if github.token else ""
            self.answer(302, {"Location": f"{github.archives_url}/{parts[3]}{query}"})

    class Archives(Handler):
        def do_GET(self) -> None:
            github.requests.append(("archives", self.path, self.headers.get("Authorization")))
            kind, _question, query = self.path.strip("/").partition("?")
            if github.token and query != f"token=link-{github.token}":
                self.answer(404, {})
            else:
                self.answer(200, {}, github.archive(kind))

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Api, Archives)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    github.api_url = f"http://127.0.0.1:{servers[0].server_port}"
    github.archives_url = f"http://localhost:{servers[1].server_port}"
    try:
        yield github
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
