# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The C(permissions) section: which entry applies to which object, and what it makes of it."""

import grp
import os
import pwd
import re
import stat
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_acl import full_acl, with_mode
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import shown_mode


class Rule:
    """One entry of C(permissions) with its names looked up: mode, uid, gid (V(None): unchanged), acls, context."""

    __slots__ = ("key", "mode", "uid", "gid", "owner", "group", "acls", "context", "used", "number")

    def __init__(self, number: int, entry: Dict[str, Any]) -> None:
        self.number = number
        self.key = "permissions[%d]" % number
        self.mode: Optional[int] = None if entry.get("mode") is None else int(entry["mode"], 8)
        self.owner = entry.get("owner")
        self.group = entry.get("group")
        self.uid: Optional[int] = None
        self.gid: Optional[int] = None
        self.acls: Optional[List[str]] = entry.get("acls")
        self.context: Optional[Dict[str, Any]] = entry.get("context")
        self.used = False

    def resolve(self) -> Iterator[str]:
        """Look the names up; yield a problem for each that this instance does not know or may not be given."""
        for what, name, lookup in (("owner", self.owner, _uid), ("group", self.group, _gid)):
            if name is None:
                continue
            number = lookup(name)
            if number is None:
                yield "%s.%s: this instance has no %s named %r; names, not numbers, are looked up" % (
                    self.key,
                    what,
                    "user" if what == "owner" else "group",
                    name,
                )
            elif os.geteuid() and (
                number != os.geteuid() if what == "owner" else number not in [os.getegid()] + os.getgroups()
            ):
                yield "%s.%s: only root may give files to %r; deploy with become" % (self.key, what, name)
            setattr(self, "uid" if what == "owner" else "gid", number)
        for what, texts in (("acls", self.acls or ()), ("context", (self.context or {}).values())):
            if any("\0" in str(text) for text in texts):
                yield "%s.%s: a command cannot be given a NUL character; remove it" % (self.key, what)

    def _attributes(self, mode: int, uid: int, gid: int, is_folder: bool) -> Tuple[int, int, int]:
        """Return mode, uid and gid of an object after this rule (without ACL).

        Changing the owner clears setuid and setgid as the system does it, unless the rule gives the mode.
        """
        if self.uid is not None or self.gid is not None:
            uid = uid if self.uid is None else self.uid
            gid = gid if self.gid is None else self.gid
            if not is_folder:
                mode &= ~(stat.S_ISUID | (stat.S_ISGID if mode & stat.S_IXGRP else 0))
        return (mode if self.mode is None else self.mode), uid, gid

    def after(
        self, mode: int, uid: int, gid: int, acl: Sequence[str], is_folder: bool
    ) -> Tuple[int, int, int, List[str]]:
        """Return mode, uid, gid and complete ACL of an object after this rule.

        :param mode: what it has before, without what C(acl) makes of it.
        :param acl: the complete list that a rule before this one gave it, [] for none.
        """
        mode, uid, gid = self._attributes(shown_mode(mode, acl), uid, gid, is_folder)
        if self.acls is not None:
            return mode, uid, gid, full_acl(self.acls, mode)
        return mode, uid, gid, with_mode(acl, mode) if self.mode is not None else list(acl)

    def instructions(self, path: str) -> Iterator[Dict[str, Any]]:
        """Yield the agent's instructions for one object, in its form and order."""
        if self.mode is not None:
            yield {"type": "chmod", "mode": "%03o" % self.mode, "file": path}
        if self.acls is not None:
            yield {"type": "setfacl", "acl": self.acls, "file": path}
        if self.context is not None:
            context = {"user": self.context.get("user"), "role": None, "type": self.context.get("type")}
            yield {"type": "semanage", "context": dict(context, range=self.context.get("range")), "file": path}
        if self.owner is not None or self.group is not None:
            yield {"type": "chown", "owner": self.owner, "group": self.group, "file": path}


def _uid(name: Any) -> Optional[int]:
    try:
        return pwd.getpwnam(name).pw_uid if isinstance(name, str) else None
    except (KeyError, ValueError):
        return None


