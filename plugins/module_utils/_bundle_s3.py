# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch a bundle from S3 with the instance's own credentials. Imported only then; boto3 must be on the instance."""

import os
import sys
from typing import Any, Dict

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import BundleError


def fetch_s3(bundle: Dict[str, Any], path: str) -> str:
    """Write the object C(bundle.s3_location) to C(path) (0600) and return V(""): its digest is not known.

    :param bundle: C(s3_location) with C(bucket), C(key), C(version), C(region) and C(endpoint_url), C(size) and
        C(e_tag).
    :raises BundleError: saying what is missing or what S3 answered.
    """
    try:
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise BundleError(
            f"deploy_download is instance, and {sys.executable} on this instance has no boto3: install it there "
            "(python3-boto3), set ansible_python_interpreter to a Python that has it, or use deploy_download=presigned"
        ) from None
    place = bundle["s3_location"]
    shown = f"s3://{place['bucket']}/{place['key']}"
    version = {"VersionId": place["version"]} if place.get("version") else {}
    try:
        s3 = boto3.client("s3", region_name=place.get("region") or None, endpoint_url=place.get("endpoint_url") or None)
        found = s3.head_object(Bucket=place["bucket"], Key=place["key"], **version)
        if bundle.get("e_tag") and found["ETag"].strip('"') != bundle["e_tag"]:
            raise BundleError(f"{shown} was replaced: its ETag is {found['ETag']}, expected was {bundle['e_tag']}")
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with open(path, "wb") as stream:
            s3.download_fileobj(place["bucket"], place["key"], stream, ExtraArgs=version)
    except (BotoCoreError, Boto3Error, ClientError) as error:
        raise BundleError(
            f"{shown} cannot be downloaded with this instance's own credentials: {error}; it needs a profile that may "
            "read it, or use deploy_download=presigned"
        ) from None
    if bundle.get("size") is not None and os.stat(path).st_size != bundle["size"]:
        raise BundleError(f"{shown}: {os.stat(path).st_size} of {bundle['size']} bytes arrived")
    return ""
