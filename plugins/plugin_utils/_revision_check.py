# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolve a revision and check what it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.module_utils._appspec import parse_appspec
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import (
    AppSpecError,
    parse_appspec_file,
    read_appspec,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_reader import BundleContents, BundleError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import (
    Findings,
    check_appspec,
    check_appspec_file,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import (
    Revision,
    RevisionError,
    resolve_revision,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_access import RevisionAccess


def check_revision(
    text: str,
    folders: Sequence[str],
    headers: dict[str, str],
    appspec_filename: str | None,
    findings: Findings,
    recorded: dict[str, Any] | None = None,
    access: RevisionAccess | None = None,
) -> tuple[Revision | None, dict[str, Any]]:
    """Return the revision that a text names and its AppSpec, adding what is wrong with them to the findings.

    :returns: None and an empty AppSpec when there is a problem that hides the rest.
    """
    try:
        revision = resolve_revision(text, folders, headers, recorded, access)
        contents = revision.contents(appspec_filename)
    except (RevisionError, BundleError) as error:
        findings.problems.append(str(error))
        return None, {}
    appspec = check_contents(contents, revision.location, appspec_filename, findings)
    return (None, {}) if appspec is None else (revision, appspec)


def check_contents(
    contents: BundleContents, location: str, appspec_filename: str | None, findings: Findings
) -> dict[str, Any] | None:
    """Return the AppSpec of a bundle, adding what is wrong with both to the findings.

    :param location: what messages call the bundle.
    :returns: None when there is a problem that hides the rest.
    """
    missing = check_appspec_file(contents, appspec_filename)
    if missing:
        findings.problems.extend(problem.replace(contents.path, location) for problem in missing)
        return None
    try:
        appspec = parse_appspec_file(contents.appspec_data)
    except AppSpecError as error:
        findings.problems.extend(f"{contents.appspec_filename}: {problem}" for problem in error.errors)
        findings.problems.extend(check_appspec(_valid_sections(contents.appspec_data, error), contents).problems)
        return None
    found = check_appspec(appspec, contents)
    findings.problems.extend(found.problems)
    findings.warnings.extend(found.warnings)
    return appspec


def checked_revision(
    text: str,
    folders: Sequence[str],
    headers: dict[str, str],
    appspec_filename: str | None,
    access: RevisionAccess | None = None,
) -> tuple[Revision, dict[str, Any]]:
    """Return a revision and its AppSpec in which nothing wrong was found.

    :raises PreflightError: with all findings in one text.
    """
    findings = Findings()
    revision, appspec = check_revision(text, folders, headers, appspec_filename, findings, None, access)
    if revision is None or findings.problems:
        raise PreflightError(findings.report())
    return revision, appspec


def _valid_sections(data: bytes, error: AppSpecError) -> dict[str, Any]:
    """Return what can be checked of an invalid AppSpec: its sections without a problem."""
    wrong = {re.split(r"[.\[]", problem.key_path)[0] for problem in error.errors}
    try:
        document = read_appspec(data)
        sections = {name: value for name, value in document.items() if name not in wrong}
        return dict(parse_appspec({**sections, "version": 0.0, "os": "linux"}))
    except (AppSpecError, AttributeError):
        return dict(parse_appspec({"version": 0.0, "os": "linux"}))
