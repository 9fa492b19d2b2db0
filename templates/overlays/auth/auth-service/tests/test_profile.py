"""A profile is its owner's, changes field by field, and tells Redis when days begin."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from redis import asyncio as aioredis

from auth_service import day_settings
from auth_service.app import AuthService
from auth_service.day_settings import DayCache
from focushub_core import Database
from focushub_core.testing import Person, Serve, ServiceClient
from focushub_core.testing.servers import valkey

SECRET = "a secret for tests, long enough"
ANN = {"email": "ann@x.org", "password": "correct staple battery"}


async def test_a_profile_starts_with_what_registering_said(ann: Person) -> None:
    reply = await ann.get("/v1/me")
    assert reply.status == 200
    assert reply.headers["ETag"] == '"1"'
    assert {name: reply.body[name] for name in reply.body if name != "id"} == {
        "email": "ann@x.org",
        "display_name": "Ann",
        "timezone": "UTC",
        "locale": None,
        "week_start": 1,
        "day_start_minutes": 0,
        "version": 1,
    }


async def test_a_patch_changes_what_it_names_and_nothing_else(ann: Person) -> None:
    change = {"timezone": "Europe/Berlin", "week_start": 7, "day_start_minutes": 240, "locale": "pt-BR"}
    before = (await ann.get("/v1/me")).body
    reply = await ann.patch("/v1/me", json=change)
    assert (reply.status, reply.headers["ETag"]) == (200, '"2"')
    assert reply.body == before | change | {"version": 2}
    assert (await ann.get("/v1/me")).body == reply.body


async def test_null_clears_what_may_be_without(ann: Person) -> None:
    await ann.patch("/v1/me", json={"locale": "de"})
    cleared = (await ann.patch("/v1/me", json={"display_name": None, "locale": None})).body
    assert (cleared["display_name"], cleared["locale"]) == (None, None)


async def test_a_patch_that_changes_nothing_leaves_the_version(ann: Person) -> None:
    assert (await ann.patch("/v1/me", json={"display_name": "Ann"})).headers["ETag"] == '"1"'
    assert (await ann.patch("/v1/me", json={})).headers["ETag"] == '"1"'


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"timezone": "Europe/Atlantis"}, "invalid_timezone"),
    ({"timezone": "+02:00"}, "invalid_timezone"),
    ({"timezone": "europe/berlin"}, "invalid_timezone"),
    ({"timezone": "../../etc/passwd"}, "invalid_timezone"),
    ({"timezone": "localtime"}, "invalid_timezone"),
    ({"timezone": ""}, "invalid_timezone"),
    ({"timezone": None}, "wrong_type"),
    ({"week_start": 0}, "too_small"),
    ({"week_start": 8}, "too_large"),
    ({"week_start": None}, "wrong_type"),
    ({"day_start_minutes": -1}, "too_small"),
    ({"day_start_minutes": 721}, "too_large"),
    ({"day_start_minutes": 1.5}, "wrong_type"),
    ({"display_name": ""}, "too_short"),
    ({"display_name": "   "}, "wrong_format"),
    ({"locale": "Deutsch, bitte"}, "wrong_format"),
    ({"email": "other@x.org"}, "unknown_field"),
    ({"version": 7}, "unknown_field"),
]


async def test_a_wrong_field_is_named_and_nothing_is_changed(ann: Person) -> None:
    expected = [(422, {next(iter(change)): code}) for change, code in WRONG]
    replies = [await ann.patch("/v1/me", json={"display_name": "Anna"} | change) for change, _ in WRONG]
    found = [(reply.status, {e["field"]: e["code"] for e in reply.body["errors"]}) for reply in replies]
    assert found == expected
    assert (await ann.get("/v1/me")).headers["ETag"] == '"1"'


async def test_an_unknown_zone_is_the_problems_own_code(ann: Person) -> None:
    reply = await ann.patch("/v1/me", json={"timezone": "CEST"})
    assert (reply.status, reply.body["code"]) == (422, "invalid_timezone")


async def test_a_change_for_a_version_that_is_gone_is_412(ann: Person) -> None:
    assert (await ann.patch("/v1/me", json={"week_start": 7}, headers={"If-Match": '"1"'})).status == 200
    late = await ann.patch("/v1/me", json={"week_start": 6}, headers={"If-Match": '"1"'})
    assert (late.status, late.body["code"]) == (412, "precondition_failed")
    assert (await ann.get("/v1/me")).body["week_start"] == 7


async def test_of_changes_for_one_version_made_at_once_one_is_made(ann: Person) -> None:
    replies = await asyncio.gather(
        *(
            ann.patch("/v1/me", json={"day_start_minutes": n}, headers={"If-Match": '"1"'})
            for n in range(1, 9)
        )
    )
    assert sorted(reply.status for reply in replies) == [200] + [412] * 7
    assert (await ann.get("/v1/me")).headers["ETag"] == '"2"'


async def test_a_profile_that_has_not_changed_is_not_sent_again(ann: Person) -> None:
    tag = {"If-None-Match": (await ann.get("/v1/me")).headers["ETag"]}
    assert (await ann.get("/v1/me", headers=tag)).status == 304
    await ann.patch("/v1/me", json={"week_start": 7})
    assert (await ann.get("/v1/me", headers=tag)).body["week_start"] == 7


async def test_a_token_of_an_account_that_is_gone_is_refused(auth: ServiceClient, ann: Person) -> None:
    assert auth.service.database is not None
    await auth.service.database.execute("DELETE FROM users")
    for reply in (await ann.get("/v1/me"), await ann.patch("/v1/me", json={"week_start": 7})):
        assert (reply.status, reply.body["code"]) == (401, "invalid_token")


# Day settings in Redis ------------------------------------------------------------------------------------


FAILS_AT_COMMIT = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''40001''; END';
    CREATE CONSTRAINT TRIGGER fails AFTER UPDATE ON profiles DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION fail();
"""


