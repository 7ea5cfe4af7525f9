# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How revisions in S3 and GitHub are written."""

from __future__ import annotations

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import (
    GitHubAddress,
    RevisionTextError,
    S3Address,
    github_address,
    revision_text,
    s3_address,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://b/k.zip", S3Address("b", "k.zip", bundle_type="zip")),
        ("s3://b/a/k.tar.gz", S3Address("b", "a/k.tar.gz", bundle_type="tgz")),
        ("s3://b/k.tar?versionId=V1", S3Address("b", "k.tar", "V1", bundle_type="tar")),
        ("s3://b/k.tgz?etag=E", S3Address("b", "k.tgz", "", "E", "tgz")),
        ("s3://b/k?versionId=V&eTag=%22E-2%22&bundleType=zip", S3Address("b", "k", "V", "E-2", "zip")),
        ("s3://b/k", S3Address("b", "k")),
        ("s3://b/releases/?latest", S3Address("b", "releases/", latest=True)),
        ("s3://b/?latest", S3Address("b", "", latest=True)),
        ("s3://b/what?.zip", S3Address("b", "what?.zip", bundle_type="zip")),
        ("b.s3.amazonaws.com/f/k.zip", S3Address("b", "f/k.zip", bundle_type="zip")),
        ("https://b.c.s3.eu-west-1.amazonaws.com/f/a%20b.zip", S3Address("b.c", "f/a b.zip", bundle_type="zip")),
        ("https://s3.amazonaws.com/b/f/k.zip?versionId=V", S3Address("b", "f/k.zip", "V", bundle_type="zip")),
        ("https://s3-eu-west-1.amazonaws.com/b/k.zip", S3Address("b", "k.zip", bundle_type="zip")),
        ("https://b.s3.dualstack.eu-west-1.amazonaws.com/k.zip", S3Address("b", "k.zip", bundle_type="zip")),
        ("https://b.s3.amazonaws.com/k.zip?X-Amz-Signature=abc", None),
        ("https://example.com/k.zip", None),
        ("https://b.s3.amazonaws.com.example.com/k.zip", None),
        ("./s3.zip", None),
        ("/srv/s3://b", None),
    ],
)
def test_s3(text: str, address: S3Address | None) -> None:
    assert s3_address(text) == address


@pytest.mark.parametrize("text", ["s3://", "s3://b", "s3://b/", "s3:///k", "s3://b/k?bundleType=rar"])
def test_s3_refused(text: str) -> None:
    with pytest.raises(RevisionTextError, match=r"s3://bucket/key|bundle type 'rar'"):
        s3_address(text)


def test_the_option_is_for_what_the_text_does_not_say() -> None:
    assert s3_address("s3://b/k.zip", "tgz") == S3Address("b", "k.zip", bundle_type="tgz")
    assert s3_address("s3://b/k?bundleType=tar", "tgz") == S3Address("b", "k", bundle_type="tar")


def test_github() -> None:
    assert github_address(f"github:acme/hollow.web@{COMMIT.upper()}") == GitHubAddress("acme/hollow.web", COMMIT)
    assert github_address("https://github.com/acme/x") is None


@pytest.mark.parametrize(
    "text",
    [
        "github:acme/x",
        "github:acme/x@main",
        "github:acme/x@0123456",
        f"github:x@{COMMIT}",
        f"github:../x@{COMMIT}",
        f"github:a/b/c@{COMMIT}",
    ],
)
def test_github_refused(text: str) -> None:
    with pytest.raises(RevisionTextError, match=r"github:owner/repository@commit|40 digits"):
        github_address(text)


def test_shape_of_the_api() -> None:
    snake = {"bucket": "b", "key": "k", "bundle_type": "tgz", "version": "V+1", "e_tag": '"E"'}
    camel = {"bucket": "b", "key": "k", "bundleType": "tgz", "version": "V+1", "eTag": '"E"'}
    for text in (
        revision_text({"revision_type": "S3", "s3_location": snake}),
        revision_text({"revisionType": "S3", "s3Location": camel}),
    ):
        assert s3_address(text) == S3Address("b", "k", "V+1", "E", "tgz")
    address = S3Address("b", "k", "V+1", "E", "tgz")
    assert revision_text({"revision_type": "S3", "s3_location": address.as_record()}) == revision_text(
        {"revision_type": "S3", "s3_location": snake}
    )
    github = {"repository": "acme/x", "commitId": COMMIT}
    assert revision_text({"revisionType": "GitHub", "gitHubLocation": github}) == f"github:acme/x@{COMMIT}"
    assert revision_text({"revision_type": "Local", "local_location": {"path": "/srv/x"}}) == "/srv/x"
    assert revision_text(" ./build ") == "./build"
    assert revision_text(None) == ""


@pytest.mark.parametrize("value", [["s3://b/k"], {"revision_type": "String"}, {"revision_type": "S3"}])
def test_shape_refused(value: object) -> None:
    with pytest.raises(RevisionTextError):
        revision_text(value)
