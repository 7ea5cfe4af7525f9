# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of :class:`support.aws_server.AwsServer`: moto's server, made less kind.

moto lacks, or is kinder than AWS in, what a deployment has to wait for or to renew. Added here:

- a target is ``initial`` before it is ``healthy`` and ``draining`` before it is gone, each for a number of answers to
  "how is it?", so that tests depend on no clock; likewise an instance of a classic load balancer;
- an address with a signature that has expired is refused with S3's own answer;
- an instance may have an address outside of its subnet, for it may be one of the tests' own hosts;
- a policy that refuses requests without TLS refuses none while the server is taken to be behind TLS;
- what an Auto Scaling group has suspended (Launch, Terminate) does not happen; with a launch hook an instance waits;
- calls are recorded, and can be made to fail.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.ec2.models.subnets import Subnet
from moto.elb.exceptions import LoadBalancerNotFoundError
from moto.elb.models import ELBBackend
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

# How many answers say ``initial`` (or ``OutOfService``) after a registration, and ``draining`` after a
# deregistration; how many seconds the server's clock is ahead where it judges signatures of addresses; and whether
# requests count as if they came over TLS.
DEFAULTS: dict[str, Any] = {
    "initial_answers": 1,
    "draining_answers": 1,
    "clock_ahead_seconds": 0,
    "behind_tls": True,
}
PRODUCT = "ansible-collection-agentless.codedeploy"
FORM = "application/x-www-form-urlencoded"

control = dict(DEFAULTS)
unhealthy: dict[str, dict[str, str]] = {}
failures: list[dict[str, Any]] = []
calls: list[dict[str, Any]] = []
# What the collection itself has called since the last reset, and not the tests.
of_product: set[tuple[str, ...]] = set()
# How many more answers say that a target comes or goes: (load balancer or target group, instance) -> answers.
coming: dict[tuple[str, str], int] = {}
going: dict[tuple[str, str], int] = {}
lock = threading.Lock()


def _count_down(counters: dict[tuple[str, str], int], key: tuple[str, str]) -> bool:
    with lock:
        left = counters.get(key, 0)
        if left <= 1:
            counters.pop(key, None)
        else:
            counters[key] = left - 1
        return left > 0


def _enter(place: str, instance: str) -> None:
    with lock:
        going.pop((place, instance), None)
        coming[place, instance] = control["initial_answers"]


def _leave(place: str, instance: str) -> None:
    with lock:
        coming.pop((place, instance), None)
        going[place, instance] = control["draining_answers"]


