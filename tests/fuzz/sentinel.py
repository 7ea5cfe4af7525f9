# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder with files around the place where something is tried, and the proof that they were not touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Surroundings:
    """A temporary folder with files, folders and links that nobody may touch.

    C(ABSOLUTE) is the path of a file outside of all of them, always the same, so that names made up beforehand can
    mean it.
    """

    ABSOLUTE = os.path.join(tempfile.gettempdir(), f"fuzz-{os.getpid()}-outside", "evil")

    def __enter__(self) -> Surroundings:
        self.path = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self.outside = Path(self.ABSOLUTE).parent
        self.outside.mkdir(exist_ok=True)
        for folder in (self.path, self.outside, self.path / "a"):
            folder.mkdir(exist_ok=True)
            (folder / "appspec.yml").write_text("not of the bundle")
            (folder / "b").mkdir(exist_ok=True)
            (folder / "b" / "c").write_text("kept")
        Path(self.ABSOLUTE).write_text("kept")
        return self

    def __exit__(self, *error: Any) -> None:
        for folder in (self.path, self.outside):
            for inside, _folders, _files in os.walk(os.fsencode(folder)):
                os.chmod(inside, 0o700)
            shutil.rmtree(os.fsencode(folder))

    def remember(self) -> None:
        """Take down how everything is now."""
        self._before = self._state()
        self.inodes = {(status[0], status[1]) for status in self._before.values()}

    def check_untouched(self, *, besides: Sequence[Path] = ()) -> None:
        """Check that everything is still as it was.

        :param besides: what is new, or may have changed, with all that is in it.
        """
        after = self._state(besides)
        before = {path: state for path, state in self._before.items() if not _below(path, besides)}
        assert after == before, {path for path in after.keys() | before.keys() if after.get(path) != before.get(path)}

    def _state(self, besides: Sequence[Path] = ()) -> dict[bytes, tuple[int, ...]]:
        found: dict[bytes, tuple[int, ...]] = {}
        for top in (self.path, self.outside):
            for folder, folders, files in os.walk(os.fsencode(top)):
                folders[:] = [name for name in folders if not _below(_join(folder, name), besides)]
                for name in folders + [name for name in files if not _below(_join(folder, name), besides)]:
                    status = os.lstat(_join(folder, name))
                    whole = () if name in folders else (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
                    attributes = (status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid)
                    found[_join(folder, name)] = attributes + whole
        return found


def _join(folder: bytes, name: bytes) -> bytes:
    return os.path.join(folder, name)


def _below(path: bytes, tops: Sequence[Path]) -> bool:
    return any((path + b"/").startswith(os.fsencode(top) + b"/") for top in tops)
