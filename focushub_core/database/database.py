"""`Database`: what a service asks its PostgreSQL database through."""

from __future__ import annotations

import asyncio
import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from focushub_core import deadline
from focushub_core.database.driver import DriverConnection, Record, load
from focushub_core.database.errors import timed_out, unavailable
from focushub_core.database.migrations import Source
from focushub_core.database.pool import Pool, PoolStatus
from focushub_core.database.schema import SchemaMismatch, look
from focushub_core.database.session import begin_unit
from focushub_core.database.traced import Traced, about
from focushub_core.database.unit import opened, unit_of
from focushub_core.errors import ConfigurationError, FocusHubError, GatewayTimeout, Internal, Unavailable
from focushub_core.telemetry.tracing import Tracer

if TYPE_CHECKING:
    from aiohttp import web

T = TypeVar("T")
Isolation = Literal["read committed", "repeatable read", "serializable"]

_log = logging.getLogger("focushub.database")
_LEVELS: dict[Isolation | None, str] = {
    None: "BEGIN",
    "read committed": "BEGIN ISOLATION LEVEL READ COMMITTED",
    "repeatable read": "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "serializable": "BEGIN ISOLATION LEVEL SERIALIZABLE",
}


class Queries(ABC):
    """Ways to ask. SQL has ``$1``, ``$2`` for ``args``; ``timeout`` is in seconds, by default the database's.

    For both drivers to mean the same: a list is an array, and where it is to be JSON, or a text is, say so in the
    SQL (``$1::jsonb``); a dict or a struct is JSON anyway. A query ends at its request's deadline
    (`focushub_core.deadline`) if that is sooner.

    All raise Unavailable (503) when PostgreSQL is away, GatewayTimeout (504) at the deadline, and what
    `focushub_core.database.errors` says of constraints.
    """

    @abstractmethod
    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[Record]:
        """All rows."""

    @abstractmethod
    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Record | None:
        """The first row, None if there is none."""

    @abstractmethod
    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:
        """Run a statement; the answer is PostgreSQL's command tag, such as ``UPDATE 3``."""

    async def fetchval(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        """The first row's first value, None if there is no row."""
        row = await self.fetchrow(sql, *args, timeout=timeout)
        return None if row is None else row[0]

    async def all(
        self, struct_type: Callable[..., T], sql: str, *args: Any, timeout: float | None = None
    ) -> list[T]:
        """All rows as ``struct_type(**row)``: columns are its fields, values as PostgreSQL gives them."""
        rows = await self.fetch(sql, *args, timeout=timeout)
        if rows and _is_in_order(struct_type, rows[0]):
            return [struct_type(*row) for row in rows]
        return [struct_type(**row) for row in rows]

    async def one(
        self, struct_type: Callable[..., T], sql: str, *args: Any, timeout: float | None = None
    ) -> T | None:
        """The first row as ``struct_type(**row)``, None if there is none."""
        row = await self.fetchrow(sql, *args, timeout=timeout)
        if row is None:
            return None
        return struct_type(*row) if _is_in_order(struct_type, row) else struct_type(**row)


class Connection(Queries):
    """One session within a transaction. It is not to be used after the transaction, nor by two tasks at once."""

    def __init__(self, driver: DriverConnection, query_timeout: float) -> None:
        self._driver: DriverConnection | None = driver
        self._query_timeout = query_timeout
        self._depth = 0
        self.began = ""
        """PostgreSQL's answer to the last statement of the transaction's beginning."""
        self.parting: str | None = None
        """A statement that is sent along with COMMIT."""

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[Record]:
        return await self._session().fetch(sql, args, _seconds(timeout or self._query_timeout))

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Record | None:
        rows = await self._session().fetch(sql, args, _seconds(timeout or self._query_timeout), first=True)
        return rows[0] if rows else None

    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:
        return await self._session().execute(sql, args, _seconds(timeout or self._query_timeout))

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation | None = None, begin: str | None = None
    ) -> AsyncIterator[Connection]:
        """Within a transaction: a savepoint, so that what fails inside undoes only itself.

        ``begin`` is sent instead of a plain BEGIN.
        """
        name, self._depth = f"s{self._depth}", self._depth + 1
        begin, commit, undo = begin or _LEVELS[isolation], "COMMIT", "ROLLBACK"
        if self._depth > 1:
            begin, commit = f"SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}"
            undo = f"ROLLBACK TO SAVEPOINT {name}"
        self.began = await self.execute(begin)
        try:
            yield self
        except BaseException:
            await self.undo(undo)
            raise
        else:
            if self._depth == 1 and self.parting is not None:
                commit = f"{self.parting}; {commit}"
            await self._commit(commit)
        finally:
            self._depth -= 1

    async def _commit(self, command: str) -> None:
        """PostgreSQL answers COMMIT with ROLLBACK, and no error, when a statement before it had failed."""
        if await self.execute(command) == "ROLLBACK":
            raise Internal("a failed statement was passed over: the transaction was rolled back")

    async def undo(self, command: str) -> bool:
        """Run a ROLLBACK, also when the request's time is over; whether it was done."""
        session = self._session()
        if session.is_closed() or session.broken_off:
            return False  # the pool leaves the transaction for us, with a deadline of its own
        try:
            await session.execute(command, (), self._query_timeout)
        except FocusHubError as error:
            _log.warning("%s failed: %s", command, error.__cause__ or error)
            return False
        return True

    def _session(self) -> DriverConnection:
        if self._driver is None:
            raise Internal("a connection was used after its transaction")
        return self._driver

    def _end(self) -> None:
        self._driver = None