def extend_target_groups() -> None:
    """Let targets of target groups come and go as they do in AWS."""
    register, health_for = FakeTargetGroup.register, FakeTargetGroup.health_for
    describe = ELBv2Backend.describe_target_health

    def slow_register(self: Any, targets: list[dict[str, Any]]) -> None:
        new = [target["Id"] for target in targets if target["Id"] not in self.targets]
        register(self, targets)
        for instance in new:
            _enter(self.arn, instance)

    def slow_deregister(self: Any, targets: list[dict[str, Any]]) -> None:
        # AWS takes it as done when a target is not registered; moto refuses.
        for target in targets:
            known = self.targets.pop(target["Id"], None)
            if known is not None:
                self.deregistered_targets[target["Id"]] = known
                _leave(self.arn, target["Id"])

    def slow_health(self: Any, target: dict[str, Any], ec2_backend: Any) -> Any:
        instance, found = target["Id"], health_for(self, target, ec2_backend)

        def status(state: str, reason: str, description: str) -> Any:
            return FakeHealthStatus(instance, found.port, self.health_check_port, state, reason, description)

        if instance in self.targets and found.status == "healthy":
            if _count_down(coming, (self.arn, instance)):
                return status("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
            if instance in unhealthy:
                said = unhealthy[instance]
                return status(said["state"], said["reason"], said["description"])
        elif instance in self.deregistered_targets and _count_down(going, (self.arn, instance)):
            return status("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
        return found

    def describe_with_draining(self: Any, target_group_arn: str, targets: list[dict[str, Any]]) -> list[Any]:
        group = self.target_groups.get(target_group_arn)
        if group is not None and not targets:
            leaving = [target for key, target in group.deregistered_targets.items() if (group.arn, key) in going]
            targets = [*group.targets.values(), *leaving]
            if not targets:
                return []
        return describe(self, target_group_arn, targets)

    FakeTargetGroup.register = slow_register  # type: ignore[method-assign]  # moto's own, extended
    FakeTargetGroup.deregister = slow_deregister  # type: ignore[method-assign]  # moto's own, extended
    FakeTargetGroup.health_for = slow_health  # type: ignore[method-assign]  # moto's own, extended
    ELBv2Backend.describe_target_health = describe_with_draining  # type: ignore[method-assign]  # moto's own, extended


def extend_classic_load_balancers() -> None:
    """Let instances of classic load balancers come and go as they do in AWS."""
    register, deregister = ELBBackend.register_instances, ELBBackend.deregister_instances
    describe = ELBBackend.describe_instance_health

    def slow_register(self: Any, name: str, instance_ids: Iterable[str], from_autoscaling: bool = False) -> Any:
        known = _registered(self, name)
        new = [instance for instance in instance_ids if instance not in known]
        result = register(self, name, new, from_autoscaling)
        for instance in new:
            _enter(name, instance)
        return result

    def slow_deregister(self: Any, name: str, instance_ids: Iterable[str], from_autoscaling: bool = False) -> Any:
        known = _registered(self, name)
        present = [instance for instance in instance_ids if instance in known]
        result = deregister(self, name, present, from_autoscaling)
        for instance in present:
            _leave(name, instance)
        return result

    def slow_describe(self: Any, lb_name: str, instances: list[dict[str, str]]) -> list[dict[str, Any]]:
        return [_classic_state(lb_name, dict(found)) for found in describe(self, lb_name, instances)]

    ELBBackend.register_instances = slow_register  # type: ignore[method-assign,assignment]  # moto's own, extended
    ELBBackend.deregister_instances = slow_deregister  # type: ignore[method-assign,assignment]  # moto's own, extended
    ELBBackend.describe_instance_health = slow_describe  # type: ignore[method-assign]  # moto's own, extended
    _describe_classic_reasons()


def _registered(backend: Any, name: str) -> set[str]:
    balancer = backend.get_load_balancer(name)
    if balancer is None:
        raise LoadBalancerNotFoundError(name)
    return set(balancer.instance_ids)


def _classic_state(name: str, found: dict[str, str]) -> dict[str, str]:
    """Return the state of an instance in the words of a classic load balancer."""
    instance = found["InstanceId"]
    found.update(ReasonCode="N/A", Description="N/A")
    if found["State"] == "Unknown":
        if _count_down(going, (name, instance)):
            text = "Instance deregistration currently in progress."
            return {**found, "State": "InService", "Description": text}
        text = "Instance is not currently registered with the LoadBalancer."
        return {**found, "State": "OutOfService", "ReasonCode": "Instance", "Description": text}
    if found["State"] == "InService" and _count_down(coming, (name, instance)):
        text = "Instance registration is still in progress."
        return {**found, "State": "OutOfService", "ReasonCode": "ELB", "Description": text}
    if found["State"] == "InService" and instance in unhealthy:
        text = unhealthy[instance]["description"]
        return {**found, "State": "OutOfService", "ReasonCode": "Instance", "Description": text}
    return found


def _describe_classic_reasons() -> None:
    """Have the answer say the reasons: moto puts "N/A" into all."""
    from moto.elb.responses import ELBResponse

    def describe_instance_health(self: Any) -> Any:
        name, instances = self._get_param("LoadBalancerName"), self._get_param("Instances", [])
        return ActionResult({"InstanceStates": self.elb_backend.describe_instance_health(name, instances)})

    ELBResponse.describe_instance_health = describe_instance_health  # type: ignore[method-assign]  # moto's own, extended


def extend_auto_scaling() -> None:
    """Let a suspended process not happen."""
    set_capacity = FakeAutoScalingGroup.set_desired_capacity

    def careful(self: Any, new_capacity: int | None) -> None:
        suspended = {process["ProcessName"] for process in self.suspended_processes}
        wanted = self.min_size if new_capacity is None else new_capacity
        more = wanted > len(self.active_instances())
        if ("Launch" if more else "Terminate") in suspended:
            self.desired_capacity = wanted
        else:
            set_capacity(self, new_capacity)

    FakeAutoScalingGroup.set_desired_capacity = careful  # type: ignore[method-assign]  # moto's own, extended


def extend_subnets() -> None:
    """Let an instance have any address that is asked for."""

    def any_address(self: Any, ip: str, instance: Any) -> None:
        self._subnet_ips[ip] = instance

    Subnet.request_ip = any_address  # type: ignore[method-assign]  # moto's own, extended


def extend_policies() -> None:
    """Judge by whether a request came over TLS; moto takes every condition for met."""
    is_action_permitted = IAMPolicyStatement.is_action_permitted

    def careful(self: Any, *arguments: Any, **more: Any) -> Any:
        conditions = (self._statement.get("Condition") or {}).get("Bool", {})
        if control["behind_tls"] and conditions.get("aws:SecureTransport") == "false":
            return PermissionResult.NEUTRAL
        return is_action_permitted(self, *arguments, **more)

    IAMPolicyStatement.is_action_permitted = careful  # type: ignore[method-assign]  # moto's own, extended


def extend_lifecycle_hooks() -> None:
    """Let an instance of an Auto Scaling group with a launch hook wait until somebody completes the hook."""
    launch = FakeAutoScalingGroup.replace_autoscaling_group_instances

    def waiting(self: Any, count_needed: int, propagated_tags: dict[str, str]) -> None:
        before = set(self.instance_states)
        launch(self, count_needed, propagated_tags)
        hooks = self.autoscaling_backend.describe_lifecycle_hooks(self.name)
        if any(hook.lifecycle_transition == "autoscaling:EC2_INSTANCE_LAUNCHING" for hook in hooks):
            for state in set(self.instance_states) - before:
                state.lifecycle_state = "Pending:Wait"

    def complete_lifecycle_action(self: Any) -> Any:
        group = self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
        named = self._get_param("InstanceId")
        for state in [one for one in group.instance_states if one.instance.id == named]:
            if self._get_param("LifecycleActionResult") == "CONTINUE":
                state.lifecycle_state = "InService"
            else:
                group.autoscaling_backend.ec2_backend.terminate_instances([named])
                group.instance_states.remove(state)
        return ActionResult({})

    def record_lifecycle_action_heartbeat(self: Any) -> Any:
        return ActionResult({})

    FakeAutoScalingGroup.replace_autoscaling_group_instances = waiting  # type: ignore[method-assign]  # moto's own, extended
    setattr(AutoScalingResponse, complete_lifecycle_action.__name__, complete_lifecycle_action)
    setattr(AutoScalingResponse, record_lifecycle_action_heartbeat.__name__, record_lifecycle_action_heartbeat)


def is_expired(query: dict[str, list[str]]) -> bool:
    """Whether the signature in an address is too old."""
    now = datetime.now(timezone.utc) + timedelta(seconds=control["clock_ahead_seconds"])
    if "X-Amz-Expires" in query:
        made = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        return now > made + timedelta(seconds=int(query["X-Amz-Expires"][0]))
    if "Expires" in query and "Signature" in query:
        return now.timestamp() > int(query["Expires"][0])
    return False


def identify(environ: dict[str, Any], query: dict[str, list[str]]) -> dict[str, Any]:
    """Return what a request calls: service, action, region, key_id, query."""
    signed = environ.get("HTTP_AUTHORIZATION", "") or query.get("X-Amz-Credential", [""])[0]
    scope = re.search(r"([^/=\s]+)/\d{8}/([\w-]+)/([\w-]+)/aws4_request", signed)
    key_id, region, service = scope.groups() if scope else ("", "", "s3")
    path = environ.get("PATH_INFO", "")
    action = f"{environ['REQUEST_METHOD']} {path}"
    if "HTTP_X_AMZ_TARGET" in environ:
        action = environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2]
    elif "/operation/" in path:
        action = path.rpartition("/operation/")[2]
    elif environ.get("CONTENT_TYPE", "").startswith(FORM):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        action = parse_qs(body.decode()).get("Action", [action])[0]
    return {"service": service, "action": action, "region": region, "key_id": key_id, "query": sorted(query)}


def failure_of(call: dict[str, Any]) -> dict[str, Any] | None:
    """Return the failure that was asked for, if there is one for this call."""
    with lock:
        for failure in failures:
            named = failure["action"] in (call["action"], call["action"].partition(" ")[0])
            if named and failure["times"] > 0:
                failure["times"] -= 1
                return failure
    return None


def refusal(environ: dict[str, Any], service: str, code: str, message: str) -> tuple[str, str]:
    """Return the content type and text of an error, as the service gives it."""
    if "HTTP_X_AMZ_TARGET" in environ:
        return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message})
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "s3":
        text = f"<Error>{error}<RequestId>1</RequestId><HostId>1</HostId></Error>"
    elif service == "ec2":
        text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>1</RequestID></Response>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>1</RequestId></ErrorResponse>"
    return "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'


