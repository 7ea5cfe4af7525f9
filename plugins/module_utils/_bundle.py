# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DownloadBundle: get a deployment's bundle and unpack it into its deployment-archive."""

import errno
import hashlib
import os
import re
import shutil
import stat
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import (
    CHUNK,
    BundleError,
    Rules,
    check_room,
    manifest,
    unpack,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._file_record import FORMAT, Listing
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import (
    DeploymentPaths,
    DeploymentRoot,
    read_file,
    remove_tree,
    replace_file,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_seal import seal, unseal
from ansible_collections.agentless.codedeploy.plugins.module_utils._state_sync import settle_tree

Download = Callable[[Dict[str, Any], str], str]


class Unpacked(NamedTuple):
    """What a deployment-archive holds, by relative path of each folder: listings of files, names of everything else."""

    files: Dict[str, Listing]
    others: Dict[str, List[str]]


def download_bundle(
    bundle: Dict[str, Any],
    root: DeploymentRoot,
    paths: DeploymentPaths,
    download: Optional[Download] = None,
    rules: Optional[Rules] = None,
) -> Unpacked:
    """Get the bundle, unpack it beside the deployment-archive and put it in that place as a whole.

    :param bundle: as the option C(bundle) of M(agentless.codedeploy.lifecycle_events).
    :param download: what fetches a bundle into a file and returns the SHA-256 of its content where it knows it.
    :param rules: what the bundle may be.
    :returns: what is in the deployment-archive now.
    :raises BundleError: and nothing of this bundle is in the deployment-archive.
    """
    kind = bundle["type"]
    source = _fetch(bundle, root, paths, download)
    unpacked = paths.archive + ".new"
    remove_tree(unpacked)
    tree = unpack(kind, source, unpacked, rules)
    try:
        settle_tree(unpacked, tree.files, tree.others())
        top = None if kind == "directory" else _single_top_folder(unpacked)
        _put_in_place(paths, os.path.join(unpacked, top) if top else unpacked)
    finally:
        remove_tree(unpacked)
    start = len(top) + 1 if top else 0
    digests = {name[start:]: digest for name, digest in tree.files.items()}
    others = {folder[start:]: names for folder, names in tree.others().items() if folder or not top}
    files = manifest(paths.archive, digests)
    replace_file(paths.archive_manifest, seal({"format": FORMAT, "files": files}), 0o600)
    return Unpacked(files, others)


def _put_in_place(paths: DeploymentPaths, unpacked: str) -> None:
    """Make a folder the deployment-archive; an older one of the same deployment stays until then."""
    remove_tree(paths.replaced_archive)
    if os.path.lexists(paths.archive):
        os.rename(paths.archive, paths.replaced_archive)
    try:
        os.rename(unpacked, paths.archive)
    except OSError:
        if os.path.lexists(paths.replaced_archive):
            os.rename(paths.replaced_archive, paths.archive)
        raise
    remove_tree(paths.replaced_archive)


def read_manifest(paths: DeploymentPaths) -> Optional[Dict[str, List[Any]]]:
    """Return what M(agentless.codedeploy.lifecycle_events) recorded of a deployment-archive, V(None) if nothing."""
    record = unseal(read_file(paths.archive_manifest))
    return record["files"] if record and record.get("format") == FORMAT else None


def _single_top_folder(directory: str) -> Optional[str]:
    """Return the only entry when it is a folder that holds a name with C(appspec) in it, as the agent strips it."""
    names = os.listdir(directory)
    if len(names) != 1:
        return None
    top = os.path.join(directory, names[0])
    if not stat.S_ISDIR(os.lstat(top).st_mode):  # an error must not pass for a bundle without such a folder
        return None
    return names[0] if any("appspec" in name.lower() for name in os.listdir(top)) else None


def _fetch(bundle: Dict[str, Any], root: DeploymentRoot, paths: DeploymentPaths, download: Optional[Download]) -> str:
    """Return the path of the bundle; C(bundle.tar) of the deployment is, or links to, an archive."""
    remove_tree(paths.bundle)
    path = bundle.get("path")
    if bundle["type"] == "directory":
        if not path or not os.path.isdir(path):
            raise BundleError(f"there is no folder {path} on this instance")
        return path
    if bundle.get("digest") or bundle.get("cache_key"):
        _fetch_cached(bundle, root, paths, download)
    elif bundle.get("url") or bundle.get("remove_source"):
        _obtain(bundle, paths, paths.bundle + ".new", download)
        os.rename(paths.bundle + ".new", paths.bundle)
    elif not path or not os.path.isfile(path):
        raise BundleError(f"there is no file {path} on this instance")
    else:
        _check(path, bundle.get("checksum"), _sha256(path) if bundle.get("checksum") else "")
        os.symlink(os.path.abspath(path), paths.bundle)
    return paths.bundle


def _fetch_cached(
    bundle: Dict[str, Any], root: DeploymentRoot, paths: DeploymentPaths, download: Optional[Download]
) -> None:
    """Make C(bundle.tar) a link to the bundle in the cache, putting it there first when it is not."""
    name = bundle.get("digest") or bundle["cache_key"]
    if not re.match(r"[0-9a-f]{64}\Z", name):
        raise BundleError(f"{name!r} is not a SHA-256 in hexadecimal digits")
    cached = os.path.join(root.bundle_cache, name)
    if os.path.exists(cached):
        _link(cached, paths.bundle)
        if bundle.get("path") and bundle.get("remove_source"):
            remove_tree(bundle["path"])
    else:
        os.makedirs(root.bundle_cache, exist_ok=True)
        incoming = f"{cached}.{os.getpid()}"
        try:
            _obtain(bundle, paths, incoming, download)
            _link(incoming, paths.bundle)
            os.rename(incoming, cached)
        finally:
            remove_tree(incoming)
    root.prune_cache()


def _obtain(bundle: Dict[str, Any], paths: DeploymentPaths, target: str, download: Optional[Download]) -> None:
    """Bring the bundle from C(path), or else from where it is downloaded, into a new file of our own and check it.

    What a download has brought until it was interrupted stays for the next call of the same deployment.
    """
    path, partial = bundle.get("path"), paths.bundle + ".part"
    remove_tree(target)
    try:
        if path and os.path.isfile(path):
            if bundle.get("remove_source"):
                shutil.move(path, target)
            else:
                _copy(path, target)
            os.chmod(target, 0o600)
            if os.geteuid() == 0:
                os.chown(target, 0, 0)
            digest = _sha256(target)
        elif download and (bundle.get("url") or bundle.get("s3_location")):
            begun = os.path.getsize(partial) if os.path.exists(partial) else 0
            check_room(os.path.dirname(partial), (bundle.get("size") or 0) - begun)
            digest = download(bundle, partial)
            shutil.move(partial, target)
            digest = digest or _sha256(target)
        else:
            missing = path or bundle.get("digest") or bundle.get("cache_key")
            raise BundleError(f"the bundle is not on this instance any more ({missing}); push it again")
        _check("the bundle that arrived", bundle.get("checksum"), digest)
        _check("the bundle that arrived", bundle.get("digest") and "sha256:" + bundle["digest"], digest)
        if bundle.get("part_size") is not None and not bundle.get("digest"):
            _check_e_tag(target, bundle["e_tag"], bundle["part_size"])
    except BaseException as error:
        remove_tree(target)
        if not getattr(error, "resumable", False):
            remove_tree(partial)
        raise


def _check_e_tag(path: str, wanted: str, part_size: int) -> None:
    from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_e_tag import e_tag_of

    found = e_tag_of(path, part_size)
    if found not in ("", wanted):
        raise BundleError(f"the bundle that arrived has the ETag {found}, expected was {wanted}")


def _link(cached: str, path: str) -> None:
    try:
        os.link(cached, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        _copy(cached, path)


def _copy(source: str, target: str) -> None:
    """Copy a bundle into a new file that is readable by its owner alone from the beginning."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    shutil.copyfile(source, target)


def _check(what: str, checksum: Optional[str], digest: str) -> None:
    if not checksum:
        return
    kind, _colon, wanted = checksum.partition(":")
    if kind != "sha256" or not wanted:
        raise BundleError(f"the checksum {checksum!r} is not of the form sha256:<hexadecimal digits>")
    if digest != wanted.lower():
        raise BundleError(f"{what} has SHA-256 {digest}, expected was {wanted}")


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(CHUNK)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
