# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed from the record when somebody asks for it, and what stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.deployments import GROUP_ID, deploy, request, revision

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import (
    cache_directory,
    cached,
    keep_bundle,
    prune_cache,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    create_deployment,
    current_owner,
    get_group,
    last_successful_deployment,
    list_audit,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._prune import Retention, digests_in_use, prune
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._recorded_revision import recorded_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store


@pytest.fixture
def store(store_location: str) -> Store:
    return open_store(store_location)


def ids(store: Store) -> list[str]:
    """Return the ids of all deployments, newest first."""
    return [deployment.deployment_id for deployment in list_deployments(store)]


def everything_old(keep_last: int = 1, audit: bool = False) -> Retention:
    return Retention(time.time() + 3600, keep_last, audit)


def test_what_a_group_needs_stays(store: Store) -> None:
    numbers = [1, 2, 3, 3, 3]
    first, previous, third, fourth, last = (deploy(store, request("ab", number=number)) for number in numbers)
    # Limited: the other instance's last deployment, which is no pointer of the group, is the one before.
    limited = deploy(store, request("ab", number=4, limited_to=["a"]))
    failed = deploy(store, request("ab", number=5, limited_to=["a"]), failing="a")
    before = get_group(store, GROUP_ID)
    checked = prune(store, current_owner(), everything_old(), check_mode=True)
    assert len(ids(store)) == 7
    done = prune(store, current_owner(), everything_old())
    assert done == checked
    removed = [limited.deployment_id, fourth.deployment_id, third.deployment_id, first.deployment_id]
    assert done["deployments"] == removed
    names = {"application_name": "HollowWeb", "deployment_group_name": "production"}
    assert done["groups"] == [{**names, "removed": 4, "kept": 3}]
    assert ids(store) == [failed.deployment_id, last.deployment_id, previous.deployment_id]
    assert get_group(store, GROUP_ID) == before
    found = last_successful_deployment(store, GROUP_ID)
    assert found is not None and found.deployment_id == last.deployment_id
    with store.reading() as tx:
        for table in ("targets", "lifecycle_events", "deployments"):
            left = tx.rows(f"SELECT DISTINCT deployment_id FROM {table}")
            assert not {row["deployment_id"] for row in left} & set(removed)
    (entry,) = list_audit(store, event_names=["PruneDeployments"])
    assert entry.result == {"deployments": removed}
    assert entry.parameters["deployment_group_name"] == "production"
    # A further one finds nothing, and writes nothing.
    assert prune(store, current_owner(), everything_old())["deployments"] == []
    assert len(list_audit(store, event_names=["PruneDeployments"])) == 1
    again = deploy(store, request("ab", number=6))
    assert again.status == "Succeeded"


def test_the_revision_before_can_still_be_gone_back_to(store: Store) -> None:
    for number in (1, 2, 2, 2):
        deploy(store, request("ab", number=number))
    prune(store, current_owner(), everything_old())
    assert len(ids(store)) == 2
    found = recorded_revision(store, GROUP_ID, "HollowWeb", "previous")
    assert found is not None and found["digest"] == revision(1)["digest"]


def test_what_an_instance_was_restarted_after_stays(store: Store) -> None:
    restart = {"options": {"deployment_mode": "RESTART"}}
    failed = deploy(store, request("ab", number=1), failing="a")
    deploy(store, request("ab", number=2, limited_to=["b"]))
    for _time in range(3):
        deploy(store, request("ab", number=1, **restart))
    removed = prune(store, current_owner(), everything_old())["deployments"]
    assert len(removed) == 2
    assert failed.deployment_id not in removed
    deploy(store, request("ab", number=1, **restart))
    group = get_group(store, GROUP_ID)
    assert group is not None
    assert {name: healthy for name, (healthy, _revision) in group.instances.items()} == {"a": False, "b": True}


def test_what_is_young_or_at_work_or_of_others_stays(store: Store) -> None:
    for number in (1, 2, 3, 4):
        deploy(store, request("ab", number=number))
    create_deployment(store, request("ab", number=5))
    owner = current_owner()
    assert prune(store, owner, Retention(time.time() - 3600, 1))["deployments"] == []
    assert prune(store, owner, everything_old(), "Other")["deployments"] == []
    assert prune(store, owner, everything_old(), "HollowWeb", "staging")["deployments"] == []
    assert prune(store, owner, everything_old(keep_last=5))["deployments"] == []
    assert len(prune(store, owner, everything_old(keep_last=2), "HollowWeb", "production")["deployments"]) == 2
    assert len(ids(store)) == 3


def test_a_rollback_stays_with_what_it_rolled_back(store: Store) -> None:
    deploy(store, request("ab", number=1))
    failed = deploy(store, request("ab", number=2), failing="ab")
    back = deploy(store, request("ab", number=1, creator="codeDeployRollback", rollback_of=failed.deployment_id))
    removed = prune(store, current_owner(), everything_old())["deployments"]
    assert ids(store) == [back.deployment_id, failed.deployment_id]
    assert len(removed) == 1


def test_the_audit_trail(store: Store) -> None:
    deploy(store, request("ab"))
    entries = len(list_audit(store))
    assert prune(store, current_owner(), everything_old())["audit_entries"] == 0
    checked = prune(store, current_owner(), everything_old(audit=True), check_mode=True)
    assert (checked["audit_entries"], len(list_audit(store))) == (entries, entries)
    assert prune(store, current_owner(), everything_old(audit=True))["audit_entries"] == entries
    (left,) = list_audit(store)
    assert (left.event_name, left.result) == ("PruneDeployments", {"audit_entries": entries})


def test_bundles_in_use(store: Store) -> None:
    for number in (1, 2, 3, 4):
        deploy(store, request("ab", number=number))
    later = time.time() + 3600
    everything = {revision(number)["digest"] for number in (1, 2, 3, 4)}
    assert digests_in_use(store, later) == everything
    would_go = prune(store, current_owner(), everything_old(), check_mode=True)["deployments"]
    needed = {revision(number)["digest"] for number in (2, 3, 4)}
    # The third names the second as the one before it.
    assert digests_in_use(store, later, would_go) == needed
    assert digests_in_use(store, 0.0, would_go) == everything
    prune(store, current_owner(), everything_old())
    assert digests_in_use(store, later) == needed


def test_the_cache_of_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundles = []
    for name in ("needed", "old", "young"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "appspec.yml").write_text(name)
        bundles.append(keep_bundle(str(folder)))
    needed, old, young = bundles
    leftover = Path(cache_directory()) / "adding-x"
    leftover.touch()
    note = Path(cache_directory()) / "somebody's own"
    note.touch()
    for path in (needed.path, old.path, leftover, note):
        os.utime(path, (1000.0, 1000.0))
    before = time.time() - 3600
    gone = [str(leftover), old.path]
    for check_mode in (True, False):
        assert sorted(one.path for one in prune_cache({needed.digest}, before, check_mode)) == sorted(gone)
        assert os.path.exists(old.path) == check_mode
    assert cached(needed.digest, "tgz") and cached(young.digest, "tgz")
    assert note.exists()
    assert len(os.listdir(Path(cache_directory()) / "known")) == 2
    # What was asked for has been used: another record may need it.
    assert prune_cache(set(), before) == []
    assert keep_bundle(str(tmp_path / "old")).digest == old.digest
