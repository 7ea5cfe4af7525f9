# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts of the doctor: on instances, on the controller, and how they are shown."""

from __future__ import annotations

import os
import re
import subprocess
import time

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import settle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor import (
    Finding,
    findings_of,
    problems_of,
    verdict_lines,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor_controller import (
    check_ansible,
    check_group,
    check_policy,
    check_store,
    interpreter_of,
    oldest_python,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._doctor_instance import (
    Expected,
    judge,
    judge_become,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

NOW = 1_700_000_000.0
HEALTHY = {
    "user": "admin",
    "system": "Linux",
    "time": str(int(NOW)),
    "python": "python3 3.9.2",
    "folder": "/opt",
    "disk": "1048576",
    "inodes": "1000",
    "writable": "yes",
    "end": "end",
}


def expected(**changes):
    values = {"root": "/opt/root", "oldest_python": (3, 8), "interpreter": None, "disk": 500, "become": True}
    return Expected(**{**values, **changes})


def verdicts(facts, before=NOW, after=NOW, **changes):
    lines = [f"{name}={value}" for name, value in facts.items() if value is not None]
    findings = judge("\n".join(lines), before, after, expected(**changes))
    return {one.check: (one.verdict, one.text) for one in findings}


def test_an_instance_in_order():
    assert {verdict for verdict, _text in verdicts(HEALTHY).values()} == {"ok"}


@pytest.mark.parametrize(
    ("changes", "check", "verdict", "sentence"),
    [
        ({"system": "FreeBSD"}, "reachable", "problem", "it runs FreeBSD; instances run Linux"),
        ({"python": None}, "interpreter", "problem", "no Python; this ansible-core needs 3.8 or newer there"),
        ({"python": "python3 3.6.8"}, "interpreter", "problem", "only Python 3.6.8; this ansible-core needs 3.8"),
        ({"agent": "process 7"}, "agent", "problem", "the CodeDeploy agent is running (process 7); systemctl disable"),
        ({"disk": "12288"}, "disk", "problem", "12 MiB are free at /opt, 500 should be; make room"),
        ({"inodes": "0"}, "disk", "problem", "no inodes are left"),
        ({"disk": "-"}, "disk", "unknown", "df does not say"),
        ({"time": str(int(NOW) - 3600)}, "clock", "warning", "3599 seconds from the controller's; synchronize them"),
        ({"time": str(int(NOW) + 60)}, "clock", "ok", "60 seconds from the controller's"),
    ],
)
def test_an_instance_with(changes, check, verdict, sentence):
    found = verdicts({**HEALTHY, **changes})
    assert found[check][0] == verdict
    assert sentence in found[check][1]
    assert {name for name, (said, _text) in found.items() if said != "ok"} <= {check}


def test_a_slow_connection_is_no_wrong_clock():
    assert verdicts(HEALTHY, before=NOW - 1000, after=NOW + 1000)["clock"] == ("ok", "as the controller's")


def test_an_answer_that_is_none():
    assert verdicts({"Welcome": "to this machine"}) == {
        "reachable": ("problem", "its shell does not answer as expected: Welcome=to this machine")
    }


def test_an_interpreter_that_was_named():
    found = verdicts({**HEALTHY, "python": None}, interpreter="/opt/python/bin/python3")
    assert found["interpreter"][1].startswith("ansible_python_interpreter /opt/python/bin/python3: no Python; ")


def test_without_becoming_root_the_root_must_be_writable():
    assert verdicts(HEALTHY, become=False)["root"] == ("ok", "admin may write to /opt")
    found = verdicts({**HEALTHY, "writable": None}, become=False)
    assert found["root"][0] == "problem"
    assert found["root"][1].startswith(
        "admin may not write to /opt, for the deployment root /opt/root; set deploy_root"
    )


def test_becoming_another_user():
    assert judge_become("admin", "root", "Welcome\nroot\n", 0) == Finding("sudo", "ok", "admin becomes root")
    found = judge_become("admin", "root", "sudo: a password is required", 1)
    assert found.verdict == "problem"
    assert found.text.startswith("admin cannot become root (sudo: a password is required); allow it in sudoers")
    found = judge_become("admin", "root", "Shared connection to web1 closed.\n\nsh: sudo: not found\n", 127)
    assert found.text.startswith("admin cannot become root (sh: sudo: not found); ")


def test_the_script_on_this_machine(tmp_path):
    """The real shell, and nothing of what it looks at is changed."""
    wanted = expected(root=str(tmp_path / "a folder" / "root"), become=False, oldest_python=(3, 6))
    before = time.time()
    done = subprocess.run(["sh", "-c", wanted.script()], capture_output=True, text=True, check=False)
    found = {one.check: one for one in judge(done.stdout, before, time.time(), wanted)}
    assert found["reachable"].verdict == found["interpreter"].verdict == found["clock"].verdict == "ok"
    assert found["root"].verdict == "ok"
    assert re.fullmatch(rf"\d+ MiB are free at {re.escape(str(tmp_path))}(, .*)?", found["disk"].text)
    assert list(tmp_path.iterdir()) == []


def test_an_agent_is_found_by_its_process(tmp_path):
    (tmp_path / "state" / ".pid").mkdir(parents=True)
    pid_file = tmp_path / "state" / ".pid" / "codedeploy-agent.pid"
    wanted = expected(root=str(tmp_path / "root"))

    def verdict():
        done = subprocess.run(["sh", "-c", wanted.script()], capture_output=True, text=True, check=False)
        return {one.check: one for one in judge(done.stdout, time.time(), time.time(), wanted)}["agent"]

    with subprocess.Popen(["sh", "-c", "read line", "codedeploy-agent"], stdin=subprocess.PIPE) as agent:
        pid_file.write_text(str(agent.pid))
        assert verdict().verdict == "problem"
        # A number that belongs to another process by now.
        pid_file.write_text(str(os.getpid()))
        assert verdict().verdict == "ok"


def test_versions_of_python_and_ansible():
    assert oldest_python() >= (3, 6)
    assert check_ansible().verdict == "ok"
    assert interpreter_of({"ansible_python_interpreter": "/usr/bin/python3.9"}) == "/usr/bin/python3.9"
    assert interpreter_of({"ansible_python_interpreter": "auto_silent"}) is interpreter_of({}) is None


def test_a_record_that_is_not_there_is_not_made(tmp_path):
    path = tmp_path / "state" / "deployments.sqlite"
    assert check_store(str(path)) == Finding("store", "ok", f"{path} is made by the first deployment")
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_is_there(tmp_path):
    path = str(tmp_path / "deployments.sqlite")
    store = open_store(path)
    with store.transaction() as tx:
        tx.rows("SELECT 1")
    assert check_store(path) == Finding("store", "ok", path)
    with store.transaction() as tx:
        tx.execute("UPDATE schema_version SET version = 9999")
    store.close()
    assert check_store(path).verdict == "problem"
    (tmp_path / "no.sqlite").write_text("no database at all, and long enough to be looked at " * 20)
    assert check_store(str(tmp_path / "no.sqlite")).verdict == "problem"


def test_a_record_of_a_kind_that_there_is_not():
    found = check_store("mysql://ada:secret@host/db")
    assert found.verdict == "problem" and "secret" not in found.text


def test_policies(tmp_path, monkeypatch):
    monkeypatch.setenv("CODEDEPLOY_POLICY", str(tmp_path / "policy.yml"))
    assert check_policy("HollowWeb", "production").verdict == "problem"
    (tmp_path / "policy.yml").write_text("statements: []")
    found = check_policy("HollowWeb", "production")
    assert found.verdict == "problem", found
    monkeypatch.delenv("CODEDEPLOY_POLICY")
    assert check_policy("HollowWeb", "production").verdict == "ok"


def test_a_group():
    def look(group, hosts, **own):
        return check_group(group, hosts, lambda: settle({"deployment_groups": {group: own}}, group))

    assert look(None, [])[0].verdict == "unknown"
    assert look("web", [])[0].verdict == "problem"
    assert look("web", ["a", "b"]) == [
        Finding("group", "ok", "web has 2 instances; with CodeDeployDefault.OneAtATime at least 1 stay healthy")
    ]
    impossible = {"deployment_config_name": {"minimum_healthy_hosts": {"type": "HOST_COUNT", "value": 2}}}
    (found,) = look("web", ["a", "b"], **impossible)
    assert found.verdict == "problem" and found.text.startswith("HEALTH_CONSTRAINTS_INVALID: ")
    found = look("web", ["a", "b"], auto_rollback_configuration={"enabled": True, "events": ["NEVER"]})
    assert [one.verdict for one in found] == ["ok", "problem"]


def test_what_is_shown():
    healthy, broken = [Finding("disk", "ok", "much")], [Finding("disk", "problem", "little; make room")]
    assert verdict_lines({"controller": healthy}) == [
        "controller",
        "  ok       disk  much",
        "the controller: ready to deploy",
    ]
    many = {"controller": healthy, **{f"web{number}": healthy for number in range(30)}, "web30": broken}
    assert verdict_lines(many)[2:] == [
        "web30",
        "  PROBLEM  disk  little; make room",
        "30 other instances: everything is ok",
        "the controller and 31 instances: 1 to do before a deployment",
    ]
    assert problems_of(many) == ["web30: disk: little; make room"]
    assert findings_of([one.as_data() for one in broken]) == broken