def database_of(client: ServiceClient) -> Database:
    assert client.service.database is not None
    return client.service.database


async def only_key(redis: aioredis.Redis) -> str:
    """The key that is there, or comes within 10 seconds: on a busy machine Redis may be told a little later."""
    for _ in range(1000):
        if keys := await redis.keys("*"):
            (key,) = keys
            return str(key)
        await asyncio.sleep(0.01)
    raise AssertionError("there is no key")


async def until(redis: aioredis.Redis, key: str, expected: str) -> None:
    """Waits until Redis has ``expected``, 10 seconds at most."""
    for _ in range(1000):
        if await redis.get(key) == expected:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{key} is still {await redis.get(key)}")


async def signed_in(client: ServiceClient) -> Person:
    await client.post("/v1/auth/register", json=ANN | {"timezone": "Asia/Tokyo"})
    return client.bearer((await client.post("/v1/auth/login", json=ANN)).body["access_token"])


async def test_registering_and_every_change_are_written_through_to_redis(
    serve: Serve, valkey_url: str
) -> None:
    async with aioredis.from_url(valkey_url, decode_responses=True) as redis:
        ann = await signed_in(await serve(AuthService, AUTH_KEY_SECRET=SECRET, REDIS_URL=valkey_url))
        key = await only_key(redis)
        assert await redis.get(key) == "Asia/Tokyo;1;0"
        me = await ann.patch(
            "/v1/me", json={"timezone": "Europe/Berlin", "week_start": 7, "day_start_minutes": 240}
        )
        assert key == f"focushub:day:{me.body['id']}"
        await until(redis, key, "Europe/Berlin;7;240")
        assert 0 < await redis.ttl(key) <= 3600


async def test_reading_the_profile_puts_back_a_key_that_redis_lost(serve: Serve, valkey_url: str) -> None:
    async with aioredis.from_url(valkey_url, decode_responses=True) as redis:
        ann = await signed_in(await serve(AuthService, AUTH_KEY_SECRET=SECRET, REDIS_URL=valkey_url))
        await redis.flushall()
        me = (await ann.get("/v1/me")).body
        assert await redis.get(f"focushub:day:{me['id']}") == "Asia/Tokyo;1;0"


