"""`Database` on asyncpg's own pool, as its manual says: what our own pool is compared with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from focushub_core import Database
from focushub_core.database.asyncpg_driver import AsyncpgConnection
from focushub_core.database.database import Connection
from focushub_core.database.unit import unit_of


class StockDatabase(Database):
    """Only what the benchmark's service asks for."""

    async def open(self, url: str, **_: Any) -> None:
        self._stock = await asyncpg.create_pool(
            url,
            min_size=self._min_size,
            max_size=self._max_size,
            command_timeout=self.query_timeout,
            init=_read_json,
        )

    async def close(self) -> None:
        await self._stock.close()

    async def verify(self, deadline: float = 2.0) -> None:
        """The benchmark made the schema."""

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        if unit_of(self) is not None:
            return await super().fetch(sql, *args)
        async with self._stock.acquire() as session:
            return await session.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        if unit_of(self) is not None:
            return await super().fetchrow(sql, *args)
        async with self._stock.acquire() as session:
            return await session.fetchrow(sql, *args)

    @asynccontextmanager
    async def _begun(self, begin: str) -> AsyncIterator[Connection]:
        async with self._stock.acquire() as session:
            connection = Connection(AsyncpgConnection(session), self.query_timeout)
            async with connection.transaction(begin=begin):
                yield connection


async def _read_json(session: asyncpg.Connection[Any]) -> None:
    await session.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )
