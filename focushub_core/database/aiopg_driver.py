"""The second driver: aiopg, on psycopg2, behind the same interface. The extra ``[aiopg]`` installs it.

Rules that hold here, beside those of the interface:

* It prepares no statements: values go into the text, as untyped literals (`focushub_core.database.placeholders`).
* A query that is left at its deadline or cancelled costs its session: aiopg closes it. The server notices within
  ``_NOTICED_MS`` and ends the query.
* aiopg makes a cancellation of the task of a query that PostgreSQL cancelled (57014): here the two are told apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import ItemsView, Iterator, KeysView, Sequence, ValuesView
from datetime import UTC
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import aiopg
import msgspec
import psycopg2
from psycopg2 import extensions, extras

from focushub_core.database import errors
from focushub_core.database.driver import Record
from focushub_core.database.placeholders import translate
from focushub_core.database.session import script_touches_session
from focushub_core.errors import FocusHubError, Internal

_FOREVER_S = 365 * 86400.0  # aiopg's None is a minute
_NOTICED_MS = 200
_FAILURES = (psycopg2.Error, psycopg2.Warning, OSError, asyncio.TimeoutError, ValueError)


class ServerError(Exception):
    """What PostgreSQL said: its message, ``sqlstate``, and ``position`` in the statement, counted from 1."""

    def __init__(self, error: psycopg2.Error) -> None:
        super().__init__(error.diag.message_primary or str(error))
        self.sqlstate = error.pgcode
        self.position = error.diag.statement_position


class Row:
    """A row: values by column name or by position."""

    __slots__ = ("_columns", "_values")

    def __init__(self, columns: dict[str, int], values: tuple[Any, ...]) -> None:
        self._columns, self._values = columns, values

    def __getitem__(self, key: Any) -> Any:
        return self._values[self._columns[key] if isinstance(key, str) else key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._columns

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Row | tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Row {self._named()}>"

    def keys(self) -> KeysView[str]:
        return self._columns.keys()

    def values(self) -> ValuesView[Any]:
        return cast("ValuesView[Any]", self._values)  # two columns may have one name

    def items(self) -> ItemsView[str, Any]:
        return self._named().items()

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self._columns else default

    def _named(self) -> dict[str, Any]:
        return {name: self._values[index] for name, index in self._columns.items()}


class _Connection(aiopg.Connection):  # type: ignore[misc]
    """aiopg's, but for a connection that is refused.

    libpq closes its descriptor; aiopg then takes it out of the loop as a reader and forgets it as a writer. uvloop goes
    on believing in it, and whoever connects next under that number waits for ever.
    """

    @staticmethod
    def _ready(weak_self: weakref.ref[Any]) -> None:
        connection = weak_self()
        descriptor = connection._fileno if connection is not None and connection._writing else None
        aiopg.Connection._ready(weak_self)
        if descriptor is not None and connection is not None and connection._fileno is None:
            connection._loop.remove_writer(descriptor)


async def connect(url: str, *, timeout: float, name: str) -> AiopgConnection:
    """Open a session. Raises Unavailable within ``timeout`` seconds, whatever is wrong."""
    try:
        async with asyncio.timeout(timeout):
            raw = await _Connection(
                url,
                timeout,
                enable_hstore=False,
                application_name=name,
                client_encoding="UTF8",
                gssencmode="disable",
                **_transport(url),
            )
            session = AiopgConnection(raw)
            await session.settle(timeout)
    except (*_FAILURES, FocusHubError) as error:
        raise errors.unavailable() from _cause(error)
    return session


class AiopgConnection:
    """A session of aiopg."""

    __slots__ = ("_broken_off", "_raw", "_touched")

    def __init__(self, raw: aiopg.Connection) -> None:
        self._raw = raw
        self._broken_off = False
        self._touched = False
        _read_as_asyncpg_does(raw.raw)

    @property
    def broken_off(self) -> bool:
        return self._broken_off

    @property
    def needs_care(self) -> bool:
        return self._broken_off or self._touched or self._in_transaction()

    async def fetch(
        self, sql: str, args: Sequence[Any], timeout: float | None, *, first: bool = False
    ) -> list[Record]:
        return _rows(await self._run(sql, args, timeout), first=first)

    async def execute(self, sql: str, args: Sequence[Any], timeout: float | None) -> str:
        return cast(str, (await self._run(sql, args, timeout)).statusmessage)

    async def recover(self, timeout: float) -> bool:
        """Leave the transaction, reset the session. One that was broken off is closed already."""
        if self.is_closed():
            return False
        try:
            async with asyncio.timeout(timeout):
                if self._in_transaction():
                    await self.execute("ROLLBACK", (), timeout)
                if self._touched:
                    await self.execute("DISCARD ALL", (), timeout)
                    await self.settle(timeout)
        except (FocusHubError, TimeoutError):
            return False
        self._broken_off = self._touched = False
        return not self.is_closed()

    async def settle(self, timeout: float) -> None:
        """Have the server look whether we are still there while it works for us, where its system can."""
        with contextlib.suppress(Internal, errors.InvalidValue):  # PostgreSQL 14 on macOS cannot
            await self._ask(f"SET client_connection_check_interval = {_NOTICED_MS}", None, timeout)

    async def close(self, timeout: float) -> None:
        self.terminate()

    def terminate(self) -> None:
        self._raw.close()

    def is_closed(self) -> bool:
        return bool(self._raw.closed)

    def _in_transaction(self) -> bool:
        idle = extensions.TRANSACTION_STATUS_IDLE
        return not self.is_closed() and self._raw.raw.get_transaction_status() != idle

    async def _run(self, sql: str, args: Sequence[Any], timeout: float | None) -> Any:
        """The cursor of a statement that has ended."""
        self._touched = self._touched or script_touches_session(sql)
        if not args:
            return await self._ask(
                sql, None, timeout
            )  # a script, perhaps; psycopg2 does not look for % in it
        statement = translate(sql)
        return await self._ask(statement.text, statement.values(args), timeout)

    async def _ask(self, text: str, values: Sequence[str | None] | None, timeout: float | None) -> Any:
        task = asyncio.current_task()
        cancelled = task.cancelling() if task is not None else 0
        try:
            cursor = await self._raw.cursor()
            await cursor.execute(text, values, timeout=_FOREVER_S if timeout is None else timeout)
        except asyncio.CancelledError as error:
            if isinstance(error.__context__, extensions.QueryCanceledError):
                raise errors.timed_out() from ServerError(error.__context__)
            self._broken_off = True
            raise
        except _FAILURES as error:
            raise self._mapped(error) from _cause(error)
        if task is not None and task.cancelling() > cancelled:
            raise asyncio.CancelledError  # `asyncio.wait_for` of Python 3.11 loses one that comes with the answer
        return cursor.raw

    def _mapped(self, error: BaseException) -> FocusHubError:
        if isinstance(error, asyncio.TimeoutError):
            self._broken_off = True
            return errors.timed_out()
        if isinstance(error, ValueError):  # NUL, or text that is not Unicode: psycopg2 refuses it unsent
            return errors.InvalidValue("A value cannot be stored.")
        if isinstance(error, psycopg2.Error) and error.pgcode is not None:
            diag = error.diag
            return errors.from_sqlstate(
                error.pgcode, constraint=diag.constraint_name, column=diag.column_name
            )
        if self.is_closed() or isinstance(error, OSError | psycopg2.OperationalError):
            return errors.unavailable()
        return Internal()


def _rows(cursor: Any, *, first: bool) -> list[Record]:
    if cursor.description is None:
        return []
    columns = {column.name: index for index, column in enumerate(cursor.description)}
    return [Row(columns, values) for values in (cursor.fetchmany(1) if first else cursor.fetchall())]


def _cause(error: BaseException) -> BaseException:
    """What a log should say: PostgreSQL's own words, where it had any."""
    if isinstance(error, FocusHubError):
        return error.__cause__ or error
    return ServerError(error) if isinstance(error, psycopg2.Error) and error.pgcode else error


def _read_as_asyncpg_does(raw: Any) -> None:
    """UTC for moments, bytes for bytes, any JSON as it is."""

    def moment(text: str | None, cursor: Any) -> Any:
        return None if text is None else extensions.PYDATETIMETZ(text, cursor).astimezone(UTC)

    def binary(text: str | None, cursor: Any) -> bytes | None:
        return None if text is None else bytes(psycopg2.BINARY(text, cursor))

    for oid, array_oid, name, read in ((1184, 1185, "MOMENT", moment), (17, 1001, "BYTES", binary)):
        one = extensions.new_type((oid,), name, read)
        extensions.register_type(one, raw)
        extensions.register_type(extensions.new_array_type((array_oid,), f"{name}[]", one), raw)
    extras.register_default_json(raw, loads=msgspec.json.decode)
    extras.register_default_jsonb(raw, loads=msgspec.json.decode)


def _transport(url: str) -> dict[str, str]:
    """No TLS on this machine unless the address asks for it."""
    parts = urlsplit(url)
    local = parts.hostname in {"127.0.0.1", "::1", "localhost"} or not parts.hostname
    return {"sslmode": "disable"} if local and "sslmode" not in parse_qs(parts.query) else {}
