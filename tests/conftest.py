# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: the collection imported from this checkout, and found there by Ansible's commands."""

from __future__ import annotations

from pathlib import Path

import collection_loader
import pytest

collection_loader.register_collection()


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Give the checkout's own directory."""
    return Path(collection_loader.CHECKOUT)


@pytest.fixture(scope="session")
def collections_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory for ANSIBLE_COLLECTIONS_PATH in which the collection is this checkout."""
    directory = tmp_path_factory.mktemp("collections")
    collection_loader.link_collection(str(directory))
    return directory
