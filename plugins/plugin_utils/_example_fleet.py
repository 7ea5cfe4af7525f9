# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small fleet to try deployments on: tagged instances in two zones behind a target group and its load balancer."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass
from functools import partial

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_setup_change import (
    OWNER_TAG,
    Access,
    Change,
    found,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput

IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
ALIVE = ["pending", "running", "stopping", "stopped"]
# A load balancer wants two zones at least.
ZONES = 2
WEB_PORT, SSH_PORT = 80, 22
# Instead of AWS's five minutes: nobody has long requests to an example.
DRAIN_SECONDS = "10"
RELEASE_SECONDS, RELEASE_PAUSE = 300, 5


@dataclass(frozen=True)
class FleetWanted:
    """What the fleet is to be; see the module M(agentless.codedeploy.example_fleet)."""

    application_name: str
    name: str
    count: int
    instance_type: str
    image_id: str | None
    key_name: str | None
    instance_profile: str | None
    subnets: list[str]
    private_ip_addresses: list[str]
    ssh_from: str
    http_from: str

    @property
    def owner(self) -> dict[str, str]:
        """The tag of everything that belongs to the fleet."""
        return {"Key": OWNER_TAG, "Value": f"{self.application_name} example fleet {self.name}"}


class ExampleFleet:
    """The fleet as it is, and what has to be changed until it is as wanted."""

    def __init__(self, aws: Access, wanted: FleetWanted) -> None:
        self._aws = aws
        self._wanted = wanted
        self._subnets: list[dict[str, t.Any]] = []
        # Of what the changes make, or what was there; set before the next change needs it.
        self._group_id = self._target_group = self._load_balancer = ""

    def to_present(self) -> t.Iterator[Change]:
        """Return what has to be changed until the fleet is there; each change uses what those before it have made.

        :raises InvalidInput: there are no subnets in two zones to put it in.
        """
        self._subnets = self._find_subnets()
        yield from self._security_group()
        yield from self._instances()
        yield from self._balancing()

    def to_absent(self) -> t.Iterator[Change]:
        """Return what has to be deleted, in an order that AWS accepts; nothing that does not bear the fleet's tag."""
        elb, ec2, name = self._aws["elbv2"], self._aws["ec2"], self._wanted.name
        balancer = self._own(self._described("LoadBalancer"))
        if balancer:
            yield Change(
                f"load balancer {name}", "delete", lambda: self._delete_load_balancer(balancer), {"name": name}
            )
        group = self._own(self._described("TargetGroup"))
        if group:
            yield Change(
                f"target group {name}", "delete", lambda: elb.delete_target_group(TargetGroupArn=group), {"name": name}
            )
        instances = [instance["InstanceId"] for instance in self._existing()]
        if instances:
            yield Change(
                f"instances {', '.join(instances)}", "terminate", lambda: self._terminate(instances), instances
            )
        groups = ec2.describe_security_groups(Filters=[self._own_filter])["SecurityGroups"]
        for one in groups:
            identifier = one["GroupId"]
            yield Change(
                f"security group {one['GroupName']}",
                "delete",
                partial(self._delete_group, identifier),
                {"group_id": identifier},
            )

    def facts(self) -> dict[str, t.Any]:
        """Return what there is: instances, target group, and the address of the load balancer."""
        balancer = self._described("LoadBalancer")
        return {
            "instances": [
                {
                    "instance_id": instance["InstanceId"],
                    "availability_zone": instance["Placement"]["AvailabilityZone"],
                    "private_ip_address": instance.get("PrivateIpAddress"),
                    "public_ip_address": instance.get("PublicIpAddress"),
                }
                for instance in self._existing()
            ],
            "target_group": self._wanted.name if self._described("TargetGroup") else None,
            "address": balancer["DNSName"] if balancer else None,
        }

    @property
    def _own_filter(self) -> dict[str, t.Any]:
        return {"Name": f"tag:{OWNER_TAG}", "Values": [self._wanted.owner["Value"]]}

    def _existing(self) -> list[dict[str, t.Any]]:
        pages = (
            self._aws["ec2"]
            .get_paginator("describe_instances")
            .paginate(Filters=[self._own_filter, {"Name": "instance-state-name", "Values": ALIVE}])
        )
        return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]

    def _find_subnets(self) -> list[dict[str, t.Any]]:
        ec2, wanted = self._aws["ec2"], self._wanted.subnets
        if wanted:
            named: list[dict[str, t.Any]] = ec2.describe_subnets(SubnetIds=wanted)["Subnets"]
            return sorted(named, key=lambda subnet: wanted.index(subnet["SubnetId"]))
        default = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        zones = {subnet["AvailabilityZone"]: subnet for subnet in default}
        if len(zones) < ZONES:
            raise InvalidInput(
                f"there are default subnets in {len(zones)} zones of this region, and {ZONES} are needed; name two with"
                """ -e '{"fleet_subnets": ["subnet-…", "subnet-…"]}'"""
            )
        return [zones[zone] for zone in sorted(zones)][:ZONES]

    def _security_group(self) -> t.Iterator[Change]:
        filters = [self._own_filter, {"Name": "vpc-id", "Values": [self._subnets[0]["VpcId"]]}]
        groups = self._aws["ec2"].describe_security_groups(Filters=filters)["SecurityGroups"]
        if groups:
            self._group_id = groups[0]["GroupId"]
            return
        rules = [(SSH_PORT, self._wanted.ssh_from), (WEB_PORT, self._wanted.http_from)]
        yield Change(f"security group {self._wanted.name}", "create", lambda: self._create_group(rules), None, rules)

    def _create_group(self, rules: list[tuple[int, str]]) -> None:
        ec2, wanted = self._aws["ec2"], self._wanted
        self._group_id = ec2.create_security_group(
            GroupName=wanted.name,
            Description=f"Example fleet of {wanted.application_name}",
            VpcId=self._subnets[0]["VpcId"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": [wanted.owner]}],
        )["GroupId"]
        permissions = [
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": source}]}
            for port, source in rules
        ]
        ec2.authorize_security_group_ingress(GroupId=self._group_id, IpPermissions=permissions)

    def _instances(self) -> t.Iterator[Change]:
        there = {tag["Value"] for one in self._existing() for tag in one.get("Tags", []) if tag["Key"] == "Name"}
        for number in range(self._wanted.count):
            name = f"{self._wanted.name}-{number + 1}"
            if name not in there:
                zone = self._subnets[number % len(self._subnets)]["AvailabilityZone"]
                yield Change(
                    f"instance {name}",
                    f"launch in {zone}",
                    partial(self._launch, number, name),
                    None,
                    {"App": self._wanted.application_name, "Name": name, "zone": zone},
                )

    def _launch(self, number: int, name: str) -> None:
        ec2, wanted = self._aws["ec2"], self._wanted
        tags = [{"Key": "App", "Value": wanted.application_name}, {"Key": "Name", "Value": name}, wanted.owner]
        more: dict[str, t.Any] = {}
        if wanted.key_name:
            more["KeyName"] = wanted.key_name
        if wanted.instance_profile:
            more["IamInstanceProfile"] = {"Name": wanted.instance_profile}
        if number < len(wanted.private_ip_addresses):
            more["PrivateIpAddress"] = wanted.private_ip_addresses[number]
        (instance,) = ec2.run_instances(
            ImageId=wanted.image_id or self._newest_image(),
            InstanceType=wanted.instance_type,
            MinCount=1,
            MaxCount=1,
            SubnetId=self._subnets[number % len(self._subnets)]["SubnetId"],
            SecurityGroupIds=[self._group_id],
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
            MetadataOptions={"HttpTokens": "required"},
            **more,
        )["Instances"]
        ec2.get_waiter("instance_running").wait(InstanceIds=[instance["InstanceId"]])

    def _newest_image(self) -> str:
        return str(self._aws["ssm"].get_parameter(Name=IMAGE_PARAMETER)["Parameter"]["Value"])

    def _terminate(self, instances: list[str]) -> None:
        ec2 = self._aws["ec2"]
        ec2.terminate_instances(InstanceIds=instances)
        ec2.get_waiter("instance_terminated").wait(InstanceIds=instances)

    def _described(self, kind: str) -> dict[str, t.Any] | None:
        """Return the fleet's load balancer or target group, None when there is none of its name."""
        elb, name = self._aws["elbv2"], self._wanted.name
        ask = elb.describe_load_balancers if kind == "LoadBalancer" else elb.describe_target_groups
        answer = found(lambda: ask(Names=[name]), f"{kind}NotFound")
        return answer[f"{kind}s"][0] if answer and answer[f"{kind}s"] else None

    def _own(self, described: dict[str, t.Any] | None) -> str | None:
        if described is None:
            return None
        arn = str(described.get("LoadBalancerArn") or described["TargetGroupArn"])
        (tags,) = self._aws["elbv2"].describe_tags(ResourceArns=[arn])["TagDescriptions"]
        return arn if self._wanted.owner in tags["Tags"] else None

    def _balancing(self) -> t.Iterator[Change]:
        elb, name = self._aws["elbv2"], self._wanted.name
        group, balancer = self._described("TargetGroup"), self._described("LoadBalancer")
        self._target_group = group["TargetGroupArn"] if group else ""
        self._load_balancer = balancer["LoadBalancerArn"] if balancer else ""
        if not group:
            yield Change(f"target group {name}", "create", self._create_target_group, None, {"port": WEB_PORT})
        if not balancer:
            yield Change(f"load balancer {name}", "create", self._create_load_balancer, None, {"port": WEB_PORT})
        if not balancer or not elb.describe_listeners(LoadBalancerArn=self._load_balancer)["Listeners"]:
            yield Change(f"load balancer {name}", f"listen on port {WEB_PORT}", self._create_listener)
        registered = set()
        if group:
            health = elb.describe_target_health(TargetGroupArn=self._target_group)["TargetHealthDescriptions"]
            registered = {one["Target"]["Id"] for one in health}
        there = {one["InstanceId"] for one in self._existing()}
        if not there or there - registered:
            yield Change(f"target group {name}", "register the instances", self._register)

    def _create_target_group(self) -> None:
        elb, wanted = self._aws["elbv2"], self._wanted
        (group,) = elb.create_target_group(
            Name=wanted.name,
            Protocol="HTTP",
            Port=WEB_PORT,
            VpcId=self._subnets[0]["VpcId"],
            TargetType="instance",
            HealthCheckPath="/",
            HealthCheckIntervalSeconds=10,
            HealthyThresholdCount=2,
            Tags=[wanted.owner],
        )["TargetGroups"]
        self._target_group = group["TargetGroupArn"]
        elb.modify_target_group_attributes(
            TargetGroupArn=self._target_group,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": DRAIN_SECONDS}],
        )

    def _create_load_balancer(self) -> None:
        elb, wanted = self._aws["elbv2"], self._wanted
        (balancer,) = elb.create_load_balancer(
            Name=wanted.name,
            Subnets=[subnet["SubnetId"] for subnet in self._subnets],
            SecurityGroups=[self._group_id],
            Scheme="internet-facing",
            Type="application",
            Tags=[wanted.owner],
        )["LoadBalancers"]
        self._load_balancer = balancer["LoadBalancerArn"]

    def _create_listener(self) -> None:
        self._aws["elbv2"].create_listener(
            LoadBalancerArn=self._load_balancer,
            Protocol="HTTP",
            Port=WEB_PORT,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self._target_group}],
            Tags=[self._wanted.owner],
        )

    def _register(self) -> None:
        targets = [{"Id": instance["InstanceId"]} for instance in self._existing()]
        self._aws["elbv2"].register_targets(TargetGroupArn=self._target_group, Targets=targets)

    def _delete_group(self, identifier: str) -> None:
        """Delete a security group; AWS refuses it for a while after the load balancer that had it is gone."""
        deadline = time.monotonic() + RELEASE_SECONDS
        while True:
            last = time.monotonic() >= deadline
            codes = () if last else ("DependencyViolation",)
            if found(lambda: self._aws["ec2"].delete_security_group(GroupId=identifier), *codes) is not None:
                return
            time.sleep(RELEASE_PAUSE)

    def _delete_load_balancer(self, arn: str) -> None:
        elb = self._aws["elbv2"]
        elb.delete_load_balancer(LoadBalancerArn=arn)
        elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn])
