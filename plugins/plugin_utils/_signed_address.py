# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signed addresses of bundles in S3, with which an instance needs neither boto3 nor credentials.

Whoever has such an address can read the object until it expires: it is a secret. One is made for a deployment, and
the tasks of all its instances find it in a file that only the controller's user can read: each of them runs in a
process of its own, where boto3 would have to be loaded to make another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings, aws_errors, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import cache_directory

LIFETIME_SECONDS = 3600


def signed_address(place: Mapping[str, Any], options: Mapping[str, Any], refused: str = "") -> str:
    """Return an address from which a bundle can be downloaded for at least half of its lifetime.

    :param place: C(bucket), C(key), C(version) and C(region) of the object, the last two may be missing.
    :param options: how AWS is reached, as a deployment's record has it (C(aws)).
    :param refused: an address that S3 has refused as expired; another one is made.
    :raises AwsError: there are no credentials to sign with.
    """
    settings = AwsSettings.from_arguments({}, below=options)
    path = os.path.join(_directory(), hashlib.sha256(repr((sorted(place.items()), settings)).encode()).hexdigest())
    known = _read(path)
    if known and known["url"] != refused and known["expires"] - time.time() > LIFETIME_SECONDS / 2:
        return str(known["url"])
    _forget_expired()
    url = _sign(place, settings)
    _write(path, {"url": url, "expires": time.time() + LIFETIME_SECONDS})
    return url


def _sign(place: Mapping[str, Any], settings: AwsSettings) -> str:
    configuration = {**json.loads(settings.aws_config or "{}"), "signature_version": "s3v4"}
    signing = dataclasses.replace(settings, aws_config=json.dumps(configuration, sort_keys=True))
    parameters = {"Bucket": place["bucket"], "Key": place["key"]}
    if place.get("version"):
        parameters["VersionId"] = place["version"]
    with aws_errors():
        s3 = client(signing, "s3", place.get("region") or None)
        return str(s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=LIFETIME_SECONDS))


def _directory() -> str:
    path = os.path.join(cache_directory(), "signed")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as stream:
            known = json.load(stream)
        return known if {"url", "expires"} <= set(known) else None
    except (OSError, ValueError, TypeError):
        return None


def _write(path: str, known: dict[str, Any]) -> None:
    # Readable by its owner alone from the beginning (mkstemp), whole at any time.
    with tempfile.NamedTemporaryFile("w", dir=_directory(), prefix="adding-", delete=False, encoding="utf-8") as stream:
        json.dump(known, stream)
    os.replace(stream.name, path)


def _forget_expired() -> None:
    with os.scandir(_directory()) as entries:
        for entry in entries:
            try:
                if entry.stat().st_mtime < time.time() - LIFETIME_SECONDS:
                    os.unlink(entry.path)
            except FileNotFoundError:
                continue
