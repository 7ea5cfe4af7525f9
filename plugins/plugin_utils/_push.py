# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Push a bundle, as C(aws deploy push): pack a folder, check it, bring it to S3 or to a folder, see that it arrived."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_e_tag import e_tag_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError, AwsSettings, aws_errors, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import (
    EXTENSIONS,
    CachedBundle,
    keep_bundle,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_pack import content_digest, entries_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import (
    APPSPEC_NAMES,
    BundleError,
    bundle_type_of,
    read_contents,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import Revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_check import check_contents
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_s3 import DIGEST, S3Object, s3_object
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import S3Address, s3_address

CONTENT = "content"
"""Key of the object's metadata with the digest of what is in the bundle, without times: see content_digest()."""
PART = 8 * 1024 * 1024
# What macOS and Windows leave in folders and archives and nobody means to deploy.
LEFT_BEHIND = (
    "__MACOSX",
    ".DS_Store",
    ".AppleDouble",
    ".LSOverride",
    ".Spotlight-V100",
    ".Trashes",
    ".fseventsd",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
)
SHOWN = 5


@dataclass(frozen=True)
class Packed:
    """A bundle that may be pushed.

    :param content: digest of what is in it, without times; of an archive that of its bytes.
    """

    source: str
    bundle: CachedBundle
    content: str
    warnings: list[str]


@dataclass(frozen=True)
class Pushed:
    """What has become of a push.

    :param revision: where the bundle is now; None in check mode when it is not there yet.
    :param location: address or path, for people.
    :param changed: whether it was or would be sent, and was not there before.
    """

    revision: Revision | None
    location: str
    changed: bool


def pack_source(source: str, bundle_type: str, appspec_filename: str | None, ignore_hidden: bool) -> Packed:
    """Pack a folder, or take an archive as it is, and check all of it as a deployment does.

    :param source: path of a folder or of an archive.
    :param bundle_type: C(zip) or C(tgz), what a folder becomes.
    :raises PreflightError: with all that is wrong with it.
    :raises BundleError: it cannot be read.
    """
    findings = Findings()
    folder = bundle_type_of(source) == "directory"
    if folder and bundle_type == "tar":
        raise InvalidInput("A folder becomes a zip or a tgz archive, not tar.")
    bundle = keep_bundle(source, bundle_type, ignore_hidden)
    contents = read_contents(bundle.path, appspec_filename)
    if folder:
        _check_root(source, appspec_filename, findings)
    _check_left_behind(list(contents.members), findings)
    if not findings.problems:
        check_contents(contents, source, appspec_filename, findings)
    if findings.problems:
        raise PreflightError(findings.report().replace("no instance was touched", "nothing was pushed"))
    if any(name.split("/")[0] == ".git" for name in contents.members):
        findings.warnings.append("the bundle holds .git, the whole history; leave it out with ignore_hidden_files")
    entries = entries_of(source, ignore_hidden) if folder else []
    return Packed(source, bundle, content_digest(source, entries) if folder else bundle.digest, findings.warnings)


def push(packed: Packed, target: str, application: str, options: Mapping[str, Any], check: bool) -> Pushed:
    """Bring a bundle to its target, unless it is there already.

    :param target: C(s3://bucket/key), or a path; with a slash at its end, or an existing folder, the name is made of
        the application's and the content's.
    :param options: how AWS is reached, as a deployment's record has it.
    :param check: only say what would be done.
    :raises InvalidInput: the target cannot be.
    :raises AwsError: S3 refuses.
    :raises BundleError: what arrived is not what was sent.
    """
    name = f"{application}-{packed.content[:12]}.{EXTENSIONS[packed.bundle.bundle_type]}"
    address = s3_address(target if not target.endswith("/") else target + name)
    if address is None:
        if "://" in target:
            raise InvalidInput(f"The target {target} is neither s3://bucket/key nor a path.")
        folder = target.endswith("/") or os.path.isdir(target)
        path = os.path.abspath(os.path.expanduser(os.path.join(target, name) if folder else target))
        return _push_to_path(packed, path, check)
    if address.version or address.e_tag or address.latest:
        raise InvalidInput(f"The target {address} names a version; S3 makes a new one.")
    if address.bundle_type not in ("", packed.bundle.bundle_type):
        kind = packed.bundle.bundle_type
        raise InvalidInput(f"The target {address} would be a {address.bundle_type} archive, and the bundle is {kind}.")
    return _push_to_s3(packed, replace(address, bundle_type=packed.bundle.bundle_type), options, check)


def _push_to_path(packed: Packed, path: str, check: bool) -> Pushed:
    revision = Revision("Local", path, packed.bundle)
    if os.path.isdir(path):
        raise InvalidInput(f"The target {path} is a folder; give the path of a file, or a slash at its end.")
    if os.path.exists(path) and keep_bundle(path).digest == packed.bundle.digest:
        return Pushed(revision, path, False)
    if check:
        return Pushed(None, path, True)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), prefix=".pushing-", delete=False) as stream:
        try:
            with open(packed.bundle.path, "rb") as bundle:
                shutil.copyfileobj(bundle, stream)
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(stream.fileno(), 0o666 & ~umask)
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(stream.name, path)
        except BaseException:
            os.unlink(stream.name)
            raise
    return Pushed(revision, path, True)


