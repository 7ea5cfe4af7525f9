# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The logs of hook scripts: C(scripts.log), the log of all deployments, and the tail that a result carries."""

import datetime
import os
from typing import Dict, List

TAIL_BYTES = 4096
LONGEST_LINE = 1024 * 1024
ROTATE_BYTES = 64 * 1024 * 1024
ROTATED_FILES = 7


class HookLog:
    """Log of the scripts of one lifecycle event, in the formats of the CodeDeploy agent.

    Bytes are kept as they come; memory stays bounded whatever a script writes.
    """

    def __init__(self, scripts_log: str, deployments_log: str, deployment: str) -> None:
        for path in (scripts_log, deployments_log):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        self._scripts = _open(scripts_log)
        self._deployments_path = deployments_log
        self._deployments = _open(deployments_log)
        self._label = b"[" + os.fsencode(deployment) + b"]"
        self._tail = b""
        self._unfinished: Dict[str, bytes] = {}
        self._open_line = ""

    def close(self) -> None:
        """Close the files."""
        os.close(self._scripts)
        os.close(self._deployments)

    def note(self, text: str) -> None:
        """Write an entry of our own, such as C(Script - scripts/start.sh)."""
        self._write([os.fsencode(text) + b"\n"])

    def output(self, stream: str, data: bytes) -> None:
        """Write what a script wrote: a line an entry; a line without its end is held back, up to 1 MiB of it.

        :param stream: V(stdout) or V(stderr).
        """
        lines = (self._unfinished.pop(stream, b"") + data).split(b"\n")
        rest = lines.pop()
        label = b"[" + stream.encode() + b"]"
        entries = [label + line + b"\n" for line in lines]
        if entries and self._open_line == stream:
            self._continue(entries.pop(0)[len(label) :])
            self._open_line = ""
        if entries:
            self._write(entries)
        if len(rest) > LONGEST_LINE:
            if self._open_line == stream:
                self._continue(rest)
            else:
                self._write([label + rest])
                self._open_line = stream
        elif rest:
            self._unfinished[stream] = rest

    def end_of_output(self, stream: str) -> None:
        """Write what is left of a stream that has ended; no line end is added."""
        rest = self._unfinished.pop(stream, b"")
        if rest and self._open_line == stream:
            self._continue(rest)
        elif rest:
            self._write([b"[" + stream.encode() + b"]" + rest])
        if self._open_line == stream:
            self._open_line = ""

    def tail(self) -> str:
        """Return the last entries as text of at most 4096 bytes of UTF-8."""
        data = self._tail
        if len(data) > TAIL_BYTES:
            data = data[-TAIL_BYTES:]
            start = data.find(b"\n") + 1
            data = data[start:] if 0 < start < len(data) else data
        text = data.decode("utf-8", "replace")
        while len(text.encode("utf-8")) > TAIL_BYTES:
            text = text[max(1, (len(text.encode("utf-8")) - TAIL_BYTES) // 4) :]
        return text

    def _write(self, entries: List[bytes]) -> None:
        now = datetime.datetime.now()
        stamp = now.strftime("%Y-%m-%d %H:%M:%S ").encode()
        _write_all(self._scripts, b"".join(stamp + entry for entry in entries))
        prefix = b"[%s.%03d] %s" % (stamp[:-1], now.microsecond // 1000, self._label)
        self._rotate()
        _write_all(self._deployments, b"".join(prefix + entry.strip() + b"\n" for entry in entries))
        self._remember(b"".join(entries[-TAIL_BYTES:]))

    def _continue(self, data: bytes) -> None:
        _write_all(self._scripts, data)
        _write_all(self._deployments, data.strip() + b"\n")
        self._remember(data)

    def _remember(self, data: bytes) -> None:
        self._tail = (self._tail + data[-2 * TAIL_BYTES :])[-2 * TAIL_BYTES :]

    def _rotate(self) -> None:
        path = self._deployments_path
        if os.fstat(self._deployments).st_size < ROTATE_BYTES:
            return
        for number in range(ROTATED_FILES - 2, -1, -1):
            if os.path.exists(f"{path}.{number}"):
                os.rename(f"{path}.{number}", f"{path}.{number + 1}")
        os.rename(path, path + ".0")
        os.close(self._deployments)
        self._deployments = _open(path)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
