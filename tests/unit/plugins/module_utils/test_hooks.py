# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hook scripts: real scripts in real processes."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks import hook_environment, run_scripts
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_log import LONGEST_LINE, HookLog


class Hooks:
    """A revision with scripts, and the logs that running them leaves."""

    def __init__(self, directory: Path) -> None:
        self.archive = directory / "deployment-archive"
        self.archive.mkdir()
        self.scripts_log = directory / "logs" / "scripts.log"
        self.deployments_log = directory / "deployment-logs" / "deployments.log"

    def script(self, text: str, name: str = "s.sh", mode: int = 0o755) -> Path:
        path = self.archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def run(self, *locations: str, variables: dict[str, str] | None = None, **options: Any) -> dict[str, str]:
        """Run scripts as those of AfterInstall and return the diagnostics."""
        scripts = [{"location": location, **options} for location in locations or ("s.sh",)]
        log = HookLog(str(self.scripts_log), str(self.deployments_log), "d-1")
        try:
            return run_scripts("AfterInstall", scripts, str(self.archive), variables or {}, log)
        finally:
            log.close()

    def lines(self) -> list[str]:
        """Return the lines of scripts.log without their times."""
        data = self.scripts_log.read_bytes().decode("utf-8", "backslashreplace")
        return [line[len("2026-01-01 00:00:00 ") :] for line in data.splitlines()]


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    return Hooks(tmp_path)


def wait_for_end(path: Path) -> None:
    """Wait until the process whose number a file has is gone."""

    def ended() -> bool:
        try:
            return Path(f"/proc/{path.read_text().strip()}/stat").read_text().rpartition(") ")[2][0] == "Z"
        except OSError:
            # Gone, or ended before it could write the file.
            return True

    wait_until(ended, f"the process of the file {path.name} has ended")


def test_a_script_that_succeeds_gives_no_log(hooks: Hooks) -> None:
    hooks.script("#!/bin/sh\necho out\n")
    assert hooks.run() == {"error_code": "Success", "script_name": "", "message": "Succeeded: ", "log_tail": ""}
    assert hooks.lines() == ["LifecycleEvent - AfterInstall", "Script - s.sh", "[stdout]out"]


def test_the_first_failure_ends_the_event(hooks: Hooks) -> None:
    hooks.script("#!/bin/sh\necho out\nexit 3\n", "a")
    hooks.script("#!/bin/sh\ntouch here\n", "b")
    result = hooks.run("a", "b")
    assert result["error_code"] == "ScriptFailed"
    assert result["script_name"] == "a"
    assert result["message"] == "Script at specified location: a failed with exit code 3"
    assert result["log_tail"] == "LifecycleEvent - AfterInstall\nScript - a\n[stdout]out\n"
    assert "Script - b" not in hooks.lines()


def test_the_log_of_all_deployments_names_the_deployment(hooks: Hooks) -> None:
    hooks.script("#!/bin/sh\necho '  out  '\n")
    hooks.run()
    lines = hooks.deployments_log.read_text().splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "[d-1]LifecycleEvent - AfterInstall",
        "[d-1]Script - s.sh",
        "[d-1][stdout]  out",
    ]
    assert lines[0].startswith("[20") and lines[0][24] == "]"


def test_a_missing_script(hooks: Hooks) -> None:
    result = hooks.run("scripts/no.sh")
    assert result["error_code"] == "ScriptMissing"
    assert result["message"] == f"Script does not exist at specified location: {hooks.archive}/scripts/no.sh"


def test_a_script_without_execute_permission_gets_it(hooks: Hooks) -> None:
    path = hooks.script("#!/bin/sh\n", mode=0o644)
    assert hooks.run()["error_code"] == "Success"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize("text", ["", "echo from sh\n"])
def test_a_script_without_interpreter_is_run_by_sh(hooks: Hooks, text: str) -> None:
    hooks.script(text)
    assert hooks.run()["error_code"] == "Success"


def test_a_missing_interpreter_is_named(hooks: Hooks) -> None:
    hooks.script("#!/bin/sh\r\necho\r\n")
    result = hooks.run()
    assert result["error_code"] == "ScriptFailed"
    assert "/bin/sh\\r" in result["message"]


@pytest.mark.parametrize("location", ["/s.sh", "//s.sh", "./s.sh", "a/../s.sh"])
def test_a_location_is_inside_the_revision(hooks: Hooks, location: str) -> None:
    (hooks.archive / "a").mkdir()
    hooks.script("#!/bin/sh\n")
    assert hooks.run(location)["error_code"] == "Success"


