# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts of the playbook doctor, and how they are shown; no input or output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_table import counted

Verdict = Literal["ok", "warning", "problem", "unknown"]
CONTROLLER = "controller"
# Of more instances than this only those are shown with which something is wrong.
MOST_SHOWN = 20


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing.

    :param check: what was looked at, one word: V(credentials), V(disk).
    :param verdict: V(problem) needs something to be done before a deployment, V(warning) may, V(unknown) could not be
        found out.
    :param text: one sentence: what there is and, unless it is in order, what to do.
    """

    check: str
    verdict: Verdict
    text: str

    def as_data(self) -> dict[str, Any]:
        """Return it as a mapping."""
        return asdict(self)


def findings_of(data: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return findings from mappings; the inverse of :meth:`Finding.as_data`."""
    return [Finding(str(one["check"]), one["verdict"], str(one["text"])) for one in data]


def problems_of(findings: Mapping[str, Sequence[Finding]]) -> list[str]:
    """Return what needs to be done, one sentence each, with the place in front.

    :param findings: by where they were made: V(controller), or the name of an instance.
    """
    return [
        f"{place}: {one.check}: {one.text}"
        for place, found in findings.items()
        for one in found
        if one.verdict == "problem"
    ]


def verdict_lines(findings: Mapping[str, Sequence[Finding]]) -> list[str]:
    """Return the findings as a person reads them, the last line for all."""
    instances = [place for place in findings if place != CONTROLLER]
    healthy = [place for place in instances if all(one.verdict == "ok" for one in findings[place])]
    left_out = set(healthy) if len(instances) > MOST_SHOWN else set()
    lines = []
    width = max((len(one.check) for found in findings.values() for one in found), default=0)
    for place, found in findings.items():
        if place not in left_out:
            lines += [f"{place}", *(f"  {_mark(one):<8} {one.check:<{width}}  {one.text}" for one in found)]
    if left_out:
        lines.append(f"{counted(len(left_out), 'other instance')}: everything is ok")
    count = len(problems_of(findings))
    where = f"the controller and {counted(len(instances), 'instance')}" if instances else "the controller"
    lines.append(f"{where}: " + ("ready to deploy" if not count else f"{count} to do before a deployment"))
    return lines


def _mark(finding: Finding) -> str:
    return finding.verdict.upper() if finding.verdict == "problem" else finding.verdict
