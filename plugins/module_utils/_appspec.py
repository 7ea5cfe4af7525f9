# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The grammar of the AppSpec file for plain servers, as the CodeDeploy agent reads it."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_acl import parse_acl_entry
from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_context import parse_range
from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec_values import (
    MISSING,
    DateText,
    OctalInteger,
    as_data,
    as_text,
    leading_integer,
    printable,
    shown,
    stripped,
)

OPERATING_SYSTEMS = ("linux", "windows")
FILE_EXISTS_BEHAVIORS = ("DISALLOW", "OVERWRITE", "RETAIN")
OBJECT_TYPES = ("file", "directory")
DEFAULT_TIMEOUT = 3600
MOST_PROBLEMS = 100
LONGEST_NAME = 80
EVERYTHING = "**"
REQUIRED = "this is required; "

_Problem = NamedTuple("_Problem", [("key_path", str), ("value", Any), ("rule", str)])


class AppSpecProblem(_Problem):
    """One thing that is wrong in an AppSpec file.

    ``key_path``: where, for example ``permissions[1].mode`` or ``line 4, column 1``; ``value``: what stands there
    (``MISSING``: nothing does); ``rule``: what has to stand there.
    """

    __slots__ = ()

    def __str__(self) -> str:
        if self.value is MISSING:
            return printable("%s: %s" % (self.key_path, self.rule))
        return printable("%s: %s: %s" % (self.key_path, shown(self.value), self.rule))


class AppSpecError(Exception):
    """An AppSpec file that cannot be deployed; ``errors`` holds the problems found, the text has one line for each."""

    def __init__(self, errors: List[AppSpecProblem]) -> None:
        self.errors = errors
        super(AppSpecError, self).__init__("\n".join(str(problem) for problem in errors))


class _Problems(List[AppSpecProblem]):
    """The first problems, in a number that can be read."""

    def add(self, key_path: str, value: Any, rule: str) -> None:
        if len(self) < MOST_PROBLEMS:
            self.append(AppSpecProblem(key_path, value, rule))


def parse_appspec(document: Any) -> Dict[str, Any]:
    """Reads an AppSpec document.

    :param document: what the YAML reader returned
    :returns: ``{"version", "os", "file_exists_behavior", "hooks": {event: [{"location", "timeout", "runas", "sudo"}]},
        "files": [{"source", "destination"}], "permissions": [{"object", "pattern", "except", "type", "owner", "group",
        "mode", "acls", "context": {"user", "type", "range"}}]}``; timeouts in seconds; JSON can carry all of it
    :raises AppSpecError: with every problem of the document, or the first hundred
    Source: AppSpec file structure for EC2/On-Premises deployments.
    """
    problems = _Problems()
    if document is None or document is False:
        problems.add("AppSpec file", MISSING, "the file is empty; it needs at least version and os")
        raise AppSpecError(problems)
    if not isinstance(document, dict):
        problems.add("AppSpec file", document, "the file must be a mapping with the keys version and os")
        raise AppSpecError(problems)
    spec = {
        "version": _version(document.get("version", MISSING), problems),
        "os": _operating_system(document.get("os", MISSING), problems),
        "hooks": _hooks(document.get("hooks"), problems),
        "files": _list_of(document.get("files"), "files", _file, problems),
        "permissions": _list_of(document.get("permissions"), "permissions", _permission, problems),
        "file_exists_behavior": _file_exists_behavior(document.get("file_exists_behavior"), problems),
    }
    if spec["os"] == "windows" and document.get("permissions"):
        problems.add("permissions", MISSING, "permissions exist for Linux instances only; remove the section")
    if problems:
        raise AppSpecError(problems)
    return spec


def check_operating_system(spec: Dict[str, Any]) -> List[AppSpecProblem]:
    """Returns the problems of deploying a parsed AppSpec to a Linux instance: its ``os``, if that is another."""
    if spec["os"] == "linux":
        return []
    return [AppSpecProblem("os", spec["os"], "this revision is not for a Linux instance; deploy one with os: linux")]


