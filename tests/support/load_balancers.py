# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""haproxy and nginx of Debian in front of web servers on loopback, and requests that count what fails."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from support.debian_packages import install_packages
from support.light_hosts import LightHost

# What tells other processes of the ports that this one has.
_HOLDERS: list[socket.socket] = []

HAPROXY, NGINX = "/usr/sbin/haproxy", "/usr/sbin/nginx"

# The web server of an instance: says its version; ends at once with its process, whatever it was answering.
WEB_SERVER = """
import http.server, pathlib, socketserver, sys
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    request_queue_size = 1024
    daemon_threads = True
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = pathlib.Path(sys.argv[2]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on, and that the kernel gives to nobody who asks for any port.

    Who is to listen there does so later. Until this process ends, no other test process of this machine gets them.
    """
    found: list[int] = []
    ports = iter(range(20000, 30000))
    while len(found) < count:
        port = next(ports)
        holder, probe = socket.socket(socket.AF_UNIX), socket.socket()
        try:
            holder.bind(f"\0agentless.codedeploy.port.{port}")
            probe.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
        else:
            found.append(port)
            _HOLDERS.append(holder)
        finally:
            probe.close()
    return found


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Tell whether something accepts connections at a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


class Haproxy:
    """haproxy with one backend C(web). A failed request is the client's: it is neither repeated nor sent elsewhere."""

    def __init__(self, directory: Path, servers: dict[str, int]) -> None:
        install_packages({HAPROXY: "haproxy"})
        (self.port,) = free_ports(1)
        # The path of a socket has at most 108 characters.
        self.socket = os.path.join(tempfile.mkdtemp(prefix="haproxy-"), "admin.sock")
        lines = [f"    server {name} 127.0.0.1:{port} check" for name, port in servers.items()]
        configuration = directory / "haproxy.cfg"
        configuration.write_text(
            f"global\n    stats socket {self.socket} mode 600 level admin\n"
            "defaults\n    mode http\n    retries 0\n    timeout connect 60s\n    timeout client 60s\n"
            "    timeout server 60s\n    timeout queue 60s\n"
            f"frontend front\n    bind 127.0.0.1:{self.port}\n    default_backend web\n"
            "backend web\n    balance roundrobin\n    default-server inter 500ms rise 1 fall 30\n"
            + "\n".join(lines)
            + "\n"
        )
        self._process = subprocess.Popen(
            [HAPROXY, "-db", "-f", str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: listens(self.port), "haproxy listens")
        self.entry = {"provider": "haproxy", "socket": self.socket, "backend": "web"}

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class Nginx:
    """nginx with one upstream C(web). A failed request is the client's."""

    def __init__(self, directory: Path, servers: dict[str, int]) -> None:
        install_packages({NGINX: "nginx-light"})
        (self.port,) = free_ports(1)
        self.upstream = directory / "upstream.conf"
        # With max_fails=0 a server that refuses stays in use, as one does until it is noticed.
        lines = [f"    server 127.0.0.1:{port} max_fails=0;" for port in servers.values()]
        self.upstream.write_text("upstream web {\n" + "\n".join(lines) + "\n}\n")
        configuration = directory / "nginx.conf"
        pid_file = directory / "nginx.pid"
        log = directory / "nginx.log"
        configuration.write_text(
            f"user root;\nworker_processes 2;\npid {pid_file};\nerror_log {log};\n"
            "events { worker_connections 512; }\n"
            f"http {{\n    access_log off;\n    include {self.upstream};\n    server {{\n"
            f"        listen 127.0.0.1:{self.port};\n        location / {{\n            proxy_pass http://web;\n"
            "            proxy_next_upstream off;\n            proxy_connect_timeout 60s;\n        }\n    }\n"
            + "".join(
                f"    {kind}_temp_path {directory}/{kind};\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + "}\n"
        )
        self._command = [NGINX, "-c", str(configuration)]
        self._process = subprocess.Popen(
            [*self._command, "-g", "daemon off;"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: listens(self.port), "nginx listens")
        self.entry = {
            "provider": "nginx",
            "file": str(self.upstream),
            "upstream": "web",
            "server": "127.0.0.1:{web_port}",
            "test": [*self._command, "-t"],
            "reload": [*self._command, "-s", "reload"],
            "pid_file": str(pid_file),
        }

    def stop(self) -> None:
        """End it with its workers."""
        self._process.terminate()
        self._process.wait()


def haproxy_on(host: LightHost, servers: dict[str, str]) -> None:
    """Start haproxy on a light host, its admin socket where Debian has it, in front of servers: name -> address."""
    install_packages({HAPROXY: "haproxy"})
    _copy_program(host, HAPROXY)
    host.path("/run/haproxy").mkdir()
    host.path("/etc/haproxy.cfg").write_text(
        "global\n    stats socket /run/haproxy/admin.sock mode 600 level admin\n"
        "defaults\n    mode http\n    timeout connect 60s\n    timeout client 60s\n    timeout server 60s\n"
        "frontend front\n    bind 127.0.0.1:8080\n    default_backend web\n"
        "backend web\n    default-server inter 500ms rise 1 fall 30\n"
        + "".join(f"    server {name} {address} check\n" for name, address in servers.items())
    )
    host.run(HAPROXY, "-D", "-f", "/etc/haproxy.cfg")


def nginx_on(host: LightHost, servers: dict[str, str]) -> None:
    """Start nginx on a light host, all files where Debian has them, in front of servers: name -> address."""
    install_packages({NGINX: "nginx-light"})
    _copy_program(host, NGINX)
    for folder in ("/etc/nginx/conf.d", "/var/log/nginx", "/var/lib/nginx"):
        host.path(folder).mkdir(parents=True)
    lines = "".join(f"    server {address};\n" for address in servers.values())
    host.path("/etc/nginx/conf.d/upstream.conf").write_text(f"upstream web {{\n{lines}}}\n")
    host.path("/etc/nginx/nginx.conf").write_text(
        "pid /run/nginx.pid;\nevents {}\nhttp {\n    access_log off;\n    include conf.d/upstream.conf;\n"
        "    server {\n        listen 127.0.0.1:8081;\n        location / { proxy_pass http://web; }\n    }\n}\n"
    )
    # Its workers would keep the pipe of its errors open.
    host.run("sh", "-c", f"{NGINX} >/dev/null 2>&1")


def _copy_program(host: LightHost, program: str) -> None:
    """Bring a program of this machine to a light host, of the same Debian, with the libraries that it lacks."""
    libraries = re.findall(
        r"(/\S+) \(0x", subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    )
    for path in [program, *libraries]:
        there = host.path(path)
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there)


class Requests:
    """Asks again and again, a connection each, and counts the answers.

    :param rate: requests a second in all, as far as the machine can.
    """

    def __init__(self, port: int, rate: float, threads: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self._port = port
        self._pause = threads / rate
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._began = self._seconds = 0.0
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _number in range(threads)]

    def __str__(self) -> str:
        """The figures of a run that has ended."""
        total = sum(self.answers.values())
        return (
            f"{total} requests in {self._seconds:.0f} s ({total / (self._seconds or 1):.0f} a second), "
            f"{self.failed} failed {dict(self.answers)}"
        )

    def __enter__(self) -> Requests:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._seconds = time.monotonic() - self._began

    @property
    def failed(self) -> int:
        """How many were not answered with 200."""
        return sum(count for answer, count in self.answers.items() if answer != "200")

    def _ask(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                said = str(answer.status)
            except (OSError, http.client.HTTPException) as error:
                said = repr(error)
            finally:
                connection.close()
            with self._lock:
                self.answers[said] += 1
            self._ended.wait(max(0.0, self._pause - (time.monotonic() - began)))
