"""Folders for servers that tests run: a test process that is killed leaves one behind, and the next one removes it.

Rules that hold here:

* Whoever uses a folder holds a lock in it, which the system gives back whichever way the process ends.
* Only folders of our own user are removed, whose lock nobody holds, and which are no longer quite new.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "focushub-test-"
HELD = "held"
NEW_S = 60.0
"""Seconds in which a folder's maker has surely taken its lock."""


@contextmanager
def scratch(base: Path | None = None) -> Iterator[Path]:
    """A folder below ``base`` (or the system's own), which a server's user may pass through when root runs tests."""
    base = Path(tempfile.gettempdir()) if base is None else base
    sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    folder.chmod(0o711)
    with (folder / HELD).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(base: Path) -> None:
    """Removes what killed test processes have left below ``base``."""
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError):  # gone meanwhile, or never one of these
            found = folder.stat()
            if found.st_uid == os.geteuid() and time.time() - found.st_mtime > NEW_S:
                _remove_unless_held(folder)


def _remove_unless_held(folder: Path) -> None:
    with (folder / HELD).open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
