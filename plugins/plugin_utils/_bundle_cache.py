# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bundles kept on the controller by their content: what is deployed cannot change while it is being deployed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_pack import Entry, entries_of, pack
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError, bundle_type_of

CHUNK = 1024 * 1024
DOWNLOAD_TIMEOUT = 60
EXTENSIONS = {"tgz": "tar.gz", "tar": "tar", "zip": "zip"}


@dataclass(frozen=True)
class CachedBundle:
    """An archive in the cache.

    :param path: where it is on the controller.
    :param bundle_type: C(tgz), C(tar) or C(zip).
    :param digest: SHA-256 of the archive, hexadecimal.
    :param size: bytes.
    """

    path: str
    bundle_type: str
    digest: str
    size: int


def cache_directory() -> str:
    """Return the folder of the cache, below C(XDG_CACHE_HOME), making it when it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.join(base, "agentless.codedeploy")
    os.makedirs(os.path.join(path, "known"), mode=0o700, exist_ok=True)
    return path


def cached(digest: str, bundle_type: str) -> CachedBundle | None:
    """Return the bundle with this digest, or None when the cache does not hold it (any more)."""
    path = _path(digest, bundle_type)
    try:
        bundle = CachedBundle(path, bundle_type, digest, os.stat(path).st_size)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # prune_cache() goes by its last use
    return bundle


def prune_cache(needed: Collection[str], before: float, check_mode: bool = False) -> list[CachedBundle]:
    """Remove the bundles that nothing needs and nothing has used since a time, also what killed processes left.

    The time is for other records than the one that was asked: they may share this cache.

    :param needed: digests of bundles that stay.
    :param before: epoch seconds.
    :param check_mode: only say which.
    :returns: what was removed.
    """
    types = {extension: bundle_type for bundle_type, extension in EXTENSIONS.items()}
    removed = []
    for entry in sorted(os.scandir(cache_directory()), key=lambda found: found.name):
        digest, _dot, extension = entry.name.partition(".")
        leftover = entry.name.startswith("adding-")
        if digest in needed or not (leftover or extension in types):
            continue
        # Another process may be the first.
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            if status.st_mtime >= before or not stat.S_ISREG(status.st_mode):
                continue
            if not check_mode:
                os.unlink(entry.path)
            removed.append(CachedBundle(entry.path, types.get(extension, ""), digest, status.st_size))
    if not check_mode:
        _forget_unknown()
    return removed


def _forget_unknown() -> None:
    """Remove what remember_bundle() has noted of bundles that are gone."""
    there = {entry.name.partition(".")[0] for entry in os.scandir(cache_directory())}
    for entry in os.scandir(os.path.join(cache_directory(), "known")):
        with contextlib.suppress(OSError, UnicodeDecodeError), open(entry.path, encoding="ascii") as record:
            if record.read().partition(" ")[0] not in there:
                os.unlink(entry.path)


def keep_bundle(path: str, bundle_type: str = "tgz", ignore_hidden: bool = False) -> CachedBundle:
    """Copy an archive, or pack a folder, into the cache.

    A folder becomes an archive that depends on nothing but names, modes, modification times, links and contents:
    sorted, owned by root, no time of packing.

    :param bundle_type: C(tgz) or C(zip), what a folder becomes.
    :param ignore_hidden: leave out of a folder what has a name with a dot at its beginning.
    :raises BundleError: when it cannot be read or holds what no bundle can carry.
    """
    found = bundle_type_of(path)
    folder = found == "directory"
    try:
        entries = entries_of(path, ignore_hidden) if folder else [("", os.stat(path))]
        signature = _signature(path, bundle_type if folder else found, entries)
        known = known_bundle(signature)
        if known is None:
            known = _pack(path, entries, bundle_type) if folder else _copy(path, found)
            remember_bundle(signature, known)
    except OSError as error:
        raise BundleError(f"the bundle {path} cannot be read: {error}") from error
    return known


def fetch_bundle(url: str, shown_url: str, headers: dict[str, str]) -> CachedBundle:
    """Download a bundle into the cache.

    :param shown_url: the address as it may appear in messages, without secrets.
    :param headers: sent to that server only, not to where it redirects.
    :raises BundleError: naming the address and the server's answer.
    """
    from ansible.module_utils.urls import open_url  # half of all that a task would import

    try:
        answer = open_url(url, headers=headers, unredirected_headers=list(headers), timeout=DOWNLOAD_TIMEOUT)
        with answer:
            return add_stream(answer)
    except HTTPError as error:
        answered = f"the server answered {error.code} {error.reason}"
        raise BundleError(f"{shown_url} cannot be downloaded: {answered}") from error
    except BundleError as error:
        raise BundleError(f"what {shown_url} gives is neither a zip, tar nor tar.gz archive") from error
    except (URLError, OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error)).replace(url, shown_url)
        raise BundleError(f"{shown_url} cannot be downloaded: {reason}") from error


def add_stream(answer: Any, bundle_type: str | None = None) -> CachedBundle:
    """Read a server's answer into the cache.

    :param answer: with C(read) and C(headers).
    :param bundle_type: what it must be; by default any.
    :raises BundleError: it is no archive, or not of that type.
    :raises OSError: it broke off.
    """
    expected = answer.headers.get("Content-Length")
    with Addition(None) as addition:
        while chunk := answer.read(CHUNK):
            addition.write(chunk)
        if expected and int(expected) != addition.size:
            raise OSError(f"{addition.size} of {expected} bytes arrived")
    if bundle_type not in (None, addition.bundle.bundle_type):
        raise BundleError(f"it is a {addition.bundle.bundle_type} archive and not {bundle_type}")
    return addition.bundle


def known_bundle(signature: str) -> CachedBundle | None:
    """Return what remember_bundle() was told, None when the cache does not hold it (any more).

    :param signature: hexadecimal digits that stand for where a bundle comes from, in the state it is in.
    """
    try:
        with open(os.path.join(cache_directory(), "known", signature), encoding="ascii") as record:
            digest, bundle_type = record.read().split()
    except (OSError, ValueError):
        return None
    return cached(digest, bundle_type)


def remember_bundle(signature: str, bundle: CachedBundle) -> None:
    """Note which bundle of the cache it is that comes from somewhere, see known_bundle()."""
    with open(os.path.join(cache_directory(), "known", signature), "w", encoding="ascii") as record:
        record.write(f"{bundle.digest} {bundle.bundle_type}")


class Addition:
    """A file that is being added to the cache under the name that its content gives."""

    def __init__(self, bundle_type: str | None) -> None:
        self._type = bundle_type
        self._digest = hashlib.sha256()
        self.size = 0
        self.bundle: CachedBundle

    def __enter__(self) -> Addition:
        self._stream = tempfile.NamedTemporaryFile(dir=cache_directory(), prefix="adding-", delete=False)  # noqa: SIM115 (closed in __exit__)
        return self

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.size += len(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        self._stream.close()
        try:
            if kind is None:
                bundle_type = self._type or bundle_type_of(self._stream.name)
                digest = self._digest.hexdigest()
                path = _path(digest, bundle_type)
                os.replace(self._stream.name, path)
                self.bundle = CachedBundle(path, bundle_type, digest, self.size)
        finally:
            if os.path.exists(self._stream.name):
                os.unlink(self._stream.name)


def _path(digest: str, bundle_type: str) -> str:
    return os.path.join(cache_directory(), f"{digest}.{EXTENSIONS[bundle_type]}")


def _copy(path: str, bundle_type: str) -> CachedBundle:
    with open(path, "rb") as source, Addition(bundle_type) as addition:
        while chunk := source.read(CHUNK):
            addition.write(chunk)
    return addition.bundle


def _pack(path: str, entries: list[Entry], bundle_type: str) -> CachedBundle:
    with Addition(bundle_type) as addition:
        pack(path, entries, bundle_type, addition)
    return addition.bundle


def _signature(path: str, bundle_type: str, entries: list[Entry]) -> str:
    """Say in one digest what the folder looks like: a change of any file changes its ctime."""
    digest = hashlib.sha256(os.fsencode(f"{bundle_type}\0{os.path.realpath(path)}"))
    for name, status in entries:
        numbers = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        digest.update(b"\0" + os.fsencode(name) + b"\0" + repr(numbers).encode())
    return digest.hexdigest()