def _push_to_s3(packed: Packed, address: S3Address, options: Mapping[str, Any], check: bool) -> Pushed:
    settings = AwsSettings.from_arguments({}, below=options)
    s3 = client(settings, "s3")
    found = _there(s3, address, packed, options)
    if found is not None:
        return Pushed(_revision(found, packed), str(address), False)
    if check:
        return Pushed(None, str(address), True)
    from boto3.s3.transfer import TransferConfig

    extra = {"ChecksumAlgorithm": "SHA256", "Metadata": {DIGEST: packed.bundle.digest, CONTENT: packed.content}}
    with aws_errors():
        s3.upload_file(
            packed.bundle.path,
            address.bucket,
            address.key,
            ExtraArgs=extra,
            Config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART),
        )
    arrived = s3_object(address, options)
    _verify(arrived, packed)
    return Pushed(_revision(arrived, packed), str(address), True)


def _there(s3: Any, address: S3Address, packed: Packed, options: Mapping[str, Any]) -> S3Object | None:
    """Return the object when it has the same content already, and None when it is to be sent."""
    try:
        with aws_errors():
            head = s3.head_object(Bucket=address.bucket, Key=address.key)
    except AwsError as error:
        if error.code in ("404", "NoSuchKey"):
            _check_bucket(s3, address.bucket)
            return None
        raise
    metadata = head.get("Metadata") or {}
    if packed.bundle.digest != metadata.get(DIGEST) and packed.content != metadata.get(CONTENT):
        return None
    return s3_object(address, options)


def _check_bucket(s3: Any, bucket: str) -> None:
    """Say that the bucket is missing rather than the object, before anything is sent."""
    try:
        with aws_errors():
            s3.head_bucket(Bucket=bucket)
    except AwsError as error:
        if error.code in ("404", "NoSuchBucket"):
            advice = "agentless.codedeploy.setup_aws makes one"
            raise AwsError(f"there is no bucket {bucket}; {advice}", "NoSuchBucket") from None


def _verify(arrived: S3Object, packed: Packed) -> None:
    """Compare what S3 has with what was sent.

    :raises BundleError: it is something else.
    """
    problem = ""
    if arrived.size != packed.bundle.size:
        problem = f"it has {arrived.size} bytes and not {packed.bundle.size}"
    elif arrived.digest != packed.bundle.digest:
        problem = f"its SHA-256 is {arrived.digest or 'not known'} and not {packed.bundle.digest}"
    elif arrived.hashed:
        expected = e_tag_of(packed.bundle.path, PART if "-" in arrived.e_tag else 0)
        if expected not in ("", arrived.e_tag):
            problem = f"its ETag is {arrived.e_tag} and not {expected}"
    if problem:
        raise BundleError(
            f"{arrived.address} is not what was sent: {problem}; somebody else has replaced it, or it was "
            "damaged on its way: push it again"
        )


def _revision(found: S3Object, packed: Packed) -> Revision:
    """Return the revision as C(aws deploy push) registers it: with its ETag, and with its version where it has one."""
    address = replace(found.address, version=found.version, e_tag=found.e_tag)
    bundle = packed.bundle if found.digest == packed.bundle.digest else replace(packed.bundle, digest=found.digest)
    shown = f"{address}?versionId={found.version}" if found.version else str(address)
    return Revision("S3", shown, bundle, address.as_record(), replace(found, address=address))


def _check_root(source: str, appspec_filename: str | None, findings: Findings) -> None:
    names = [appspec_filename] if appspec_filename else list(APPSPEC_NAMES)
    if not any(os.path.lexists(os.path.join(source, name)) for name in names):
        findings.problems.append(f"{os.path.join(source, names[0])} was not found: the AppSpec belongs at the root")


def _check_left_behind(members: Sequence[str], findings: Findings) -> None:
    found = [name for name in members if _is_left_behind(name.rpartition("/")[2])]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        findings.problems.append(
            f"{', '.join(sorted(found)[:SHOWN])}{more}: left there by macOS or Windows; delete it, or leave out what "
            "begins with a dot (push_ignore_hidden_files)"
        )


def _is_left_behind(name: str) -> bool:
    return name in LEFT_BEHIND or name.startswith("._")
