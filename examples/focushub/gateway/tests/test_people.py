"""Where a person's day settings come from (gateway rule G10: a change holds at once)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import pytest
from redis import asyncio as aioredis

from focushub_core import Secret, Unauthorized, Unavailable
from focushub_core.balancer import Pool
from focushub_core.gateway.aggregate import Reply
from gateway_app.people import People
from stack_shared.day import key_of

ANN = UUID(int=1)
PROFILE = b'{"timezone": "Asia/Tokyo", "week_start": 7, "day_start_minutes": 240, "display_name": "Ann"}'
NOBODY_THERE = Secret("redis://127.0.0.1:1")


class Auth:
    """Auth's ``GET /v1/me``, counted."""

    def __init__(self, reply: Reply) -> None:
        self.reply, self.asked = reply, 0

    async def get(self, pool: Pool, path: str, fields: Mapping[str, str]) -> Reply:
        assert (path, fields) == ("/v1/me", {"Authorization": "Bearer t"})
        self.asked += 1
        return self.reply


Look = Callable[[Secret | None, Auth], Awaitable[str]]


@pytest.fixture
def look() -> Look:
    """Looks Ann's settings up, as the header's value."""

    async def look(redis: Secret | None, auth: Auth) -> str:
        people = People(auth, Pool.of("auth", ["http://unused"]), redis)
        try:
            return (await people.day_settings(ANN, "Bearer t")).header()
        finally:
            await people.close()

    return look


async def test_what_auth_wrote_through_is_used_and_followed(valkey_url: str, look: Look) -> None:
    auth = Auth(Reply(200, PROFILE))
    async with aioredis.Redis.from_url(valkey_url) as redis:
        for written in ("Europe/Berlin;1;0", "America/New_York;1;60"):
            await redis.set(key_of(ANN), written)
            assert await look(Secret(valkey_url), auth) == written
    assert auth.asked == 0


async def test_without_a_key_auth_is_asked(valkey_url: str, look: Look) -> None:
    assert await look(Secret(valkey_url), Auth(Reply(200, PROFILE))) == "Asia/Tokyo;7;240"


@pytest.mark.parametrize("redis", [None, NOBODY_THERE])
async def test_without_redis_auth_is_asked(redis: Secret | None, look: Look) -> None:
    assert await look(redis, Auth(Reply(200, PROFILE))) == "Asia/Tokyo;7;240"


async def test_a_token_that_auth_refuses_is_a_401(look: Look) -> None:
    with pytest.raises(Unauthorized):
        await look(None, Auth(Reply(401, b"{}")))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"timezone": "Moon", "week_start": 1, "day_start_minutes": 0}']
)
async def test_an_answer_that_cannot_be_read_is_our_fault(body: bytes, look: Look) -> None:
    with pytest.raises(Unavailable):
        await look(None, Auth(Reply(200, body)))
