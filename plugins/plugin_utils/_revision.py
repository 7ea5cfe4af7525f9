# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be deployed: from the text a user types to a bundle in the controller's cache."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import (
    CachedBundle,
    cached,
    fetch_bundle,
    keep_bundle,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import (
    BundleContents,
    BundleError,
    read_contents,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_access import PUSH, RevisionAccess
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_github import fetch_github
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_s3 import WHOLE_UP_TO, S3Object, s3_object
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import (
    GitHubAddress,
    RevisionTextError,
    S3Address,
    github_address,
    revision_text,
    s3_address,
)

LAST_SUCCESSFUL = "last_successful"
PREVIOUS = "previous"
LATEST = "latest"
DEPLOYMENT_ID = re.compile(r"d-[A-Z0-9]{9}\Z")


class RevisionError(Exception):
    """A revision cannot be deployed; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Revision:
    """A revision whose content the controller knows.

    :param revision_type: C(Local), C(URL), C(GitHub) or C(S3).
    :param location: path on the controller, or address without secrets.
    :param bundle: the bundle in the controller's cache. Of a big one in S3 there is no path, and perhaps no digest.
    :param place: where it is in the shape of the API, for the kinds that CodeDeploy has itself.
    :param s3: the object in S3.
    :param gone: instead what the record knew of it, when it is gone and the controller still has its content.
    """

    revision_type: str
    location: str
    bundle: CachedBundle
    place: dict[str, Any] = field(default_factory=dict)
    s3: S3Object | None = None
    gone: dict[str, Any] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """Return it in the shape of the API's C(RevisionLocation), in snake case, with the bundle's C(digest).

        CodeDeploy itself knows S3 and GitHub; C(local_location) and C(url_location) follow their form. C(bundle) is
        what is known of the bundle beside its place.
        """
        record: dict[str, Any] = {"revision_type": self.revision_type}
        if self.bundle.digest:
            record["digest"] = self.bundle.digest
        if self.revision_type == "S3":
            return {**record, "s3_location": self.place, "bundle": self.s3.as_record() if self.s3 else self.gone}
        if self.revision_type == "GitHub":
            return {**record, "git_hub_location": self.place, "bundle": {"bundle_type": self.bundle.bundle_type}}
        key, name = ("local_location", "path") if self.revision_type == "Local" else ("url_location", "url")
        return {**record, key: {name: self.location, "bundle_type": self.bundle.bundle_type}}

    def contents(self, appspec_filename: str | None) -> BundleContents:
        """List the bundle and read its AppSpec, see read_contents()."""
        if self.s3 and not self.bundle.path:
            return self.s3.contents(appspec_filename)
        return read_contents(self.bundle.path, appspec_filename)


def location_of(record: dict[str, Any]) -> str:
    """Return the path or address of a recorded revision, for people."""
    if record.get("revision_type") == "URL":
        return str(record["url_location"].get("url"))
    try:
        return revision_text(record) or str(record.get("digest", "unknown"))
    except RevisionTextError:
        return str(record.get("digest", "unknown"))


def s3_text_of(revision: Revision) -> str:
    """Return the text that names a revision in S3 exactly, with all that its place says."""
    return revision_text({"revision_type": "S3", "s3_location": revision.place})


def resolve_revision(
    text: str,
    folders: Sequence[str],
    headers: dict[str, str] | None = None,
    recorded: dict[str, Any] | None = None,
    access: RevisionAccess | None = None,
) -> Revision:
    """Return the revision that a text names and put its bundle into the cache.

    :param text: folder or archive on the controller, C(https://) address, C(s3://bucket/key),
        C(github:owner/repository@commit), or what recorded_revision() knows.
    :param folders: where a relative path is looked for, first match wins.
    :param headers: HTTP headers for an address; secret.
    :param recorded: record of the revision that the text names.
    :raises RevisionError: when it is not there or of a kind that is not supported.
    :raises BundleError: when its bundle cannot be read.
    """
    text, access = text.strip(), access or RevisionAccess()
    if not text:
        raise RevisionError(
            "deploy_revision is not set: a folder, an archive, an https:// address, s3://bucket/key, "
            "github:owner/repository@commit or last_successful"
        )
    if is_recorded(text):
        return _recorded(text, recorded, access)
    try:
        commit = github_address(text)
        s3 = s3_address(text, access.bundle_type)
    except RevisionTextError as error:
        raise RevisionError(str(error)) from error
    if commit is not None:
        return _github(commit, access)
    if s3 is not None:
        return _s3(s3_object(s3, access.aws), access)
    if is_address(text):
        shown = shown_url(text)
        return Revision("URL", shown, fetch_bundle(text, shown, headers or {}))
    path = find_path(text, folders)
    return Revision("Local", path, keep_bundle(path))


def is_recorded(text: str) -> bool:
    """Say whether a text names a revision by what the record says of it."""
    return text in (LAST_SUCCESSFUL, PREVIOUS, LATEST) or DEPLOYMENT_ID.match(text) is not None


def is_address(text: str) -> bool:
    """Say whether a revision is downloaded by the instances themselves from the address that was typed."""
    if not text.strip().lower().startswith(("http://", "https://")):
        return False
    try:
        return s3_address(text.strip()) is None
    except RevisionTextError:
        return False


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
        "give the path of a folder or of an archive, or the id of a deployment, such as d-75I7MBT7C"
    )


def _github(commit: GitHubAddress, access: RevisionAccess) -> Revision:
    bundle = fetch_github(commit, access.bundle_type or "tgz", access.github_token, access.github_api_url)
    return Revision("GitHub", str(commit), bundle, commit.as_record())


def _s3(found: S3Object, access: RevisionAccess, place: dict[str, Any] | None = None) -> Revision:
    """Return a revision in S3; the whole of it is fetched when it is needed here, or small.

    :param place: the recorded one, when it names no version.
    """
    address = found.address
    if access.download == PUSH or address.bundle_type != "zip" or found.size <= WHOLE_UP_TO:
        bundle = found.fetch()
    else:
        bundle = CachedBundle("", address.bundle_type, found.digest, found.size)
    shown = f"{address}?versionId={found.version}" if found.version else str(address)
    return Revision("S3", shown, bundle, place or address.as_record(), found)


def _recorded_s3(text: str, record: dict[str, Any], access: RevisionAccess) -> Revision:
    """Return a revision in S3 again, in the version that was deployed then."""
    place, known = record["s3_location"], record.get("bundle") or {}
    asked = S3Address(**place)
    pinned = replace(
        asked, version=asked.version or known.get("version", ""), e_tag=asked.e_tag or known.get("e_tag", "")
    )
    try:
        return _s3(s3_object(pinned, access.aws), access, place)
    except BundleError as error:
        bundle = cached(str(record.get("digest")), pinned.bundle_type)
        if bundle is None:
            raise RevisionError(f"revision {text}: {error}") from error
        return Revision("S3", str(asked), bundle, place, gone={**known, "gone": True})


def _recorded(text: str, record: dict[str, Any] | None, access: RevisionAccess) -> Revision:
    if record is None and text == PREVIOUS:
        raise RevisionError("revision previous: the group has no earlier revision to go back to; name a revision")
    if record is None and text == LATEST:
        raise RevisionError("revision latest: the application has no registered revision yet; push or name one")
    if record is None:
        raise RevisionError(f"revision {text}: the group has no successful deployment yet; name a revision")
    if record["revision_type"] == "S3":
        return _recorded_s3(text, record, access)
    location, digest, bundle_type = location_of(record), str(record.get("digest")), recorded_bundle_type(record)
    bundle = cached(digest, bundle_type)
    if record["revision_type"] == "GitHub":
        if bundle is None:
            return _github(GitHubAddress(**record["git_hub_location"]), replace(access, bundle_type=bundle_type))
        return Revision("GitHub", location, bundle, record["git_hub_location"])
    if bundle is None and record["revision_type"] == "Local" and os.path.exists(location):
        bundle = keep_bundle(location)
    if bundle is None or bundle.digest != digest:
        raise RevisionError(
            f"revision {text}: the bundle of {location} (sha256 {digest}) is neither in this controller's "
            "cache nor, unchanged, where it was; deploy it again from where you keep it"
        )
    return Revision(record["revision_type"], location, bundle)


def recorded_bundle_type(record: dict[str, Any]) -> str:
    """Return the bundle type of a recorded revision."""
    for key in ("s3_location", "local_location", "url_location", "bundle"):
        if (record.get(key) or {}).get("bundle_type"):
            return str(record[key]["bundle_type"])
    return "tgz"
