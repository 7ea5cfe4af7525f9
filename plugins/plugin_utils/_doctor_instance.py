# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the doctor asks an instance, without changing anything there, and what it makes of the answer."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor import Finding, Verdict

INTERPRETERS = ("python3", "/usr/bin/python3", "/usr/libexec/platform-python")
MEBIBYTE = 1024
# A presigned address is refused when clocks differ by more than 15 minutes; logs are hard to compare long before.
MOST_CLOCK_SECONDS = 300
# One line "name=value" for each fact. It needs no more than a shell, because Python may be what is missing.
SCRIPT = """
root={root}
echo "user=$(id -un)"
echo "system=$(uname -s)"
echo "time=$(date +%s)"
for python in {interpreters}; do
  version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) && \
    echo "python=$python $version"
done
folder=$root
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
echo "folder=$folder"
echo "disk=$(df -Pk "$folder" | tail -n 1 | awk '{{print $4}}')"
echo "inodes=$(df -Pi "$folder" | tail -n 1 | awk '{{print $4}}')"
[ -w "$folder" ] && echo "writable=yes"
pid=$(cat {pid_file} 2>/dev/null)
[ -n "$pid" ] && tr '\\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -q codedeploy && echo "agent=process $pid"
systemctl is-active --quiet codedeploy-agent 2>/dev/null && echo "agent=service codedeploy-agent"
echo "end=end"
"""


@dataclass(frozen=True)
class Expected:
    """What an instance should have.

    :param root: the deployment root.
    :param oldest_python: lowest version that the controller's ansible-core serves.
    :param interpreter: C(ansible_python_interpreter) of the instance, None when Ansible finds one itself.
    :param disk: free space at the deployment root, in MiB.
    :param become: whether deployments become another user there.
    """

    root: str
    oldest_python: tuple[int, int]
    interpreter: str | None
    disk: int
    become: bool

    def script(self) -> str:
        """Return the shell script whose output :func:`judge` reads."""
        names = [self.interpreter] if self.interpreter else list(INTERPRETERS)
        pid_file = posixpath.join(posixpath.dirname(self.root.rstrip("/")), "state", ".pid", "codedeploy-agent.pid")
        return SCRIPT.format(
            root=shlex.quote(self.root),
            interpreters=" ".join(shlex.quote(name) for name in names),
            pid_file=shlex.quote(pid_file),
        )


def judge(output: str, before: float, after: float, expected: Expected) -> list[Finding]:
    """Return the findings of an instance that answered.

    :param output: of the script.
    :param before: the controller's time, in seconds of the epoch, when the script was sent; ``after`` when it ended.
    """
    facts: dict[str, list[str]] = {}
    for line in output.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and value:
            facts.setdefault(name, []).append(value)
    if "end" not in facts:
        said = " ".join(output.split())[:200]
        return [Finding("reachable", "problem", f"its shell does not answer as expected: {said or 'nothing'}")]
    findings = [_system(facts), _interpreter(facts.get("python", []), expected), _agent(facts)]
    findings += [_disk(facts, expected), _clock(facts, before, after)]
    if not expected.become:
        findings.append(_writable(facts, expected))
    return findings


def judge_become(user: str, wanted: str, answer: str, code: int) -> Finding:
    """Return the finding about becoming another user.

    :param user: who was to become it; ``wanted`` whom.
    :param answer: what C(id -un) said as that user, or the error.
    """
    # ssh's own word at the end of every connection.
    said = [
        line for line in answer.strip().splitlines() if line.strip() and not line.startswith("Shared connection to")
    ]
    if code == 0 and said and said[-1].strip() == wanted:
        return Finding("sudo", "ok", f"{user} becomes {wanted}")
    why = said[-1].strip() if said else f"exit status {code}"
    return Finding(
        "sudo",
        "problem",
        f"{user} cannot become {wanted} ({why}); allow it in sudoers, give the password (--ask-become-pass), or set "
        "deploy_become=false with a deploy_root of its own",
    )


def _system(facts: Mapping[str, Sequence[str]]) -> Finding:
    system = "".join(facts.get("system", []))
    if system != "Linux":
        return Finding("reachable", "problem", f"it runs {system or 'an unknown system'}; instances run Linux")
    return Finding("reachable", "ok", f"it answers as {''.join(facts.get('user', []))}")


def _interpreter(found: Sequence[str], expected: Expected) -> Finding:
    oldest = ".".join(map(str, expected.oldest_python))
    versions = [tuple(int(part) for part in one.rpartition(" ")[2].split(".")[:2]) for one in found]
    fitting = [one for one, version in zip(found, versions, strict=True) if version >= expected.oldest_python]
    if fitting:
        return Finding("interpreter", "ok", f"Python {fitting[0].rpartition(' ')[2]} ({fitting[0].rpartition(' ')[0]})")
    what = f"only Python {found[0].rpartition(' ')[2]}" if found else "no Python"
    if expected.interpreter:
        what = f"ansible_python_interpreter {expected.interpreter}: {what}"
    return Finding(
        "interpreter",
        "problem",
        f"{what}; this ansible-core needs {oldest} or newer there: install it, or set ansible_python_interpreter",
    )


def _agent(facts: Mapping[str, Sequence[str]]) -> Finding:
    if "agent" in facts:
        return Finding(
            "agent",
            "problem",
            f"the CodeDeploy agent is running ({facts['agent'][0]}); systemctl disable --now codedeploy-agent",
        )
    return Finding("agent", "ok", "the CodeDeploy agent is not running")


def _disk(facts: Mapping[str, Sequence[str]], expected: Expected) -> Finding:
    folder, free, inodes = ("".join(facts.get(name, [])) for name in ("folder", "disk", "inodes"))
    if not free.isdigit():
        return Finding("disk", "unknown", f"df does not say how much is free at {folder}")
    mebibytes = int(free) // MEBIBYTE
    if mebibytes < expected.disk:
        return Finding("disk", "problem", f"{mebibytes} MiB are free at {folder}, {expected.disk} should be; make room")
    if inodes == "0":
        return Finding("disk", "problem", f"no file can be made at {folder}: no inodes are left; remove files")
    return Finding("disk", "ok", f"{mebibytes} MiB are free at {folder}")


def _clock(facts: Mapping[str, Sequence[str]], before: float, after: float) -> Finding:
    time = "".join(facts.get("time", []))
    if not time.isdigit():
        return Finding("clock", "unknown", "date does not say the time")
    # A slow connection makes no wrong clock: the time was read at some moment in between.
    wrong = max(before - int(time) - 1, int(time) - after, 0)
    verdict: Verdict = "warning" if wrong > MOST_CLOCK_SECONDS else "ok"
    text = f"{int(wrong)} seconds from the controller's" if wrong > 1 else "as the controller's"
    return Finding("clock", verdict, f"{text}; synchronize them" if verdict == "warning" else text)


def _writable(facts: Mapping[str, Sequence[str]], expected: Expected) -> Finding:
    folder, user = "".join(facts.get("folder", [])), "".join(facts.get("user", []))
    if "writable" in facts:
        return Finding("root", "ok", f"{user} may write to {folder}")
    return Finding(
        "root",
        "problem",
        f"{user} may not write to {folder}, for the deployment root {expected.root}; set deploy_root, or become root",
    )
