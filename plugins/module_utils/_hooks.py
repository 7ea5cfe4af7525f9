# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the scripts that an AppSpec names for a lifecycle event."""

import errno
import os
import pwd
import re
import selectors
import signal
import stat
import subprocess
import time
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_log import HookLog
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_process import (
    KILL_AFTER_SECONDS,
    POLL_SECONDS,
    RunningScript,
    end_sessions,
)

GRACE_SECONDS = 0.5
LONGEST_GRACE_SECONDS = 2.0

# Variables that change what a program loads or runs, and those that only describe the connection.
STRIPPED = re.compile(
    r"(LD_|PYTHON|_?ANSIBLE|MITOGEN|BASH_FUNC_|PERL|RUBY|SSH_|SUDO_|MALLOC_|GLIBC_).*|BASH_ENV|ENV|SHELLOPTS|BASHOPTS"
    r"|CDPATH|GLOBIGNORE|IFS|PS4|PROMPT_COMMAND|TMOUT|GCONV_PATH|LOCPATH|NLSPATH|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS"
    r"|NODE_OPTIONS|JAVA_TOOL_OPTIONS|VIRTUAL_ENV|OLDPWD|PWD|SHLVL|_"
)


def diagnostics(
    error_code: str = "Success", message: str = "Succeeded: ", script: str = "", tail: str = ""
) -> Dict[str, str]:
    """Return a lifecycle event's diagnostics in CodeDeploy's shape."""
    return {"error_code": error_code, "script_name": script, "message": message, "log_tail": tail}


def hook_environment(environment: Mapping[str, str], variables: Mapping[str, str]) -> Dict[str, str]:
    """Return the environment of a script: the given one without loader and connection variables, plus C(variables)."""
    kept = {name: value for name, value in environment.items() if not STRIPPED.fullmatch(name)}
    kept.update(variables)
    return kept


def run_scripts(
    event: str,
    scripts: List[Dict[str, Any]],
    archive: str,
    variables: Mapping[str, str],
    log: HookLog,
    running: Optional[RunningScript] = None,
) -> Dict[str, str]:
    """Run an event's scripts in order up to the first failure and return the diagnostics.

    :param scripts: C([{location, timeout (seconds), runas, sudo}]) as parsed from the AppSpec.
    :param archive: the folder of the unpacked revision.
    :param running: is told of each script that runs.
    """
    log.note("LifecycleEvent - " + event)
    for script in scripts:
        failure = _run_script(event, script, archive, variables, log, running)
        if failure:
            return diagnostics(failure[0], failure[1], script["location"], log.tail())
    return diagnostics()


def _run_script(
    event: str,
    script: Dict[str, Any],
    archive: str,
    variables: Mapping[str, str],
    log: HookLog,
    running: Optional[RunningScript],
) -> Optional[Tuple[str, str]]:
    """Run one script and return V(None), or error code and message."""
    location = script["location"]
    shown = "Script at specified location: " + location
    path = os.path.join(archive, location.lstrip("/"))
    if not os.path.exists(path):
        return "ScriptMissing", f"Script does not exist at specified location: {path}"
    if not os.path.realpath(path).startswith(os.path.realpath(archive) + os.sep):
        return "ScriptMissing", f"Script does not exist at specified location: {path} leads out of the revision"
    if not os.access(path, os.X_OK):
        try:
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | 0o111)
        except OSError as error:
            return "ScriptNotExecutable", f"Unable to set script at specified location: {location} executable: {error}"
    log.note("Script - " + location)
    runas, timeout = script.get("runas"), script.get("timeout") or 3600
    argv = _command(path, runas, script.get("sudo"), variables)
    note = {"lifecycle_event_name": event, "location": location, "deadline": time.time() + timeout}
    try:
        process = _start(
            argv, hook_environment(os.environ, variables), partial(running.begin, note) if running else None
        )
        completed = _follow(process, log, timeout)
    except _StartError as error:
        name = errno.errorcode.get(error.errno or 0, "error")
        hint = _missing_interpreter(path) if error.errno == errno.ENOENT else ""
        return "ScriptFailed", f"{shown} failed with error {name} with message {error.strerror} - {argv[0]}{hint}"
    finally:
        if running:
            running.end()
    if not completed:
        return "ScriptTimedOut", f"{shown} failed to complete in {timeout} seconds"
    status = process.returncode
    if status == 0:
        return None
    user = f" run as user {runas}" if runas is not None else ""
    return "ScriptFailed", f"{shown}{user} failed with exit code {_exit_code(status)}"


def _exit_code(status: int) -> str:
    if status >= 0:
        return str(status)
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    return f"{128 - status} (killed by signal {name})"


