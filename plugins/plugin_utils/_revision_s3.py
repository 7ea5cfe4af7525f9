# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle in S3: what it is now, its listing without fetching the whole of it, and the whole of it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings, aws_errors, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import (
    Addition,
    CachedBundle,
    cache_directory,
    known_bundle,
    remember_bundle,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import (
    BundleContents,
    BundleError,
    Member,
    read_zip,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import SUFFIXES, S3Address

WHOLE_UP_TO = 16 * 1024 * 1024
"""Bytes up to which a zip is fetched as a whole; of a bigger one only its directory and its AppSpec."""
BLOCK = 64 * 1024
DIGEST = "sha256"
"""Key of the object's metadata with the SHA-256 of its content in hexadecimal digits, as pushed."""
NOT_MD5 = ("aws:kms", "aws:kms:dsse")


@dataclass(frozen=True)
class S3Object:
    """An object in S3 as it is now.

    :param address: as it was asked for.
    :param version: empty in a bucket without versions.
    :param e_tag: without quotes.
    :param size: bytes.
    :param digest: SHA-256 in hexadecimal digits when S3 or whoever pushed it says so, else empty.
    :param part_size: bytes of each part when it was uploaded in parts and the ETag is made of theirs, else 0.
    :param hashed: whether the ETag tells what the content is.
    :param region: of its bucket when S3 says so.
    """

    address: S3Address
    version: str
    e_tag: str
    size: int
    digest: str = ""
    part_size: int = 0
    hashed: bool = True
    region: str = ""
    settings: AwsSettings = field(default_factory=AwsSettings, repr=False)

    @property
    def identity(self) -> str:
        """Hexadecimal digits that stand for this content at this place."""
        parts = (self.address.bucket, self.address.key, self.version, self.e_tag, str(self.size))
        return hashlib.sha256("\0".join(("s3", *parts)).encode()).hexdigest()

    @property
    def parameters(self) -> dict[str, str]:
        """What every call about this object and no other says."""
        parameters = {"Bucket": self.address.bucket, "Key": self.address.key}
        return {**parameters, "VersionId": self.version} if self.version else parameters

    def as_record(self) -> dict[str, Any]:
        """Return what a deployment's record keeps of it beside its address."""
        record = {
            "version": self.version,
            "e_tag": self.e_tag,
            "size": self.size,
            "part_size": self.part_size,
            "hashed": self.hashed,
            "identity": self.identity,
            "region": self.region,
        }
        return {name: value for name, value in record.items() if value != "" and value != 0}

    def contents(self, appspec_filename: str | None) -> BundleContents:
        """List the zip and read its AppSpec with requests for parts of it.

        :raises BundleError: it is no zip, or cannot be read.
        """
        name = hashlib.sha256(f"{self.identity}\0{appspec_filename}".encode()).hexdigest()
        index = os.path.join(cache_directory(), "known", f"{name}.json")
        known = _read_listing(index)
        if known is None:
            with _sentences(self.address):
                s3 = client(self.settings, "s3")
            with io.BufferedReader(_Ranges(s3, self), BLOCK) as stream:
                known = read_zip(str(self.address), stream, appspec_filename)
            _write_listing(index, known)
        return known

    def fetch(self) -> CachedBundle:
        """Return the whole of it, from the cache when it was fetched before.

        :raises BundleError: it cannot be read, is not of its type or not what it says that it is.
        """
        known = known_bundle(self.identity)
        if known is None:
            known = self._fetch()
            remember_bundle(self.identity, known)
        return known

    def _fetch(self) -> CachedBundle:
        bundle_type = self.address.bundle_type
        try:
            with _sentences(self.address), Addition(None) as addition:
                extra = {"VersionId": self.version} if self.version else {}
                client(self.settings, "s3").download_fileobj(
                    self.address.bucket, self.address.key, _WriteOnly(addition), ExtraArgs=extra
                )
                if addition.size != self.size:
                    raise BundleError(f"{addition.size} of {self.size} bytes arrived; it was replaced meanwhile")
        except BundleError as error:
            raise BundleError(f"revision {self.address}: {error}") from error
        found = addition.bundle
        if found.bundle_type != bundle_type:
            raise BundleError(f"revision {self.address}: it is a {found.bundle_type} archive and not {bundle_type}")
        if self.digest and found.digest != self.digest:
            raise BundleError(
                f"revision {self.address}: its content has the SHA-256 {found.digest}, and it says {self.digest}"
            )
        return found


def s3_object(address: S3Address, options: Mapping[str, Any]) -> S3Object:
    """Return an object in S3 as it is now.

    :param options: how AWS is reached, as a deployment's record has it (C(aws)).
    :raises BundleError: there is none, it may not be read, or has another ETag.
    """
    with _sentences(address):
        settings = AwsSettings.from_arguments({}, below=options)
        s3 = client(settings, "s3")
    if address.latest:
        address = _latest(s3, address)
    if not address.bundle_type:
        raise BundleError(f"revision {address}: its name does not tell what it is; set deploy_bundle_type")
    with _sentences(address):
        version = {"VersionId": address.version} if address.version else {}
        try:
            head = s3.head_object(Bucket=address.bucket, Key=address.key, ChecksumMode="ENABLED", **version)
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchVersion", "405"):
                raise BundleError(_absent(address)) from None
            raise
    found = _object(address, head, settings)
    if address.e_tag and address.e_tag != found.e_tag:
        raise BundleError(
            f"revision {address}: expected was the ETag {address.e_tag}, and it has {found.e_tag}: "
            "it was replaced since; name its version, or push it again"
        )
    if not found.digest and "-" in found.e_tag and found.hashed:
        with _sentences(address):
            part = s3.head_object(PartNumber=1, **found.parameters)
        found = replace(found, part_size=int(part["ContentLength"]))
    return found


def _object(address: S3Address, head: Mapping[str, Any], settings: AwsSettings) -> S3Object:
    headers = head.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    digest = str(head.get("Metadata", {}).get(DIGEST) or "").lower()
    # Of an object that was sent in parts it is the digest of their digests.
    if head.get("ChecksumSHA256") and (head.get("ChecksumType") == "FULL_OBJECT" or "-" not in str(head["ETag"])):
        digest = base64.b64decode(str(head["ChecksumSHA256"])).hex()
    version = head.get("VersionId")
    return S3Object(
        address,
        version="" if version in (None, "null") else str(version),
        e_tag=str(head["ETag"]).strip('"'),
        size=int(head["ContentLength"]),
        digest=digest if len(digest) == 64 and all(digit in "0123456789abcdef" for digit in digest) else "",
        hashed=head.get("ServerSideEncryption") not in NOT_MD5 and not head.get("SSECustomerAlgorithm"),
        region=str(headers.get("x-amz-bucket-region") or ""),
        settings=settings,
    )


def _latest(s3: Any, address: S3Address) -> S3Address:
    """Return the newest bundle whose key begins as the address's, as it is now."""
    newest: dict[str, Any] | None = None
    with _sentences(address):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=address.bucket, Prefix=address.key):
            for entry in page.get("Contents", ()):
                if not _is_bundle(entry["Key"], address.bundle_type):
                    continue
                if newest is None or (entry["LastModified"], entry["Key"]) > (newest["LastModified"], newest["Key"]):
                    newest = entry
        if newest is None:
            raise BundleError(f"revision {address}?latest: there is no zip, tar or tar.gz with a key that begins so")
        head = s3.head_object(Bucket=address.bucket, Key=newest["Key"])
    version = head.get("VersionId")
    return S3Address(
        address.bucket,
        newest["Key"],
        version="" if version in (None, "null") else str(version),
        e_tag=str(head["ETag"]).strip('"'),
        bundle_type=_type_of(newest["Key"]) or address.bundle_type,
    )