def _version(value: Any, problems: _Problems) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or value != 0:
        problems.add("version", value, _rule(value, "the only version is the number 0.0, without quotes"))
        return None
    return as_data(value)


def _operating_system(value: Any, problems: _Problems) -> Any:
    if not _is_one_of(value, OPERATING_SYSTEMS):
        problems.add("os", value, _rule(value, "write linux (or windows), in lower case"))
        return None
    return as_data(value)


def _file_exists_behavior(value: Any, problems: _Problems) -> Any:
    if value is not None and not _is_one_of(value, FILE_EXISTS_BEHAVIORS):
        problems.add("file_exists_behavior", value, "write DISALLOW, OVERWRITE or RETAIN, in upper case")
        return None
    return as_data(value)


def _rule(value: Any, rule: str) -> str:
    return REQUIRED + rule if value is MISSING or value is None else rule


def _is_one_of(value: Any, choices: Any) -> bool:
    return isinstance(value, str) and str(value) in choices


def _hooks(value: Any, problems: _Problems) -> Dict[str, Any]:
    if value is None or value is False:
        return {}
    if not isinstance(value, dict):
        problems.add("hooks", value, "hooks is a mapping of lifecycle events to lists of scripts")
        return {}
    hooks = {}
    for event, scripts in value.items():
        if scripts is not None and scripts is not False:
            name = as_text(event)
            hooks[name] = _list_of(scripts, "hooks." + name[:LONGEST_NAME], _script, problems)
    return hooks


def _list_of(value: Any, path: str, read: Callable, problems: _Problems) -> List[Any]:
    """A section that is absent, null, false or an empty mapping is empty."""
    if value is None or value is False or value == {}:
        return []
    if not isinstance(value, (list, tuple)):
        problems.add(path, value, "this is a list; start each of its entries with a dash")
        return []
    entries = []
    for index, entry in enumerate(value):
        entry_path = "%s[%d]" % (path, index)
        if isinstance(entry, dict):
            entries.append(read(entry, entry_path, problems))
        else:
            problems.add(entry_path, entry, "an entry is a mapping; write %s" % _EXAMPLES[read])
    return entries


def _script(entry: Dict[Any, Any], path: str, problems: _Problems) -> Dict[str, Any]:
    runas = entry.get("runas")
    return {
        "location": _required_text(entry, "location", path, "name the script by its path in the bundle", problems),
        "timeout": _timeout(entry.get("timeout"), path + ".timeout", problems),
        "runas": None if runas is None else stripped(runas),
        "sudo": as_data(entry.get("sudo")),
    }


def _required_text(entry: Dict[Any, Any], key: str, path: str, rule: str, problems: _Problems) -> str:
    value = entry.get(key)
    text = stripped(value)
    if not text:
        problems.add("%s.%s" % (path, key), entry.get(key, MISSING), REQUIRED + rule)
    return text


def _timeout(value: Any, path: str, problems: _Problems) -> Optional[int]:
    if value is None or value is False:
        return DEFAULT_TIMEOUT
    seconds = None
    if isinstance(value, str) and not isinstance(value, DateText):
        seconds = leading_integer(value)
    elif isinstance(value, float):
        seconds = int(value) if value - value == 0 else None
    elif isinstance(value, int) and not isinstance(value, bool):
        seconds = int(value)
    if seconds is None or seconds <= 0:
        problems.add(path, value, "a time-out is a whole number of seconds, 1 or more")
    return seconds


def _file(entry: Dict[Any, Any], path: str, problems: _Problems) -> Dict[str, Any]:
    for key, rule in (
        ("source", "name a file or folder of the bundle, or / for all of it"),
        ("destination", "name the folder on the instance to copy to"),
    ):
        if entry.get(key) is None:
            problems.add("%s.%s" % (path, key), entry.get(key, MISSING), REQUIRED + rule)
    return {"source": as_data(entry.get("source")), "destination": as_data(entry.get("destination"))}


