# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a revision in S3 or GitHub is written, as text and in the shape of CodeDeploy's API: no input, no output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

BUNDLE_TYPES = ("zip", "tar", "tgz")
SUFFIXES = {".zip": "zip", ".tar": "tar", ".tar.gz": "tgz", ".tgz": "tgz"}
# What the query of an S3 revision may say; any other query makes a link a link (a presigned one, say).
QUERY = {"versionid": "version", "etag": "e_tag", "bundletype": "bundle_type", "latest": "latest"}
S3_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*)\.)?s3(?:[.-](?!accesspoint)[a-z0-9-]+){0,2}\.amazonaws\.com(?:\.cn)?\Z"
)
REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+\Z")
COMMIT = re.compile(r"[0-9a-fA-F]{40}\Z")


class RevisionTextError(Exception):
    """A text or mapping names no revision; the message says why and what to write."""


@dataclass(frozen=True)
class S3Address:
    """An object in S3, fields as of the API's C(S3Location).

    :param version: empty: the newest.
    :param e_tag: without quotes; empty: any.
    :param bundle_type: C(zip), C(tar) or C(tgz); empty when neither the name nor the user tells.
    :param latest: the newest bundle whose key begins with C(key).
    """

    bucket: str
    key: str
    version: str = ""
    e_tag: str = ""
    bundle_type: str = ""
    latest: bool = False

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def as_record(self) -> dict[str, Any]:
        """Return it in the shape of C(S3Location), without what it does not say."""
        fields = {
            "bucket": self.bucket,
            "key": self.key,
            "bundle_type": self.bundle_type,
            "version": self.version,
            "e_tag": self.e_tag,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True)
class GitHubAddress:
    """A commit of a repository, fields as of the API's C(GitHubLocation)."""

    repository: str
    commit_id: str

    def __str__(self) -> str:
        return f"github:{self.repository}@{self.commit_id}"

    def as_record(self) -> dict[str, Any]:
        """Return it in the shape of C(GitHubLocation)."""
        return {"repository": self.repository, "commit_id": self.commit_id}


def revision_text(revision: Any) -> str:
    """Return a revision as one line of text.

    :param revision: such a text, or a mapping in the shape of the API's C(RevisionLocation), in snake or camel case.
    :raises RevisionTextError: it is neither.
    """
    if revision is None or isinstance(revision, str):
        return str(revision or "").strip()
    if not isinstance(revision, Mapping):
        raise RevisionTextError(
            f"a revision is a text or a mapping with revision_type, {type(revision).__name__} is none"
        )
    location = camel_dict_to_snake_dict(dict(revision))
    kind = str(location.get("revision_type") or "")
    if kind == "S3":
        return _s3_text(location.get("s3_location") or {})
    if kind == "GitHub":
        place = location.get("git_hub_location") or {}
        return str(_github(str(place.get("repository") or ""), str(place.get("commit_id") or "")))
    if kind == "Local":
        return str((location.get("local_location") or {}).get("path") or "")
    if kind == "URL":
        return str((location.get("url_location") or {}).get("url") or "")
    raise RevisionTextError(f"revision_type {kind!r} is none of S3, GitHub, Local and URL")


def s3_address(text: str, bundle_type: str = "") -> S3Address | None:
    """Return the object in S3 that a text names, None when it names none.

    The forms are those of CodeDeploy's console: C(s3://bucket/key), C(bucket.s3.amazonaws.com/key), the object's
    C(https://) link, each with C(?versionId=V&etag=E); and C(?latest).

    :param bundle_type: what the user says that it is; else its name tells.
    :raises RevisionTextError: it is meant to be one and is not.
    """
    address, _question, query = text.partition("?") if _query(text) is not None else (text, "", "")
    place = _s3_place(address)
    if place is None:
        return None
    bucket, key = place
    if _query(text) is None and text.lower().startswith("http") and "?" in text:
        return None  # signed, or for another service
    values = {QUERY[name.lower()]: value for name, value in parse_qsl(query, keep_blank_values=True)}
    latest = "latest" in values
    if not bucket or not key and not latest:
        raise RevisionTextError(f"revision {address}: a revision in S3 is s3://bucket/key")
    kind = values.get("bundle_type") or bundle_type or _type_by_name(key)
    if kind and kind not in BUNDLE_TYPES:
        raise RevisionTextError(f"revision {address}: bundle type {kind!r} is none of {', '.join(BUNDLE_TYPES)}")
    return S3Address(bucket, key, values.get("version", ""), values.get("e_tag", "").strip('"'), kind, latest)


def github_address(text: str) -> GitHubAddress | None:
    """Return the commit that a text of the form C(github:owner/repository@commit) names, None for other texts.

    :raises RevisionTextError: it is meant to be one and is not.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() != "github":
        return None
    repository, _at, commit = rest.strip("/").rpartition("@")
    return _github(repository, commit)


def _github(repository: str, commit: str) -> GitHubAddress:
    if not REPOSITORY.match(repository) or {".", ".."} & set(repository.split("/")):
        raise RevisionTextError("a revision in GitHub is github:owner/repository@commit")
    if not COMMIT.match(commit):
        raise RevisionTextError(
            f"revision github:{repository}@{commit}: the commit must be all its 40 digits (git rev-parse HEAD); "
            "branches, tags and short forms may mean something else tomorrow"
        )
    return GitHubAddress(repository, commit.lower())


def _s3_text(place: Mapping[str, Any]) -> str:
    names = {"version": "versionId", "e_tag": "eTag", "bundle_type": "bundleType"}
    query = {shown: str(place[name]).strip('"') for name, shown in names.items() if place.get(name)}
    if not place.get("bucket") or not place.get("key"):
        raise RevisionTextError("s3_location needs bucket and key")
    if query.get("bundleType") == _type_by_name(str(place["key"])):
        del query["bundleType"]
    return f"s3://{place['bucket']}/{place['key']}" + (f"?{urlencode(query)}" if query else "")


def _query(text: str) -> str | None:
    """Return the query of a text when it says something of a revision and nothing else."""
    query = text.partition("?")[2]
    names = [name.lower() for name, _value in parse_qsl(query, keep_blank_values=True)]
    return query if names and all(name in QUERY for name in names) else None


def _s3_place(address: str) -> tuple[str, str] | None:
    if address.lower().startswith("s3://"):
        bucket, _slash, key = address[5:].partition("/")
        return bucket, key
    link = address.lower().startswith(("http://", "https://"))
    parts = urlsplit(address if link else f"https://{address}")
    host = S3_HOST.match(parts.netloc.lower())
    if host is None:
        return None
    path = unquote(parts.path) if link else parts.path
    if host["bucket"]:
        return host["bucket"], path.lstrip("/")
    bucket, _slash, key = path.lstrip("/").partition("/")
    return bucket, key


def _type_by_name(key: str) -> str:
    for suffix, kind in SUFFIXES.items():
        if key.lower().endswith(suffix):
            return kind
    return ""