def _is_bundle(key: str, bundle_type: str) -> bool:
    found = _type_of(key)
    return not key.endswith("/") and (found == bundle_type if bundle_type else bool(found))


def _type_of(key: str) -> str:
    return next((kind for suffix, kind in SUFFIXES.items() if key.lower().endswith(suffix)), "")


def _absent(address: S3Address) -> str:
    version = f" in the version {address.version}" if address.version else ""
    return (
        f"revision {address}: there is no such object in the bucket{version}; it was deleted or never pushed, "
        "push it again or deploy another revision"
    )


@contextmanager
def _sentences(address: S3Address) -> Iterator[None]:
    """Turn AWS's errors into the sentence of a bundle that cannot be read."""
    try:
        with aws_errors():
            yield
    except CodeDeployError as error:
        raise BundleError(f"revision {address}: {error.message}") from error


class _WriteOnly:
    """A stream without positions, so that parts are written in their order."""

    def __init__(self, target: Addition) -> None:
        self.write = target.write


class _Ranges(io.RawIOBase):
    """An object in S3 as a file that is read where it is read. It stays the same object while it is open."""

    def __init__(self, s3: Any, found: S3Object) -> None:
        self._s3 = s3
        self._object = found
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._object.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._object.size)
        if end <= self._position:
            return 0
        with _sentences(self._object.address):
            answer = self._s3.get_object(
                Range=f"bytes={self._position}-{end - 1}",
                IfMatch=f'"{self._object.e_tag}"',
                **self._object.parameters,
            )
            data = answer["Body"].read()
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _read_listing(index: str) -> BundleContents | None:
    try:
        with open(index, encoding="utf-8", errors="surrogateescape") as stream:
            known = json.load(stream)
        return BundleContents(
            known["path"],
            known["bundle_type"],
            {name: Member(*member) for name, member in known["members"].items()},
            known["appspec_filename"],
            base64.b64decode(known["appspec_data"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_listing(index: str, contents: BundleContents) -> None:
    members = {name: [part.kind, part.size, part.mode, part.target] for name, part in contents.members.items()}
    listing = {
        "path": contents.path,
        "bundle_type": contents.bundle_type,
        "members": members,
        "appspec_filename": contents.appspec_filename,
        "appspec_data": base64.b64encode(contents.appspec_data).decode(),
    }
    with open(f"{index}.{os.getpid()}", "w", encoding="utf-8", errors="surrogateescape") as stream:
        json.dump(listing, stream)
    os.replace(stream.name, index)
