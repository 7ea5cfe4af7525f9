# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Import what a module brings along with half the work.

Ansible sends a module as a zip archive. Since Python 3.8 a file in one is compiled to find it and once more to load it,
which is a good part of what a short module costs.
"""

import sys
from importlib.machinery import ModuleSpec
from typing import Any, Optional, Sequence
from zipimport import zipimporter

_PACKAGES = ("ansible.", "ansible_collections.")


class _ArchiveFinder:
    """Finds files of a zip archive by its list of members, without compiling them."""

    @staticmethod
    def find_spec(name: str, path: Optional[Sequence[str]] = None, _target: Any = None) -> Optional[ModuleSpec]:
        """Return what the import system needs to load a module; V(None) leaves it to the finders that follow."""
        if not path or not name.startswith(_PACKAGES):
            return None
        try:
            importer: Any = sys.path_importer_cache.get(path[0]) or zipimporter(path[0])
            if not isinstance(importer, zipimporter):
                return None
            package = importer.is_package(name)
        except ImportError:
            return None
        sys.path_importer_cache[path[0]] = importer
        place = path[0] + "/" + name.rpartition(".")[2]
        loader: Any = importer
        spec = ModuleSpec(name, loader, origin=place + ("/__init__.py" if package else ".py"), is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [place]
        return spec


def import_once() -> None:
    """Let all further imports from the module's archive compile each file once."""
    if sys.version_info >= (3, 8):
        # Before the last one, which looks into the archive.
        sys.meta_path.insert(-1, _ArchiveFinder)
