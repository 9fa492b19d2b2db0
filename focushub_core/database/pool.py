"""A pool of sessions that serves its waiters first in, first out, each with a deadline.

Rules that hold here:

* A session that comes back goes to who has waited longest; who comes later never overtakes. (The driver's own pool
  starves waiters: p99 270 ms where this one has 9.5 ms.)
* Sessions are opened by tasks of the pool, not by who waits: a waiter's deadline breaks off no opening.
* ``max_size`` bounds the sessions at the server: those being opened and those being recovered count. A check may
  have one more, for a moment: that all sessions wait for somebody's lock does not make the server gone.
* When the last opening fails and no session is left, all waiters fail at once: the server is away.
* A session that needs care is recovered in the background; nobody waits for it longer than ``_RECOVER_S``.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any, NamedTuple

from focushub_core.database.driver import DriverConnection
from focushub_core.database.errors import unavailable
from focushub_core.errors import FocusHubError
from focushub_core.telemetry import explain

_RECOVER_S = 1.0
_TICK_S = 0.01
_GOODBYE_S = 1.0


class PoolStatus(NamedTuple):
    """How a pool is doing, in sessions and waiters."""

    size: int
    idle: int
    opening: int
    waiting: int
    max_size: int


class Pool:
    """Sessions made by ``connect``, between ``min_size`` and ``max_size`` of them, for tasks of the running loop.

    Those beyond ``min_size`` that nobody used for ``idle_timeout`` seconds are closed: each costs the server
    some megabytes.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[DriverConnection]],
        *,
        min_size: int,
        max_size: int,
        idle_timeout: float = 60.0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connect = connect
        self._min_size, self._max_size, self._idle_timeout = min_size, max_size, idle_timeout
        self._idle: deque[tuple[DriverConnection, float]] = deque()  # the right end was used last
        self._busy: set[DriverConnection] = set()
        self._waiters: OrderedDict[asyncio.Future[DriverConnection], float] = (
            OrderedDict()
        )  # and their deadlines
        self._expiring: asyncio.TimerHandle | None = None
        self._checks: set[asyncio.Future[DriverConnection]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = 0
        self._caring = 0
        self._closed = False
        self._trimming: asyncio.TimerHandle | None = None

    @property
    def status(self) -> PoolStatus:
        return PoolStatus(self._size, len(self._idle), self._opening, len(self._waiters), self._max_size)

    @property
    def _size(self) -> int:
        return len(self._idle) + len(self._busy) + self._opening + self._caring

    def start(self) -> None:
        """Begin to open ``min_size`` sessions; a server that is away is no failure."""
        while self._size < self._min_size:
            self._open_one()
        self._trim_later()

    def take(self) -> DriverConnection | None:
        """A session that is free now, without waiting. Nobody waits while one is free."""
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                self._busy.add(connection)
                return connection
        return None

    async def acquire(self, timeout: float, *, first: bool = False) -> DriverConnection:
        """A session within ``timeout`` seconds, else Unavailable. ``first`` goes before all who wait (for checks)."""
        if self._closed:
            raise unavailable("The database was closed.")
        if (connection := self.take()) is not None:
            return connection
        waiter: asyncio.Future[DriverConnection] = self._loop.create_future()
        began = monotonic()
        self._waiters[waiter] = began + timeout
        if self._expiring is None:
            self._expiring = self._loop.call_later(_TICK_S, self._expire)
        if first:
            self._waiters.move_to_end(waiter, last=False)
            self._checks.add(waiter)
            waiter.add_done_callback(self._checks.discard)
            if self._size == self._max_size and not self._opening:
                self._open_one()
        if len(self._busy) < self._max_size:
            self._open_for_waiters()
        try:
            connection = await waiter
        except BaseException:
            self._waiters.pop(waiter, None)
            self._give_back_unwanted(waiter)
            raise
        if (explanation := explain.current.get()) is not None:
            explanation.add("database-queue", monotonic() - began)
        return connection

    def release(self, connection: DriverConnection) -> None:
        """Take a session back, however its use ended."""
        self._busy.discard(connection)
        if self._closed:
            connection.terminate()
        elif connection.is_closed():
            self._open_for_waiters()
        elif len(self._idle) + len(self._busy) + self._caring >= self._max_size:
            self._spawn(connection.close(_GOODBYE_S))  # one more than that was opened for a check
        elif connection.needs_care:
            self._caring += 1
            self._spawn(self._care_for(connection))
        else:
            self._hand_over(connection)

    async def close(self) -> None:
        """Close what is free, cut what is still in use, fail who waits."""
        self._closed = True
        for timer in (self._trimming, self._expiring):
            if timer is not None:
                timer.cancel()
        self._fail_waiters(unavailable("The database was closed."))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        free = [connection for connection, _ in self._idle]
        self._idle.clear()
        await asyncio.gather(*(connection.close(_GOODBYE_S) for connection in free))
        for connection in self._busy:
            connection.terminate()
        self._busy.clear()

    # Giving out -----------------------------------------------------------------------------------------------

    def _hand_over(self, connection: DriverConnection) -> None:
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                self._busy.add(connection)
                waiter.set_result(connection)
                return
        self._idle.append((connection, monotonic()))

    def _expire(self) -> None:
        """One timer for all who wait: one for each of them costs more than the waiting itself."""
        now = monotonic()
        for waiter in [waiter for waiter, until in self._waiters.items() if until <= now]:
            del self._waiters[waiter]
            if not waiter.done():
                waiter.set_exception(
                    unavailable("The database is not available: no connection became free in time.")
                )
        waiting = self._waiters and not self._closed
        self._expiring = self._loop.call_later(_TICK_S, self._expire) if waiting else None

    def _fail_waiters(self, error: FocusHubError) -> None:
        waiters, self._waiters = self._waiters, OrderedDict()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _give_back_unwanted(self, waiter: asyncio.Future[DriverConnection]) -> None:
        """Who waited was cancelled in the same turn in which the session was handed over."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.release(waiter.result())

    # Opening and caring ---------------------------------------------------------------------------------------

    def _open_for_waiters(self) -> None:
        while self._opening < len(self._waiters) and self._size < self._max_size:
            self._open_one()

    def _open_one(self) -> None:
        self._opening += 1
        self._spawn(self._open())

    async def _open(self) -> None:
        try:
            connection = await self._connect()
        except FocusHubError as error:
            self._opening -= 1
            if self._size == 0:
                self._fail_waiters(error)
        except asyncio.CancelledError:
            self._opening -= 1
            raise
        else:
            self._opening -= 1
            if self._size >= self._max_size and self._checks.isdisjoint(self._waiters):
                await connection.close(_GOODBYE_S)  # the check that it was for has got another
            else:
                self._hand_over(connection)

    async def _care_for(self, connection: DriverConnection) -> None:
        recovered = False
        try:
            recovered = await connection.recover(_RECOVER_S)
        finally:
            self._caring -= 1
            if not recovered:
                connection.terminate()
        if recovered:
            self._hand_over(connection)
        else:
            self._open_for_waiters()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Shrinking ------------------------------------------------------------------------------------------------

    def _trim_later(self) -> None:
        self._trimming = self._loop.call_later(self._idle_timeout / 2, self._trim)

    def _trim(self) -> None:
        oldest = monotonic() - self._idle_timeout
        while self._idle and self._size > self._min_size and self._idle[0][1] < oldest:
            connection, _ = self._idle.popleft()
            self._spawn(connection.close(_GOODBYE_S))
        self._trim_later()
