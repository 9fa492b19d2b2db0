"""The check before the start: HTTP ports never move, so each must be free; one that is not is named with its holder.

Linux says who holds a port in ``/proc``; where that cannot be read the line leaves the holder out.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from focushub_core.errors import ConfigurationError

HIGHEST = 32767
"""From 32768 on Linux hands ports out to clients: one could be taken between two starts."""
OFFSETS = (*range(1000, 24000, 1000), *range(250, 24000, 500))


def check(wanted: Mapping[str, int], offset: int, *, host: str = "127.0.0.1") -> None:
    """Raises `ConfigurationError`, one line, unless every part's port (without the offset) can be had with it."""
    for part, port in wanted.items():
        if not 1 <= port + offset <= HIGHEST:
            raise ConfigurationError(
                f"port {port + offset} of {part} is not usable; with its offset a port is 1 to {HIGHEST}"
            )
    taken = next(
        ((part, port + offset) for part, port in wanted.items() if not is_free(port + offset, host)), None
    )
    if taken is None:
        return
    part, port = taken
    who = holder(port)
    free = free_offset(wanted.values(), lambda candidate: is_free(candidate, host), tried=offset)
    advice = f"; --port-offset {free} is free" if free is not None else ""
    raise ConfigurationError(f"port {port} of {part} is in use{f' by {who}' if who else ''}{advice}")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_offset(ports: Iterable[int], free: Callable[[int], bool], *, tried: int) -> int | None:
    """The first offset with which every port is valid and ``free``; ``None`` when there is none to suggest."""
    wanted = list(ports)
    offset: int
    for offset in OFFSETS:
        if (
            offset != tried
            and max(wanted) + offset <= HIGHEST
            and all(free(port + offset) for port in wanted)
        ):
            return offset
    return None


def holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """The process that listens on ``port``, as ``process 123 (name)``; ``None`` where that cannot be found out."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    for folder in proc.glob("[0-9]*") if sockets else ():
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                if str(descriptor.readlink()) in sockets:
                    name = (folder / "comm").read_text().strip()
                    return f"process {folder.name} ({name})"
    return None


def _listening(port: int, proc: Path) -> list[str]:
    """Inodes of the sockets in state LISTEN (0A) on ``port``."""
    inodes = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.append(fields[9])
    return inodes
