# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch a bundle from a URL. Imported only when there is one: it is the most expensive import of all."""

import hashlib
import os
import re
import time
from typing import Any, Dict
from urllib.error import HTTPError
from urllib.parse import urlsplit

from ansible.module_utils.urls import open_url

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import (
    CHUNK,
    EXPIRED,
    BundleError,
    check_room,
)

ATTEMPTS = 4
TIMEOUT_SECONDS = 60
PASSING = (408, 429)
EXPIRED_ANSWERS = re.compile(r"Request has expired|<Code>(ExpiredToken|RequestExpired)</Code>")


class AddressExpired(BundleError):
    """A signed address is no longer accepted; what has arrived is kept for another one."""

    resumable = True


def fetch_url(bundle: Dict[str, Any], path: str) -> str:
    """Write what is behind C(bundle.url) to C(path) (0600) and return its SHA-256 in hexadecimal digits.

    What may pass by itself (no connection, 5xx, a body cut short) is tried again after 1, 3 and 9 seconds, from where
    it broke off when the server can do that. What is at C(path) already is the beginning, of an earlier call.

    :param bundle: C(url); C(headers), sent to that host alone, not to one it redirects to; C(e_tag) and C(size) of the
        answer where they are known.
    :raises BundleError: naming the address without its query, which may hold a signature.
    """
    url = bundle["url"]
    address = urlsplit(url)
    shown = f"{address.scheme}://{address.hostname}{address.path}"
    attempt = 0
    state = {"e_tag": bundle.get("e_tag") or ""}
    while True:
        before = _size(path)
        try:
            return _fetch(bundle, path, state)
        except BundleError:
            raise
        except HTTPError as error:
            reason = f"HTTP status {error.code} ({error.reason})"
            said = _body(error)
            if EXPIRED_ANSWERS.search(said):
                raise AddressExpired(f"the bundle could not be downloaded from {shown}: {EXPIRED}") from None
            code = re.search(r"<Code>(\w+)</Code>", said)
            reason += f" {code.group(1)}" if code else ""
            if error.code < 500 and error.code not in PASSING:
                break
        except Exception as error:
            reason = str(error).replace(url, shown)
        # A download that moves on has all its attempts before it.
        attempt = 0 if _size(path) >= before + CHUNK else attempt + 1
        if attempt >= ATTEMPTS:
            break
        time.sleep(3 ** max(0, attempt - 1))
    raise BundleError(f"the bundle could not be downloaded from {shown}: {reason}")


def _fetch(bundle: Dict[str, Any], path: str, state: Dict[str, str]) -> str:
    headers = dict(bundle.get("headers") or {})
    secret = list(headers)
    e_tag, begun = bundle.get("e_tag"), _size(path) if state["e_tag"] else 0
    if begun:
        headers.update({"Range": f"bytes={begun}-", "If-Range": '"{}"'.format(state["e_tag"])})
    response: Any = open_url(
        bundle["url"], headers=headers, unredirected_headers=secret, timeout=TIMEOUT_SECONDS, decompress=False
    )
    found = response.headers.get("ETag") or ""
    if e_tag and found.strip('"') not in ("", e_tag):
        raise BundleError(f"the bundle was replaced: its ETag is {found}, expected was {e_tag}")
    if found.startswith('"'):  # only then does it stand for each byte
        state["e_tag"] = found.strip('"')
    if response.getcode() != 206:
        begun = 0
    expected = int(response.headers.get("Content-Length") or 0)
    check_room(path, expected)
    size = begun
    digest = hashlib.sha256()
    with _open(path, begun, digest) as stream:
        while True:
            chunk = response.read(CHUNK)
            if not chunk:
                break
            digest.update(chunk)
            size += len(chunk)
            _write(stream, chunk, path)
    if expected and expected != size - begun:
        raise OSError(f"{size} of {begun + expected} bytes arrived")
    if bundle.get("size") is not None and bundle["size"] != size:
        raise BundleError(f"the bundle that arrived has {size} bytes, expected were {bundle['size']}")
    return digest.hexdigest()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _body(error: HTTPError) -> str:
    try:
        return error.read(8192).decode("utf-8", "replace")
    except Exception:
        return ""


def _open(path: str, begun: int, digest: Any) -> Any:
    """Open the file behind its first C(begun) bytes, which go into the digest."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | (0 if begun else os.O_TRUNC), 0o600)
        stream = os.fdopen(descriptor, "r+b", 0)
        left = begun
        while left:
            chunk = stream.read(min(CHUNK, left))
            if not chunk:
                raise OSError("it became shorter")
            digest.update(chunk)
            left -= len(chunk)
        stream.truncate()
        return stream
    except OSError as error:
        raise BundleError(f"the bundle could not be written to {path}: {error}") from error


def _write(stream: Any, data: bytes, path: str) -> None:
    try:
        while data:
            data = data[stream.write(data) :]
    except OSError as error:
        raise BundleError(f"the bundle could not be written to {path}: {error}") from error
