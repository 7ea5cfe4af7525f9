# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx as a load balancer: a server of an upstream is marked as down in its file, and nginx reloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.module_utils import _nginx_upstream
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import LoadBalancer, Progress, TrafficError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_place import Place


@dataclass(frozen=True)
class NginxSettings:
    """Where nginx has its files, and how it is told to read them."""

    file: str
    upstream: str | None = None
    test: Sequence[str] = ("nginx", "-t")
    reload: Sequence[str] = ("nginx", "-s", "reload")
    pid_file: str = "/run/nginx.pid"


class Nginx(LoadBalancer):
    """One server of an upstream file.

    :param server: its address as the file has it.
    """

    def __init__(self, place: Place, settings: NginxSettings, server: str) -> None:
        self._place = place
        self._settings = settings
        self.server = server
        self._workers: list[Any] = []
        self._reloaded = False
        self.name = f"nginx {settings.upstream or settings.file} {server}" + (f" on {place.name}" if place.name else "")

    def problems(self) -> list[str]:
        """Return what would keep the events from succeeding; changes nothing."""
        settings = self._settings
        try:
            text = self._ask("look")["text"]
        except (OSError, TrafficError) as error:
            return [f"{self.name}: {error}"]
        if _nginx_upstream.marked(text, settings.upstream, self.server, True) is None:
            where = f"{settings.file}, upstream {settings.upstream}" if settings.upstream else settings.file
            return [f"{self.name}: {where} has no line server {self.server};"]
        return []

    def block(self) -> None:
        """Mark the server as down and reload."""
        self._workers = self._ask("mark", down=True)["workers"]

    def blocked(self) -> Progress:
        """Tell whether all workers that could still send it requests have ended."""
        found = self._ask("workers", workers=self._workers)
        left = len(found["left"])
        return Progress(not left, f"{left} of nginx's former workers still have connections")

    def allow(self) -> None:
        """Begin to wait for the server; nginx itself checks nothing."""
        self._reloaded = False

    def allowed(self) -> Progress:
        """Tell whether the server accepts connections and a worker sends it requests."""
        if not self._reloaded:
            refusal = self._ask("connect")["refusal"]
            if refusal:
                return Progress(False, refusal)
            self._workers = self._ask("mark", down=False)["workers"]
            self._reloaded = True
        found = self._ask("workers", workers=self._workers)
        return Progress(found["new"], "nginx has not started workers with the new configuration")

    def put_back(self) -> None:
        """Mark the server as up at once, whether it answers or not."""
        self._ask("mark", down=False)

    def _ask(self, operation: str, **more: Any) -> dict[str, Any]:
        settings = self._settings
        request = {
            "operation": operation,
            "file": settings.file,
            "upstream": settings.upstream,
            "test": list(settings.test),
            "reload": list(settings.reload),
            "pid_file": settings.pid_file,
            **more,
        }
        if operation != "look":
            request["server"] = self.server
        found = self._place.program(_nginx_upstream, request)
        if "error" in found:
            raise TrafficError(found["error"])
        return found
