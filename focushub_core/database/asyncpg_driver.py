"""The driver asyncpg behind our own interface; its errors are mapped here and nowhere else.

A statement that asyncpg has prepared is asked of its protocol directly, past five calls that would find it: 7 % of a
request. That knows asyncpg from the inside; with another version than those of `KNOWN` there is only its own way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec

from focushub_core.database import errors
from focushub_core.database.driver import Record
from focushub_core.database.session import script_touches_session, touches_session
from focushub_core.errors import FocusHubError, Internal

_STATEMENTS = (
    500  # kept prepared per session; closing one is the only thing that asyncpg does without a deadline
)
KNOWN = ("0.31.", "0.32.")
"""Versions of asyncpg, by how they begin."""
_WHOLE = frozenset({"int2", "int4", "int8"})
_OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
_FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    asyncio.TimeoutError,
    ValueError,
)


async def connect(url: str, *, timeout: float, name: str) -> AsyncpgConnection:
    """Open a session. Raises Unavailable within ``timeout`` seconds, whatever is wrong."""
    try:
        async with asyncio.timeout(timeout):
            raw = await asyncpg.connect(
                url,
                timeout=timeout,
                command_timeout=timeout,  # bounds what is asked without a timeout of its own: cancel requests
                statement_cache_size=_STATEMENTS,
                max_cached_statement_lifetime=0,
                server_settings={"application_name": name},
                **_transport(url),
            )
            for kind in ("json", "jsonb"):
                await raw.set_type_codec(
                    kind, schema="pg_catalog", encoder=_encode, decoder=msgspec.json.decode, format="text"
                )
    except _FAILURES as error:
        raise errors.unavailable() from error
    return AsyncpgConnection(raw)


class AsyncpgConnection:
    """A session of asyncpg."""

    __slots__ = ("_broken_off", "_parameters", "_prepared", "_raw", "_touched")

    def __init__(self, raw: asyncpg.Connection[Any]) -> None:
        self._raw = raw
        self._broken_off = False
        self._touched = False
        self._parameters: dict[str, tuple[str, ...]] = {}
        known = asyncpg.__version__.startswith(KNOWN)
        self._prepared: Callable[[Any], Any] = raw._stmt_cache.get if known else _nothing

    @property
    def broken_off(self) -> bool:
        return self._broken_off

    @property
    def needs_care(self) -> bool:
        return self._broken_off or self._touched or self._raw.is_in_transaction()

    async def fetch(
        self, sql: str, args: Sequence[Any], timeout: float | None, *, first: bool = False
    ) -> list[Record]:
        self._touched = self._touched or touches_session(sql)
        try:
            if float in map(type, args):
                await self._refuse_fractions(sql, args, timeout)
            if (statement := self._prepared((sql, asyncpg.Record, False))) is not None:
                ask = self._raw._protocol.bind_execute
                try:
                    rows: list[Record] = await ask(statement, args, "", int(first), False, timeout)
                    return rows
                except _OUTDATED as error:
                    await self._forget(error)
            return await self._own_way(sql, args, timeout, first=first)
        except asyncio.CancelledError:
            self._broken_off = True
            raise
        except _FAILURES as error:
            raise self._mapped(error) from error

    async def execute(self, sql: str, args: Sequence[Any], timeout: float | None) -> str:
        self._touched = self._touched or script_touches_session(sql)
        try:
            if float in map(type, args):
                await self._refuse_fractions(sql, args, timeout)
            return cast(str, await self._raw.execute(sql, *args, timeout=timeout))
        except asyncio.CancelledError:
            self._broken_off = True
            raise
        except _FAILURES as error:
            raise self._mapped(error) from error

    async def recover(self, timeout: float) -> bool:
        """Wait until the server has confirmed the cancellation, leave the transaction, reset the session."""
        try:
            async with asyncio.timeout(timeout):
                await self._raw.execute("SELECT 1" if not self._raw.is_in_transaction() else "ROLLBACK")
                if self._raw.is_in_transaction():  # the broken-off statement was its BEGIN
                    await self._raw.execute("ROLLBACK")
                if self._touched:
                    await self._raw.reset()
        except _FAILURES:
            return False
        self._broken_off = self._touched = False
        return not self._raw.is_closed()

    async def close(self, timeout: float) -> None:
        try:
            await self._raw.close(timeout=timeout)
        except _FAILURES:
            self._raw.terminate()

    def terminate(self) -> None:
        self._raw.terminate()

    def is_closed(self) -> bool:
        closed: bool = self._raw.is_closed()
        return closed

    async def _own_way(
        self, sql: str, args: Sequence[Any], timeout: float | None, *, first: bool
    ) -> list[Record]:
        """As its manual says; it prepares the statement for the next time."""
        if not first:
            return cast(list[Record], await self._raw.fetch(sql, *args, timeout=timeout))
        row = await self._raw.fetchrow(sql, *args, timeout=timeout)
        return [] if row is None else [cast(Record, row)]

    async def _forget(self, error: Exception) -> None:
        """Forget what the server has another idea of by now, as `asyncpg.Connection` does; raises ``error`` again
        where the statement cannot be asked once more."""
        if isinstance(error, asyncpg.OutdatedSchemaCacheError):  # a type is another one
            await self._raw.reload_schema_state()
            raise error
        self._raw._drop_local_statement_cache()  # the table is
        if self._raw.is_in_transaction():
            raise error

    async def _refuse_fractions(self, sql: str, args: Sequence[Any], timeout: float | None) -> None:
        """asyncpg makes 1 of 1.5 where PostgreSQL wants a whole number, and says nothing."""
        wanted = self._parameters.get(sql)
        if wanted is None:
            statement = await self._raw.prepare(sql, timeout=timeout)
            wanted = self._parameters[sql] = tuple(kind.name for kind in statement.get_parameters())
        for kind, value in zip(wanted, args, strict=False):
            if kind in _WHOLE and isinstance(value, float) and not value.is_integer():
                raise errors.InvalidValue("A value cannot be stored.")

    def _mapped(self, error: Exception) -> FocusHubError:
        if isinstance(error, asyncio.TimeoutError):
            self._broken_off = True
            return errors.timed_out()
        if isinstance(error, asyncpg.InternalClientError):
            self._raw.terminate()  # a server that was killed while it spoke: the session is out of step
        if self._raw.is_closed() or isinstance(error, OSError):
            return errors.unavailable()
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            return errors.TransactionConflict()  # a migration changed the table below an open transaction
        if isinstance(error, asyncpg.PostgresError):
            return _from_server(error)
        return Internal()


def _from_server(error: asyncpg.PostgresError) -> FocusHubError:
    if isinstance(error, asyncpg.DataError) and error.__cause__ is not None:
        return _from_encoding(error, error.__cause__)
    state = getattr(error, "sqlstate", None) or "XX000"
    return errors.from_sqlstate(
        state, constraint=getattr(error, "constraint_name", None), column=getattr(error, "column_name", None)
    )


def _from_encoding(error: asyncpg.DataError, cause: BaseException) -> FocusHubError:
    """Refused before it was sent. A number or date too large, or text that is not Unicode, is the sender's; a
    value of another type is a bug of ours."""
    if isinstance(cause, OverflowError | UnicodeError) or "out of range" in str(error):
        return errors.InvalidValue("A value cannot be stored.")
    return Internal()


def _nothing(_: Any) -> None:
    return None


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _transport(url: str) -> dict[str, Any]:
    """No TLS on this machine unless the address asks for it: a TLS context costs 20 ms and some megabytes."""
    parts = urlsplit(url)
    local = parts.hostname in {"127.0.0.1", "::1", "localhost"} or not parts.hostname
    return {"ssl": False} if local and "sslmode" not in parse_qs(parts.query) else {}
