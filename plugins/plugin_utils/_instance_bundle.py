# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a deployment's bundle gets to an instance: from the controller, by a signed address, with its own credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import CachedBundle, cached
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import Instance, InstanceError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import is_address, recorded_bundle_type
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_access import INSTANCE, PRESIGNED, PUSH
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._signed_address import signed_address


def bring_bundle(
    instance: Instance,
    revision: Mapping[str, Any],
    options: Mapping[str, Any],
    source: str,
    headers: dict[str, str],
) -> dict[str, Any]:
    """Bring a revision's bundle to an instance and return the module's parameter C(bundle) for it.

    :param revision: as recorded.
    :param options: of the deployment's record: C(download), C(aws), C(bundle_new).
    :param source: what the user typed; an address is downloaded by the instance itself.
    :param headers: HTTP headers for that address.
    :raises InstanceError: when this controller no longer has it.
    :raises AwsError: it is in S3, and there are no credentials to sign an address with.
    """
    download = options.get("download")
    if _is_downloaded_from_s3(revision, options):
        return _from_s3(instance, revision, options, download or PRESIGNED)
    digest, bundle_type = str(revision.get("digest")), recorded_bundle_type(dict(revision))
    bundle: CachedBundle | None = CachedBundle("", bundle_type, digest, 0)
    source = "" if download == PUSH else source
    if not is_address(source):
        bundle = cached(digest, bundle_type)
    if bundle is None:
        raise InstanceError(f"the bundle {digest} is no longer in this controller's cache; deploy again")
    return instance.bundle_parameter(bundle, source, headers, not options.get("bundle_new"))


def sign_address(revision: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Make the address that the tasks of the instances will use, where boto3 is loaded anyway.

    :raises AwsError: there are no credentials to sign with.
    """
    if _is_downloaded_from_s3(revision, options) and options.get("download") != INSTANCE:
        aws = options.get("aws") or {}
        signed_address(_place(revision, aws), aws)


def _is_downloaded_from_s3(revision: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    gone = (revision.get("bundle") or {}).get("gone")
    return bool(revision["revision_type"] == "S3" and options.get("download") != PUSH and not gone)


def _place(revision: Mapping[str, Any], aws: Mapping[str, Any]) -> dict[str, str]:
    location, known = revision["s3_location"], revision["bundle"]
    return {
        "bucket": str(location["bucket"]),
        "key": str(location["key"]),
        "version": str(known.get("version") or ""),
        "region": str(known.get("region") or aws.get("region") or ""),
    }


def _from_s3(
    instance: Instance, revision: Mapping[str, Any], options: Mapping[str, Any], download: str
) -> dict[str, Any]:
    """Return the parameter for an object that the instance downloads itself, unless it has it by its name."""
    location, known, aws = revision["s3_location"], revision["bundle"], options.get("aws") or {}
    place = _place(revision, aws)
    parameter = {"type": location["bundle_type"], "size": known["size"], "e_tag": known["e_tag"]}
    if revision.get("digest"):
        parameter["digest"] = revision["digest"]
    else:
        parameter["cache_key"] = known["identity"]
        if known.get("hashed"):
            parameter["part_size"] = known.get("part_size") or 0
    if download == INSTANCE:
        return {**parameter, "s3_location": {**place, "endpoint_url": str(aws.get("endpoint_url") or "")}}

    def sign(refused: str = "") -> str:
        return instance.hide_address(signed_address(place, aws, refused))

    instance.renew_address = sign
    return {**parameter, "url": sign()}