class Database(Queries):
    """One service's own PostgreSQL database. Declared on the class, opened by the service.

    ``migrations``: the folder of numbered SQL files, relative to the service's package, or a tuple of their texts.
    ``acquire_timeout`` and ``query_timeout`` are in seconds: how long to wait for a connection, and how long a query
    may take. An application that is no `Service` has it opened and closed by `install`.
    """

    def __init__(
        self,
        *,
        migrations: Source | None = None,
        min_size: int = 1,
        max_size: int = 10,
        acquire_timeout: float = 0.9,
        query_timeout: float = 5.0,
        driver: str = "asyncpg",
    ) -> None:
        self.migrations = Path(migrations) if isinstance(migrations, str) else migrations
        self.acquire_timeout, self.query_timeout = acquire_timeout, query_timeout
        self._min_size, self._max_size, self._driver = min_size, max_size, driver
        self._pool: Pool | None = None
        self._url, self._name = "", "focushub"
        self._reachable = True
        self._schema: Source | None = None
        self._tracer: Tracer | None = None
        self._answered_at = 0.0

    async def open(
        self,
        url: str,
        *,
        name: str = "focushub",
        driver: str | None = None,
        schema: Source | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """Begin to connect. PostgreSQL being down is no failure: queries are 503 until it is there.

        ``name`` shows in ``pg_stat_activity``; ``driver`` is used instead of the declared one. With ``schema``,
        migrations, queries are 503 until the database is what these make. ``tracer`` records queries. Raises
        ConfigurationError on an address that is none, and for a driver that is not installed.
        """
        if urlsplit(url).scheme not in {"postgresql", "postgres"}:
            raise ConfigurationError("a database's address begins with postgresql://")
        await self.close()
        self._driver = driver or self._driver
        load(self._driver)
        self._url, self._name, self._reachable, self._schema = url, name, True, schema
        self._tracer = tracer
        self._pool = Pool(self._connect, min_size=self._min_size, max_size=self._max_size)
        self._pool.start()

    async def close(self) -> None:
        """Close all connections; those still in use are cut."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def install(self, app: web.Application, url: str) -> None:
        """Have ``app`` open it at its start and close it at its end."""

        async def while_running(_: web.Application) -> AsyncIterator[None]:
            await self.open(url)
            yield
            await self.close()

        app.cleanup_ctx.append(while_running)

    @property
    def status(self) -> PoolStatus | None:
        """How the pool is doing; None while closed."""
        return None if self._pool is None else self._pool.status

    # The three are written out, without a context manager: they stand in the way of every request.

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[Record]:
        if (unit := unit_of(self)) is not None:
            async with unit.savepoint() as connection:
                return await connection.fetch(sql, *args, timeout=timeout)
        pool = self._open_pool()
        session = pool.take() or await pool.acquire(_seconds(self.acquire_timeout))
        try:
            rows = await session.fetch(sql, args, _seconds(timeout or self.query_timeout))
            self._answered_at = monotonic()
        finally:
            pool.release(session)
        return rows

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Record | None:
        if (unit := unit_of(self)) is not None:
            async with unit.savepoint() as connection:
                return await connection.fetchrow(sql, *args, timeout=timeout)
        pool = self._open_pool()
        session = pool.take() or await pool.acquire(_seconds(self.acquire_timeout))
        try:
            rows = await session.fetch(sql, args, _seconds(timeout or self.query_timeout), first=True)
            self._answered_at = monotonic()
        finally:
            pool.release(session)
        return rows[0] if rows else None

    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:
        if (unit := unit_of(self)) is not None:
            async with unit.savepoint() as connection:
                return await connection.execute(sql, *args, timeout=timeout)
        pool = self._open_pool()
        session = pool.take() or await pool.acquire(_seconds(self.acquire_timeout))
        try:
            tag = await session.execute(sql, args, _seconds(timeout or self.query_timeout))
            self._answered_at = monotonic()
        finally:
            pool.release(session)
        return tag

    @asynccontextmanager
    async def transaction(self, *, isolation: Isolation | None = None) -> AsyncIterator[Connection]:
        """All or nothing: committed at the end of the block, rolled back when it raises or is cancelled.

        Within a `unit_of_work` it is a part of that: committed with it, undone alone.
        """
        if (unit := unit_of(self)) is not None:
            if isolation not in (None, "read committed"):
                raise Internal(f"a unit of work is read committed: there is no {isolation} within it")
            async with unit.savepoint() as connection:
                yield connection
            return
        async with self._begun(_LEVELS[isolation]) as connection:
            yield connection

    @asynccontextmanager
    async def unit_of_work(
        self, *, lock: int | None = None, then: str | None = None
    ) -> AsyncIterator[Connection]:
        """All that this task asks of this database within the block is one transaction (`focushub_core.database.unit`).

        It holds one connection throughout, so nothing slow belongs into it. There is none within another. On its
        way it tries to take the advisory ``lock``, and asks ``then``, one more statement without parameters, of
        which `Connection.began` says how many rows it had.
        """
        if unit_of(self) is not None:
            raise Internal("a unit of work within another")
        async with self._begun(begin_unit(lock, then)) as connection, opened(self, connection):
            yield connection

    @asynccontextmanager
    async def _begun(self, begin: str) -> AsyncIterator[Connection]:
        async with _Lease(self) as session:
            connection = Connection(session, self.query_timeout)
            try:
                async with connection.transaction(begin=begin):
                    yield connection
            finally:
                connection._end()

    async def check(self, deadline: float = 1.0) -> None:
        """Return if a real query is answered within ``deadline`` seconds, connecting included; else Unavailable.

        When all connections are in use, an answer that another query got meanwhile counts: busy is not away.
        """
        started = monotonic()
        try:
            async with asyncio.timeout(deadline), _Lease(self, deadline, first=True) as session:
                await session.fetch("SELECT 1", (), deadline)
        except (TimeoutError, Unavailable, GatewayTimeout) as error:
            if isinstance(error, SchemaMismatch):
                raise
            if self._answered_at <= started:
                raise unavailable("PostgreSQL did not answer.") from error

    async def verify(self, deadline: float = 2.0) -> None:
        """Raise ConfigurationError if the schema is not the one that it was opened with.

        Waits ``deadline`` seconds for the database; while that is away, it is looked at when it answers.
        """
        try:
            await self.check(deadline)
        except SchemaMismatch as error:
            raise ConfigurationError(str(error)) from error
        except Unavailable:
            pass

    async def _connect(self) -> DriverConnection:
        """Open a session, and say once when the server goes away and when it is back."""
        try:
            timeout = max(self.acquire_timeout, 2.0)  # a little longer than who waits: the next one profits
            connection = await load(self._driver).connect(self._url, timeout=timeout, name=self._name)
            await self._look_at_schema(connection, timeout)
        except FocusHubError as error:
            if self._reachable:
                _log.warning("the database cannot be used: %s", str(error.__cause__ or "") or error)
            self._reachable = False
            raise
        if not self._reachable:
            _log.info("the database can be used again")
        self._reachable = True
        return connection if self._tracer is None else Traced(connection, self._tracer, about(self._url))

    async def _look_at_schema(self, connection: DriverConnection, timeout: float) -> None:
        if self._schema is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await look(connection, self._schema)
            self._schema = None
        except TimeoutError as error:
            raise unavailable() from error
        finally:
            if self._schema is not None:
                connection.terminate()

    def _open_pool(self) -> Pool:
        if self._pool is None:
            raise unavailable("The database is not open.")
        return self._pool


class _Lease:
    """A session for the length of a block."""

    __slots__ = ("_database", "_first", "_pool", "_session", "_timeout")

    def __init__(self, database: Database, timeout: float | None = None, *, first: bool = False) -> None:
        self._database, self._timeout, self._first = database, timeout, first
        self._pool = database._open_pool()

    async def __aenter__(self) -> DriverConnection:
        session = self._pool.take()
        if session is None:
            timeout = self._timeout
            if timeout is None:
                timeout = _seconds(self._database.acquire_timeout)
            session = await self._pool.acquire(timeout, first=self._first)
        self._session = session
        return session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._database._answered_at = monotonic()
        self._pool.release(self._session)


def _is_in_order(struct_type: Callable[..., Any], row: Record) -> bool:
    """Whether the columns are the struct's fields in their order: by position it is made in a fifth of the time."""
    return tuple(row.keys()) == _positional(struct_type)


@lru_cache(maxsize=1024)
def _positional(struct_type: Callable[..., Any]) -> tuple[str, ...] | None:
    """The names of what a struct is made of, if it takes all of them by position."""
    if not (isinstance(struct_type, type) and issubclass(struct_type, msgspec.Struct)):
        return None
    parameters = inspect.signature(struct_type).parameters.values()
    if any(each.kind is not each.POSITIONAL_OR_KEYWORD for each in parameters):
        return None
    return tuple(each.name for each in parameters)


def _seconds(limit: float) -> float:
    """At most ``limit``, and no longer than the request has left."""
    seconds = deadline.left(limit)
    if seconds <= 0:
        raise timed_out()
    return seconds
