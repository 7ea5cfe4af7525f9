# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch a commit of a GitHub repository as an archive, with GitHub's API."""

from __future__ import annotations

import hashlib
import time
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit

from ansible.module_utils.api import generate_jittered_backoff, retry_with_delays_and_condition

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import (
    DOWNLOAD_TIMEOUT,
    CachedBundle,
    add_stream,
    known_bundle,
    remember_bundle,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import GitHubAddress

API_URL = "https://api.github.com"
API_VERSION = "2022-11-28"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAXIMUM_REDIRECTS = 5
ARCHIVES = {"zip": "zipball", "tgz": "tarball"}
REDIRECTS = (301, 302, 303, 307, 308)


class _NotSent(Exception):
    """The token would go over a connection that anybody can read."""


def fetch_github(address: GitHubAddress, bundle_type: str, token: str, api_url: str) -> CachedBundle:
    """Return the archive of a commit, from the cache when it was fetched before.

    The API answers with a redirect to another host, where the archive is. The token goes to the API alone.

    :param bundle_type: C(zip) or C(tgz).
    :param token: secret; empty for a public repository.
    :param api_url: C(https://api.github.com), or C(https://HOST/api/v3) of GitHub Enterprise Server.
    :raises BundleError: saying what GitHub answered and what to do about it.
    """
    if bundle_type not in ARCHIVES:
        raise BundleError(f"revision {address}: GitHub gives zip and tgz archives, deploy_bundle_type is {bundle_type}")
    url = f"{api_url.rstrip('/')}/repos/{address.repository}/{ARCHIVES[bundle_type]}/{address.commit_id}"
    signature = hashlib.sha256(f"github\0{url}".encode()).hexdigest()
    known = known_bundle(signature)
    if known is None:
        known = _fetch(address, url, bundle_type, token)
        remember_bundle(signature, known)
    return known


def _fetch(address: GitHubAddress, url: str, bundle_type: str, token: str) -> CachedBundle:
    shown = f"{urlsplit(url).hostname}"

    @retry_with_delays_and_condition(
        generate_jittered_backoff(retries=3, delay_base=1, delay_threshold=8), should_retry_error=_may_pass
    )
    def attempt() -> CachedBundle:
        with _open(url, token) as answer:
            return add_stream(answer, bundle_type)

    try:
        return attempt()
    except HTTPError as error:
        raise BundleError(f"revision {address}: {_explanation(error, shown, bool(token))}") from None
    except _NotSent as error:
        raise BundleError(f"revision {address}: {error}") from None
    except BundleError as error:
        raise BundleError(f"revision {address}: what {shown} gives is not a {bundle_type} archive") from error
    except (OSError, ValueError) as error:
        # The text of an error may have the address that GitHub redirected to, which lets anybody in.
        reason = getattr(error, "reason", None)
        detail = reason if isinstance(reason, OSError) else type(error).__name__
        raise BundleError(f"revision {address}: {shown} cannot be reached or broke off: {detail}") from None


def _open(url: str, token: str) -> Any:
    """Follow the API's redirects by hand: the token is for its own host, port and scheme alone."""
    from ansible.module_utils.urls import open_url  # half of all that a task would import

    api = urlsplit(url)
    if token and api.scheme != "https" and api.hostname not in LOOPBACK:
        raise _NotSent(f"the token is not sent to {api.scheme}://{api.hostname}, use an https:// address")
    for _redirect in range(MAXIMUM_REDIRECTS):
        place = urlsplit(url)
        headers = {"Accept": "application/vnd.github+json"}
        if (place.scheme, place.hostname, place.port) == (api.scheme, api.hostname, api.port):
            headers["X-GitHub-Api-Version"] = API_VERSION
            if token:
                headers["Authorization"] = f"Bearer {token}"
        try:
            return open_url(
                url,
                headers=headers,
                timeout=DOWNLOAD_TIMEOUT,
                follow_redirects="none",
                decompress=False,
                use_netrc=False,
            )
        except HTTPError as error:
            if error.code not in REDIRECTS or not error.headers.get("Location"):
                raise
            url = urljoin(url, error.headers["Location"])
            if urlsplit(url).scheme not in ("https", api.scheme):
                raise ValueError("redirected to an unencrypted connection") from None
    raise ValueError("redirected too often")


def _may_pass(error: Exception) -> bool:
    if isinstance(error, HTTPError):
        return bool(error.code >= 500)
    return isinstance(error, OSError)


def _explanation(error: HTTPError, host: str, with_token: bool) -> str:
    answered = f"{host} answered {error.code} {error.reason}"
    if error.code == 404:
        if with_token:
            return f"{answered}: there is no such repository or commit, or the token has no access to its contents"
        return f"{answered}: there is no such repository or commit, or it is private; set deploy_github_token for that"
    if error.code == 401:
        return f"{answered}: the token is wrong or has expired; set deploy_github_token or GITHUB_TOKEN to a valid one"
    if error.code in (403, 429):
        return f"{answered}{_rate_limit(error, with_token)}"
    return answered


def _rate_limit(error: HTTPError, with_token: bool) -> str:
    """Say when GitHub lets us in again, if it was too many requests and not a missing permission."""
    headers = error.headers
    advice = "" if with_token else "; with deploy_github_token many more requests are allowed"
    if headers.get("Retry-After"):
        return f": too many requests, try again in {headers['Retry-After']} seconds{advice}"
    if headers.get("X-RateLimit-Remaining") == "0":
        reset = str(headers.get("X-RateLimit-Reset") or "")
        when = time.strftime("%H:%M:%S UTC", time.gmtime(int(reset))) if reset.isdigit() else "later"
        return f": the limit of {headers.get('X-RateLimit-Limit', 'all')} requests is used up until {when}{advice}"
    return ": the token has no permission to read the contents of this repository"
