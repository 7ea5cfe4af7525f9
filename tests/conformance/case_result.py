# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a recorded case and collects what is compared: the answer, and what there is on the host afterwards."""

from __future__ import annotations

import base64
import copy
import grp
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

from conformance.case_layout import MTIME, empty_probe_log, lay, prepare, text_of

ENGINE = Path(__file__).resolve().parent / "engine"
DEFAULT_EVENTS = [
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
]
DEPLOYMENT_VARIABLES = (
    "LIFECYCLE_EVENT",
    "DEPLOYMENT_ID",
    "APPLICATION_NAME",
    "DEPLOYMENT_GROUP_NAME",
    "DEPLOYMENT_GROUP_ID",
    "BUNDLE_BUCKET",
    "BUNDLE_KEY",
    "BUNDLE_VERSION",
    "BUNDLE_ETAG",
    "BUNDLE_COMMIT",
)
TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?=\S)", re.MULTILINE)


def run_case(case: dict[str, Any], root: Path, path: str) -> list[dict[str, Any]]:
    """Run all deployments of a case and return what is compared, one structure a deployment.

    :param root: work folder, to be made.
    :param path: PATH of the engine.
    """
    prepare(case, root)
    return [deploy_case(case, number, root, path) for number in range(1, len(case["deployments"]) + 1)]


