# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch a bundle from a URL. Imported only when there is one: it is the most expensive import of all."""

import hashlib
import os
import time
from typing import Any, Dict
from urllib.error import HTTPError
from urllib.parse import urlsplit

from ansible.module_utils.urls import open_url

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import CHUNK, BundleError

ATTEMPTS = 4
TIMEOUT_SECONDS = 60


def fetch_url(url: str, headers: Dict[str, str], path: str) -> str:
    """Write what is behind C(url) to C(path) (0600) and return its SHA-256 in hexadecimal digits.

    What may pass by itself (no connection, 5xx, a body cut short) is tried again after 1, 3 and 9 seconds.

    :param headers: sent to that host alone, not to one it redirects to.
    :raises BundleError: naming the address without its query, which may hold a signature.
    """
    address = urlsplit(url)
    shown = f"{address.scheme}://{address.hostname}{address.path}"
    for attempt in range(ATTEMPTS):
        try:
            return _fetch(url, headers, path)
        except BundleError:
            raise
        except HTTPError as error:
            reason = f"HTTP status {error.code} ({error.reason})"
            if error.code < 500 or attempt == ATTEMPTS - 1:
                break
        except Exception as error:
            reason = str(error).replace(url, shown)
            if attempt == ATTEMPTS - 1:
                break
        time.sleep(3**attempt)
    raise BundleError(f"the bundle could not be downloaded from {shown}: {reason}")


def _fetch(url: str, headers: Dict[str, str], path: str) -> str:
    digest = hashlib.sha256()
    size = 0
    response: Any = open_url(
        url, headers=headers, unredirected_headers=list(headers), timeout=TIMEOUT_SECONDS, decompress=False
    )
    with _new_file(path) as stream:
        while True:
            chunk = response.read(CHUNK)
            if not chunk:
                break
            digest.update(chunk)
            size += len(chunk)
            _write(stream, chunk, path)
    expected = response.headers.get("Content-Length")
    if expected and int(expected) != size:
        raise OSError(f"{size} of {expected} bytes arrived")
    return digest.hexdigest()


def _new_file(path: str) -> Any:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", 0)
    except OSError as error:
        raise BundleError(f"the bundle could not be written to {path}: {error}") from error


def _write(stream: Any, data: bytes, path: str) -> None:
    try:
        while data:
            data = data[stream.write(data) :]
    except OSError as error:
        raise BundleError(f"the bundle could not be written to {path}: {error}") from error
