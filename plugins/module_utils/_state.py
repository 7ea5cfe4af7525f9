# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment leaves on an instance: the deployment root's layout, its pointers, its retention and its lock."""

import errno
import fcntl
import os
import shutil
import time
from contextlib import suppress
from typing import Callable, Iterable, List, Optional, Union

OUR_MARK = "agentless.codedeploy"
BUFFER = 1 << 16
ONGOING_SECONDS = 24 * 3600
RESERVED = (".", "..", "deployment-instructions", "deployment-logs", "ongoing-deployment", "bundle-cache")

ADVICE = {
    errno.ENOSPC: "make room on that file system",
    errno.EDQUOT: "make room for this user on that file system",
    errno.EACCES: "deploy as a user who may do that, for example with become, or below another deployment root",
    errno.EPERM: "deploy as a user who may do that, for example with become",
    errno.EROFS: "mount that file system for writing, or use another deployment root",
}


class StateError(Exception):
    """The deployment root is in use or cannot be used; the message says by whom and what to do."""


class BusyError(StateError):
    """An earlier deployment of the group still runs here.

    :param owner: as the lock file names it; C(deployment) becomes its folder's name, empty when it has none.
    """

    def __init__(self, message: str, owner: str) -> None:
        super().__init__(message)
        self.deployment = owner.partition("deployment ")[2]


def deployment_folder(deployment_id: str) -> str:
    """Return the folder name of a deployment id; of an ARN it is what follows C(deployment/).

    :raises StateError: when the id cannot be a folder name.
    """
    return folder_name(deployment_id.split("deployment/")[-1], "deployment_id")


def folder_name(name: str, what: str) -> str:
    """Return C(name) when it is usable as the name of one folder.

    :raises StateError: naming C(what) otherwise.
    """
    if not name or name in RESERVED or "/" in name or "\0" in name:
        raise StateError(f"{what} {name!r} cannot be used as a folder name; give another id, without '/'")
    return name


def replace_file(path: str, data: Union[bytes, Iterable[bytes]], mode: int = 0o644) -> None:
    """Write C(data), in parts or not, so that a reader, or a crash, sees the old file or the new one as a whole."""
    temporary = path + ".new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb", BUFFER) as stream:
            stream.writelines([data] if isinstance(data, bytes) else data)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except OSError as error:
        # An error of writing names no file by itself.
        error.filename = error.filename or path
        with suppress(OSError):
            os.unlink(temporary)
        raise


def lacking(path: str, size: int, files: int) -> List[str]:
    """Return what a file system has too little of for so many more bytes and files: a text each, [] for nothing.

    :param path: any folder on it that is there.
    """
    room = os.statvfs(path)
    free = (room.f_bavail if os.geteuid() else room.f_bfree) * room.f_frsize
    problems = []
    if size > free:
        problems.append(f"{size} bytes are needed on the file system of {path}, {free} are free")
    if room.f_files and files > room.f_ffree:
        problems.append(f"{files} inodes are needed on the file system of {path}, {room.f_ffree} are free")
    return problems


def read_file(path: str) -> Optional[bytes]:
    """Return the content of a file, V(None) when there is no such file."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise


class InstructionFiles:
    """Paths of what is kept for one deployment group in C(deployment-instructions)."""

    def __init__(self, directory: str, group_id: str) -> None:
        prefix = os.path.join(directory, group_id)
        self.directory = directory
        self.group_id = group_id
        self.cleanup = prefix + "-cleanup"
        self.install_json = prefix + "-install.json"
        self.manifest = prefix + "-manifest.json"
        self.journal = prefix + "-journal"
        self.lock = prefix + "-lock"
        self.ongoing = prefix + "-ongoing"
        self.removed = prefix + "-removed"
        self.last_successful_install = prefix + "_last_successful_install"
        self.most_recent_install = prefix + "_most_recent_install"
        #: What Install replaces together.
        self.installed = [self.cleanup, self.install_json, self.manifest, self.last_successful_install]


class DeploymentPaths:
    """Paths of one deployment: C(ROOT/group/deployment)."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.bundle = os.path.join(directory, "bundle.tar")
        self.archive = os.path.join(directory, "deployment-archive")
        self.replaced_archive = self.archive + ".old"
        self.logs = os.path.join(directory, "logs")
        self.scripts_log = os.path.join(self.logs, "scripts.log")
        self.appspec = os.path.join(directory, "appspec.json")
        self.events = os.path.join(directory, "events.jsonl")
        self.stop = os.path.join(directory, "stop")
        self.archive_manifest = os.path.join(directory, "archive-manifest.json")
        self.installation = os.path.join(directory, "installation.json")