def _gid(name: Any) -> Optional[int]:
    try:
        return grp.getgrnam(name).gr_gid if isinstance(name, str) else None
    except (KeyError, ValueError):
        return None


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return whether a name directly below the object matches; V(*) is the only wildcard."""
    expression = re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)
    return lambda name: expression.fullmatch(name) is not None


class PermissionRules:
    """Gives every planned object its rule; problems and warnings are appended to the two lists.

    :param folders: the plan's folders by destination path, with C(path), C(made), C(copies), C(rules), C(rule).
    :param is_folder: whether a path is a folder now or after the previous deployment's files are gone.
    """

    def __init__(
        self,
        folders: Dict[str, Any],
        is_folder: Callable[[str], bool],
        problems: List[str],
        warnings: List[str],
    ) -> None:
        self.folders = folders
        self.is_folder = is_folder
        self.problems = problems
        self.warnings = warnings

    def apply(self, number: int, entry: Dict[str, Any], path: str) -> None:
        """Give the objects that one entry matches its rule.

        :param number: which entry of C(permissions) it is, from 0.
        :param path: its object, absolute and normalised.
        """
        rule = Rule(number, entry)
        parent, name = os.path.split(path)
        folder = self.folders.get(parent)
        if folder is not None and name in folder.copies:
            if "file" in entry["type"] and self._fits_a_file(rule.key, entry):
                self._assign(folder, name, rule)
        elif (path in self.folders and self.folders[path].made) or self.is_folder(path):
            self._below(rule, entry, path)
        if rule.used:
            self.problems.extend(rule.resolve())
        else:
            self.warnings.append("%s: %s: matches nothing that is deployed" % (rule.key, path))

    def _fits_a_file(self, key: str, entry: Dict[str, Any]) -> bool:
        """The agent's rules for an object that is a file."""
        count = len(self.problems)
        if entry["pattern"] != "**":
            self.problems.append(
                "%s.pattern: %r does not fit, %s is a file; leave it out" % (key, entry["pattern"], entry["object"])
            )
        if entry["except"]:
            self.problems.append("%s.except: does not fit, %s is a file; leave it out" % (key, entry["object"]))
        return len(self.problems) == count

    def _below(self, rule: Rule, entry: Dict[str, Any], path: str) -> None:
        if not all(isinstance(value, str) for value in [entry["pattern"]] + entry["except"]):
            self.problems.append("%s: pattern and except must be text; put them in quotes" % rule.key)
            return
        files, folders = "file" in entry["type"], "directory" in entry["type"]
        excluded = [matcher(value) for value in entry["except"]]
        matches = None if entry["pattern"] == "**" else matcher(entry["pattern"])
        prefix = path.rstrip("/") + "/"
        for folder in list(self.folders.values()):
            direct = folder.path == path
            if files and (direct or (matches is None and folder.path.startswith(prefix))):
                self._assign_all(folder, rule, self._names(folder.copies, matches, excluded if direct else []))
            parent, name = os.path.split(folder.path)
            if folders and folder.made and folder.path != "/":
                child = parent == path
                wanted = folder.path.startswith(prefix) if matches is None else child and matches(name)
                if wanted and not (child and any(match(name) for match in excluded)):
                    self._assign(folder, None, rule)

    @staticmethod
    def _names(copies: Iterable[str], matches: Any, excluded: List[Any]) -> Iterable[str]:
        if matches is None and not excluded:
            return copies
        return [
            name for name in copies if (matches is None or matches(name)) and not any(match(name) for match in excluded)
        ]

    def _assign_all(self, folder: Any, rule: Rule, names: Iterable[str]) -> None:
        for name in names:
            self._assign(folder, name, rule)

    def _assign(self, folder: Any, name: Optional[str], rule: Rule) -> None:
        """Give a file, or with no name the folder itself, its rule: it may have one only."""
        before = folder.rule if name is None else folder.rules.get(name)
        path = folder.path if name is None else folder.path.rstrip("/") + "/" + name
        if before is not None:
            self.problems.append("%s: %s already has its permissions from %s" % (rule.key, path, before.key))
        elif name is None:
            folder.rule = rule
        else:
            folder.rules[name] = rule
            if rule.acls and any(entry.startswith("default:") for entry in rule.acls):
                self.problems.append("%s.acls: %s is a file; only a folder has default entries" % (rule.key, path))
        rule.used = True
