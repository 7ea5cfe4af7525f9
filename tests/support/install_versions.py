# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two versions of an application between which an Install replaces, adds and removes everything that it can."""

from __future__ import annotations

from typing import Any

from support.install_trees import Instance, Tree, permission

OLD: Tree = {
    "same": "same",
    "changed": "old",
    "mode": ("mode", 0o644, "mode"),
    "only-old": "old",
    "folder/same": "same",
    "folder/changed": "old",
    "folder/only-old": "old",
    "gone/a": "old",
    "gone/deep/b": "old",
    "file-then-folder": "old",
    "folder-then-file/a": "old",
    "link": ("link", "same"),
    "link-then-file": ("link", "same"),
    "locked/x": "same",
}
NEW: Tree = {
    "same": "same",
    "changed": "new",
    "mode": ("mode", 0o755, "mode"),
    "only-new": "new",
    "folder/same": "same",
    "folder/changed": "new",
    "folder/only-new": "new",
    "fresh/a": "new",
    "fresh/deep/b": "new",
    "file-then-folder/a": "new",
    "folder-then-file": "new",
    "link": ("link", "changed"),
    "link-then-file": "new",
    "locked/x": "same",
}


def old_spec(instance: Instance) -> dict[str, Any]:
    """Return the AppSpec of the old version."""
    return instance.spec()


def new_spec(instance: Instance) -> dict[str, Any]:
    """Return the AppSpec of the new version."""
    return instance.spec([permission(instance.destination, pattern="locked", mode="700", type=["directory"])])