async def test_a_change_that_is_not_committed_is_not_told(serve: Serve, valkey_url: str) -> None:
    """Redis has no key then; the gateway asks, and whoever reads the profile puts back what holds."""
    async with aioredis.from_url(valkey_url, decode_responses=True) as redis:
        client = await serve(AuthService, AUTH_KEY_SECRET=SECRET, REDIS_URL=valkey_url)
        ann = await signed_in(client)
        await database_of(client).execute(FAILS_AT_COMMIT)
        assert (await ann.patch("/v1/me", json={"week_start": 7})).status >= 400
        assert await redis.keys("*") == []
        me = (await ann.get("/v1/me")).body
        assert me["week_start"] == 1
        assert await redis.get(f"focushub:day:{me['id']}") == "Asia/Tokyo;1;0"


async def test_what_redis_missed_it_is_told_when_it_is_back(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it came back with what it had, and nobody reads the profile."""
    monkeypatch.setattr(day_settings, "RETRY", 0.02)
    with valkey() as server:
        ann = await signed_in(await serve(AuthService, AUTH_KEY_SECRET=SECRET, REDIS_URL=server.url))
        me = (await ann.get("/v1/me")).body
        server.process.stop()
        assert (await ann.patch("/v1/me", json={"week_start": 7})).status == 200
        server.process.start()
        async with aioredis.from_url(server.url, decode_responses=True) as redis:
            await redis.set(f"focushub:day:{me['id']}", "Asia/Tokyo;1;0", nx=True)
            await until(redis, f"focushub:day:{me['id']}", "Asia/Tokyo;7;0")


async def test_a_change_is_told_though_nobody_waits_for_it_any_more(
    serve: Serve, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client went away between the commit and Redis."""
    client = await serve(AuthService, AUTH_KEY_SECRET=SECRET, REDIS_URL=valkey_url)
    ann = await signed_in(client)
    me = (await ann.get("/v1/me")).body
    reached, go = asyncio.Event(), asyncio.Event()
    published = DayCache._published

    async def slowly(self: DayCache, user_id: UUID) -> bool:
        reached.set()
        await go.wait()
        return await published(self, user_id)

    monkeypatch.setattr(DayCache, "_published", slowly)
    changing = asyncio.create_task(ann.patch("/v1/me", json={"week_start": 7}))
    async with aioredis.from_url(valkey_url, decode_responses=True) as redis:
        await reached.wait()
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
        go.set()
        await until(redis, f"focushub:day:{me['id']}", "Asia/Tokyo;7;0")


async def test_of_changes_at_once_redis_keeps_the_last(serve: Serve, valkey_url: str) -> None:
    async with aioredis.from_url(valkey_url, decode_responses=True) as redis:
        ann = await signed_in(await serve(AuthService, AUTH_KEY_SECRET=SECRET, REDIS_URL=valkey_url))
        await asyncio.gather(*(ann.patch("/v1/me", json={"day_start_minutes": n}) for n in range(1, 13)))
        me = (await ann.get("/v1/me")).body
        await until(redis, f"focushub:day:{me['id']}", f"Asia/Tokyo;1;{me['day_start_minutes']}")


async def test_redis_away_is_logged_once_shown_and_nobodys_error(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = await serve(AuthService, AUTH_KEY_SECRET=SECRET, REDIS_URL="redis://127.0.0.1:1/0")
    ann = await signed_in(client)
    for week_start in (2, 3, 4):
        assert (await ann.patch("/v1/me", json={"week_start": week_start})).status == 200
    assert [record.levelname for record in caplog.records if "Redis" in record.message] == ["WARNING"]
    ready = await client.get("/readyz?verbose")
    assert (ready.status, ready.body["checks"]["redis"]["status"]) == (200, "disconnected")
