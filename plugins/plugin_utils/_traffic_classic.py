# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Classic load balancers of Elastic Load Balancing."""

from __future__ import annotations

import functools
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError, AwsSettings, aws_errors, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import LoadBalancer, Progress, TrafficError

# LoadBalancerNotFound's code is another one in answers of the API.
FINAL = {"AccessPointNotFound", "LoadBalancerNotFound", "InvalidInstance", "InvalidEndPoint", "ValidationError"}


class ClassicLoadBalancer(LoadBalancer):
    """One instance behind a classic load balancer."""

    pause = 5.0

    def __init__(self, settings: AwsSettings, balancer_name: str, instance_id: str) -> None:
        self.balancer_name = balancer_name
        self.name = f"classic load balancer {balancer_name}"
        self._settings = settings
        self._instance = [{"InstanceId": instance_id}]

    def problems(self) -> list[str]:
        """Return what would keep the events from succeeding; changes nothing."""
        try:
            self._registered()
        except (AwsError, TrafficError) as error:
            return [f"{self.name}: {getattr(error, 'message', error)}"]
        return []

    def block(self) -> None:
        """Deregister the instance."""
        if self._registered():
            self._call("deregister_instances_from_load_balancer", Instances=self._instance)

    def blocked(self) -> Progress:
        """Tell whether connection draining is over: until then the instance is C(InService)."""
        try:
            state = self._state()
        except TrafficError:
            if self._registered():
                raise
            return Progress(True, "not registered")
        return Progress(state["State"] != "InService" and not self._registered(), _said(state))

    def allow(self) -> None:
        """Register the instance."""
        self._call("register_instances_with_load_balancer", Instances=self._instance)

    def allowed(self) -> Progress:
        """Tell whether the instance is in service."""
        state = self._state()
        return Progress(state["State"] == "InService", _said(state))

    @functools.cached_property
    def _client(self) -> Any:
        return client(self._settings, "elb")

    def _registered(self) -> bool:
        with_names = {"LoadBalancerNames": [self.balancer_name]}
        found = self._ask("describe_load_balancers", **with_names)["LoadBalancerDescriptions"]
        if not found:
            raise TrafficError("ELASTIC_LOAD_BALANCING_INVALID: there is no such load balancer")
        return any(self._instance[0]["InstanceId"] == one["InstanceId"] for one in found[0]["Instances"])

    def _state(self) -> dict[str, Any]:
        states = self._call("describe_instance_health", Instances=self._instance)["InstanceStates"]
        return dict(states[0]) if states else {"State": "Unknown"}

    def _call(self, operation: str, **parameters: Any) -> Any:
        return self._ask(operation, LoadBalancerName=self.balancer_name, **parameters)

    def _ask(self, operation: str, **parameters: Any) -> Any:
        try:
            with aws_errors():
                return getattr(self._client, operation)(**parameters)
        except AwsError as error:
            if error.code in FINAL:
                raise TrafficError(f"ELASTIC_LOAD_BALANCING_INVALID: {error.message}") from error
            raise


def _said(state: dict[str, Any]) -> str:
    parts = (state.get(key) for key in ("State", "ReasonCode", "Description"))
    return ": ".join(str(part) for part in parts if part and part != "N/A")
