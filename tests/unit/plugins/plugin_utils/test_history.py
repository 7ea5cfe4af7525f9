# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking through the record on both databases: filters, pages, groups, the audit trail, the API's shapes."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from support.deployments import ELSEWHERE, GONE, GROUP_ID, deploy, install_event, request, revision

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Deployment,
    InvalidInput,
    ask_to_start,
    audit,
    create_deployment,
    current_owner,
    finish_instance,
    get_deployment,
    get_group,
    get_target,
    get_targets,
    list_applications,
    list_audit,
    list_deployments,
    list_groups,
    list_revisions,
    stop_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._history import (
    all_deployments,
    page_of_deployments,
    time_of,
    time_range,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import overview_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_history import (
    audit_lines,
    group_lines,
    groups_lines,
    log_lines,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import (
    application_info,
    audit_record,
    camel_case,
    deployment_group_info,
    deployment_info,
    deployment_target,
    revision_info,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

STAGING_ID = "8c1a5c4e-0000-4000-8000-000000000002"


@pytest.fixture
def history(store: Store) -> list[Deployment]:
    """Give two deployments of a group, the second failed on b, and one of another group, oldest first."""
    options = {"deployment_group": "web_servers", "auto_rollback_configuration": {"events": ["DEPLOYMENT_FAILURE"]}}
    first = deploy(store, request("ab", number=1, options=options))
    second = deploy(store, request("ab", number=2, options=options, config="OneAtATime"), failing="ab")
    third = deploy(
        store, request("c", number=1, deployment_group_id=STAGING_ID, creator="codeDeployRollback", owner=ELSEWHERE)
    )
    return [first, second, third]


def ids(found: list[Deployment]) -> list[str]:
    return [deployment.deployment_id for deployment in found]


def test_filters(store: Store, history: list[Deployment]) -> None:
    first, second, third = ids(history)
    assert ids(list_deployments(store, group="web_servers")) == [second, first]
    assert ids(list_deployments(store, group="production")) == [third, second, first]
    assert ids(list_deployments(store, group="web_server")) == []
    assert ids(list_deployments(store, group="WEB_SERVERS")) == []
    assert ids(list_deployments(store, group="webXservers")) == []
    assert ids(list_deployments(store, creator="codeDeployRollback")) == [third]
    assert [one.order for one in list_deployments(store, with_order=False)] == [[], [], []]


def test_pages_have_every_deployment_once(store: Store) -> None:
    store.clock = lambda: 1000.0
    made = {deploy(store, request("a", number=number)).deployment_id for number in range(5)}
    found: list[str] = []
    token: str | None = None
    for wanted in (2, 2, 1):
        page, token = page_of_deployments(store, 2, token)
        assert len(page) == wanted
        found += ids(page)
    assert token is None
    assert len(found) == 5
    assert set(found) == made
    assert ids(list(all_deployments(store))) == found


@pytest.mark.parametrize("token", ["nonsense", "W10=", "WzEsMiwzXQ==", "\N{EURO SIGN}"])
def test_a_token_that_is_none(store: Store, token: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        page_of_deployments(store, 2, token)
    assert caught.value.code == "InvalidNextToken"
    with pytest.raises(InvalidInput, match="at least 1"):
        page_of_deployments(store, 0)


@pytest.mark.parametrize("limit", [0, -1])
def test_no_entries_of_the_audit_trail_at_all(store: Store, limit: int) -> None:
    with pytest.raises(InvalidInput, match="limit must be at least 1"):
        list_audit(store, limit=limit)


def test_times() -> None:
    moment = datetime.datetime(2026, 1, 31, 9, 30).astimezone()
    assert time_of("2026-01-31T09:30") == moment.timestamp()
    assert time_of("2026-01-31T09:30:00Z") == time_of("2026-01-31T10:30:00+01:00")
    assert time_of(" 1730000000.5 ") == 1730000000.5
    assert time_range({"start": "10", "end": ""}) == {"created_from": 10.0}
    assert time_range(None) == {}
    for wrong in ({"start": "yesterday"}, {"start": "20", "end": "10"}, {"end": "2026-13-01"}):
        with pytest.raises(InvalidInput) as caught:
            time_range(wrong)
        assert caught.value.code == "InvalidTimeRange"


def test_a_group_has_its_pointers_and_its_instances_health(store: Store, history: list[Deployment]) -> None:
    first, second, _third = history
    (group,) = list_groups(store, "HollowWeb", "web_servers")
    assert group == get_group(store, GROUP_ID)
    info = deployment_group_info(group)
    assert info["target_revision"] == revision(1)
    assert info["last_successful_deployment"]["deployment_id"] == first.deployment_id
    assert info["last_attempted_deployment"] == {
        "deployment_id": second.deployment_id,
        "status": "Failed",
        "create_time": second.create_time,
        "end_time": second.complete_time,
    }
    assert info["deployment_config_name"] == second.deployment_config_name
    assert info["auto_rollback_configuration"] == {"events": ["DEPLOYMENT_FAILURE"]}
    assert info["instances"] == [
        {"target_id": "a", "health": "Unhealthy", "revision_health": "Current"},
        {"target_id": "b", "health": "Healthy", "revision_health": "Current"},
    ]
    text = "\n".join(group_lines(group))
    assert f"{second.deployment_id} Failed" in text
    assert "Unhealthy  Current" in text


def test_applications_and_groups_are_listed(store: Store, history: list[Deployment]) -> None:
    (application,) = list_applications(store)
    assert application_info(application) == {
        "application_id": application.application_id,
        "application_name": "HollowWeb",
        "create_time": application.create_time,
        "linked_to_git_hub": False,
        "compute_platform": "Server",
    }
    groups = list_groups(store)
    assert {group.deployment_group_id for group in groups} == {GROUP_ID, STAGING_ID}
    assert len(groups_lines([application], groups)) == 3
    assert list_groups(store, "Other") == []
    assert groups_lines([], []) == ["No application is recorded yet."]


def test_the_shapes_are_the_api_s(store: Store, history: list[Deployment]) -> None:
    second = camel_case(deployment_info(get_deployment(store, history[1].deployment_id)))
    required = {"applicationName", "deploymentConfigName", "deploymentGroupName", "deploymentId", "revision", "status"}
    assert required <= set(second)
    assert second["deploymentStyle"] == {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}
    assert second["autoRollbackConfiguration"] == {"events": ["DEPLOYMENT_FAILURE"]}
    assert second["deploymentOverview"]["Failed"] == 1
    assert second["previousRevision"]["localLocation"]["bundleType"] == "tgz"
    assert datetime.datetime.fromisoformat(second["createTime"]).tzinfo is not None
    target = camel_case(deployment_target(get_target(store, history[1].deployment_id, "a")))
    assert target["deploymentTargetType"] == "InstanceTarget"
    (event,) = target["instanceTarget"]["lifecycleEvents"]
    assert event["diagnostics"] == {"errorCode": "UnknownError", "scriptName": "", "message": "", "logTail": ""}
    assert set(camel_case(revision_info(list_revisions(store)[0]))["genericRevisionInfo"]) >= {
        "deploymentGroups",
        "registerTime",
        "firstUsedTime",
        "lastUsedTime",
    }


def test_an_instance_has_all_events_of_its_deployment(store: Store) -> None:
    events = ["ApplicationStop", "Install", "ValidateService"]
    identifier = create_deployment(
        store, request("abc", "OneAtATime", options={"lifecycle_events": events})
    ).deployment_id

    def shown() -> list[list[str]]:
        targets = [deployment_target(target, events)["instance_target"] for target in get_targets(store, identifier)]
        assert all([event["lifecycle_event_name"] for event in one["lifecycle_events"]] == events for one in targets)
        return [[event["status"] for event in one["lifecycle_events"]] for one in targets]

    ask_to_start(store, identifier, "a")
    assert shown() == [["Pending"] * 3] * 3
    finish_instance(store, identifier, "a", "Failed", [install_event("Failed")])
    assert shown() == [["Skipped", "Failed", "Skipped"], ["Skipped"] * 3, ["Skipped"] * 3]


def test_auto_scaling_has_the_shape_of_the_api(store: Store) -> None:
    ec2 = {"auto_scaling_group_processes_to_suspend": ["AZRebalance"]}
    options = {"auto_scaling_groups": ["web", {"name": "more"}], "ec2_deployment_options": ec2}
    made = deploy(store, request("a", options=options))
    assert deployment_info(made)["ec2_deployment_options"] == ec2
    (group,) = map(deployment_group_info, list_groups(store))
    assert (group["ec2_deployment_options"], group["auto_scaling_groups"]) == (ec2, [{"name": "web"}, {"name": "more"}])


def test_a_deployment_that_its_controller_left_says_so(store: Store) -> None:
    left = deployment_info(create_deployment(store, request("a", owner=GONE)))
    assert left["deployment_status_messages"] == [f"Left by its controller, {GONE}."]
    assert left["status"] == "Created"
    create_deployment(store, request("a"))
    assert "deployment_status_messages" not in deployment_info(list_deployments(store, limit=1)[0])


def test_a_deployment_that_is_being_stopped_says_so(store: Store) -> None:
    deployment = create_deployment(store, request("ab", options={"traffic": [{"provider": "command"}]}))
    ask_to_start(store, deployment.deployment_id, "a")
    assert "deployment_status_messages" not in deployment_info(get_deployment(store, deployment.deployment_id))
    stop_deployment(store, deployment.deployment_id, current_owner())
    stopping = get_deployment(store, deployment.deployment_id)
    assert deployment_info(stopping)["deployment_status_messages"] == [
        "It is being stopped; instances in work come to their next event."
    ]
    assert deployment_info(stopping)["deployment_style"]["deployment_option"] == "WITH_TRAFFIC_CONTROL"
    assert "InProgress, being stopped" in "\n".join(overview_lines([stopping], ""))
    finish_instance(store, deployment.deployment_id, "a", "Succeeded")
    ended = get_deployment(store, deployment.deployment_id)
    assert (ended.status, "deployment_status_messages" in deployment_info(ended)) == ("Stopped", False)


def test_no_field_has_a_name_that_the_api_does_not_have(store: Store, history: list[Deployment]) -> None:
    shapes = pytest.importorskip("botocore.loaders").Loader().load_service_model("codedeploy", "service-2")["shapes"]

    def unknown(shape: str, value: Any) -> list[str]:
        members = shapes[shape].get("members")
        if shapes[shape]["type"] == "list":
            return [name for item in value for name in unknown(shapes[shape]["member"]["shape"], item)]
        if members is None:
            return []
        strange = [f"{shape}.{name}" for name in value if name not in members]
        return strange + [
            name for key, item in value.items() if key in members for name in unknown(members[key]["shape"], item)
        ]

    newest = get_deployment(store, history[1].deployment_id)
    # Revisions that CodeDeploy does not have.
    assert set(unknown("DeploymentInfo", camel_case(deployment_info(newest)))) <= {
        "RevisionLocation.localLocation",
        "RevisionLocation.digest",
    }
    target = deployment_target(get_target(store, newest.deployment_id, "a"))
    assert unknown("DeploymentTarget", camel_case(target)) == []
    (group,) = list_groups(store, group="web_servers")
    assert set(unknown("DeploymentGroupInfo", camel_case(deployment_group_info(group)))) == {
        "DeploymentGroupInfo.instances",
        "RevisionLocation.localLocation",
        "RevisionLocation.digest",
    }
    assert unknown("ApplicationInfo", camel_case(application_info(list_applications(store)[0]))) == []


def test_logs_are_shown(store: Store) -> None:
    diagnostics = {"error_code": "ScriptFailed", "script_name": "a.sh", "message": "failed: 3", "log_tail": "x\ny\n"}
    deployment_id = create_deployment(store, request("a")).deployment_id
    ask_to_start(store, deployment_id, "a")
    finish_instance(store, deployment_id, "a", "Failed", [{**install_event("Failed"), "diagnostics": diagnostics}])
    assert "\n".join(log_lines([get_target(store, deployment_id, "a")])).splitlines() == [
        "a: Install Failed",
        "  error    ScriptFailed",
        "  script   a.sh",
        "  message  failed: 3",
        "  log      x",
        "           y",
    ]
    assert log_lines([]) == ["No lifecycle event of that name is recorded."]


def test_the_audit_trail_can_be_filtered(store: Store, history: list[Deployment]) -> None:
    audit(store, ELSEWHERE, "StopDeployment", {"application_name": "Other"}, {"error_code": "AccessDenied"})

    def names(**filters: Any) -> list[str]:
        return [entry.event_name for entry in list_audit(store, **filters)]

    everything = names()
    assert everything[-1] == "StopDeployment"
    assert names(failed_only=True) == ["DeploymentEnded", "StopDeployment"]
    assert names(principal="ada") == ["CreateDeployment", "DeploymentEnded", "StopDeployment"]
    assert names(application_name="Other") == ["StopDeployment"]
    assert names(application_name="HollowWeb") == everything[:-1]
    assert names(deployment_group_name="production", event_names=["CreateDeployment"]) == ["CreateDeployment"] * 3
    assert names(limit=1) == ["StopDeployment"]
    assert names(created_to=history[0].create_time - 1) == []
    assert names(created_from=history[0].create_time - 1) == everything
    (denied,) = list_audit(store, application_name="Other")
    record = audit_record(denied)
    assert record["error_code"] == "AccessDenied"
    assert record["user_identity"] == {"user_name": "ada"}
    assert record["request_parameters"] == {"application_name": "Other"}
    assert "controller.example process 4242 run job 7" in audit_lines([denied])[1]
    assert audit_lines([]) == ["The audit trail has no such entry."]


def test_an_overview_of_nothing_names_the_store() -> None:
    assert overview_lines([], "/srv/record.sqlite") == ["/srv/record.sqlite has no deployment yet."]
    assert overview_lines([], "/srv/record.sqlite", filtered=True) == [
        "No such deployment is recorded in /srv/record.sqlite."
    ]


def test_the_overview_counts_instances_without_reading_their_names(store: Store, history: list[Deployment]) -> None:
    lines = overview_lines(list_deployments(store, with_order=False), "")
    assert [line.split()[-4] for line in lines[1:]] == ["1/1", "0/2", "2/2"]
