# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity over the files of this checkout, with everything that it makes kept in build/sanity.

Run it with the interpreter of .venv; further arguments go to ansible-test.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
WORK = CHECKOUT / "build" / "sanity"

# ansible-test fetches a program that installs pip from a host that is no package registry. Python carries a pip itself.
GET_PIP = """
import ensurepip

ensurepip.bootstrap(upgrade=True, default_pip=True)
"""


def copy_collection(collection: Path) -> None:
    """Copy what git tracks, or would: ansible-test asks for a directory named as the collection, and no link."""
    shutil.rmtree(collection, ignore_errors=True)
    listing = ["git", "-C", str(CHECKOUT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in filter(None, os.fsdecode(subprocess.check_output(listing)).split("\0")):
        source, target = CHECKOUT / name, collection / name
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    # Else ansible-test would ask the repository around it, which ignores the whole build directory.
    subprocess.check_call(["git", "init", "--quiet", str(collection)])


def pip_settings() -> configparser.ConfigParser:
    """Return pip's settings as they are in this environment, whichever files and variables they come from."""
    settings = configparser.ConfigParser(interpolation=None)
    settings["global"] = {}
    lines = subprocess.check_output([sys.executable, "-m", "pip", "config", "list"], text=True).splitlines()
    # Variables win over files, as with pip itself.
    for line in sorted(lines, key=lambda text: text.startswith(":env:")):
        name, _equals, value = line.partition("=")
        section, _dot, key = name.replace(":env:", "global").partition(".")
        if key not in ("disable-pip-version-check", "require-virtualenv"):
            settings["global" if section == "install" else section] = {
                **(dict(settings[section]) if settings.has_section(section) else {}),
                key: value.strip("'\""),
            }
    return settings


def prepare_home(home: Path) -> None:
    """Make the home directory in which ansible-test keeps its environments, and in which its pip finds its settings."""
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    package = find_spec("ansible_test")
    if package is None or package.origin is None:
        raise SystemExit("ansible_test is not here: run this with .venv/bin/python, after make setup")
    requirements = Path(package.origin).parent / "_internal" / "python_requirements.py"
    for version in re.findall(r"\bpip='([0-9.]+)'", requirements.read_text()):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(GET_PIP)
    pip_directory = home / ".config" / "pip"
    pip_directory.mkdir(parents=True, exist_ok=True)
    with (pip_directory / "pip.conf").open("w") as file:
        pip_settings().write(file)


def main() -> int:
    """Run ansible-test and return its exit status."""
    collection = WORK / "ansible_collections" / "agentless" / "codedeploy"
    copy_collection(collection)
    home = WORK / "home"
    prepare_home(home)
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "HOME": str(home), "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("ANSIBLE_HOME", None)
    version = "{}.{}".format(*sys.version_info)
    # PowerShell is no part of this collection; its test would want it installed.
    command = [str(binaries / "ansible-test"), "sanity", "--venv", "--python", version, "--color", "no"]
    return subprocess.call([*command, "--skip-test", "pslint", *sys.argv[1:]], cwd=collection, env=environment)


if __name__ == "__main__":
    sys.exit(main())
