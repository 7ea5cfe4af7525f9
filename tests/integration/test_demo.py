# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo does what README says of it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.debian_packages import alone_on_this_machine


def web_servers(checkout: Path) -> list[str]:
    """Return the command lines of the demo's web servers that run now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "http.server" in arguments and any(text.startswith(f"{checkout}/build/demo/") for text in arguments):
            found.append(" ".join(arguments))
    return found


def run_demo(checkout: Path, **environment: str) -> str:
    # The tests' own make has settings that are not for another one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "demo"],
        cwd=checkout,
        env={**inherited, "ANSIBLE_NOCOLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def stopped(checkout):
    """Leave no web server behind, whatever happens; there is one demo in a checkout."""
    with alone_on_this_machine("demo"):
        yield
        subprocess.run([str(checkout / "examples/hollowweb/demo"), "stop"], check=True)


def test_demo_deploys_both_versions_and_stops_the_servers(checkout, stopped):
    output = run_demo(checkout)
    answers = re.findall(r"^(web[12]), http://\S+: This is version ([01])$", output, re.MULTILINE)
    assert answers == [("web1", "0"), ("web2", "0"), ("web1", "1"), ("web2", "1")]
    assert len(re.findall(r"^Deployment d-[A-Z0-9]{9}: Succeeded$", output, re.MULTILINE)) == 2
    assert web_servers(checkout) == []


def test_demo_leaves_the_servers_when_asked(checkout, stopped):
    run_demo(checkout, KEEP="1")
    assert len(web_servers(checkout)) == 2
