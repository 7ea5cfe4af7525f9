# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be known to be wrong with a deployment before any instance is touched."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import (
    APPSPEC_NAMES,
    BundleContents,
    BundleError,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import LIFECYCLE_EVENTS

EVENT_SECONDS = 3600
RESERVED_EVENTS = ("DownloadBundle", "Install", "BlockTraffic", "AllowTraffic")


@dataclass
class Findings:
    """What was found: problems prevent the deployment, warnings do not."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Return all problems as one readable text."""
        count = len(self.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        return "\n".join([f"{title}, no instance was touched:", *(f"  - {problem}" for problem in self.problems)])


def lifecycle_events(load_balanced: bool = False) -> list[str]:
    """Return the events of an in-place deployment in CodeDeploy's order.

    The traffic events exist only in deployment groups with a load balancer (User Guide, hook availability).
    """
    return [event for event in LIFECYCLE_EVENTS if load_balanced or not event.endswith("Traffic")]


def check_appspec_file(contents: BundleContents, appspec_filename: str | None) -> list[str]:
    """Return what is wrong when a bundle has no AppSpec at its root."""
    if contents.appspec_filename is not None:
        return []
    names = [appspec_filename] if appspec_filename else list(APPSPEC_NAMES)
    deeper = sorted(name for name in contents.members if posixpath.basename(name) in names)
    hint = f"; it was found at {deeper[0]}: the bundle's root must be that folder" if deeper else ""
    return [f"{contents.path}: no {' or '.join(names)} at the root of the bundle{hint}"]


def check_appspec(spec: dict[str, Any], contents: BundleContents) -> Findings:
    """Compare a parsed AppSpec with the bundle it is in.

    :param spec: the parsed AppSpec; every hook script and every source must be in the bundle.
    """
    findings = Findings()
    name = contents.appspec_filename
    if spec["os"] == "windows":
        findings.problems.append(
            f"{name}: os: windows: instances running Windows are not supported; a Linux bundle says os: linux"
        )
        return findings
    for event, scripts in spec["hooks"].items():
        _check_event(f"{name}: hooks.{event}", event, scripts, contents, findings)
    for number, entry in enumerate(spec["files"]):
        key = f"{name}: files[{number}].source"
        _check_path(key, str(entry["source"]), contents, findings, "file or folder")
    _check_destinations(spec["files"], contents, findings)
    return findings


def _check_event(
    key: str, event: str, scripts: list[dict[str, Any]], contents: BundleContents, findings: Findings
) -> None:
    if event in RESERVED_EVENTS:
        findings.warnings.append(f"{key}: no scripts can be run in {event}; these are ignored")
        return
    if event not in LIFECYCLE_EVENTS:
        findings.warnings.append(f"{key}: CodeDeploy has no lifecycle event of this name; its scripts are never run")
        return
    seconds = sum(script["timeout"] for script in scripts)
    if scripts and seconds > EVENT_SECONDS and any(script["timeout"] != EVENT_SECONDS for script in scripts):
        findings.warnings.append(
            f"{key}: the time-outs of its scripts add up to {seconds} s; CodeDeploy allows an event {EVENT_SECONDS} s"
        )
    for number, script in enumerate(scripts):
        _check_path(f"{key}[{number}].location", script["location"], contents, findings, "script")


def check_script(key: str, path: str, contents: BundleContents, findings: Findings) -> None:
    """Find out whether a script is in a bundle.

    :param key: what a problem is said to be in.
    """
    _check_path(key, path, contents, findings, "script")


def _check_path(key: str, path: str, contents: BundleContents, findings: Findings, what: str) -> None:
    try:
        member = contents.find(path)
    except BundleError as error:
        findings.problems.append(f"{key}: {error}")
        return
    if member is None:
        findings.problems.append(f"{key}: {path}: there is no such {what} in the bundle")
    elif what == "script" and member.kind == "directory":
        findings.problems.append(f"{key}: {path} is a folder and not a script")


def _check_destinations(files: list[dict[str, Any]], contents: BundleContents, findings: Findings) -> None:
    """Find files that two entries would both write (the agent fails on these when it has begun to install)."""
    producers: dict[str, int] = {}
    for number, entry in enumerate(files):
        source, destination = str(entry["source"]), str(entry["destination"])
        try:
            member = contents.find(source)
        except BundleError:
            continue
        if member is None:
            continue
        names = (
            contents.files_below(contents.resolve(source) or "")
            if member.kind == "directory"
            else [posixpath.basename(source)]
        )
        for name in names:
            path = posixpath.normpath(posixpath.join(destination, name))
            first = producers.setdefault(path, number)
            if first != number:
                findings.problems.append(
                    f"{contents.appspec_filename}: files[{first}] and files[{number}] both install {path}; remove one"
                )
                break
