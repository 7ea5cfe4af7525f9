# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments of revisions that are elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from support.applications import Application, installed_version
from support.aws_server import AwsServer
from support.controller import Controller
from support.github_server import COMMIT, serve_github
from support.local_fleet import LocalFleet
from support.record import deployments, events

DEPLOY = "agentless.codedeploy.deploy"
PUSH = "agentless.codedeploy.push"
Fleets = Callable[..., LocalFleet]


def test_github(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    hook = 'echo "$BUNDLE_COMMIT" > "$DESTINATION_ROOT/commit"'
    application = Application(tmp_path / "application", "1", AfterInstall=hook)
    location = {"repository": "acme/hollowweb", "commitId": COMMIT}
    with serve_github(application.folder, token="t0ken") as github:
        result = controller.playbook(
            DEPLOY,
            fleet.inventory(),
            "-vvv",
            deploy_group="web",
            deploy_revision={"revisionType": "GitHub", "gitHubLocation": location},
            deploy_github_token="t0ken",
            deploy_github_api_url=github.api_url,
        )
        assert result.rc == 0, str(result)
        assert [host for host, _path, _token in github.requests] == ["api", "archives"]
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
    assert (fleet.files("web1") / "commit").read_text().strip() == COMMIT
    assert "t0ken" not in result.stdout + result.stderr
    (deployment,) = deployments(controller)
    assert deployment["revision"]["gitHubLocation"] == location


def test_s3(aws_server: AwsServer, controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    hook = 'echo "$BUNDLE_BUCKET $BUNDLE_KEY $BUNDLE_VERSION $BUNDLE_ETAG" > "$DESTINATION_ROOT/bundle"'
    application = Application(tmp_path / "application", "1", AfterInstall=hook)
    archive = shutil.make_archive(str(tmp_path / "bundle"), "zip", application.folder)
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket="bundles")
    s3.put_bucket_versioning(Bucket="bundles", VersioningConfiguration={"Status": "Enabled"})
    put = s3.put_object(Bucket="bundles", Key="a.zip", Body=Path(archive).read_bytes())
    e_tag = put["ETag"].strip('"')
    text = f"s3://bundles/a.zip?versionId={put['VersionId']}&eTag={e_tag}"
    variables = {"deploy_group": "web", "deploy_revision": text, "deploy_region": "us-east-1"}
    controller.environment.update(aws_server.environment)
    first = controller.playbook(DEPLOY, fleet.inventory(), "-vvv", **variables)
    assert first.rc == 0, str(first)
    assert installed_version(fleet.files("web1")) == "1"
    assert (fleet.files("web1") / "bundle").read_text() == f"bundles a.zip {put['VersionId']} {e_tag}\n"
    (signed,) = (controller.home / ".cache" / "agentless.codedeploy" / "signed").iterdir()
    address = json.loads(signed.read_text())["url"]
    assert address.partition("?")[2] not in first.stdout + first.stderr
    # An address that S3 takes for expired, and an instance that has to ask for another one.
    shutil.rmtree(fleet.deployment_root("web1") / "bundle-cache")
    expired = s3.generate_presigned_url("get_object", Params={"Bucket": "bundles", "Key": "a.zip"}, ExpiresIn=1)
    signed.write_text(json.dumps({"url": expired, "expires": json.loads(signed.read_text())["expires"] + 3600}))
    aws_server.control(clock_ahead_seconds=100)
    variables["deploy_revision"] = "last_successful"
    renewed = controller.playbook(DEPLOY, fleet.inventory(), "-vvv", **variables)
    assert renewed.rc == 0, str(renewed)
    assert json.loads(signed.read_text())["url"] not in (expired, address)
    newest, _former = deployments(controller)
    happened = events(controller, newest["deploymentId"], "web1")
    assert {event["status"] for event in happened.values()} == {"Succeeded"}
    assert list(happened).count("DownloadBundle") == 1


def test_push(aws_server: AwsServer, controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1", AfterInstall="true")
    aws_server.client("s3").create_bucket(Bucket="bundles")
    controller.environment.update(aws_server.environment)
    variables = {"deploy_application": "web", "push_source": application.folder, "push_target": "s3://bundles/a.zip"}
    planned = controller.playbook(PUSH, fleet.inventory(), "--check", **variables)
    assert planned.rc == 0, str(planned)
    assert "would push" in planned.stdout
    pushed = controller.playbook(PUSH, fleet.inventory(), **variables)
    assert pushed.rc == 0, str(pushed)
    assert "To deploy with this revision, run:" in pushed.stdout
    assert "-e 'deploy_revision=s3://" in pushed.stdout or "-e deploy_revision='s3://bundles/a.zip?" in pushed.stdout
    again = controller.playbook(PUSH, fleet.inventory(), **variables)
    assert "The same content is there already" in again.stdout
    assert "changed=0" in again.stdout
    # What another controller with the same record would do, on instances with a profile of their own.
    shutil.rmtree(controller.home / ".cache")
    own = {"deploy_group": "web", "deploy_revision": "latest", "deploy_download": "instance"}
    result = controller.playbook(DEPLOY, fleet.inventory(), **own)
    assert result.rc == 0, str(result)
    assert installed_version(fleet.files("web1")) == "1"
    assert not (controller.home / ".cache" / "agentless.codedeploy" / "signed").exists()
