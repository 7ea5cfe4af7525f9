# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk-through in AWS does what its page says: moto is AWS, its EC2 instances are hosts reached over real ssh."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.aws_server import AwsServer
from support.controller import Controller
from support.light_hosts import LightHost, LightHosts
from support.relay import relay

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_targets, list_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

COMMANDS = ("ansible-playbook", "ansible-inventory")
GROUP_FILE = "hollowweb.codedeploy.yml"


class Page:
    """The document: its commands and files, in their order, by the step that they are in."""

    def __init__(self, path: Path) -> None:
        self._steps: dict[int, list[str]] = {}
        for part in path.read_text().split("\n## ")[1:]:
            number = re.match(r"(\d+)\. ", part)
            if number:
                blocks = re.findall(r"(?:^    .*\n?|^\n(?=    ))+", part, re.MULTILINE)
                self._steps[int(number[1])] = [one for block in blocks for one in self._split(block)]

    @staticmethod
    def _split(block: str) -> list[str]:
        text = re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n")
        return text.split("\n\n")

    def commands(self, step: int) -> list[str]:
        """The commands of a step."""
        return [block for block in self._steps[step] if block.startswith(COMMANDS)]

    def file(self, step: int, beginning: str) -> str:
        """The file of a step that begins with a text."""
        (content,) = [block for block in self._steps[step] if block.startswith(beginning)]
        return content + "\n"


class Walk:
    """Who follows the page: a folder, a controller in it, an account, and two hosts that are its instances."""

    def __init__(
        self, page: Page, controller: Controller, server: AwsServer, hosts: LightHosts, address_of_aws: str
    ) -> None:
        self.page, self.controller, self.server, self.hosts = page, controller, server, hosts
        self._environment = {
            **controller.environment,
            **server.environment,
            "AWS_ENDPOINT_URL": address_of_aws,
            "ANSIBLE_INVENTORY": str(self._own_settings()),
        }

    def _own_settings(self) -> Path:
        """Write what is another in the test than in AWS: where the instances are."""
        path = self.controller.home / "test.yml"
        here = {"fleet_private_ip_addresses": [host.address for host in self.hosts.hosts]}
        path.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": here}}}))
        return path

    def log_in_with_the_key_of_the_test(self) -> None:
        """Write the page's group_vars, with the test's user and key."""
        inventory = self.hosts.inventory(self.controller.home / "hosts.yml", "web")
        access = yaml.safe_load(inventory.read_text())["all"]["children"]["web"]["vars"]
        assert set(yaml.safe_load(self.page.file(3, "ansible_user"))) <= set(access)
        path = self.controller.home / "group_vars" / "all.yml"
        path.parent.mkdir()
        path.write_text(yaml.safe_dump(access))

    def step(self, number: int) -> str:
        """Run the commands of a step as they are on the page; returns what they print."""
        output = ""
        for command in self.page.commands(number):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.controller.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            output += done.stdout
        return output

    def versions(self) -> list[str]:
        """What the web servers of the instances answer."""
        return [version_of(host) for host in self.hosts.hosts]

    def registered(self) -> int:
        """How many instances are healthy in the target group."""
        elb = self.server.client("elbv2")
        (group,) = elb.describe_target_groups(Names=["hollowweb"])["TargetGroups"]
        health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
        return len([one for one in health if one["TargetHealth"]["State"] == "healthy"])


def version_of(host: LightHost) -> str:
    """The version that a host's web server shows."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{host.address}/", timeout=60) as answer:
        found = re.search(r"This is version (\d)", answer.read().decode())
    return found[1] if found else "none"


def listen(server: AwsServer) -> Callable[[], list[dict[str, Any]]]:
    """Subscribe a queue to the walk-through's topic; returns what reads it."""
    sqs, sns = server.client("sqs"), server.client("sns")
    queue = sqs.create_queue(QueueName="walk-through")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    (topic,) = sns.list_topics()["Topics"]
    sns.subscribe(TopicArn=topic["TopicArn"], Protocol="sqs", Endpoint=arn)

    def read() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]

    return read


@pytest.fixture
def walk(
    controller: Controller, aws_server: AwsServer, light_hosts: Callable[[int], LightHosts], checkout: Path
) -> Iterator[Walk]:
    """Give somebody who is about to begin."""
    (controller.home / "examples").symlink_to(checkout / "examples")
    hosts, page = light_hosts(2), Page(checkout / "docs" / "walkthrough.md")
    # This machine's end of the first host's cable.
    here = str(ipaddress.IPv4Address(hosts[0].address) - 1)
    with relay(here, int(aws_server.url.rpartition(":")[2])) as port:
        yield Walk(page, controller, aws_server, hosts, f"http://{here}:{port}")


def test_the_walk_through(walk: Walk) -> None:
    walk.step(1)
    messages = listen(walk.server)
    assert walk.hosts[0].address in walk.step(2)
    (walk.controller.home / GROUP_FILE).write_text(walk.page.file(3, "plugin:"))
    walk.log_in_with_the_key_of_the_test()
    assert re.search(r"@HollowWeb_production:\n.*i-[0-9a-f]+\n.*i-[0-9a-f]+\n", walk.step(3))
    assert "hollowweb-revisions-4711/hollowweb.zip" in walk.step(4)
    walk.step(5)
    assert walk.versions() == ["0", "0"]
    assert walk.registered() == 2
    walk.step(6)
    assert walk.versions() == ["1", "1"]
    store = open_store(str(walk.controller.store))
    second, first = list_deployments(store)
    for target in get_targets(store, second.deployment_id):
        events = {event["lifecycle_event_name"]: event["status"] for event in target.lifecycle_events}
        assert (events["BlockTraffic"], events["AllowTraffic"]) == ("Succeeded", "Succeeded")
    output = walk.step(7)
    assert first.deployment_id in output
    assert second.deployment_id in output
    walk.step(8)
    assert walk.versions() == ["0", "0"]
    assert walk.registered() == 2
    everything = list_deployments(store)
    assert [one.status for one in everything] == ["Succeeded"] * 3
    assert sorted(one["deploymentId"] for one in messages()) == sorted(one.deployment_id for one in everything)
    walk.step(9)
    assert walk.server.client("s3").list_buckets()["Buckets"] == []
    assert walk.server.client("elbv2").describe_target_groups()["TargetGroups"] == []
