"""One life of a local stack: its parts, what is told of them, and how all of it ends.

Rules that hold here:

* Whatever is started is started through the supervisor, and so ends with `stop` or with the guard.
* The stop is over within ten seconds: the balancer finishes first, then what is behind it, then the servers.
* A kill is never the first thing a part hears, except by a second Ctrl-C; PostgreSQL is asked even then.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from focushub_core.errors import ConfigurationError
from focushub_core.stack import Stack
from focushub_generator.local import lock, state
from focushub_generator.local.console import Console
from focushub_generator.local.guard import Command, Guard
from focushub_generator.local.journal import Journal
from focushub_generator.local.supervisor import Part, State, Supervisor
from focushub_generator.local.topology import HttpPart, Options, started

BALANCER_S, PARTS_S, SERVERS_S = 3.5, 6.0, 8.5
"""Seconds after the signal at which what is left of a stage is killed; ten are promised for all."""
HURRIED_SERVERS_S = 2.5
SERVERS = ("postgres", "redis")


class Session:
    """What belongs to one `focushub up`. Made inside a running loop."""

    def __init__(
        self, stack: Stack, options: Options, plan: list[HttpPart], settings: Mapping[str, str]
    ) -> None:
        self.stack = stack
        self.root: Path = stack.root
        self.options = options
        self.plan = plan
        """Every HTTP part; `wanted` are those that are not left out."""
        self.wanted = started(plan, options.without)
        self.settings = settings
        self.environ = dict(os.environ)
        self.development = settings.get("FOCUSHUB_ENV", "development") == "development"
        self.console = Console()
        self.parts: dict[str, Part] = {}
        self.named_servers: dict[str, str] = {}
        """Servers that are not ours: address without login, by part name."""
        self.begun = time.monotonic()
        self.started_at = time.time()
        self.guard_died = asyncio.Event()
        self.lost: asyncio.Queue[Part] = asyncio.Queue()
        """Parts that were given up."""
        self.ready = False
        """Whether everything has been healthy at once."""
        self._state_lost = False

    def open(self, guards_lock: int) -> None:
        """Starts the guard; from here on `close` is owed."""
        self.guard = Guard(guards_lock, self.guard_died.set)
        self.supervisor = Supervisor(self.guard, self._changed)

    async def add(self, name: str, kind: str, url: str, command: Command, *, once: bool = False) -> Part:
        """A part with its journal, not started. Raises `ConfigurationError` when its log cannot be written."""
        try:
            journal = Journal(name, lock.folder_of(self.root) / "logs", self.console.show)
        except OSError as error:
            raise ConfigurationError(f"the log of {name} cannot be written: {error.strerror}") from error
        part = Part(name, kind, url, command, journal, once=once)
        self.parts[name] = part
        return part

    def write_state(self) -> None:
        """Tells other commands; raises `OSError`."""
        state.write_state(self.root, self._state())

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ends every part in order; ``hurry`` kills HTTP parts and leaves the servers little time."""
        begun = time.monotonic()
        balancer = [part for part in self.parts.values() if part.kind == "load-balancer"]
        servers = [part for part in self.parts.values() if part.name in SERVERS]
        others = [part for part in self.parts.values() if part not in balancer and part not in servers]
        await self._stage(balancer, signal.SIGTERM, begun + BALANCER_S, hurry)
        await self._stage(others, signal.SIGINT, begun + PARTS_S, hurry)
        limit = begun + SERVERS_S
        if hurry.is_set():
            limit = min(limit, time.monotonic() + HURRIED_SERVERS_S)
        await self.supervisor.stop(servers, None, limit)

    async def close(self) -> None:
        """Ends the guard and whatever else there is, and what is told of a running stack."""
        await self.guard.close()
        for part in self.parts.values():
            part.journal.close()
        try:
            state.clear(self.root)
        except OSError as error:
            self.console.say(f"{error.filename} could not be removed: {error.strerror}")

    async def _stage(self, parts: list[Part], number: int, deadline: float, hurry: asyncio.Event) -> None:
        stopping = asyncio.ensure_future(self.supervisor.stop(parts, number, deadline))
        hurried = asyncio.ensure_future(hurry.wait())
        await asyncio.wait([stopping, hurried], return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            for part in parts:
                self.supervisor.kill(part)
        hurried.cancel()
        await stopping

    def _changed(self, part: Part) -> None:
        if part.once:
            return
        if part.state is State.GIVEN_UP:
            self.lost.put_nowait(part)
        try:
            self.write_state()
        except OSError as error:  # a full disk stops nobody who runs already
            if not self._state_lost:
                self.console.say(f"state.json cannot be written: {error.strerror}")
            self._state_lost = True

    def _state(self) -> dict[str, object]:
        return {
            "stack": self.stack.name,
            "port_offset": self.options.port_offset,
            "started_at": self.started_at,
            "ready": self.ready,
            "parts": self.entries(),
        }

    def entries(self) -> list[dict[str, object]]:
        """Every part as ``state.json`` has it, the balancer first; ``started_at`` in seconds since 1970."""
        found = [part.as_entry() for part in self.parts.values() if not part.once]
        for name, url in self.named_servers.items():
            unknown = {"state": "named", "pid": None, "started_at": None, "restarts": 0}
            found.append({"name": name, "kind": name, "url": url, **unknown})
        return sorted(found, key=_by_place)


def _by_place(part: Mapping[str, object]) -> tuple[int, str]:
    """The way a request takes: balancer, gateways, services, servers."""
    kinds = ("load-balancer", "gateway", "service", "postgres", "redis")
    return kinds.index(str(part["kind"])), str(part["name"])