class Application:
    """The server's application: additions first, then moto."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if path.startswith("/extension/"):
            return self._extension(path.rpartition("/")[2], environ, start_response)
        if path.startswith("/moto-api/"):
            return self._moto(environ, start_response)
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        call = identify(environ, query)
        with lock:
            calls.append(call)
            # A signed address is given to an instance, which asks in its own name.
            if PRODUCT in environ.get("HTTP_USER_AGENT", "") or "X-Amz-Signature" in query:
                of_product.add((call["service"], call["action"], *call["query"]))
        failure = failure_of(call)
        if failure is None and is_expired(query):
            failure = {"status": 403, "code": "AccessDenied", "message": "Request has expired"}
        if failure is None:
            return self._moto(environ, start_response)
        content_type, text = refusal(environ, call["service"], failure["code"], failure["message"])
        start_response(f"{failure['status']} Refused", [("Content-Type", content_type)])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else text.encode()]

    @staticmethod
    def _extension(what: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = json.loads(environ["wsgi.input"].read(length)) if length else {}
        with lock:
            answers = {"calls": calls, "product": sorted(of_product)}
            answer = json.dumps(answers.get(what, {}))
            if what in ("reset", "forget"):
                calls.clear()
            if what == "reset":
                control.update(DEFAULTS)
                for state in (unhealthy, coming, going, of_product):
                    state.clear()  # type: ignore[attr-defined]  # sets and mappings
                failures.clear()
            elif what == "control":
                control.update(body)
            elif what == "fail":
                failures.append(body)
            elif what == "health" and body["state"] is None:
                unhealthy.pop(body["id"], None)
            elif what == "health":
                unhealthy[body["id"]] = body
        start_response("200 OK", [("Content-Type", "application/json")])
        return [answer.encode()]


def main() -> None:
    """Serve until standard input ends; the port is printed first."""
    extend_target_groups()
    extend_classic_load_balancers()
    extend_auto_scaling()
    extend_lifecycle_hooks()
    extend_policies()
    extend_subnets()
    # HTTP/1.1, as moto's own server: without it boto3 makes a connection for each call.
    MotoRequestHandler.protocol_version = "HTTP/1.1"
    server = make_server("127.0.0.1", 0, Application(), threaded=True, request_handler=MotoRequestHandler)  # type: ignore[arg-type]  # as moto's own server
    server.daemon_threads = True  # type: ignore[attr-defined]  # threaded, so that it has them
    os.environ["MOTO_PORT"] = str(server.port)
    print(server.port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
