# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import the collection from this checkout, wherever the checkout lies.

Ansible finds a collection only in a directory named ``ansible_collections/agentless/codedeploy``. A clone has any
name, so tests and tools call :func:`register_collection` and then import
``ansible_collections.agentless.codedeploy.plugins...`` as the collection's own code does. Only the standard library is
needed, and Python 3.6 is enough, because code of the instances is imported this way with their own interpreters.
"""

import os
import sys
import types

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLLECTION = "ansible_collections.agentless.codedeploy"


def _package(name, paths):
    # type: (str, list) -> types.ModuleType
    """Register an empty package of this name, or return the registered one with the paths put in front of its own."""
    module = sys.modules.get(name)
    if module is None:
        module = types.ModuleType(name)
        # A module is a package because it has a __path__.
        module.__dict__.update(__path__=[], __package__=name)
        sys.modules[name] = module
        parent, _dot, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    known = [path for path in module.__path__ if path not in paths]
    module.__dict__["__path__"] = paths + known
    return module


def register_collection(checkout=CHECKOUT):
    # type: (str) -> None
    """Make ``ansible_collections.agentless.codedeploy`` importable from a checkout.

    The three packages are put into ``sys.modules`` themselves rather than behind an import hook: ansible-core puts its
    own finder in front of all others as soon as one of its plugin loaders is initialised, and that finder would not
    look into a folder with another name. What is registered already, it leaves alone; everything below is found
    through ``__path__`` with and without it.

    :param checkout: absolute path of the checkout.
    """
    neighbours = [os.path.join(entry, "ansible_collections") for entry in sys.path if entry]
    _package("ansible_collections", [path for path in neighbours if os.path.isdir(path)])
    _package("ansible_collections.agentless", [])
    collection = _package(COLLECTION, [checkout])
    # ansible-core refuses a collection whose package carries no routing data.
    collection.__dict__.setdefault("_collection_meta", {})


def link_collection(directory, checkout=CHECKOUT):
    # type: (str, str) -> str
    """Make a directory for ANSIBLE_COLLECTIONS_PATH that holds this checkout as the collection.

    :param directory: existing directory to make it in.
    :param checkout: absolute path of the checkout.
    :returns: the directory, to be used as ANSIBLE_COLLECTIONS_PATH.
    """
    namespace = os.path.join(directory, "ansible_collections", "agentless")
    os.makedirs(namespace, exist_ok=True)
    link = os.path.join(namespace, "codedeploy")
    if not os.path.islink(link):
        os.symlink(checkout, link)
    return directory
