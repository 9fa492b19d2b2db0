"""Who owns a stack's folder: two locks in ``.focushub/``, held by flock(2) and so by nobody once their holder is dead.

* ``lock`` is `up`'s own: held means that `up` runs.
* ``guard.lock`` lives on in the guard: held means that something of a run may still be alive. A new `up` waits for it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from focushub_core.errors import ConfigurationError

FOLDER = ".focushub"
GUARD_PATIENCE = 15.0
"""Seconds: longer than the guard takes to end everything."""


def folder_of(root: Path) -> Path:
    """The folder of what a local stack keeps: data, logs, state."""
    return root / FOLDER


@contextmanager
def held(root: Path, say: Callable[[str], None] = lambda line: None) -> Iterator[int]:
    """Owns the stack's folder; yields the descriptor for the guard. Raises `ConfigurationError` when another `up` does.

    ``say`` gets one line when the rest of a killed run has to be waited for.
    """
    folder = folder_of(root)
    make_folder(folder, mode=0o755)  # a server may have to run as another user, who must get through
    own = _open(folder / "lock")
    try:
        if not _try(own):
            holder = os.pread(own, 32, 0).decode(errors="replace").strip()
            raise ConfigurationError(
                f"this stack is already running (process {holder or 'unknown'}) in {root}"
            )
        os.ftruncate(own, 0)
        os.pwrite(own, f"{os.getpid()}\n".encode(), 0)
        guards = _open(folder / "guard.lock")
        try:
            _wait(guards, say)
            yield guards
        finally:
            os.close(guards)
    finally:
        os.close(own)


def is_running(root: Path) -> bool:
    """Whether an `up` owns the folder right now."""
    try:
        descriptor = os.open(folder_of(root) / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Makes a folder where it is missing. Raises `ConfigurationError`, which says why it cannot."""
    try:
        folder.mkdir(mode=mode, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}") from error


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def _try(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(descriptor: int, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + GUARD_PATIENCE
    if not _try(descriptor):
        say("waiting for the parts of a run that was killed")
    while not _try(descriptor):
        if time.monotonic() > deadline:
            raise ConfigurationError(
                "parts of a run that was killed are still ending; try again in a few seconds"
            )
        time.sleep(0.05)
