# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mark servers of nginx's upstream files as down and reload it. Runs beside nginx, on the controller or on a host."""

import fcntl
import os
import re
import shutil
import socket
import subprocess
from typing import Any, Dict, Iterator, List, Optional, Tuple

SECONDS = 60.0
CONNECT_SECONDS = 5.0
_UPSTREAM = re.compile(r"^\s*upstream\s+(\S+?)\s*(?:\{|$)")
_SERVER = re.compile(r"(\bserver\s+)([^\s;{}]+)((?:\s+[^;{}]*)?)(;)")


class NginxError(Exception):
    """nginx refused something, or a file is not as it must be."""


def answer(request: Dict[str, Any]) -> Dict[str, Any]:
    """Do one thing with nginx.

    :param request: C(operation), one of the functions below, and what that needs: C(file), C(upstream), C(server),
        C(down), C(test), C(reload), C(pid_file), C(workers).
    :returns: what that function returns, or C(error).
    """
    operations = {"look": _look, "mark": _mark, "workers": _workers, "connect": _connect}
    try:
        return operations[request["operation"]](request)
    except NginxError as error:
        return {"error": str(error)}


def marked(text: str, upstream: Optional[str], server: str, down: bool) -> Optional[str]:
    """Return the text of an upstream file in which a server is marked, V(None) when it has no such server.

    :param upstream: only in the upstream of this name.
    :param server: its address as the file has it.
    """
    lines = []
    found = False
    current = None  # type: Optional[str]
    for line in text.splitlines(True):
        code, sign, comment = line.partition("#")
        opened = _UPSTREAM.match(code)
        if opened:
            current = opened.group(1)
        if upstream is None or current == upstream:

            def replace(match: Any) -> str:
                if match.group(2) != server:
                    return str(match.group(0))
                words = [word for word in match.group(3).split() if word != "down"] + (["down"] if down else [])
                return "".join([match.group(1), match.group(2)] + [" " + word for word in words] + [";"])

            found = found or any(match.group(2) == server for match in _SERVER.finditer(code))
            code = _SERVER.sub(replace, code)
        if "}" in code:
            current = None
        lines.append(code + sign + comment)
    return "".join(lines) if found else None


def _look(request: Dict[str, Any]) -> Dict[str, Any]:
    """Return the text of the file; nginx must run and accept its configuration."""
    path = os.path.realpath(request["file"])
    text = _read(path)
    if not os.access(os.path.dirname(path), os.W_OK):
        raise NginxError("the folder of %s cannot be written" % path)
    _command(request["test"])
    _master(request["pid_file"])
    return {"text": text}


def _mark(request: Dict[str, Any]) -> Dict[str, Any]:
    """Mark the server, and let nginx read it; returns the workers that had not read it, as C(workers)."""
    path = os.path.realpath(request["file"])
    with _locked(os.path.dirname(path)):
        before = _read(path)
        after = marked(before, request.get("upstream"), request["server"], request["down"])
        if after is None:
            raise NginxError("%s has no server %s" % (request["file"], request["server"]))
        if after != before:
            _replace(path, after)
        try:
            _command(request["test"])
        except NginxError:
            if after != before:
                _replace(path, before)
            raise
        # Also when the file was so already: whoever wrote that may not have come to this.
        workers = list(_children(_master(request["pid_file"])))
        _command(request["reload"])
    return {"workers": workers}


def _workers(request: Dict[str, Any]) -> Dict[str, Any]:
    """Return which of some workers still run, and whether there are others."""
    known = [tuple(worker) for worker in request["workers"]]
    now = list(_children(_master(request["pid_file"])))
    return {"left": [worker for worker in known if worker in now], "new": any(one not in known for one in now)}


def _connect(request: Dict[str, Any]) -> Dict[str, Any]:
    """Try to connect to a server; C(refusal) is empty when it accepts."""
    server = request["server"]
    try:
        if server.startswith("unix:"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(CONNECT_SECONDS)
                connection.connect(server[len("unix:") :])
        else:
            host, colon, port = server.rpartition(":")
            if not colon or not port.isdigit():
                host, port = server, "80"
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        return {"refusal": "no connection to %s: %s" % (server, error.strerror or error)}
    return {"refusal": ""}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except OSError as error:
        raise NginxError("%s cannot be read: %s" % (path, error.strerror)) from error


def _replace(path: str, text: str) -> None:
    temporary = os.path.join(os.path.dirname(path), ".agentless.codedeploy-%d" % os.getpid())
    try:
        with open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        shutil.copystat(path, temporary)
        owner = os.stat(path)
        os.chown(temporary, owner.st_uid, owner.st_gid)
        os.rename(temporary, path)
    except OSError as error:
        raise NginxError("%s cannot be written: %s" % (path, error.strerror)) from error


class _locked:
    """Holds a folder's lock: several instances may be at work on one file."""

    def __init__(self, folder: str) -> None:
        self._descriptor = os.open(folder, os.O_RDONLY)

    def __enter__(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_details: Any) -> None:
        os.close(self._descriptor)


def _command(argv: List[str]) -> None:
    environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NginxError("%s: %s" % (" ".join(argv), error)) from error
    if done.returncode:
        said = " ".join(done.stdout.decode("utf-8", "replace").split())
        raise NginxError("%s ended with exit status %d: %s" % (" ".join(argv), done.returncode, said))


def _master(pid_file: str) -> int:
    try:
        with open(pid_file, encoding="ascii") as stream:
            number = int(stream.read())
    except (OSError, ValueError) as error:
        raise NginxError("nginx does not run: its pid file %s cannot be read: %s" % (pid_file, error)) from error
    if not os.path.isdir("/proc/%d" % number):
        raise NginxError("nginx does not run: process %d of its pid file %s has ended" % (number, pid_file))
    return number


def _children(parent: int) -> Iterator[Tuple[int, int]]:
    """Yield id and start time of a process's children that have not ended."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as stream:
                fields = stream.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[1]) == parent:
            yield int(name), int(fields[19])
