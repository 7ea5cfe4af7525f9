# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments whose record is on a PostgreSQL server, as several controllers share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.applications import Application, installed_version
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.postgresql import DATABASE, PASSWORD, PASSWORD_USER, PostgreSQLServer
from support.record import deployments, statuses

DEPLOY = "agentless.codedeploy.deploy"
SCHEMA = "record"


@pytest.fixture(scope="module")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """A server on which a user with a password has a schema."""
    server = PostgreSQLServer()
    server.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {PASSWORD_USER}", database=DATABASE)
    yield server
    server.stop()


def test_two_controllers_have_one_record(
    postgresql_server: PostgreSQLServer,
    make_controller: Callable[..., Controller],
    local_fleet: Callable[..., LocalFleet],
    tmp_path: Path,
) -> None:
    location = postgresql_server.location(user=PASSWORD_USER, options=f"-csearch_path={SCHEMA}")
    one, other = (make_controller() for _controller in range(2))
    for controller in (one, other):
        controller.environment.update(CODEDEPLOY_STORE=location, PGPASSWORD=PASSWORD)
    fleet = local_fleet(3)
    application = Application(tmp_path / "application", "1")
    variables = {"deploy_group": fleet.group, "deploy_config": "AllAtOnce"}
    result = one.playbook(DEPLOY, fleet.inventory(), "-vvv", deploy_revision=application.folder, **variables)
    assert result.rc == 0, str(result)
    assert PASSWORD not in str(result)
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1"] * 3
    (found,) = deployments(other)
    assert found["status"] == "Succeeded"
    assert statuses(other, found["deploymentId"]) == dict.fromkeys(fleet.names, "Succeeded")
    result = other.playbook(DEPLOY, fleet.inventory(), deploy_revision=application.folder, **variables)
    assert result.rc == 0, str(result)
    assert [found["status"] for found in deployments(one)] == ["Succeeded"] * 2


def test_a_location_with_a_password_is_refused_and_not_shown(
    controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    controller.environment["CODEDEPLOY_STORE"] = f"postgresql://ada:{PASSWORD.replace(' ', '_')}@db.example/codedeploy"
    fleet = local_fleet(1)
    application = Application(tmp_path / "application", "1")
    result = controller.playbook(
        DEPLOY, fleet.inventory(), "-vvv", deploy_group=fleet.group, deploy_revision=application.folder
    )
    assert result.rc == 2
    assert "contains a password" in result.stdout
    assert PASSWORD.replace(" ", "_") not in str(result)
    assert "Traceback" not in str(result)
