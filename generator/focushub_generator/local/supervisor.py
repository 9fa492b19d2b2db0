"""Keeps parts running: starts them through the guard, starts those that die again, stops them in order.

Rules that hold here:

* Every death that nobody asked for goes through `restarts`; a part that is being stopped is not started again.
* A part that ends with ``HOPELESS`` has said that a further start cannot help, and is given up at once.
* ``changed`` is called after every change of a part's state; what is shown and written follows from that.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from focushub_core.errors import ConfigurationError
from focushub_generator.local.guard import Command, Guard
from focushub_generator.local.journal import Journal
from focushub_generator.local.restarts import History, Policy, after_death

HOPELESS = 78
"""EX_CONFIG of sysexits.h."""
KILL_PATIENCE = 2.0


class State(Enum):
    """Where a part is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    GIVEN_UP = "given-up"


@dataclass
class Part:
    """One child and what is known of it. ``url`` is where it answers."""

    name: str
    kind: str
    url: str
    command: Command
    journal: Journal
    once: bool = False
    """Whether it is meant to end by itself."""
    state: State = State.STOPPED
    pid: int | None = None
    code: int | None = None
    """How its last life ended, below zero for a signal."""
    restarts: int = 0
    started_at: float = 0.0
    """Wall clock, seconds since 1970: other processes reckon the uptime from it."""
    born: float = 0.0
    history: History = field(default_factory=History)
    again: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no process of it runs."""

    def __post_init__(self) -> None:
        self.ended.set()

    def as_entry(self) -> dict[str, object]:
        """What ``state.json`` says of it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "url": self.url,
            "state": self.state.value,
            "pid": self.pid,
            "started_at": self.started_at,
            "restarts": self.restarts,
        }


class Supervisor:
    """The parts of a running stack."""

    def __init__(self, guard: Guard, changed: Callable[[Part], None], policy: Policy | None = None) -> None:
        self._guard = guard
        self._changed = changed
        self._policy = policy or Policy()
        self._loop = asyncio.get_running_loop()
        self._starts: set[asyncio.Task[None]] = set()

    async def start(self, part: Part) -> None:
        """Starts a part; raises `ConfigurationError` when it cannot even be executed."""
        part.ended.clear()
        part.state, part.code = State.STARTING, None
        part.born, part.started_at = time.monotonic(), time.time()
        try:
            part.pid = await self._guard.spawn(
                part.name, part.command, part.journal.writer, lambda code: self._exited(part, code)
            )
        except (ConfigurationError, ConnectionError):
            part.ended.set()
            raise
        if part.state is State.STARTING:
            part.state = State.RUNNING
        self._changed(part)

    async def run_once(self, part: Part) -> int:
        """Runs a part that is meant to end; returns its exit code."""
        await self.start(part)
        await part.ended.wait()
        return part.code or 0

    async def restart(self, part: Part, patience: float = 5.0) -> None:
        """Ends a part and starts it again, with a clean history: its code has changed."""
        await self.stop([part], signal.SIGINT, time.monotonic() + patience)
        part.history = History()
        part.restarts += 1
        await self.start(part)

    async def stop(self, parts: Iterable[Part], number: int | None, deadline: float) -> None:
        """Asks ``parts`` to end, each by its own stop signal where ``number`` is ``None``.

        The groups of those that have not ended by ``deadline`` (monotonic) are killed.
        """
        alive = [part for part in parts if not self._ask(part, number)]
        await _all_ended(alive, deadline)
        for part in alive:
            if not part.ended.is_set():
                part.journal.note("did not end in time; killed", "warning")
                self.kill(part)
        await _all_ended(alive, time.monotonic() + KILL_PATIENCE)

    def kill(self, part: Part) -> None:
        """Ends a part's group at once."""
        self._guard.signal(part.name, signal.SIGKILL, whole_group=True)

    def _ask(self, part: Part, number: int | None) -> bool:
        """Asks one part to end; true when it has ended already."""
        if part.again is not None:
            part.again.cancel()
            part.again = None
        gone = part.ended.is_set()
        part.state = State.STOPPED if gone else State.STOPPING
        self._guard.signal(part.name, part.command.stop_signal if number is None else number)
        self._changed(part)
        return gone

    def _exited(self, part: Part, code: int) -> None:
        part.journal.flush()
        part.pid, part.code = None, code
        if part.once or part.state is State.STOPPING:
            part.state = State.STOPPED
        else:
            self._after_death(part, code)
        part.ended.set()
        self._changed(part)

    def _after_death(self, part: Part, code: int) -> None:
        now = time.monotonic()
        verdict = after_death(part.history, now=now, lived=now - part.born, policy=self._policy)
        part.history = verdict.history
        if code == HOPELESS:
            part.state = State.GIVEN_UP  # and its last line says why
        elif verdict.delay is None:
            part.state = State.GIVEN_UP
            part.journal.note(f"{words(code)}; given up", "error")
        else:
            part.state = State.WAITING
            part.journal.note(f"{words(code)}; starts again in {verdict.delay:g} s", "warning")
            part.again = self._loop.call_later(verdict.delay, self._start_again, part)

    def _start_again(self, part: Part) -> None:
        part.again = None
        part.restarts += 1
        task = self._loop.create_task(self._try_to_start(part))
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    async def _try_to_start(self, part: Part) -> None:
        try:
            await self.start(part)
        except ConnectionError:
            return  # the guard is gone, and `up` is about to end
        except ConfigurationError as error:
            part.state = State.GIVEN_UP
            part.journal.note(str(error), "error")
            self._changed(part)


def words(code: int | None) -> str:
    """How a process ended, for people: ``ended with 3``, ``was killed by SIGKILL``."""
    if code is None or code >= 0:
        return f"ended with {code or 0}"
    return f"was ended by {signal.Signals(-code).name}"


async def _all_ended(parts: list[Part], deadline: float) -> None:
    waiting = [asyncio.ensure_future(part.ended.wait()) for part in parts]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
        for future in late:
            future.cancel()
