# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known secrets are nowhere after deployments from everywhere: output, logs, processes, record, instances."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import yaml
from support.applications import DESTINATION, Application, installed_version
from support.aws_server import AwsServer
from support.controller import Controller
from support.github_server import COMMIT, serve_github
from support.light_hosts import LightHosts
from support.local_fleet import LocalFleet
from support.postgresql import DATABASE, PASSWORD, PASSWORD_USER, PostgreSQLServer
from support.relay import relay
from support.web_server import serve

SCHEMA = "secrets"
GITHUB_TOKEN = "ghp-known-token-of-github"
HEADER = "known-value-of-a-header"
QUERY = "known-query-of-an-address"
SECRET_KEY = "known-secret-access-key"
SESSION_TOKEN = "known-session-token"


@contextmanager
def sampled_arguments() -> Iterator[set[bytes]]:
    """Collect the arguments of all processes of this machine while the block runs."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.01):
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    with contextlib.suppress(OSError):
                        seen.add(Path("/proc", entry, "cmdline").read_bytes())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def contents(top: Path, *without: Path) -> dict[str, bytes]:
    """Return names and contents of all files below a folder, except of some folders and files."""
    files = [path for path in top.rglob("*") if path.is_file() and not any(path.is_relative_to(at) for at in without)]
    return {str(path): str(path).encode() + path.read_bytes() for path in files}


def rows(server: PostgreSQLServer) -> dict[str, bytes]:
    """Return all that a record holds, by table."""
    tables = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", SCHEMA, database=DATABASE)
    return {
        table: repr(server.execute(f"SELECT row_to_json(t)::text FROM {SCHEMA}.{table} t", database=DATABASE)).encode()
        for (table,) in tables
    }


def site(**deployments: dict[str, object]) -> str:
    """Return a playbook that pushes and then makes deployments, one for each keyword."""
    plays: list[dict[str, object]] = [{"import_playbook": "agentless.codedeploy.push", "vars": deployments.pop("push")}]
    deploy = "agentless.codedeploy.deploy"
    plays += [{"import_playbook": deploy, "vars": {"deploy_group": "web", **more}} for more in deployments.values()]
    return yaml.safe_dump(plays, sort_keys=False)


def signature_of(signed: Path) -> list[str]:
    """Return what is secret in the address that a controller has signed and kept."""
    (kept,) = signed.iterdir()
    query = json.loads(kept.read_text())["url"].partition("?")[2]
    return [query, *parse_qs(query)["X-Amz-Signature"]]


def found_in(places: dict[str, bytes], secrets: list[str]) -> list[tuple[str, str]]:
    """Return which secret is where."""
    return [(place, secret) for place, text in places.items() for secret in secrets if secret.encode() in text]


def test_secrets_are_nowhere(
    aws_server: AwsServer, controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1", AfterInstall="true")
    aws_server.client("s3").create_bucket(Bucket="bundles")
    archive = Path(shutil.make_archive(str(tmp_path / "made"), "zip", application.folder))
    playbook, log = tmp_path / "site.yml", tmp_path / "ansible.log"
    server = PostgreSQLServer()
    try:
        server.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {PASSWORD_USER}", database=DATABASE)
        controller.environment.update(
            {
                **aws_server.environment,
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_SESSION_TOKEN": SESSION_TOKEN,
                "GITHUB_TOKEN": GITHUB_TOKEN,
                "PGPASSWORD": PASSWORD,
                "CODEDEPLOY_STORE": server.location(user=PASSWORD_USER, options=f"-csearch_path={SCHEMA}"),
                "ANSIBLE_LOG_PATH": str(log),
            }
        )
        with (
            serve_github(application.folder, GITHUB_TOKEN) as github,
            serve("/a.zip", archive.read_bytes(), HEADER) as (address, answers),
            sampled_arguments() as arguments,
        ):
            playbook.write_text(
                site(
                    push={
                        "deploy_application": "web",
                        "push_source": str(application.folder),
                        "push_target": "s3://bundles/a.zip",
                    },
                    s3={"deploy_revision": "latest"},
                    github={
                        "deploy_revision": f"github:acme/hollowweb@{COMMIT}",
                        "deploy_github_api_url": github.api_url,
                    },
                    address={
                        "deploy_revision": f"{address}?token={QUERY}",
                        "deploy_revision_headers": {"X-Token": HEADER},
                    },
                )
            )
            result = controller.run("ansible-playbook", "-vvvv", "-i", str(fleet.inventory()), str(playbook))
        assert result.rc == 0, str(result)
        assert installed_version(fleet.files("web1")) == "1"
        assert [host for host, _path, _token in github.requests] == ["api", "archives"]
        assert answers == [200, 200]
        record = rows(server)
    finally:
        server.stop()
    signed = controller.home / ".cache" / "agentless.codedeploy" / "signed"
    secrets = [GITHUB_TOKEN, HEADER, QUERY, SECRET_KEY, SESSION_TOKEN, PASSWORD, *signature_of(signed)]
    places = {
        "stdout": result.stdout.encode(),
        "stderr": result.stderr.encode(),
        "log": log.read_bytes(),
        "arguments of processes": b"\n".join(arguments),
        **record,
        **contents(fleet.directory),
        **contents(controller.home, signed),
    }
    assert b"d-" in record["deployments"]
    assert any(b"site.yml" in one for one in arguments)
    assert any("events.jsonl" in place for place in places)
    assert found_in(places, secrets) == []


def test_secrets_are_nowhere_over_ssh(
    aws_server: AwsServer, controller: Controller, light_hosts: Callable[[int], LightHosts], tmp_path: Path
) -> None:
    hosts = light_hosts(1)
    (host,) = hosts.hosts
    # What scripts are given is on the instance too.
    application = Application(tmp_path / "application", "1", AfterInstall="env >> /srv/environment")
    archive = Path(shutil.make_archive(str(tmp_path / "made"), "zip", application.folder))
    # Another one, or it would be there already.
    other = Application(tmp_path / "other", "2", AfterInstall="env >> /srv/environment")
    other_archive = Path(shutil.make_archive(str(tmp_path / "other-made"), "zip", other.folder))
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket="bundles")
    s3.put_object(Bucket="bundles", Key="a.zip", Body=archive.read_bytes())
    playbook, log = tmp_path / "site.yml", tmp_path / "ansible.log"
    with (
        relay(host.gateway, port_of(aws_server.url)) as port,
        serve_github(application.folder, GITHUB_TOKEN) as github,
        serve("/a.zip", other_archive.read_bytes(), HEADER) as (address, answers),
        contextlib.ExitStack() as more,
        sampled_arguments() as arguments,
    ):
        port_of_address = more.enter_context(relay(host.gateway, port_of(address)))
        controller.environment.update(
            {
                **aws_server.environment,
                "AWS_ENDPOINT_URL": f"http://{host.gateway}:{port}",
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_SESSION_TOKEN": SESSION_TOKEN,
                "ANSIBLE_LOG_PATH": str(log),
            }
        )
        deploy = "agentless.codedeploy.deploy"
        github_revision = {"deploy_revision": f"github:acme/hollowweb@{COMMIT}", "deploy_github_token": GITHUB_TOKEN}
        of_address = {"deploy_revision": f"http://{host.gateway}:{port_of_address}/a.zip?token={QUERY}"}
        deployments = [
            {"deploy_revision": "s3://bundles/a.zip"},
            {**github_revision, "deploy_github_api_url": github.api_url},
            {**of_address, "deploy_revision_headers": {"X-Token": HEADER}},
        ]
        plays = [{"import_playbook": deploy, "vars": {"deploy_group": "web", **given}} for given in deployments]
        playbook.write_text(yaml.safe_dump(plays, sort_keys=False))
        inventory = hosts.inventory(tmp_path / "inventory.yml", "web")
        result = controller.run("ansible-playbook", "-vvvv", "-i", str(inventory), str(playbook))
    assert result.rc == 0, str(result)
    assert host.run("cat", f"{DESTINATION}/version.txt") == "2"
    # The instance has fetched both itself: it was given what is secret.
    assert [call for call in aws_server.calls if "X-Amz-Signature" in str(call)]
    assert answers == [200, 200]
    signed = controller.home / ".cache" / "agentless.codedeploy" / "signed"
    secrets = [GITHUB_TOKEN, HEADER, QUERY, SECRET_KEY, SESSION_TOKEN, *signature_of(signed)]
    places = {
        "stdout": result.stdout.encode(),
        "stderr": result.stderr.encode(),
        "log": log.read_bytes(),
        "arguments of processes": b"\n".join(arguments),
        **contents(controller.home, signed),
    }
    for folder in ("etc", "home", "opt", "root", "run", "srv", "tmp", "var/log", "var/tmp"):
        places.update(contents(host.path(f"/{folder}")))
    assert any(b"DEPLOYMENT_GROUP_NAME=web" in text for place, text in places.items() if place.endswith("environment"))
    assert any("events.jsonl" in place for place in places)
    assert any(b"/usr/bin/python3" in one for one in arguments)
    assert found_in(places, secrets) == []


def port_of(url: str) -> int:
    """Return the port of an address of loopback."""
    return int(url.split(":")[2].partition("/")[0])