def _missing_interpreter(path: str) -> str:
    with open(path, "rb") as stream:
        first = stream.readline(256).rstrip(b"\n")
    return f" (its first line asks for {first[2:].decode('utf-8', 'replace')!r})" if first.startswith(b"#!") else ""


def _command(path: str, runas: Optional[str], sudo: Any, variables: Mapping[str, str]) -> List[str]:
    """Return the argument list; no value becomes part of a shell's text."""
    argv = [path]
    if runas is not None:
        argv = _run_as(path, runas or "root")
    if sudo is not None and sudo is not False:
        argv = ["sudo", "-n"] + [f"{name}={value}" for name, value in sorted(variables.items())] + argv
    return argv


def _run_as(path: str, user: str) -> List[str]:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return ["su", "-c", '"$1"', "--", user, "sh", path]
    if os.geteuid() != 0 and entry.pw_uid == os.geteuid():
        return [path]
    return ["su", "-c", '"$1"', "--", user, os.path.basename(entry.pw_shell) or "sh", path]


class _StartError(OSError):
    """A script could not be started."""


def _start(
    argv: List[str], environment: Dict[str, str], begin: Optional[Callable[[], None]]
) -> "subprocess.Popen[bytes]":
    try:
        return _popen(argv, environment, begin)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise _StartError(error.errno, error.strerror) from error
    try:
        return _popen(["/bin/sh"] + argv, environment, begin)
    except OSError as error:
        raise _StartError(error.errno, error.strerror) from error


def _popen(
    argv: List[str], environment: Dict[str, str], begin: Optional[Callable[[], None]]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        preexec_fn=begin,
    )


def _follow(process: "subprocess.Popen[bytes]", log: HookLog, timeout: float) -> bool:
    """Wait for the end of a script; it does not go on without a log when that cannot be written."""
    output = _Output(process, log)
    try:
        return output.follow(timeout)
    except OSError:
        end_sessions(process.pid, output.drop)
        process.wait()
        raise


class _Output:
    """Follows a script: reads its outputs, enforces its time-out, lets go of what it left in the background."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: HookLog) -> None:
        self._process = process
        self._log = log
        self._streams: Dict[str, Any] = {"stdout": process.stdout, "stderr": process.stderr}
        self._selector = selectors.DefaultSelector()
        for name, stream in self._streams.items():
            self._selector.register(stream, selectors.EVENT_READ, name)

    def follow(self, timeout: float) -> bool:
        """Wait for the end of the script and return whether it came within C(timeout) seconds."""
        deadline = time.monotonic() + timeout
        ended = heard = 0.0
        completed = True
        while self._streams or self._process.poll() is None:
            now = time.monotonic()
            if self._process.poll() is not None:
                ended = ended or now
                heard = heard or now
                if now - heard >= GRACE_SECONDS or now - ended >= LONGEST_GRACE_SECONDS:
                    break
            elif now >= deadline:
                self._terminate()
                completed = False
                break
            if self._read(min(POLL_SECONDS, max(0.0, deadline - now)) if not ended else POLL_SECONDS):
                heard = time.monotonic() if ended else 0.0
        self._let_go(completed)
        self._process.wait()
        return completed

    def _read(self, seconds: float) -> bool:
        """Read what there is within some seconds; return whether there was anything."""
        if not self._streams:
            if self._process.poll() is not None:
                time.sleep(seconds)
                return False
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return False
        ready = self._selector.select(seconds)
        for key, _events in ready:
            data = os.read(key.fd, 65536)
            if data:
                self._log.output(key.data, data)
            else:
                self._log.end_of_output(key.data)
                self._selector.unregister(key.fileobj)
                self._streams.pop(key.data).close()
        return bool(ready)

    def _let_go(self, drain: bool) -> None:
        """Stop reading. What still holds an output must not die of writing to it: C(cat) reads on until its end."""
        for name, stream in self._streams.items():
            self._log.end_of_output(name)
            if drain:
                with suppress(OSError):
                    subprocess.Popen(
                        ["cat"],
                        stdin=stream,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        cwd="/",
                        start_new_session=True,
                    )
            stream.close()
        self._selector.close()

    def _terminate(self) -> None:
        """End all processes of the script, and read what they still write."""
        end_sessions(self._process.pid, lambda: self._read(POLL_SECONDS))
        limit = time.monotonic() + KILL_AFTER_SECONDS
        while self._streams and time.monotonic() < limit and self._read(POLL_SECONDS):
            pass

    def drop(self) -> None:
        """Read what the script writes, within a moment, and forget it."""
        ready = self._selector.select(POLL_SECONDS) if self._streams else []
        if not [key for key, _events in ready if os.read(key.fd, 65536)]:
            time.sleep(POLL_SECONDS / 2)
        self._process.poll()
