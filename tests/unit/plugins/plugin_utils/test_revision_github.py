# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions in GitHub, from a stand-in that answers as GitHub does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.applications import Application
from support.github_server import COMMIT, GitHub, serve_github

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleError, read_contents
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import resolve_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_access import RevisionAccess

REVISION = f"github:acme/hollowweb@{COMMIT}"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHub]:
    with serve_github(Application(tmp_path / "application", "1").folder) as server:
        yield server


def access(github: GitHub, token: str = "", bundle_type: str = "") -> RevisionAccess:
    return RevisionAccess(bundle_type=bundle_type, github_token=token, github_api_url=github.api_url)


@pytest.mark.parametrize("bundle_type", ["", "tgz", "zip"])
def test_public_repository(github: GitHub, bundle_type: str) -> None:
    revision = resolve_revision(REVISION, [], access=access(github, bundle_type=bundle_type))
    contents = revision.contents(None)
    assert contents.appspec_filename == "appspec.yml"
    assert contents.members["content/version.txt"].size == 1
    record = revision.as_record()
    assert record["revision_type"] == "GitHub"
    assert record["git_hub_location"] == {"repository": "acme/hollowweb", "commit_id": COMMIT}
    assert record["bundle"] == {"bundle_type": bundle_type or "tgz"}
    assert read_contents(revision.bundle.path).appspec_data == contents.appspec_data


def test_it_is_fetched_once_and_found_again_by_its_record(github: GitHub) -> None:
    first = resolve_revision(REVISION, [], access=access(github))
    asked = len(github.requests)
    again = resolve_revision(REVISION, [], access=access(github))
    recorded = resolve_revision("last_successful", [], recorded=first.as_record(), access=access(github))
    assert len(github.requests) == asked
    assert first.as_record() == again.as_record() == recorded.as_record()
    Path(first.bundle.path).unlink()
    elsewhere = resolve_revision("last_successful", [], recorded=first.as_record(), access=access(github))
    assert elsewhere.as_record()["git_hub_location"] == first.as_record()["git_hub_location"]
    assert len(github.requests) == 2 * asked


def test_the_token_goes_to_the_api_alone(github: GitHub) -> None:
    github.token = "t0ken"
    revision = resolve_revision(REVISION.replace("hollowweb", "old-name"), [], access=access(github, "t0ken"))
    assert revision.contents(None).appspec_filename
    assert [(host, authorization) for host, _path, authorization in github.requests] == [
        ("api", "Bearer t0ken"),
        ("api", "Bearer t0ken"),
        ("archives", None),
    ]
    assert "t0ken" not in f"{revision!r} {revision.as_record()} {access(github, 't0ken')!r}"


def test_a_failing_server_is_asked_again(github: GitHub) -> None:
    github.failures = [(502, {}), (503, {})]
    assert resolve_revision(REVISION, [], access=access(github)).bundle.digest
    assert len(github.requests) == 4


@pytest.mark.parametrize(
    ("token", "failure", "message"),
    [
        ("", (404, {}), "it is private; set deploy_github_token"),
        ("t0ken", (404, {}), "the token has no access to its contents"),
        ("wr0ng", None, "the token is wrong or has expired"),
        (
            "",
            (403, {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000000"}),
            "the limit of 60 requests is used up until 22:13:20 UTC; with deploy_github_token",
        ),
        ("t0ken", (429, {"Retry-After": "30"}), "too many requests, try again in 30 seconds"),
        ("t0ken", (403, {}), "no permission to read the contents"),
        ("", (302, {"Location": "ftp://127.0.0.1/x"}), "ValueError"),
    ],
)
def test_messages(github: GitHub, token: str, failure: tuple[int, dict[str, str]] | None, message: str) -> None:
    github.token = "t0ken"
    github.failures = [failure] if failure else []
    with pytest.raises(BundleError) as refused:
        resolve_revision(REVISION, [], access=access(github, token))
    assert message in str(refused.value)
    assert REVISION in str(refused.value)
    assert "0ken" not in str(refused.value).replace("deploy_github_token", "")
    assert len(github.requests) == 1


def test_no_server_and_no_archive(github: GitHub) -> None:
    with pytest.raises(BundleError, match="not a tgz archive"):
        github.archive = lambda kind: b"<html>"  # type: ignore[method-assign]  # what a proxy in the way would answer
        resolve_revision(REVISION, [], access=access(github))
    nowhere = RevisionAccess(github_api_url="http://127.0.0.1:1")
    with pytest.raises(BundleError, match=r"127\.0\.0\.1 cannot be reached"):
        resolve_revision(REVISION, [], access=nowhere)


def test_the_token_is_not_sent_in_clear(github: GitHub) -> None:
    plain = RevisionAccess(github_token="t0ken", github_api_url="http://github.example")
    with pytest.raises(BundleError, match="use an https:// address"):
        resolve_revision(REVISION, [], access=plain)
