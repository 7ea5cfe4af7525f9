# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about settings of load balancers before a deployment."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agentless.codedeploy.plugins.module_utils._nginx_upstream import marked
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_steps import steps_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import lifecycle_events
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import (
    described,
    is_load_balanced,
    load_balancer_problems,
    traffic_problems,
)

HAPROXY = {"provider": "haproxy", "backend": "web"}


@pytest.mark.parametrize(
    ("information", "words"),
    [
        ({"target_group_pair_info_list": [{}]}, "for deployments to Amazon ECS"),
        ({"target_group_info_list": [{"name": f"g{number}"} for number in range(11)]}, "11 entries"),
        ({"elb_info_list": [{}]}, "mapping with a name"),
        ({"elb_info_list": "web"}, "must be a list"),
        ({"target_groups": []}, "there is no target_groups"),
        ([], "must be a mapping"),
    ],
)
def test_load_balancer_info_that_is_not_valid(information: Any, words: str) -> None:
    (problem,) = load_balancer_problems(information)
    assert words in problem
    assert "InvalidLoadBalancerInfo" in problem


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"provider": "f5"}, "none of haproxy, nginx, command"),
        ({"provider": "haproxy"}, "haproxy needs backend"),
        ({**HAPROXY, "file": "x"}, "haproxy has no file"),
        ({"provider": "command", "block": "lb block", "allow": ["lb"]}, "deploy_traffic[0].block must be a list"),
        ("haproxy", "must be a mapping"),
    ],
)
def test_traffic_that_is_not_valid(entry: Any, words: str) -> None:
    (problem,) = traffic_problems([entry])
    assert words in problem


def test_load_balancers_of_a_deployment() -> None:
    options = {
        "load_balancer_info": {"target_group_info_list": [{"name": "web"}], "elb_info_list": [{"name": "old"}]},
        "traffic": [{**HAPROXY, "host": "lb1"}],
    }
    assert load_balancer_problems(options["load_balancer_info"]) == traffic_problems(options["traffic"]) == []
    assert described(options) == ["target group web", "classic load balancer old", "haproxy web on lb1"]
    assert is_load_balanced(options)
    assert not is_load_balanced({"load_balancer_info": {"target_group_info_list": []}, "traffic": []})


def test_at_most_three_calls_of_the_module() -> None:
    steps = steps_of(lifecycle_events(load_balanced=True))
    assert [step[0] for step in steps] == [
        "BeforeBlockTraffic",
        "BlockTraffic",
        "AfterBlockTraffic",
        "AllowTraffic",
        "AfterAllowTraffic",
    ]
    assert steps_of(lifecycle_events()) == [lifecycle_events()]


def test_only_the_server_of_the_upstream_is_marked() -> None:
    text = (
        "upstream other {\n  server 10.0.0.1:80;\n}\n"
        "upstream web {\n  # server 10.0.0.1:80;\n  server 10.0.0.1:80 weight=2; server 10.0.0.10:80;\n}\n"
    )
    down = marked(text, "web", "10.0.0.1:80", True)
    assert down == text.replace("weight=2;", "weight=2 down;")
    assert marked(down or "", "web", "10.0.0.1:80", True) == down
    assert marked(down or "", "web", "10.0.0.1:80", False) == text
    assert (marked(text, None, "10.0.0.1:80", True) or "").count(" down;") == 2
    assert marked(text, "web", "10.0.0.2:80", True) is None
