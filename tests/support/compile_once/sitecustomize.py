# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what Python compiles of collections and of Ansible's module archives, for which Ansible keeps nothing.

In the folder that CODEDEPLOY_TEST_COMPILED names: thousands of playbooks and modules on this machine cost less, and the
code that runs is the same. For Python 3.6 too, which compiles the module archives in C: there nothing is kept.
"""

import contextlib
import marshal
import os
import sys
import zipimport
from typing import Any

FOLDER = os.environ.get("CODEDEPLOY_TEST_COMPILED", "")
IMPORTS_COLLECTIONS = "ansible.utils.collection_loader._collection_finder"
_compile_of_archive: Any = getattr(zipimport, "_compile_source", None)


def _kept(how: object, source: Any, compile_source: Any) -> Any:
    """Return what was kept of a text compiled in some way, or compile it and keep that."""
    import hashlib

    text = source if isinstance(source, bytes) else source.encode("utf-8", "surrogateescape")
    key = hashlib.sha256(repr((sys.version, how)).encode("utf-8", "surrogateescape") + b"\0" + text).hexdigest()
    path = os.path.join(FOLDER, key)
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return marshal.loads(stream.read())
    code = compile_source()
    draft = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        with open(draft, "wb") as stream:
            stream.write(marshal.dumps(code))
        os.rename(draft, path)
    return code


def _compile_archive_once(path: str, source: bytes) -> Any:
    # Each archive has a name of its own, that of the first one is kept.
    return _kept("archive", source, lambda: _compile_of_archive(path, source))


def _compile_once(source: Any, **how: Any) -> Any:
    return _kept(sorted(how.items()), source, lambda: compile(source, **how))


class _BeforeCollections:
    """Gives Ansible's importer of collections another compile()."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name != IMPORTS_COLLECTIONS:
            return None
        sys.meta_path.remove(self)
        import importlib.util

        spec: Any = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            module.compile = _compile_once
            execute(module)

        spec.loader.exec_module = exec_module
        return spec


if FOLDER:
    sys.meta_path.insert(0, _BeforeCollections())  # type: ignore[arg-type]  # it has what importing needs
    if _compile_of_archive is not None:
        zipimport._compile_source = _compile_archive_once  # type: ignore[attr-defined]  # it is the module's own
