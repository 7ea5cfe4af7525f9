# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of C(permissions) for symbolic links: they are followed, to where the links lead when Install is done."""

import os
import stat
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_attributes import attributes
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import join, lstat

MOST_LINKS = 40


def outcomes(later: List[Tuple[str, Any]]) -> List[Tuple[str, List[Any], List[Any], List[str]]]:
    """Return what rules come to for objects that are not of the revision.

    :param later: the plan's, in the order in which C(permissions) has the rules.
    :returns: C((real path, what it has, what it gets, its complete ACL then or [])), as C(set_attributes) takes them.
    """
    found: Dict[str, List[Any]] = {}
    wanted: Dict[str, Any] = {}
    for path, rule in later:
        real = os.path.realpath(path)
        if real not in found:
            found[real] = attributes(real)
            wanted[real] = found[real][:3] + [[]]
        wanted[real] = rule.after(*wanted[real], is_folder=os.path.isdir(real))
    return [(real, found[real], [*wanted[real][:3], None], wanted[real][3]) for real in found]


class LinkRules:
    """Gives rules for symbolic links, and for files that are written through one, to what they lead to.

    A file or folder of the revision has them in the C(through) of its folder, and gets what they say as it gets what
    its own rule says. What is not of the revision is listed in the plan's C(later).
    """

    def __init__(self, plan: Any) -> None:
        self._plan = plan
        self._previous = plan.previous
        self._folders: Dict[str, Any] = {folder.real: folder for folder in plan.folders.values()}
        self._files: Dict[str, Tuple[Any, str]] = {}
        self._links: Dict[str, str] = {}
        for folder in plan.folders.values():
            for name, (_source, _proof, _status, text, target) in folder.copies.items():
                real = target or join(folder.real, name)
                if text is None:
                    self._files[real] = (folder, name)
                else:
                    self._links[real] = text

    def assign(self) -> None:
        """Give every such rule to what it is for; a link that leads to nothing is a problem."""
        found: List[Tuple[int, str, Any]] = []
        for folder in self._plan.folders.values():
            for name, rule in folder.rules.items():
                copy = folder.copies[name]
                if copy[3] is None and copy[4] is None:
                    continue
                path = join(folder.real, name)
                real = self._lead(path)
                if real is not None:
                    found.append((rule.number, real, rule))
                else:
                    self._plan.problems.append(
                        "%s: %s would be a symbolic link to nothing, which can be given no mode and no owner"
                        % (rule.key, join(folder.path, name))
                    )
        for _number, real, rule in sorted(found, key=lambda item: item[:2]):
            folder, name = self._planned(real)
            if folder is None:
                self._plan.later.append((real, rule))
            else:
                folder.through.setdefault(name, []).append(rule)

    def _planned(self, real: str) -> Tuple[Any, str]:
        """Return folder and name of a file of the revision, folder and V("") of a folder that is made for it."""
        if real in self._files:
            return self._files[real]
        folder = self._folders.get(real)
        return (folder, "") if folder is not None and folder.made else (None, "")

    def _lead(self, path: str) -> Optional[str]:
        """Return the real path that a path will lead to; V(None) when that is nowhere."""
        real, links = "/", 0
        parts = path.split("/")[::-1]
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == "..":
                real = os.path.dirname(real)
                continue
            here = join(real, part)
            text = self._text(real, part, here)
            if text is None:
                return None
            if not text:
                real = here
                continue
            links += 1
            if links > MOST_LINKS:
                return None
            real = "/" if text.startswith("/") else real
            parts.extend(text.split("/")[::-1])
        return real

    def _text(self, real: str, name: str, here: str) -> Optional[str]:
        """Return the text of what will be a symbolic link, V("") for anything else, V(None) for nothing."""
        if here in self._files or here in self._links or here in self._folders:
            return self._links.get(here, "")
        if name in self._previous.files.get(real, ()) or here in self._previous.folders:
            return None
        status = lstat(here)
        if status is None:
            return None
        return os.readlink(here) if stat.S_ISLNK(status.st_mode) else ""
