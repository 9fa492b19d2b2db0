"""A session whose queries are spans of the request that they are made for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from focushub_core.database.driver import DriverConnection, Record
from focushub_core.database.summary import summary
from focushub_core.telemetry.tracing import Tracer


def about(url: str) -> dict[str, str | int]:
    """What the spans of a database's queries have in common."""
    database = urlsplit(url)
    first = database.netloc.rpartition("@")[2].partition(",")[0]
    server = urlsplit(f"//{first}")
    return {
        "db.system.name": "postgresql",
        "db.namespace": database.path.lstrip("/"),
        "server.address": server.hostname or "localhost",
        "server.port": server.port or 5432,
    }


class Traced:
    """A `DriverConnection`: ``session``, with a span of ``tracer`` around each query."""

    def __init__(self, session: DriverConnection, tracer: Tracer, about: dict[str, str | int]) -> None:
        self._session, self._tracer, self._about = session, tracer, about
        self.recover, self.close = session.recover, session.close
        self.terminate, self.is_closed = session.terminate, session.is_closed

    @property
    def broken_off(self) -> bool:
        return self._session.broken_off

    @property
    def needs_care(self) -> bool:
        return self._session.needs_care

    async def fetch(
        self, sql: str, args: Sequence[Any], timeout: float | None, *, first: bool = False
    ) -> list[Record]:
        with self._tracer.query(summary(sql), self._about):
            return await self._session.fetch(sql, args, timeout, first=first)

    async def execute(self, sql: str, args: Sequence[Any], timeout: float | None) -> str:
        with self._tracer.query(summary(sql), self._about):
            return await self._session.execute(sql, args, timeout)