def test_a_location_is_never_a_command_line(hooks: Hooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "a b; touch injected; $(touch injected) `touch injected` 'q\" | touch injected #.sh"
    hooks.script("#!/bin/sh\npwd\necho ran\n", name)
    assert hooks.run(name)["error_code"] == "Success"
    directory, last = (line.partition("[stdout]")[2] for line in hooks.lines()[-2:])
    assert last == "ran"
    assert not any((folder / "injected").exists() for folder in (tmp_path, hooks.archive, Path(directory)))


@pytest.mark.parametrize("link", [False, True])
def test_a_script_outside_of_the_revision_is_refused(hooks: Hooks, tmp_path: Path, link: bool) -> None:
    outside = tmp_path / "outside.sh"
    outside.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    outside.chmod(0o755)
    if link:
        (hooks.archive / "s.sh").symlink_to(outside)
    result = hooks.run("s.sh" if link else "../outside.sh")
    assert result["error_code"] == "ScriptMissing"
    assert "leads out of the revision" in result["message"]
    assert not (tmp_path / "ran").exists()


def test_a_signal_is_named(hooks: Hooks) -> None:
    hooks.script("#!/bin/sh\nkill -9 $$\n")
    assert hooks.run()["message"].endswith("failed with exit code 137 (killed by signal SIGKILL)")


def test_standard_input_is_empty(hooks: Hooks) -> None:
    hooks.script('#!/bin/sh\ncat\necho "rc $?"\n')
    hooks.run()
    assert hooks.lines()[-1] == "[stdout]rc 0"


def test_a_time_out_ends_the_whole_session(hooks: Hooks, tmp_path: Path) -> None:
    hooks.script(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/child\nsleep 600\n")
    result = hooks.run(timeout=1)
    assert result["error_code"] == "ScriptTimedOut"
    assert result["message"] == "Script at specified location: s.sh failed to complete in 1 seconds"
    wait_for_end(tmp_path / "child")


def test_what_ignores_term_is_killed(hooks: Hooks, tmp_path: Path) -> None:
    hooks.script(
        f"#!/bin/sh\ntrap '' TERM\n(while :; do sleep 1; done) &\necho $! > {tmp_path}/child\n"
        f"echo $$ > {tmp_path}/own\nwhile :; do sleep 1; done\n"
    )
    assert hooks.run(timeout=1)["error_code"] == "ScriptTimedOut"
    wait_for_end(tmp_path / "child")
    wait_for_end(tmp_path / "own")


def test_a_program_left_in_the_background_neither_hangs_the_event_nor_dies(hooks: Hooks, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    hooks.script(
        f"#!/bin/sh\n(while [ ! -e {tmp_path}/end ]; do echo tick; echo tock >&2; echo >> {ticks}; sleep 0.1; done; "
        f"touch {tmp_path}/lived) &\necho $! > {tmp_path}/child\necho started\n"
    )
    assert hooks.run(timeout=600)["error_code"] == "Success"
    assert "[stdout]started" in hooks.lines()
    seen = ticks.stat().st_size if ticks.exists() else 0
    wait_until(lambda: ticks.exists() and ticks.stat().st_size > seen + 5, "the program goes on writing")
    (tmp_path / "end").touch()
    wait_for_end(tmp_path / "child")
    assert (tmp_path / "lived").exists()


def test_a_failure_counts_in_spite_of_a_program_in_the_background(hooks: Hooks, tmp_path: Path) -> None:
    hooks.script(f"#!/bin/sh\nwhile [ ! -e {tmp_path}/end ]; do sleep 0.2; done &\nexit 4\n")
    assert hooks.run()["message"].endswith("failed with exit code 4")
    (tmp_path / "end").touch()


def test_output_is_kept_in_full_and_in_any_encoding(hooks: Hooks) -> None:
    hooks.script("#!/bin/sh\nprintf 'caf\\351\\n'\nhead -c 3000000 /dev/zero | tr '\\0' x\nprintf '\\nlast'\nexit 1\n")
    result = hooks.run()
    data = hooks.scripts_log.read_bytes()
    assert b"[stdout]caf\xe9\n" in data
    assert b"[stdout]" + b"x" * 3000000 + b"\n" in data
    assert data.endswith(b"[stdout]last")
    assert len(result["log_tail"].encode("utf-8")) <= 4096
    assert result["log_tail"].endswith("[stdout]last")


def test_memory_stays_bounded_while_a_script_writes_200_megabytes(hooks: Hooks) -> None:
    size = 200 * 1000 * 1000
    line = "y" * 199
    hooks.script(f"#!/bin/sh\nyes {line} | head -c {size}\nprintf '\\351' >&2\nexit 1\n")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tail = hooks.run()["log_tail"]
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.write(writing, json.dumps([grown, tail]).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    grown, tail = json.loads(os.read(reading, 100000))
    os.close(reading)
    os.close(writing)
    assert grown < 32 * 1024, f"{grown} KiB"
    assert 0 < len(tail.encode("utf-8")) <= 4096
    written = 0
    with hooks.scripts_log.open("rb") as stream:
        for entry in stream:
            written += entry.count(b"y" * 199 + b"\n")
    assert written == size // 200
    hooks.scripts_log.unlink()


def test_any_byte_is_kept_and_the_tail_is_text(hooks: Hooks) -> None:
    data = bytes(byte for byte in range(256) if byte != 10) * 40
    (hooks.archive / "data").write_bytes(data)
    hooks.script(f"#!/bin/sh\ncat {hooks.archive}/data\nexit 1\n")
    tail = hooks.run()["log_tail"]
    assert b"[stdout]" + data in hooks.scripts_log.read_bytes()
    assert 0 < len(tail.encode("utf-8")) <= 4096
    assert json.loads(json.dumps(tail)) == tail


def test_a_script_does_not_go_on_without_its_log(hooks: Hooks, tmp_path: Path) -> None:
    """There is no more room for the log: the event fails, and nothing of the script is left behind."""
    hooks.script(f"#!/bin/sh\necho $$ > {tmp_path}/own\nhead -c 3000000 /dev/zero\necho\nsleep 600\n")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000))
            with pytest.raises(OSError):
                hooks.run()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    wait_for_end(tmp_path / "own")


def test_memory_stays_bounded_by_the_longest_line(hooks: Hooks) -> None:
    log = HookLog(str(hooks.scripts_log), str(hooks.deployments_log), "d-1")
    for _part in range(20):
        log.output("stdout", b"y" * (LONGEST_LINE // 4))
        assert sum(len(rest) for rest in log._unfinished.values()) <= LONGEST_LINE
    log.output("stderr", b"e\n")
    log.output("stdout", b"z\nnext\n")
    log.end_of_output("stdout")
    log.close()
    data = hooks.scripts_log.read_bytes()
    assert data.count(b"y") == 20 * (LONGEST_LINE // 4)
    assert data.count(b"[stdout]") == 2
    assert data.endswith(b"[stdout]next\n")


@pytest.mark.parametrize("line", [b"a" * 9000, b"\xe9" * 9000, "é".encode() * 5000, b"x\n" * 9000])
def test_the_tail_is_short_and_valid(hooks: Hooks, line: bytes) -> None:
    log = HookLog(str(hooks.scripts_log), str(hooks.deployments_log), "d-1")
    log.output("stdout", line + b"\nthe end\n")
    tail = log.tail()
    log.close()
    assert len(tail.encode("utf-8")) <= 4096
    assert tail.endswith("[stdout]the end\n")


def test_the_log_of_all_deployments_is_rotated(hooks: Hooks) -> None:
    hooks.script("#!/bin/sh\necho out\n")
    hooks.deployments_log.parent.mkdir()
    with hooks.deployments_log.open("wb") as stream:
        stream.truncate(64 * 1024 * 1024)
    hooks.run()
    rotated = hooks.deployments_log.with_name("deployments.log.0")
    assert rotated.stat().st_size == 64 * 1024 * 1024
    assert "[stdout]out" in hooks.deployments_log.read_text()


def test_variables_of_loaders_and_of_the_connection_are_left_out() -> None:
    left_out = [
        "LD_PRELOAD",
        "PYTHONPATH",
        "BASH_ENV",
        "ENV",
        "_ANSIBLE_X",
        "SUDO_COMMAND",
        "SSH_CLIENT",
        "BASH_FUNC_a%%",
    ]
    kept = {"PATH": "/bin", "HOME": "/root", "http_proxy": "http://proxy", "LANG": "C.UTF-8", "ENVIRONMENT": "x"}
    given = {**dict.fromkeys(left_out, "x"), **kept, "DEPLOYMENT_ID": "old"}
    assert hook_environment(given, {"DEPLOYMENT_ID": "d-1"}) == {**kept, "DEPLOYMENT_ID": "d-1"}


def test_a_script_is_started_without_them(hooks: Hooks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "loaded").write_text("echo loaded\n")
    for name in ("LD_LIBRARY_PATH", "PYTHONSTARTUP", "BASH_ENV", "ENV", "PERL5OPT", "NODE_OPTIONS"):
        monkeypatch.setenv(name, str(tmp_path / "loaded"))
    hooks.script("#!/bin/bash\nenv\n")
    hooks.run()
    found = [line for line in hooks.lines() if "loaded" in line]
    assert found == []


def test_scripts_get_the_deployment_variables(hooks: Hooks) -> None:
    hooks.script('#!/bin/sh\necho "$DEPLOYMENT_ID $LIFECYCLE_EVENT"\n')
    hooks.run(variables={"DEPLOYMENT_ID": "d-1", "LIFECYCLE_EVENT": "AfterInstall"})
    assert hooks.lines()[-1] == "[stdout]d-1 AfterInstall"


def test_an_unknown_user_fails_the_script_alone(hooks: Hooks) -> None:
    hooks.script("#!/bin/sh\n")
    result = hooks.run(runas="no-such-user")
    assert result["error_code"] == "ScriptFailed"
    assert result["message"].startswith(
        "Script at specified location: s.sh run as user no-such-user failed with exit code "
    )


@pytest.mark.parametrize("user", ["-l", "--help", "root; id", "$(id)"])
def test_a_user_is_never_an_option_or_a_command(hooks: Hooks, user: str) -> None:
    hooks.script("#!/bin/sh\necho ran\n")
    assert hooks.run(runas=user)["error_code"] == "ScriptFailed"
    assert "[stdout]ran" not in hooks.lines()
