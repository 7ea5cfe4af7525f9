# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short run of every target in every test run, with inputs of Hypothesis's choice; `make fuzz` runs them longer."""

from __future__ import annotations

from fuzz import appspec_texts, archives, installs, state_files
from hypothesis import given, settings


@settings(max_examples=1500)
@given(appspec_texts.texts())
def test_appspec_texts(data: bytes) -> None:
    appspec_texts.check(data)


@settings(max_examples=600)
@given(archives.cases())
def test_archives(archive: archives.Archive) -> None:
    archives.check_archive(archive)


@settings(max_examples=150)
@given(state_files.changes())
def test_state_files(changes: list[state_files.Change]) -> None:
    state_files.check(changes)


@settings(max_examples=150)
@given(installs.deployments())
def test_installs(deployments: list[installs.Deployment]) -> None:
    installs.check(deployments)


def test_the_seeds_are_what_they_should_be() -> None:
    for seed in archives.seeds():
        archives.check_bytes(seed)
    for text in appspec_texts.seeds():
        appspec_texts.check(text)
