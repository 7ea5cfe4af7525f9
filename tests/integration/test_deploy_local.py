# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deploy playbook with real instances on this machine: what happens to them, what is shown, what is recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.applications import Application, installed_version
from support.controller import Controller, Result
from support.local_fleet import LocalFleet
from support.record import deployments, events, status, statuses

DEPLOY = "agentless.codedeploy.deploy"
Fleets = Callable[..., LocalFleet]


def deploy(
    controller: Controller, fleet: LocalFleet, application: Path, *arguments: str, **variables: object
) -> Result:
    """Run the deploy playbook."""
    variables = {"deploy_group": fleet.group, "deploy_revision": application, **variables}
    return controller.playbook(DEPLOY, fleet.inventory(), *arguments, **variables)


def versions(fleet: LocalFleet) -> list[str | None]:
    """Return what each instance has installed."""
    return [installed_version(fleet.files(name)) for name in fleet.names]


def test_first_second_and_first_version_again(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    trace = tmp_path / "trace"
    hooks = {event: f'echo "$LIFECYCLE_EVENT" >> {trace}' for event in ("ApplicationStop", "ApplicationStart")}
    one, two = Application(tmp_path / "one", "1", **hooks), Application(tmp_path / "two", "2", **hooks)
    assert deploy(controller, fleet, one.folder).rc == 0
    assert versions(fleet) == ["1", "1"]
    assert trace.read_text().split() == ["ApplicationStart"] * 2
    assert deploy(controller, fleet, two.folder).rc == 0
    assert versions(fleet) == ["2", "2"]
    result = deploy(controller, fleet, one.folder)
    assert result.rc == 0, str(result)
    assert versions(fleet) == ["1", "1"]
    assert trace.read_text().split()[2:] == ["ApplicationStop", "ApplicationStart"] * 4
    assert [found["status"] for found in deployments(controller)] == ["Succeeded"] * 3


def test_redeploying_copies_no_bundle_and_rewrites_no_file(
    controller: Controller, local_fleet: Fleets, tmp_path: Path
) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "one", "1")
    installed = fleet.files("web1") / "srv/application/version.txt"
    assert deploy(controller, fleet, application.folder).rc == 0
    before = installed.stat()
    result = deploy(controller, fleet, application.folder, "-vvv")
    assert result.rc == 0, str(result)
    assert (installed.stat().st_ino, installed.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert ".tar.gz TO " not in result.stdout
    (application.folder / "content" / "version.txt").write_text("2")
    assert ".tar.gz TO " in deploy(controller, fleet, application.folder, "-vvv").stdout
    assert versions(fleet) == ["2"]


def test_last_successful_revision(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    missing = deploy(controller, fleet, Path("last_successful"))
    assert missing.rc == 2
    assert "no successful deployment yet" in missing.stdout
    assert deploy(controller, fleet, application.folder).rc == 0
    Application(tmp_path / "application", "2", BeforeInstall="exit 1")
    assert deploy(controller, fleet, application.folder).rc == 2
    result = deploy(controller, fleet, Path("last_successful"))
    assert result.rc == 0, str(result)
    assert versions(fleet) == ["1"]


def test_failing_hook(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(3)
    application = Application(tmp_path / "bad", "1", AfterInstall="echo about to fail; echo reason >&2; exit 7")
    result = deploy(controller, fleet, application.folder)
    assert result.rc == 2
    assert "web1: AfterInstall failed (ScriptFailed)" in result.stdout
    assert "scripts/AfterInstall.sh failed with exit code 7" in result.stdout
    assert "[stderr]reason" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    (deployment,) = deployments(controller)
    assert deployment["status"] == "Failed"
    assert deployment["errorInformation"]["code"] == "HEALTH_CONSTRAINTS"
    assert statuses(controller, deployment["deploymentId"]) == {"web1": "Failed", "web2": "Skipped", "web3": "Skipped"}
    of_web1 = events(controller, deployment["deploymentId"], "web1")
    assert {name: event["status"] for name, event in of_web1.items()} == {
        "ApplicationStop": "Succeeded",
        "DownloadBundle": "Succeeded",
        "BeforeInstall": "Succeeded",
        "Install": "Succeeded",
        "AfterInstall": "Failed",
        "ApplicationStart": "Skipped",
        "ValidateService": "Skipped",
    }
    diagnostics = of_web1["AfterInstall"]["diagnostics"]
    assert diagnostics["errorCode"] == "ScriptFailed"
    assert diagnostics["scriptName"] == "scripts/AfterInstall.sh"
    assert "about to fail" in diagnostics["logTail"]
    assert not fleet.deployment_root("web2").exists()


def test_tolerated_failure(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(3)
    fails_on_web2 = 'case "$(pwd -P)$0" in *web2*) exit 1;; esac'
    application = Application(tmp_path / "application", "1", ApplicationStart=fails_on_web2)
    # Whatever is configured for plays that say nothing of it.
    controller.environment.update(ANSIBLE_STRATEGY="free", ANSIBLE_ANY_ERRORS_FATAL="1")
    result = deploy(controller, fleet, application.folder, deploy_config="AllAtOnce")
    assert result.rc == 0, str(result)
    (deployment,) = deployments(controller)
    assert deployment["status"] == "Succeeded"
    assert result.stdout.count(f"{deployment['deploymentId']}: Succeeded") == 1
    found = statuses(controller, deployment["deploymentId"])
    assert found == {"web1": "Succeeded", "web2": "Failed", "web3": "Succeeded"}


def test_last_instance_may_fail(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    fails_on_web2 = 'case "$0" in *web2*) exit 1;; esac'
    application = Application(tmp_path / "application", "1", ApplicationStart=fails_on_web2)
    result = deploy(controller, fleet, application.folder)
    assert result.rc == 0, str(result)
    (deployment,) = deployments(controller)
    assert statuses(controller, deployment["deploymentId"]) == {"web1": "Succeeded", "web2": "Failed"}
    # The unhealthy instance comes first now, and may fail without anything healthy being touched.
    assert deploy(controller, fleet, application.folder).rc == 2
    newest = deployments(controller)[0]
    assert statuses(controller, newest["deploymentId"]) == {"web2": "Failed", "web1": "Skipped"}


@pytest.mark.parametrize(("unreachable", "config", "rc"), [("web1", "AllAtOnce", 0), ("web2", "OneAtATime", 2)])
def test_unreachable_instance(
    controller: Controller, local_fleet: Fleets, tmp_path: Path, unreachable: str, config: str, rc: int
) -> None:
    fleet = local_fleet(3)
    fleet.make_unreachable(unreachable)
    application = Application(tmp_path / "application", "1")
    result = deploy(controller, fleet, application.folder, deploy_config=config)
    assert result.rc == rc, str(result)
    assert "UNREACHABLE" in result.stdout
    (deployment,) = deployments(controller)
    assert statuses(controller, deployment["deploymentId"])[unreachable] == "Failed"
    shown = status(controller, deployment_id=deployment["deploymentId"])
    assert shown["deploymentInfo"]["status"] == ("Succeeded" if rc == 0 else "Failed")


def test_every_instance_unreachable(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    for name in fleet.names:
        fleet.make_unreachable(name)
    application = Application(tmp_path / "application", "1")
    result = deploy(controller, fleet, application.folder, deploy_config="AllAtOnce")
    assert result.rc == 2, str(result)
    (deployment,) = deployments(controller)
    assert deployment["status"] == "Failed"
    assert statuses(controller, deployment["deploymentId"]) == {"web1": "Failed", "web2": "Failed"}


def test_limit_counts_the_whole_group(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(4)
    application = Application(tmp_path / "application", "1")
    result = deploy(controller, fleet, application.folder, "--limit", "web3,web2", deploy_config="HalfAtATime")
    assert result.rc == 0, str(result)
    assert versions(fleet) == [None, "1", "1", None]
    assert "at most 2 at a time, at least 2 stay healthy" in result.stdout
    (deployment,) = deployments(controller)
    assert statuses(controller, deployment["deploymentId"]) == {"web2": "Succeeded", "web3": "Succeeded"}
    # A limited deployment is not the group's last successful one.
    assert "no successful deployment yet" in deploy(controller, fleet, Path("last_successful")).stdout


def test_batches(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(4)
    application = Application(tmp_path / "application", "1")
    result = deploy(controller, fleet, application.folder, deploy_config="HalfAtATime", deploy_rollout="batches")
    assert result.rc == 0, str(result)
    assert result.stdout.count("PLAY [Deploy]") == 2
    assert versions(fleet) == ["1"] * 4


def test_only_outdated_instances(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(3)
    trace = tmp_path / "trace"
    application = Application(tmp_path / "application", "1", ApplicationStart=f'echo "$0" >> {trace}')
    assert deploy(controller, fleet, application.folder, "--limit", "web1").rc == 0
    for expected in (3, 3):
        result = deploy(controller, fleet, application.folder, deploy_update_outdated_instances_only=True)
        assert result.rc == 0, str(result)
        assert len(trace.read_text().splitlines()) == expected
    assert versions(fleet) == ["1"] * 3


def test_group_settings_are_below_variables(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    settings = {
        "web": {
            "application_name": "HollowWeb",
            "deployment_group_name": "production",
            "deployment_config_name": "CodeDeployDefault.AllAtOnce",
        }
    }
    fleet = local_fleet(2, codedeploy_deployment_groups=settings)
    trace = tmp_path / "trace"
    names = f'echo "$APPLICATION_NAME $DEPLOYMENT_GROUP_NAME" >> {trace}'
    application = Application(tmp_path / "application", "1", BeforeInstall=names)
    assert deploy(controller, fleet, application.folder).rc == 0
    assert deploy(controller, fleet, application.folder, deploy_config="HalfAtATime").rc == 0
    assert set(trace.read_text().splitlines()) == {"HollowWeb production"}
    names = [found["deploymentConfigName"] for found in deployments(controller)]
    assert names == ["CodeDeployDefault.HalfAtATime", "CodeDeployDefault.AllAtOnce"]


def test_check_mode_touches_and_records_nothing(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(2)
    application = Application(tmp_path / "application", "1")
    result = deploy(controller, fleet, application.folder, "--check")
    assert result.rc == 0, str(result)
    assert "would deploy" in result.stdout
    assert versions(fleet) == [None, None]
    assert not fleet.deployment_root("web1").exists()
    assert deployments(controller) == []
    (application.folder / "appspec.yml").unlink()
    assert deploy(controller, fleet, application.folder, "--check").rc == 2


def test_a_long_event_is_followed(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1", BeforeInstall="sleep 3", ApplicationStart="exit 3")
    result = deploy(controller, fleet, application.folder, deploy_poll_after=0)
    assert result.rc == 2, str(result)
    assert "web1: ApplicationStop Succeeded (" in result.stdout
    assert re.search(r"^web1: BeforeInstall Succeeded \([1-9]", result.stdout, re.MULTILINE), str(result)
    assert "web1: ApplicationStart Failed (" in result.stdout
    (deployment,) = deployments(controller)
    of_web1 = events(controller, deployment["deploymentId"], "web1")
    assert of_web1["ApplicationStart"]["diagnostics"]["errorCode"] == "ScriptFailed"
    assert of_web1["ValidateService"]["status"] == "Skipped"


def test_revision_without_parsed_appspec(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    """What the CodeDeploy agent installed has no AppSpec that needs no YAML: the controller reads it."""
    fleet = local_fleet(1)
    trace = tmp_path / "trace"
    first = Application(tmp_path / "first", "1", ApplicationStop=f"echo stopped >> {trace}")
    assert deploy(controller, fleet, first.folder).rc == 0
    (parsed,) = fleet.deployment_root("web1").glob("*/*/appspec.json")
    parsed.unlink()
    result = deploy(controller, fleet, Application(tmp_path / "second", "2").folder)
    assert result.rc == 0, str(result)
    assert trace.read_text() == "stopped\n"
    assert versions(fleet) == ["2"]


def test_more_forks_would_be_used(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(3)
    application = Application(tmp_path / "application", "1")
    result = deploy(controller, fleet, application.folder, "--forks", "2", deploy_config="AllAtOnce")
    assert result.rc == 0, str(result)
    assert "3 instances may be in work at once, forks allows 2: pass --forks 3" in result.stdout
    result = deploy(controller, fleet, application.folder, "--forks", "3", deploy_config="AllAtOnce")
    assert "pass --forks" not in result.stdout


def test_status_as_text(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1", ValidateService="echo no answer; exit 4")
    assert deploy(controller, fleet, application.folder).rc == 2
    deployment_id = deployments(controller)[0]["deploymentId"]
    show = ("ansible-playbook", "agentless.codedeploy.status")
    overview = controller.run(*show).stdout
    assert deployment_id in overview
    assert "Failed" in overview
    assert "ValidateService: ScriptFailed" in controller.run(*show, "-e", f"deployment_id={deployment_id}").stdout
    one = controller.run(*show, "-e", f"deployment_id={deployment_id}", "-e", "instance=web1").stdout
    assert "[stdout]no answer" in one
    unknown = controller.run(*show, "-e", "deployment_id=d-AAAAAAAAA")
    assert unknown.rc == 2
    assert f"There is no deployment d-AAAAAAAAA in the store {controller.store}." in unknown.stdout + unknown.stderr


def test_revisions(controller: Controller, local_fleet: Fleets, tmp_path: Path) -> None:
    fleet = local_fleet(1)
    for version in ("1", "2"):
        assert deploy(controller, fleet, Application(tmp_path / version, version).folder).rc == 0
    result = controller.run("ansible-playbook", "agentless.codedeploy.revisions")
    assert result.rc == 0
    (line,) = [line for line in result.stdout.splitlines() if str(tmp_path / "2") in line]
    assert line.split()[-1] == "web"
    (line,) = [line for line in result.stdout.splitlines() if str(tmp_path / "1") in line]
    assert line.split()[-1] == "-"
