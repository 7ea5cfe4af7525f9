# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Target groups of Elastic Load Balancing (application and network load balancers)."""

from __future__ import annotations

import functools
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError, AwsSettings, aws_errors, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import LoadBalancer, Progress, TrafficError

# Answers that waiting does not change.
FINAL = {"TargetGroupNotFound", "InvalidTarget", "ValidationError", "TooManyRegistrationsForTargetId", "TooManyTargets"}
GONE = "InvalidTarget"


class TargetGroup(LoadBalancer):
    """One instance in a target group of target type C(instance).

    An instance that is not registered is blocked already; it is registered at the target group's own port then, and
    else at the ports at which it was.
    """

    pause = 5.0

    def __init__(self, settings: AwsSettings, group_name: str, instance_id: str) -> None:
        self.group_name = group_name
        self.name = f"target group {group_name}"
        self._settings = settings
        self._instance = instance_id
        self._targets: list[dict[str, Any]] = [{"Id": instance_id}]
        self._found: dict[str, Any] | None = None

    def problems(self) -> list[str]:
        """Return what would keep the events from succeeding; changes nothing."""
        try:
            group = self._group()
        except (AwsError, TrafficError) as error:
            return [f"{self.name}: {getattr(error, 'message', error)}"]
        if group.get("TargetType", "instance") != "instance":
            kind = group["TargetType"]
            return [f"{self.name}: its target type is {kind}; CodeDeploy works with target type instance alone"]
        return []

    def block(self) -> None:
        """Deregister the instance at all ports at which it is registered."""
        registered = [
            {"Id": one["Target"]["Id"], "Port": one["Target"]["Port"]}
            for one in self._health(None)
            if one["Target"]["Id"] == self._instance and (one["TargetHealth"].get("Reason") != "Target.NotRegistered")
        ]
        if not registered:
            return
        self._targets = registered
        self._call("deregister_targets", Targets=registered)

    def blocked(self) -> Progress:
        """Tell whether the load balancer has ended all connections to the instance."""
        try:
            states = self._health(self._targets)
        except AwsError as error:
            if error.code != GONE:
                raise
            return Progress(True, "the instance is not known any more")
        left = [one for one in states if one["TargetHealth"]["State"] != "unused"]
        return Progress(not left, "; ".join(_said(one) for one in left))

    def allow(self) -> None:
        """Register the instance."""
        self._call("register_targets", Targets=self._targets)

    def allowed(self) -> Progress:
        """Tell whether the instance is healthy at all its ports."""
        states = self._health(self._targets)
        left = [one for one in states if one["TargetHealth"]["State"] != "healthy"]
        return Progress(bool(states) and not left, "; ".join(_said(one) for one in left))

    @functools.cached_property
    def _client(self) -> Any:
        return client(self._settings, "elbv2")

    def _group(self) -> dict[str, Any]:
        if self._found is None:
            with aws_errors():
                found = self._client.describe_target_groups(Names=[self.group_name])["TargetGroups"]
            if not found:
                raise TrafficError("there is no such target group in this region and account")
            self._found = found[0]
        return self._found

    def _health(self, targets: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        more = {} if targets is None else {"Targets": targets}
        found: list[dict[str, Any]] = self._call("describe_target_health", **more)["TargetHealthDescriptions"]
        return found

    def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            arn = self._group()["TargetGroupArn"]
            with aws_errors():
                return getattr(self._client, operation)(TargetGroupArn=arn, **parameters)
        except AwsError as error:
            if error.code in FINAL and not (error.code == GONE and operation == "describe_target_health"):
                raise TrafficError(f"ELASTIC_LOAD_BALANCING_INVALID: {error.message}") from error
            raise


def _said(description: dict[str, Any]) -> str:
    health = description["TargetHealth"]
    said = ": ".join(str(health[key]) for key in ("State", "Reason", "Description") if health.get(key))
    return f"port {description['Target'].get('Port', '?')} is {said}"