def deploy_case(case: dict[str, Any], number: int, root: Path, path: str) -> dict[str, Any]:
    """Run one deployment of a case, by its number from 1, and return what is compared."""
    deployment = {
        "id": f"d-{number}",
        "group_id": "dg-1",
        "group_name": "Group",
        "application": "App",
        "events": DEFAULT_EVENTS,
        **copy.deepcopy(case["deployments"][number - 1]),
    }
    lay(root, deployment.pop("pre", []), root)
    kind = case["bundles"].get(deployment.get("bundle"), {}).get("kind", "directory")
    bundle = root / "bundles" / deployment.get("bundle", "none")
    deployment["bundle"] = {"path": str(bundle), "type": deployment.pop("bundle_type", kind)}
    request = {
        "root_dir": str(root / "agent"),
        "log_dir": str(root / "log"),
        "config": case.get("config", {}),
        "deployment": deployment,
    }
    done = subprocess.run(
        [str(ENGINE)],
        input=json.dumps(request).encode(),
        cwd=root / "cwd",
        env=_environment(case, root, path),
        capture_output=True,
        umask=0o022,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    result = {**_comparable_answer(answer), **_collect(root, deployment["group_id"], deployment["id"])}
    return normal({"id": deployment["id"], **result}, root)


def _environment(case: dict[str, Any], root: Path, path: str) -> dict[str, str]:
    environment = {"PATH": path, "HOME": "/root", "USER": "root", "LANG": "C.UTF-8"}
    for name, value in case.get("env", {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = text_of(value, root)
    return environment


def _comparable_answer(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": answer.get("status"),
        "failed_event": answer.get("failed_event"),
        "events": [comparable_event(event) for event in answer["events"]],
    }


def comparable_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return what is compared of an event's result; messages are not."""
    diagnostics = event.get("diagnostics")
    known = diagnostics if isinstance(diagnostics, dict) else {}
    return {
        "event": event["event"],
        "status": event["status"],
        "error_code": known.get("error_code"),
        "script_name": known.get("script_name"),
    }


def _collect(root: Path, group: str, deployment: str) -> dict[str, Any]:
    instructions = root / "agent" / "deployment-instructions"
    result: dict[str, Any] = {"scripts": _scripts(root), "dest": tree(root / "dest", root)}
    outside = tree(root / "outside", root)
    if len(outside) != 1:
        result["outside"] = outside
    cleanup = _text(instructions / f"{group}-cleanup")
    result["cleanup"] = cleanup if cleanup is None else sorted(_below_work_folder(cleanup.split("\n")[:-1], root))
    for pointer in ("last_successful_install", "most_recent_install"):
        result[pointer] = _text(instructions / f"{group}_{pointer}")
    kept = root / "agent" / group
    result["kept"] = sorted(os.listdir(kept)) if kept.is_dir() else []
    log = _text(kept / deployment / "logs" / "scripts.log")
    if log is not None:
        result["scripts_log"] = stable(TIME.sub("<TS> ", log).splitlines())
    return result


def _below_work_folder(lines: list[str], root: Path) -> list[str]:
    """Leave out destinations that are folders above the work folder: their names are the machine's."""
    above = {f"{root}/dest{parent}" for parent in root.parents} | {f"{root}/dest{root}"}
    return [line for line in lines if line not in above]


def _scripts(root: Path) -> list[dict[str, Any]]:
    """Return the calls of the probe since it was last asked."""
    calls = []
    for line in (_text(root / "probe.log") or "").splitlines():
        script, _folder, user, groups, _umask, environment = line.split("\t")
        pairs = (pair.partition("=")[::2] for pair in shown(base64.b64decode(environment)).split("\0"))
        variables = {name: value for name, value in pairs if name in DEPLOYMENT_VARIABLES}
        calls.append({"script": script, "user": user, "groups": sorted(groups.split()), "env": variables})
    empty_probe_log(root)
    return calls


def tree(base: Path, root: Path) -> list[dict[str, Any]]:
    """Return everything below a folder with type, mode, owner, content and ACL."""
    found: list[dict[str, Any]] = []
    above = {str(parent).strip("/") for parent in root.parents}
    inside = str(root).strip("/") + "/"
    for folder, folders, files in os.walk(base):
        folders.sort()
        for name in sorted(folders + files):
            path = Path(folder) / name
            relative = str(path.relative_to(base))
            if relative in above or relative + "/" == inside:
                continue
            entry = _entry(path, root)
            entry["path"] = shown(os.fsencode(relative))
            if relative.startswith(inside):
                entry["path"] = "@RELROOT@/" + entry["path"][len(inside) :]
            found.append(entry)
    return sorted(found, key=lambda entry: entry["path"])


def _entry(path: Path, root: Path) -> dict[str, Any]:
    status = path.lstat()
    owner = f"{_user(status.st_uid)}:{_group(status.st_gid)}"
    if path.is_symlink():
        return {"type": "link", "to": shown(os.readlink(os.fsencode(path))), "owner": owner}
    entry: dict[str, Any] = {"mode": f"{stat.S_IMODE(status.st_mode):04o}", "owner": owner}
    if path.is_dir():
        entry["type"] = "dir"
    elif path.is_file():
        data = path.read_bytes().replace(os.fsencode(root), b"@ROOT@")
        entry.update(type="file", size=len(data), sha256=hashlib.sha256(data).hexdigest()[:16])
        entry["mtime_kept"] = int(status.st_mtime) == MTIME
        if status.st_nlink > 1:
            entry["nlink"] = status.st_nlink
    else:
        entry["type"] = "other"
    if any(name.startswith("system.posix_acl") for name in os.listxattr(path)):
        acl = subprocess.run(["getfacl", "-cp", path], capture_output=True, text=True, check=True).stdout
        entry["acl"] = [line for line in acl.splitlines() if line]
    return entry


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def shown(data: bytes) -> str:
    """Return bytes as text; what is not UTF-8 is escaped."""
    return data.decode("utf-8", "backslashreplace")


def _text(path: Path) -> str | None:
    return shown(path.read_bytes()) if path.is_file() else None


def normal(value: Any, root: Path) -> Any:
    """Return a structure that names the work folder as the recorded ones do."""
    if isinstance(value, str):
        return value.replace(str(root), "@ROOT@")
    if isinstance(value, list):
        return [normal(item, root) for item in value]
    if isinstance(value, dict):
        return {name: normal(item, root) for name, item in value.items()}
    return value


def stable(lines: list[str]) -> list[str]:
    """Return log lines with those of stdout first between two other lines: the agent reads the two with two threads."""
    result: list[str] = []
    errors: list[str] = []
    for line in lines:
        if line.startswith("<TS> [stderr]"):
            errors.append(line)
        elif line.startswith("<TS> [stdout]"):
            result.append(line)
        else:
            result += [*errors, line]
            errors = []
    return result + errors
