"""``--reload``: which sources have changed since the last look, by their times and sizes.

Polled: a hundred files twice a second cost less than a watcher's library would in memory, and every file system has
times.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

INTERVAL = 0.5
SUFFIXES = (".py", ".sql", ".toml")
IGNORED = {"__pycache__", "tests", ".venv", ".git"}

Seen = dict[str, tuple[int, int]]


def look(folders: Iterable[Path]) -> Seen:
    """Modification time and size of every source below ``folders``."""
    seen: Seen = {}
    for folder in folders:
        for path, below, files in os.walk(folder):
            below[:] = [name for name in below if name not in IGNORED]
            for name in files:
                if name.endswith(SUFFIXES):
                    _note(seen, os.path.join(path, name))  # noqa: PTH118 - twice a second, a string is enough
    return seen


def _note(seen: Seen, path: str) -> None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return  # gone since it was listed
    seen[path] = (found.st_mtime_ns, found.st_size)


def difference(before: Seen, after: Seen) -> list[str]:
    """The paths that were changed, made or removed between two looks."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


async def changes(folders: list[Path], before: Seen, interval: float = INTERVAL) -> AsyncIterator[list[str]]:
    """The `difference` to the look before, each time that there is one; looks every ``interval`` seconds.

    ``before`` is the look from before what uses the sources was started, so that no change falls in between.
    """
    while True:
        await asyncio.sleep(interval)
        after = await asyncio.to_thread(look, folders)
        changed, before = difference(before, after), after
        if changed:
            yield changed
