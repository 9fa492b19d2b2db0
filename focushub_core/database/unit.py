"""A unit of work: everything that one request does to a database, kept or undone as one.

Rules that hold here:

* While a unit is open, whatever its task, and the tasks that it starts, ask of that `Database` goes through the one
  transaction: code that knows nothing of the unit takes part in it.
* That code sees no difference: a statement that fails undoes only itself (a savepoint), and so does a
  ``transaction()`` block.
* A savepoint costs no round trip before the first statement, for it comes with BEGIN, and one before each other.
* One connection does one thing at a time: tasks take turns, each waiting at most as long as for a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from focushub_core.database.errors import unavailable
from focushub_core.database.session import SAVEPOINT

if TYPE_CHECKING:
    from focushub_core.database.database import Connection, Database


_NEXT = f"RELEASE {SAVEPOINT}; {SAVEPOINT}"
_UNDO = f"ROLLBACK TO {SAVEPOINT}"


class Unit:
    """One open unit of work on ``database``, whose transaction began with `SAVEPOINT`."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.database = database
        self.ended = False
        self._fresh = True
        """Whether nothing was done since the savepoint."""
        self._connection = connection
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[Connection]:
        """The connection within a savepoint, while no other task uses it."""
        task = asyncio.current_task()
        if self._holder is task:
            async with self._connection.transaction() as connection:
                yield connection
            return
        await self._take_turn()
        self._holder = task
        try:
            if not self._fresh:
                await self._connection.execute(_NEXT)
            self._fresh = False
            try:
                yield self._connection
            except BaseException:
                self._fresh = await self._connection.undo(_UNDO)
                raise
        finally:
            self._holder = None
            self._lock.release()

    async def _take_turn(self) -> None:
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            async with asyncio.timeout(self.database.acquire_timeout):
                await self._lock.acquire()
        except TimeoutError:
            raise unavailable("The request's own transaction did not become free in time.") from None


_current: ContextVar[Unit | None] = ContextVar("focushub.unit", default=None)


def unit_of(database: Database) -> Unit | None:
    """The unit that is open on this very database, where this task belongs to one."""
    unit = _current.get()
    return unit if unit is not None and unit.database is database and not unit.ended else None


@asynccontextmanager
async def opened(database: Database, connection: Connection) -> AsyncIterator[None]:
    """Makes the block a unit of work."""
    unit = Unit(database, connection)
    token = _current.set(unit)
    try:
        yield
    finally:
        unit.ended = True
        _current.reset(token)