class DeploymentRoot:
    """The deployment root of an instance, laid out as the CodeDeploy agent lays it out."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.instructions_directory = os.path.join(path, "deployment-instructions")
        self.ongoing = os.path.join(path, "ongoing-deployment")
        self.bundle_cache = os.path.join(path, "bundle-cache")
        self.deployments_log = os.path.join(path, "deployment-logs", "codedeploy-agent-deployments.log")
        state = os.path.join(os.path.dirname(os.path.abspath(path)), "state")
        self.agent_pid_file = os.path.join(state, ".pid", "codedeploy-agent.pid")

    def instructions(self, group_id: str) -> InstructionFiles:
        """Return the paths of a deployment group's instructions."""
        return InstructionFiles(self.instructions_directory, group_id)

    def group(self, group_id: str) -> str:
        """Return the folder with a group's deployments."""
        return os.path.join(self.path, group_id)

    def deployment(self, group_id: str, deployment: str) -> DeploymentPaths:
        """Return the paths of a deployment."""
        return DeploymentPaths(os.path.join(self.path, group_id, deployment))

    def pointer(self, path: str) -> Optional[str]:
        """Return the deployment folder that a C(_last_successful_install) or C(_most_recent_install) file names."""
        directory = os.fsdecode((read_file(path) or b"").strip())
        return directory if directory and "\0" not in directory else None

    def point(self, path: str, directory: str) -> None:
        """Make a pointer file name a deployment folder (no newline, as the agent)."""
        os.makedirs(self.instructions_directory, exist_ok=True)
        replace_file(path, os.fsencode(directory))

    def prune(self, group_id: str, deployment: str, keep: int) -> List[str]:
        """Remove a group's oldest deployments by the agent's rule and return their folders.

        C(keep) counts the deployment that begins; the last successful one always stays.
        """
        group = self.group(group_id)
        others = [name for name in _entries(group) if name != deployment]
        surplus = len(others) - keep + 1
        if surplus <= 0:
            return []
        kept = self.pointer(self.instructions(group_id).last_successful_install)
        paths = [os.path.join(group, name) for name in others]
        paths = sorted((path for path in paths if path != kept), key=_mtime)[:surplus]
        removed = self.instructions(group_id).removed
        for path in paths:
            try:
                os.makedirs(self.instructions_directory, exist_ok=True)
                os.rename(path, removed)  # a killed run then leaves a whole deployment, or none
            except OSError:
                remove_tree(path)
            remove_tree(removed)
        return paths

    def prune_cache(self, unused: bool = True) -> None:
        """Remove what killed runs left of pushed bundles, and those that no kept deployment links to any more.

        :param unused: whether to remove the latter.
        """
        for name in _entries(self.bundle_cache):
            path = os.path.join(self.bundle_cache, name)
            _digest, unfinished, pid = name.partition(".")
            old = unfinished and _mtime(path) < time.time() - ONGOING_SECONDS
            if old or (not os.path.exists("/proc/" + pid) if unfinished else unused and os.lstat(path).st_nlink < 2):
                os.unlink(path)

    def sweep(self, group_id: str) -> None:
        """Remove what killed runs of a group left half-done; its lock must be held."""
        files = self.instructions(group_id)
        written = [files.last_successful_install, files.most_recent_install, files.journal, files.ongoing]
        written += [path + ".staged" for path in files.installed]
        for path in [path + ".new" for path in written] + [files.ongoing, files.removed]:
            with suppress(OSError):
                remove_tree(path)
        for name in _entries(self.group(group_id)):
            with suppress(OSError):
                paths = self.deployment(group_id, name)
                if os.path.lexists(paths.replaced_archive) and not os.path.lexists(paths.archive):
                    os.rename(paths.replaced_archive, paths.archive)
                for entry in _entries(paths.directory):
                    path = os.path.join(paths.directory, entry)
                    if entry.endswith(".new") or path == paths.replaced_archive:
                        remove_tree(path)
        for name in _entries(self.ongoing):
            with suppress(OSError):
                if read_file(os.path.join(self.ongoing, name)) == _mark(group_id):
                    self.end(name)
        with suppress(OSError):
            self.prune_cache(unused=False)

    def lock(self, group_id: str, owner: str, check: Optional[Callable[[str], None]] = None) -> int:
        """Take the group's lock without waiting and return its descriptor; it is held until that is closed.

        :param check: is given what its former owner left in it, and may refuse.
        :raises BusyError: when a deployment holds it, naming that deployment.
        """
        os.makedirs(self.instructions_directory, exist_ok=True)
        path = self.instructions(group_id).lock
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise self.busy(group_id) from None
        try:
            if check:
                check(_text(descriptor))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, owner.encode("utf-8", "replace"), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def busy(self, group_id: str) -> BusyError:
        """Return what refuses a deployment while another one holds the group's lock."""
        path = self.instructions(group_id).lock
        text = (read_file(path) or b"").decode("utf-8", "replace")
        holder = text.partition("\n")[0].strip() or "another deployment"
        return BusyError(
            f"{holder} is in progress for deployment group {group_id} on this instance (lock {path}); "
            "wait until it has ended, or stop it",
            holder,
        )

    def refuse_agent(self) -> None:
        """Check that the CodeDeploy agent itself does not deploy here.

        :raises StateError: while the agent runs or has a deployment in progress.
        """
        pid = read_file(self.agent_pid_file)
        if (
            pid
            and len(pid) < 20
            and pid.strip().isdigit()
            and b"codedeploy" in (read_file(f"/proc/{int(pid)}/cmdline") or b"")
        ):
            raise StateError(
                f"the CodeDeploy agent is running on this instance (process {int(pid)}, {self.agent_pid_file}); "
                "stop and disable it first: systemctl disable --now codedeploy-agent"
            )
        for name in _entries(self.ongoing):
            path = os.path.join(self.ongoing, name)
            young = time.time() - _mtime(path) < ONGOING_SECONDS
            if young and OUR_MARK.encode() not in (read_file(path) or b""):
                raise StateError(
                    f"the CodeDeploy agent has an unfinished deployment {name} on this instance ({path}); "
                    "wait until it has ended, or remove that file when the agent is gone"
                )

    def begin(self, deployment: str, group_id: str) -> None:
        """Note that a deployment's events run, for whoever looks (the agent does at its start)."""
        os.makedirs(self.ongoing, exist_ok=True)
        os.makedirs(self.instructions_directory, exist_ok=True)
        whole = self.instructions(group_id).ongoing  # never a note without its mark: that would be the agent's
        replace_file(whole, _mark(group_id))
        os.rename(whole, os.path.join(self.ongoing, deployment))

    def end(self, deployment: str) -> None:
        """Remove the note that a deployment's events run."""
        try:
            os.unlink(os.path.join(self.ongoing, deployment))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise


def refusal(error: Exception) -> str:
    """Return what the system refused and where, and what to do if that is plain; of other errors the message."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    path = error.filename2 or error.filename
    where = f": {os.fsdecode(path)}" if isinstance(path, (str, bytes)) else ""
    advice = ADVICE.get(error.errno or 0)
    return f"{error.strerror}{where}" + (f"; {advice}" if advice else "")


def remove_tree(path: str) -> None:
    """Remove a file, a link or a folder with all it holds; nothing there is fine."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _mark(group_id: str) -> bytes:
    return os.fsencode(f"{OUR_MARK} {group_id}")


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 8192, 0).decode("utf-8", "replace")


def _entries(directory: str) -> List[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return []
        raise


def _mtime(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0
