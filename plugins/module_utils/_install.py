# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Install event: plan it, and carry the plan out."""

import contextlib
import gc
import os
import shutil
from typing import Any, Dict, Iterator, List, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._install_apply import Installation
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_files import ArchiveManifest, FileMapping
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_journal import recover
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_manifest import read_previous
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_plan import (
    Decisions,
    InstallError,
    InstallPlan,
    check_aliases,
    check_room,
    permission_code,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._install_tree import (
    FOLDER,
    FileSystemAfterCleanup,
    PreviousFiles,
)

__all__ = [
    "InstallError",
    "InstallPlan",
    "apply_install",
    "no_search_for_garbage",
    "permission_code",
    "plan_install",
    "recover_install",
]


def recover_install(instructions: Any) -> bool:
    """Undo or finish what a killed Install left behind; return whether there was anything.

    :raises InstallError: when that fails; it can be tried again.
    """
    try:
        return recover(instructions) != ""
    except (OSError, ValueError) as error:
        raise InstallError(
            ["an interrupted Install could not be undone (%s): %s" % (instructions.journal, error)]
        ) from error


@contextlib.contextmanager
def no_search_for_garbage() -> Iterator[None]:
    """Keep Python from searching what a plan holds for cycles again and again; there are none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@no_search_for_garbage()
def plan_install(
    archive_directory: str,
    spec: Dict[str, Any],
    file_exists_behavior: str,
    instructions: Any,
    archive_manifest: ArchiveManifest = None,
    destination_root: str = "/",
    dry_run: bool = False,
    others: Optional[Dict[str, List[str]]] = None,
) -> InstallPlan:
    """Find out what Install would do, and everything that would keep it from being done.

    Nothing is touched, except that the leftovers of a killed Install are undone first unless C(dry_run).

    :param archive_directory: the unpacked revision.
    :param spec: the parsed AppSpec.
    :param file_exists_behavior: the deployment's; the AppSpec's own goes first.
    :param instructions: C(InstructionFiles) of the deployment group.
    :param archive_manifest: C({folder: {name: record}}) of the unpacked files, folders relative to it, or None.
    :param others: C({folder: names of what is no file}) of the unpacked revision when nothing can have changed since
        C(archive_manifest) was made: then that is believed, and no file of the revision is looked at again.
    :param destination_root: is put before every destination and object, so that instances can share a machine.
    :raises InstallError: with all problems, and the plan as far as it got.
    """
    if not dry_run:
        recover_install(instructions)
    try:
        behavior = spec.get("file_exists_behavior") or (file_exists_behavior or "DISALLOW").upper()
        simple = os.geteuid() == 0 and not spec.get("permissions")
        recorded, old_contexts = read_previous(instructions)
        previous = PreviousFiles(recorded)
        system = FileSystemAfterCleanup(previous)
        mapping = FileMapping(archive_directory, archive_manifest, behavior, system, destination_root, simple, others)
        return _plan(spec, mapping, old_contexts, instructions, dry_run)
    except RecursionError:
        raise InstallError(["files: a path has too many folders in it to be followed"]) from None
    except OSError as error:
        raise InstallError(["%s: %s" % (error.strerror or error, error.filename)]) from error


def _plan(
    spec: Dict[str, Any], mapping: FileMapping, old_contexts: List[List[Any]], instructions: Any, dry_run: bool
) -> InstallPlan:
    previous, system = mapping.system.previous, mapping.system
    for number, entry in enumerate(spec.get("files") or []):
        mapping.add("files[%d]" % number, entry)
    plan = InstallPlan(mapping, previous, old_contexts)
    permissions = spec.get("permissions")
    if permissions:
        rules = permission_code()[0](
            plan.folders, lambda path: system.locate(path)[0] == FOLDER, plan.problems, plan.warnings
        )
        for number, entry in enumerate(permissions):
            path = mapping.expand(entry["object"], "permissions[%d].object" % number)
            if path is not None:
                rules.apply(number, entry, path)
    # With problems it goes on all the same, for everything that is wrong is to be told at once.
    plan.partial = bool(plan.problems)
    Decisions(plan).decide()
    check_aliases(plan)
    check_room(plan, instructions.directory)
    _check_tools(plan)
    if plan.problems:
        raise InstallError(plan.problems, plan)
    if dry_run and os.path.exists(instructions.journal):
        plan.warnings.append("an interrupted Install would be undone first; the plan is what it would be without that")
    return plan


def _check_tools(plan: InstallPlan) -> None:
    """Add a problem for each command that permissions need and that this instance does not have."""
    used = [rule for folder in plan.folders.values() for rule in [folder.rule] + list(folder.rules.values()) if rule]
    for attribute, tools in (("acls", ("setfacl",)), ("context", ("semanage", "restorecon"))):
        keys = sorted({rule.key for rule in used if getattr(rule, attribute) is not None})
        for tool in tools if keys else ():
            if shutil.which(tool) is None:
                plan.problems.append("%s.%s: needs the command %s; install it" % (keys[0], attribute, tool))


@no_search_for_garbage()
def apply_install(plan: InstallPlan, instructions: Any, revision: Optional[str] = None) -> None:
    """Carry a plan out.

    :param revision: folder of the deployment that the group's last successful one becomes with it.
    :raises InstallError: when it failed; the previous version is in place again, byte for byte.
    """
    try:
        Installation(plan, instructions, revision).run()
    except OSError as error:
        where = error.filename2 or error.filename
        text = "%s: %s" % (error.strerror or error, where) if where else str(error.strerror or error)
        if os.path.exists(instructions.journal):
            text += "; the previous version could not be restored completely, the next deployment tries again"
        else:
            text += "; the previous version was restored"
        raise InstallError([text], plan) from error
