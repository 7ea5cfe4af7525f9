# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS for tests: moto's server with the additions of :mod:`support.aws_server_process`, in a process of its own.

It listens on a free port of the loopback interface and ends with the process that started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("aws_server_process.py")
REGION = "us-east-1"
# One of those that moto has; to ask for them takes seconds.
IMAGE = "ami-12c6146b"
ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key"
# What Ansible's and boto3's own settings could change.
PREFIXES = ("AWS_", "BOTO", "EC2_", "MOTO_", "INITIAL_NO_AUTH")


class AwsServer:
    """A running server.

    ``url`` is its address, ``environment`` what a process needs in its environment to talk to it instead of to AWS.
    """

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
        # The process ends when the other end of its standard input does.
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**environment, "MOTO_IAM_LOAD_MANAGED_POLICIES": "false"},
        )
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        assert port.isdigit(), f"the server of AWS did not start: exit status {self._process.poll()}"
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def arguments(self) -> dict[str, str]:
        """What a module's or plugin's options are to talk to this server."""
        return {
            "endpoint_url": self.url,
            "region": REGION,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        }

    def client(self, service: str, region: str = REGION, **keys: str) -> Any:
        """Return a client of boto3; other keys are given as ``aws_access_key_id`` and ``aws_secret_access_key``."""
        import boto3

        keys = keys or {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        return boto3.client(service, region_name=region, endpoint_url=self.url, **keys)

    def control(self, **settings: Any) -> None:
        """Change how the server behaves until the next :meth:`reset`; see ``DEFAULTS`` of the server's program."""
        self._post("/extension/control", settings)

    def set_target_health(self, target: str, state: str | None, reason: str = "", description: str = "") -> None:
        """Have load balancers say this of a registered instance, in every target group and classic load balancer.

        :param state: "unhealthy" for example ("OutOfService" for classic ones follows); None: healthy again.
        """
        self._post("/extension/health", {"id": target, "state": state, "reason": reason, "description": description})

    def fail(self, action: str, code: str, message: str = "", status: int = 400, times: int = 1_000_000) -> None:
        """Have the server refuse an action, as ``fail("DescribeInstances", "Throttling", status=503)``.

        :param action: the API's name; of S3 ``METHOD`` or ``METHOD /path``, since its calls have no name.
        """
        failure = {"action": action, "code": code, "message": message or code, "status": status, "times": times}
        self._post("/extension/fail", failure)

    def enforce_permissions(self, enforce: bool = True) -> None:
        """From now on judge every call by the policies of its access key, as IAM does."""
        count = "0" if enforce else "inf"
        self._post("/moto-api/reset-auth", count)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What was called since the last reset: service, action (of S3: method and path), region, key_id, query."""
        with urllib.request.urlopen(f"{self.url}/extension/calls") as answer:
            return json.load(answer)

    def product_calls(self) -> set[str]:
        """Return what the collection itself has called since the last reset, as ``service:Operation`` of the API."""
        from support.aws_calls import operation

        with urllib.request.urlopen(f"{self.url}/extension/product") as answer:
            return {operation(*call) for call in json.load(answer)}

    def calls_not_listed(self) -> set[str]:
        """Return the calls of :meth:`product_calls` that the collection's policies are not made of."""
        from support.aws_calls import not_listed

        return not_listed(self.product_calls())

    def actions(self) -> list[str]:
        """Return the calls since the last reset as "service:action"."""
        return [f"{call['service']}:{call['action']}" for call in self.calls]

    def forget_calls(self) -> None:
        """Begin a new list of calls."""
        self._post("/extension/forget", {})

    def reset(self) -> None:
        """Remove everything that is in any account, and undo what :meth:`control` and others changed."""
        self._post("/moto-api/reset-auth", "inf")
        self._post("/moto-api/reset", {})
        self._post("/extension/reset", {})

    def stop(self) -> None:
        """End the server."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def run_instances(self, count: int = 1, zone: str = "us-east-1a", address: str = "", **tags: str) -> list[str]:
        """Start EC2 instances with these tags and return their ids; an address is the private one of a single one."""
        specification = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": tags[key]} for key in tags]}]
        more: dict[str, Any] = {"TagSpecifications": specification} if tags else {}
        if address:
            more["PrivateIpAddress"] = address
        made = self.client("ec2").run_instances(
            ImageId=IMAGE, MinCount=count, MaxCount=count, Placement={"AvailabilityZone": zone}, **more
        )
        return [one["InstanceId"] for one in made["Instances"]]

    def _post(self, path: str, body: Any) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            answer.read()
