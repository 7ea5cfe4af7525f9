# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be deployed: from the text a user types to a bundle in the controller's cache."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import (
    CachedBundle,
    cached,
    fetch_bundle,
    keep_bundle,
)

LAST_SUCCESSFUL = "last_successful"
PREVIOUS = "previous"
DEPLOYMENT_ID = re.compile(r"d-[A-Z0-9]{9}\Z")


class RevisionError(Exception):
    """A revision cannot be deployed; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Revision:
    """A revision whose bundle the controller has at hand.

    :param revision_type: C(Local) or C(URL).
    :param location: path on the controller, or address without secrets.
    :param bundle: the bundle in the controller's cache.
    """

    revision_type: str
    location: str
    bundle: CachedBundle

    def as_record(self) -> dict[str, Any]:
        """Return it in the shape of the API's C(RevisionLocation), in snake case, with the bundle's C(digest).

        CodeDeploy itself knows S3 and GitHub; C(local_location) and C(url_location) follow their form.
        """
        key, name = ("local_location", "path") if self.revision_type == "Local" else ("url_location", "url")
        place = {name: self.location, "bundle_type": self.bundle.bundle_type}
        return {"revision_type": self.revision_type, key: place, "digest": self.bundle.digest}


def location_of(record: dict[str, Any]) -> str:
    """Return the path or address of a recorded revision, for people."""
    for key in ("local_location", "url_location"):
        if record.get(key):
            return str(record[key].get("path") or record[key].get("url"))
    return str(record.get("digest", "unknown"))


def resolve_revision(
    text: str,
    folders: Sequence[str],
    headers: dict[str, str] | None = None,
    recorded: dict[str, Any] | None = None,
) -> Revision:
    """Return the revision that a text names and put its bundle into the cache.

    :param text: folder or archive on the controller, C(https://) address, C(last_successful), C(previous) or a
        deployment id.
    :param folders: where a relative path is looked for, first match wins.
    :param headers: HTTP headers for an address; secret.
    :param recorded: record of the revision that the last three name.
    :raises RevisionError: when it is not there or of a kind that is not supported.
    :raises BundleError: when its bundle cannot be read.
    """
    text = text.strip()
    if not text:
        raise RevisionError("deploy_revision is not set: a folder, an archive, an https:// address or last_successful")
    if text in (LAST_SUCCESSFUL, PREVIOUS) or DEPLOYMENT_ID.match(text):
        return _recorded(text, recorded)
    scheme = text.split(":", 1)[0].lower() if ":" in text else ""
    if scheme in ("http", "https"):
        shown = shown_url(text)
        return Revision("URL", shown, fetch_bundle(text, shown, headers or {}))
    if scheme in ("s3", "github"):
        raise RevisionError(
            f"revision {text.split('?', 1)[0]}: {scheme} revisions are not yet supported in this version; "
            "give a folder or an archive on the controller, or an https:// address"
        )
    path = find_path(text, folders)
    return Revision("Local", path, keep_bundle(path))


def is_address(text: str) -> bool:
    """Say whether a revision is downloaded by the instances themselves."""
    return text.strip().lower().startswith(("http://", "https://"))


def shown_url(url: str) -> str:
    """Return an address without user, password, query and fragment: any of them may be a secret."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme.lower()}://{parts.hostname or ''}{port}{parts.path}"


def find_path(text: str, folders: Sequence[str]) -> str:
    """Return the absolute path of a folder or archive on the controller.

    :raises RevisionError: listing where it was looked for.
    """
    wanted = os.path.expanduser(text)
    candidates = [wanted] if os.path.isabs(wanted) else [os.path.join(folder, wanted) for folder in folders]
    candidates = list(dict.fromkeys(os.path.abspath(candidate) for candidate in candidates))
    for candidate in candidates:
        if os.path.exists(candidate):
            return candidate
    raise RevisionError(
        f"revision {text} is not on this machine (looked for {', '.join(candidates)}); "
        "give the path of a folder or of an archive"
    )


def _recorded(text: str, record: dict[str, Any] | None) -> Revision:
    if record is None and text == PREVIOUS:
        raise RevisionError("revision previous: the group has no earlier revision to go back to; name a revision")
    if record is None:
        raise RevisionError(f"revision {text}: the group has no successful deployment yet; name a revision")
    place = record.get("local_location") or record.get("url_location") or {}
    location, digest = location_of(record), str(record.get("digest"))
    bundle = cached(digest, place.get("bundle_type", "tgz"))
    if bundle is None and "path" in place and os.path.exists(location):
        bundle = keep_bundle(location)
    if bundle is None or bundle.digest != digest:
        raise RevisionError(
            f"revision {text}: the bundle of {location} (sha256 {digest}) is neither in this controller's "
            "cache nor, unchanged, where it was; deploy it again from where you keep it"
        )
    return Revision(record["revision_type"], location, bundle)
