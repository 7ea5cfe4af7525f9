# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""haproxy as a load balancer, through its runtime socket."""

from __future__ import annotations

import csv

from ansible_collections.agentless.codedeploy.plugins.module_utils import _haproxy_socket
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import LoadBalancer, Progress, TrafficError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_place import Place

# States in which haproxy sends no new requests to a server and has its health checks on.
DRAINING = "DRAIN"
HEALTHY = ("UP", "no check")

Row = dict[str, str]


class Haproxy(LoadBalancer):
    """One server of a backend.

    It comes back through C(drain), in which health checks run and no request is sent, and gets requests only when all
    checks that haproxy asks for have passed: C(UP 1/3) is a server that one failure takes out again.

    :param socket: path of the socket, or C(HOST:PORT), where C(place) is.
    """

    def __init__(self, place: Place, socket: str, backend: str, server: str) -> None:
        self._place = place
        self._socket = socket
        self.backend = backend
        self.server = server
        self.name = f"haproxy {backend}/{server}" + (f" on {place.name}" if place.name else "")

    def problems(self) -> list[str]:
        """Return what would keep the events from succeeding; changes nothing."""
        try:
            rows = server_rows(self._ask("show stat -1 4 -1")[0])
        except OSError as error:
            return [f"{self.name}: {error}"]
        names = [row["svname"] for row in rows if row.get("pxname") == self.backend]
        if self.server in names:
            return []
        found = f"; it has {', '.join(names)}" if names else "; there is no such backend with servers"
        return [f"{self.name}: the backend {self.backend} has no server {self.server}{found}"]

    def block(self) -> None:
        """Let no new requests reach the server."""
        if not self._row()["status"].startswith("MAINT"):
            self._set("drain")

    def blocked(self) -> Progress:
        """Tell whether the last session has ended; then the server is in maintenance."""
        row = self._row()
        if row["status"].startswith("MAINT"):
            return Progress(True, row["status"])
        sessions, queued = _number(row, "scur"), _number(row, "qcur")
        if sessions or queued:
            return Progress(False, f"{row['status']}, {sessions} sessions and {queued} queued requests left")
        self._set("maint")
        return Progress(True, "MAINT")

    def allow(self) -> None:
        """Let haproxy check the server's health again."""
        if self._row()["status"] not in HEALTHY:
            self._set("drain")

    def allowed(self) -> Progress:
        """Tell whether the server gets requests; it does as soon as its checks have passed."""
        row = self._row()
        if row["status"] == DRAINING:
            self._set("ready")
            row = self._row()
        if row["status"] in HEALTHY:
            return Progress(True, row["status"])
        return Progress(False, said_of(row))

    def put_back(self) -> None:
        """Let requests reach the server as soon as its checks allow it."""
        self._set("ready")

    def _row(self) -> Row:
        for row in server_rows(self._ask("show stat -1 4 -1")[0]):
            if (row.get("pxname"), row.get("svname")) == (self.backend, self.server):
                return row
        raise TrafficError("haproxy has no such server (any more)")

    def _set(self, state: str) -> None:
        (answer,) = self._ask(f"set server {self.backend}/{self.server} state {state}")
        if answer.strip():
            raise TrafficError(f"haproxy does not set the state {state}: {answer.strip()}")

    def _ask(self, *commands: str) -> list[str]:
        found = self._place.program(_haproxy_socket, {"socket": self._socket, "commands": commands})
        answers: list[str] = found["answers"]
        for answer in answers:
            if "Permission denied" in answer:
                raise TrafficError(f"the socket {self._socket} needs level admin in haproxy's configuration")
        return answers


def server_rows(text: str) -> list[Row]:
    """Return the lines of C(show stat), each with the names of its columns.

    :raises OSError: it is something else.
    """
    lines = text.lstrip("# ").splitlines()
    if not lines or not lines[0].startswith("pxname,"):
        raise OSError(f"haproxy does not answer as expected: {' '.join(text.split())[:200]}")
    return [{key: value or "" for key, value in row.items() if key} for row in csv.DictReader(lines)]


def said_of(row: Row) -> str:
    """Return what haproxy says of a server and its last health check."""
    check = " ".join(part for part in (row.get("check_status"), row.get("check_code")) if part)
    said = ": ".join(part for part in (check, row.get("last_chk") or row.get("check_desc")) if part)
    return f"{row['status']} ({said})" if said else row["status"]


def _number(row: Row, name: str) -> int:
    return int(row.get(name) or 0)
