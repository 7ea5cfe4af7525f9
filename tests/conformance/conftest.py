# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recorded cases need of the host they run on."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from support.debian_packages import alone_on_this_machine, install_packages

USER = "cdtest"


@pytest.fixture(scope="session")
def conformance_host() -> str:
    """Make this host, as root, one on which the cases can be run, and give the PATH to run them with."""
    install_packages({"setfacl": "acl", "sudo": "sudo"})
    with alone_on_this_machine("users"):
        try:
            pwd.getpwnam(USER)
        except KeyError:
            subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", USER], check=True)
    usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return f"{Path(sys.executable).parent}{os.pathsep}{usual}"