def _permission(entry: Dict[Any, Any], path: str, problems: _Problems) -> Dict[str, Any]:
    pattern = entry.get("pattern")
    return {
        "object": _required_text(entry, "object", path, "name a file or folder on the instance", problems),
        "pattern": EVERYTHING if pattern is None or pattern is False else as_data(pattern),
        "except": _except(entry.get("except"), path + ".except", problems),
        "type": _types(entry.get("type"), path + ".type", problems),
        "owner": as_data(entry.get("owner")),
        "group": as_data(entry.get("group")),
        "mode": _mode(entry.get("mode"), path + ".mode", problems),
        "acls": _acls(entry.get("acls"), path + ".acls", problems),
        "context": _context(entry.get("context"), path + ".context", problems),
    }


def _except(value: Any, path: str, problems: _Problems) -> Any:
    if value is None or value is False:
        return []
    if isinstance(value, dict):
        return [[as_data(key), as_data(entry)] for key, entry in value.items()]
    if not isinstance(value, (list, tuple)):
        problems.add(path, value, "this is a list of names or patterns; write [name]")
        return []
    return as_data(value)


def _types(value: Any, path: str, problems: _Problems) -> Any:
    if value is None or value is False:
        return list(OBJECT_TYPES)
    if value == {}:
        return {}
    if not isinstance(value, (list, tuple)):
        problems.add(path, value, "this is a list; write [file], [directory] or [file, directory]")
        return []
    for index, entry in enumerate(value):
        if not _is_one_of(entry, OBJECT_TYPES):
            problems.add("%s[%d]" % (path, index), entry, "a type is file or directory")
    return as_data(value)


def _mode(value: Any, path: str, problems: _Problems) -> Optional[str]:
    """A mode is text to the agent; an integer with a leading zero is the octal mode that was written."""
    if value is None:
        return None
    if isinstance(value, OctalInteger) and value >= 0:
        text = value.digits.lstrip("0").rjust(min(len(value.digits), 4), "0")
    else:
        text = as_text(value)
    text = text.rjust(3, "0")
    if len(text) > 4 or set(text) - set("01234567"):
        problems.add(path, value, "a mode is one to four digits from 0 to 7; write for example 644 or 4755")
    return text


def _acls(value: Any, path: str, problems: _Problems) -> Any:
    if value is None:
        return None
    if value == {}:
        return []
    if not isinstance(value, (list, tuple)):
        problems.add(path, value, "this is a list of entries such as user:bob:rw-")
        return []
    return [_grammar(parse_acl_entry, entry, "%s[%d]" % (path, index), problems) for index, entry in enumerate(value)]


def _context(value: Any, path: str, problems: _Problems) -> Optional[Dict[str, Any]]:
    if value is None:
        return None
    if not isinstance(value, dict):
        problems.add(path, value, "a context is a mapping with the keys user, type and range")
        return None
    if value.get("type") is None:
        problems.add(path + ".type", value.get("type", MISSING), REQUIRED + "name the SELinux type")
    user = value.get("name")
    selinux_range = value.get("range")
    return {
        "user": as_data(value.get("user") if user is None else user),
        "type": as_data(value.get("type")),
        "range": None if selinux_range is None else _grammar(parse_range, selinux_range, path + ".range", problems),
    }


def _grammar(read: Callable[[str], str], value: Any, path: str, problems: _Problems) -> Optional[str]:
    if not isinstance(value, str):
        problems.add(path, value, "this must be text; put it in quotes")
        return None
    try:
        return read(str(value))
    except ValueError as error:
        problems.add(path, value, str(error))
        return None


_EXAMPLES = {
    _script: "- location: scripts/start.sh",
    _file: "- source: / and destination: /var/www below it",
    _permission: "- object: /var/www and mode: 644 below it",
}
