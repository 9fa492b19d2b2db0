"""Kills a part of the local stack, and waits until `up` has brought it back.

Rules that hold here:

* Who is killed is read from the running `up`'s own state at that moment, and is still what that says: the leader of
  its own session, and where the system tells, at work in the part's folder. Nothing is ever looked for by name.
* It is signalled once, by SIGKILL, and restarted by nobody but `up`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from focushub_core.errors import ConfigurationError
from focushub_generator.local import health
from focushub_generator.local.state import read_state
from focushub_generator.local.verify.promises import PATIENCE_S, Kill

POLL_S = 0.05


def part(root: Path, name: str) -> Mapping[str, Any]:
    """What the running `up` says of a part. Raises `ConfigurationError` when there is none, or no `up` any more."""
    found = next((entry for entry in read_state(root)["parts"] if entry["name"] == name), None)
    if found is None:
        raise ConfigurationError(f"there is no part {name} in the stack that runs")
    return dict(found)


async def kill(root: Path, name: str, folder: Path, clock: Callable[[], float]) -> Kill:
    """Kills the part ``name``, whose code lies in ``folder``, and returns when it is well again, or `PATIENCE_S` later.

    Raises `ConfigurationError` when it does not run, is not `up`'s, or is another user's.
    """
    entry = part(root, name)
    pid = entry["pid"]
    if pid is None or not is_its_own(pid, folder):
        raise ConfigurationError(f"{name} does not run: {entry['state']}")
    try:
        os.kill(pid, signal.SIGKILL)
    except PermissionError:
        raise ConfigurationError(
            f"{name} (process {pid}) is another user's: verify as who runs `up`"
        ) from None
    at = clock()
    return Kill(name, str(entry["kind"]), pid, at, await _back(root, name, pid, at + PATIENCE_S, clock))


def is_its_own(pid: int, folder: Path, proc: Path = Path("/proc")) -> bool:
    """Whether a process is a part as `up` starts them, and not somebody else's who has its number now."""
    try:
        if os.getsid(pid) != pid:
            return False
        return not proc.joinpath("self").exists() or (proc / str(pid) / "cwd").readlink() == folder.resolve()
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True  # another user's: the signal will say so


async def _back(
    root: Path, name: str, killed: int, give_up: float, clock: Callable[[], float]
) -> float | None:
    while clock() < give_up:
        entry = part(root, name)
        if entry["pid"] not in {None, killed} and (await health.health(entry["url"], 1.0)).status == 200:
            return clock()
        await asyncio.sleep(POLL_S)
    return None
