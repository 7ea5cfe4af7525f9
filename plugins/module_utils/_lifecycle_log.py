# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event log of a deployment on an instance: one JSON object a line, written as each lifecycle event goes on."""

import json
import os
import time
from typing import Any, Dict, List, Optional


class EventLog:
    """Appends to C(events.jsonl) of a deployment."""

    def __init__(self, path: str, deployment_id: str) -> None:
        self.path = path
        self._deployment_id = deployment_id
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._stream = os.fdopen(descriptor, "rb+", 0)
        self.offset = os.lseek(descriptor, 0, os.SEEK_END)

    def event(
        self,
        name: str,
        status: str,
        start_time: float,
        end_time: Optional[float] = None,
        diagnostics: Optional[Dict[str, str]] = None,
        noop: bool = False,
    ) -> None:
        """Note that a lifecycle event has begun (V(InProgress)) or ended."""
        self._append(
            lifecycle_event_name=name,
            status=status,
            start_time=start_time,
            end_time=end_time,
            diagnostics=diagnostics,
            noop=noop,
        )

    def restoring(self, deployment_id: str, name: str, status: str) -> None:
        """Note that a lifecycle event of the revision that is put back has begun or ended.

        Such a line does not have the name where those of the deployment's own events have it.
        """
        restored = {"deployment_id": deployment_id, "lifecycle_event_name": name, "status": status}
        self._append(status="InProgress", restored=restored)

    def finish(self, status: str, failed_event: Optional[str], restored: Optional[Dict[str, Any]] = None) -> None:
        """Write the last line of a call.

        :param restored: as in the return values of M(agentless.codedeploy.lifecycle_events).
        """
        fields = {"restored": restored} if restored else {}
        self._append(status=status, failed_event=failed_event, finished=True, **fields)

    def _append(self, **fields: Any) -> None:
        line = dict(time=time.time(), deployment_id=self._deployment_id, **fields)
        data = json.dumps(line, sort_keys=True).encode("ascii") + b"\n"
        size = os.fstat(self._stream.fileno()).st_size
        if size and os.pread(self._stream.fileno(), 1, size - 1) != b"\n":
            data = b"\n" + data  # a line that could not be written to its end must not spoil this one
        while data:
            data = data[self._stream.write(data) :]

    def lines(self) -> List[Dict[str, Any]]:
        """Return the whole lines that were written since this object was made."""
        data = os.pread(self._stream.fileno(), os.fstat(self._stream.fileno()).st_size - self.offset, self.offset)
        return read_lines(data)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def read_lines(data: bytes) -> List[Dict[str, Any]]:
    """Return the objects of an event log's text; what is no line of ours, or not a whole one, is left out."""
    result = []
    for text in data.split(b"\n")[:-1]:
        try:
            line = json.loads(text.decode("utf-8"))
        except (ValueError, RecursionError):
            continue
        fields = (line.get("status"), line.get("lifecycle_event_name", "")) if isinstance(line, dict) else (None,)
        if all(isinstance(field, str) for field in fields):
            result.append(line)
    return result


def summary(events: List[str], lines: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Return what a call has come to: C(status), C(failed_event), C(changed) and every requested event in order."""
    last = next((line for line in lines if line.get("finished")), None)
    latest = {line["lifecycle_event_name"]: line for line in lines if "lifecycle_event_name" in line}
    result = []
    for name in events:
        line = latest.get(name) or {"status": "Skipped" if last else "Pending"}
        result.append(
            {
                "lifecycle_event_name": name,
                "status": line["status"],
                "start_time": line.get("start_time"),
                "end_time": line.get("end_time"),
                "diagnostics": line.get("diagnostics"),
                "noop": line.get("noop", False),
            }
        )
    found = {
        "status": last["status"] if last else "InProgress",
        "failed_event": last.get("failed_event") if last else None,
        "events": result,
        "changed": any(not line.get("noop") for line in latest.values()),
    }
    if last and last.get("restored"):
        found["restored"] = last["restored"]
    return found
