# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent itself has below its root: taken from what we have left there, and made as it was recorded."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from conformance.case_compare import CASES
from conformance.case_layout import MTIME, group_id, remove, text_of, user_id
from conformance.case_result import normal, tree

OF_DEPLOYMENT = {"bundle.tar", "deployment-archive", "logs"}
OF_GROUP = ("-cleanup", "-install.json", "_last_successful_install", "_most_recent_install")


def agents_own(name: str) -> list[dict[str, Any]]:
    """Return what was recorded of the agent's own files after each deployment of a case."""
    return json.loads((CASES / name / "expected.json").read_text(encoding="utf-8"))["deployments"]


def forget_our_own(agent_root: Path) -> None:
    """Remove all that the agent does not have below its root."""
    instructions = agent_root / "deployment-instructions"
    groups = [path for path in agent_root.iterdir() if (instructions / f"{path.name}_most_recent_install").exists()]
    for path in [*instructions.iterdir(), *agent_root.iterdir()]:
        own = path.parent == instructions and not path.name.endswith(OF_GROUP)
        if own or path.name == "bundle-cache":
            remove(path)
    for deployment in [deployment for group in groups for deployment in group.iterdir()]:
        times = (deployment.stat().st_atime_ns, deployment.stat().st_mtime_ns)
        for path in deployment.iterdir():
            if path.name not in OF_DEPLOYMENT:
                remove(path)
        os.utime(deployment, ns=times)  # retention goes by it


def known_contents(root: Path) -> dict[str, bytes]:
    """Return digest -> content of every file below the work folder."""
    paths = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return {digest(path, root): path.read_bytes() for path in paths}


def digest(path: Path, root: Path) -> str:
    data = path.read_bytes().replace(os.fsencode(root), b"@ROOT@")
    return hashlib.sha256(data).hexdigest()[:16]


def make_as_recorded(root: Path, group: str, agent: dict[str, Any], contents: dict[str, bytes]) -> None:
    """Make the destination and the instruction files what they were after a deployment by the agent."""
    for folder in ("dest", "outside"):
        if folder in agent:
            remove(root / folder)
            (root / folder).mkdir()
            for entry in sorted(agent[folder], key=lambda entry: entry["path"]):
                make_entry(root, folder, entry, contents)
    prefix = str(root / "agent" / "deployment-instructions" / group)
    lines = agent["cleanup"]
    if lines is None or all(line.startswith("@ROOT@") for line in lines):
        write(prefix + "-cleanup", None if lines is None else "".join(line + "\n" for line in lines), root)
    instructions = agent.get("install_json")
    text = None if instructions is None else json.dumps({"instructions": instructions})
    write(prefix + "-install.json", text, root)
    for pointer in ("last_successful_install", "most_recent_install"):
        write(f"{prefix}_{pointer}", agent[pointer], root)


def make_entry(root: Path, folder: str, entry: dict[str, Any], contents: dict[str, bytes]) -> None:
    """Make one recorded path of a tree again."""
    path = root / folder / text_of(entry["path"].replace("@RELROOT@", str(root).strip("/")), root)
    path.parent.mkdir(parents=True, exist_ok=True)
    user, owners = entry["owner"].split(":")
    if entry["type"] == "link":
        path.symlink_to(text_of(entry["to"], root))
        os.lchown(path, user_id(user), group_id(owners))
        return
    if entry["type"] == "dir":
        path.mkdir(exist_ok=True)
    else:
        path.write_bytes(contents[entry["sha256"]])
    os.chown(path, user_id(user), group_id(owners))
    path.chmod(int(entry["mode"], 8))
    if entry.get("mtime_kept"):
        os.utime(path, (MTIME, MTIME))


def write(path: str, text: str | None, root: Path) -> None:
    """Write a file of the agent, or remove it when it had none."""
    if text is None:
        Path(path).unlink(missing_ok=True)
    else:
        Path(path).write_text(text_of(text, root))


def state(root: Path, group: str, deployment: str) -> dict[str, Any]:
    """Return what there is of a deployment below the agent's root, in the form of the recorded cases."""
    folder, instructions = root / "agent" / group / deployment, root / "agent" / "deployment-instructions"
    archive, install_json = folder / "deployment-archive", instructions / f"{group}-install.json"
    found: dict[str, Any] = {
        "deployment_dir": sorted(os.listdir(folder)) if folder.is_dir() else None,
        "agent_root": sorted(os.listdir(root / "agent")),
        "archive": tree(archive, root) if archive.is_dir() else None,
        "install_json": json.loads(install_json.read_bytes())["instructions"] if install_json.exists() else None,
    }
    return comparable(normal(found, root))


def comparable(agent: dict[str, Any]) -> dict[str, Any]:
    """Return what is compared: of the archive's files what the recordings have, instructions in any order."""
    names = ("path", "type", "mode", "owner", "size", "to")
    archive = [{name: entry[name] for name in names if name in entry} for entry in agent["archive"] or []]
    instructions = agent.get("install_json")
    # What is recorded as a text was no JSON: a context, or a name that is not UTF-8.
    readable = isinstance(instructions, list)
    return {
        "deployment_dir": agent["deployment_dir"],
        "agent_root": agent["agent_root"],
        "archive": archive,
        "install_json": sorted(instructions, key=json.dumps) if readable else None,
    }
