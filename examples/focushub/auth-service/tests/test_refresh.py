"""Sessions are kept up by refresh tokens; one that comes again after it was replaced ends its session."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from focushub_core import Database
from focushub_core.testing import Reply, ServiceClient

Refresh = Callable[[str], Awaitable[Reply]]
LetPass = Callable[[timedelta], Awaitable[None]]


@pytest.fixture
def database(auth: ServiceClient) -> Database:
    assert auth.service.database is not None
    return auth.service.database


@pytest.fixture
def refresh(auth: ServiceClient) -> Refresh:
    """Presents a refresh token."""
    return lambda token: auth.post("/v1/auth/token/refresh", json={"refresh_token": token})


@pytest.fixture
def let_pass(database: Database) -> LetPass:
    """Makes every session older, as if time had passed."""

    async def move(duration: timedelta) -> None:
        await database.execute(
            "UPDATE sessions SET created_at = created_at - $1::interval, expires_at = expires_at - $1::interval, "
            "last_refreshed_at = last_refreshed_at - $1::interval, idle_expires_at = idle_expires_at - $1::interval",
            duration,
        )

    return move


async def replaced(refresh: Refresh, first: str) -> tuple[str, str, str]:
    """Three tokens in a row, the last one the current."""
    second = (await refresh(first)).body["refresh_token"]
    third = (await refresh(second)).body["refresh_token"]
    return first, second, third


def refusal(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.body["code"]


async def test_the_current_token_gives_the_next_and_an_access_token_that_works(
    auth: ServiceClient, tokens: dict[str, Any], refresh: Refresh
) -> None:
    reply = await refresh(tokens["refresh_token"])
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.body["session_id"] == tokens["session_id"]
    assert reply.body["refresh_token"] != tokens["refresh_token"]
    assert (await auth.bearer(reply.body["access_token"]).get("/v1/me")).status == 200


class TestPublishedVector:
    """foo, then bar, then baz, which is active (supabase/auth #466)."""

    async def test_bar_gives_baz(self, tokens: dict[str, Any], refresh: Refresh, let_pass: LetPass) -> None:
        """The answer with baz may have been lost, however long ago."""
        _, bar, baz = await replaced(refresh, tokens["refresh_token"])
        await let_pass(timedelta(days=1))
        for _ in range(2):
            assert (await refresh(bar)).body["refresh_token"] == baz

    async def test_foo_ends_the_session(
        self, tokens: dict[str, Any], refresh: Refresh, let_pass: LetPass, database: Database
    ) -> None:
        foo, bar, baz = await replaced(refresh, tokens["refresh_token"])
        await let_pass(timedelta(seconds=11))
        assert refusal(await refresh(foo)) == (401, "refresh_token_reused")
        for token in (foo, bar, baz):
            assert refusal(await refresh(token)) == (401, "session_expired")
        assert await database.fetchval("SELECT revoke_reason FROM sessions") == "refresh_token_reused"

    async def test_foo_gives_baz_while_several_tabs_may_be_asking(
        self, tokens: dict[str, Any], refresh: Refresh, let_pass: LetPass
    ) -> None:
        foo, _, baz = await replaced(refresh, tokens["refresh_token"])
        await let_pass(timedelta(seconds=8))
        assert (await refresh(foo)).body["refresh_token"] == baz

    async def test_baz_gives_a_new_one(self, tokens: dict[str, Any], refresh: Refresh) -> None:
        *old, baz = await replaced(refresh, tokens["refresh_token"])
        new = (await refresh(baz)).body["refresh_token"]
        assert new not in (*old, baz)


async def test_fifty_at_once_are_one_rotation(
    tokens: dict[str, Any], refresh: Refresh, database: Database
) -> None:
    await asyncio.gather(
        *(database.execute("SELECT pg_sleep(0.1)") for _ in range(10))
    )  # all connections open
    replies = await asyncio.gather(*(refresh(tokens["refresh_token"]) for _ in range(50)))
    assert [reply.status for reply in replies] == [200] * 50
    assert len({reply.body["refresh_token"] for reply in replies}) == 1
    assert await database.fetchval("SELECT refresh_counter FROM sessions") == 1


async def test_what_the_session_never_gave_is_invalid(tokens: dict[str, Any], refresh: Refresh) -> None:
    token: str = tokens["refresh_token"]
    forged = [
        token[:-1],
        ("B" if token[0] == "A" else "A") + token[1:],
        token[:40] + ("B" if token[40] == "A" else "A") + token[41:],
        token + "=",
        urlsafe_b64encode(bytes([1]) + bytes(56)).rstrip(b"=").decode(),
        "",
    ]
    refusals = [refusal(await refresh(text)) for text in forged]
    assert refusals == [(401, "invalid_refresh_token")] * len(forged)
    assert (await refresh(token)).status == 200


async def test_an_access_token_is_no_refresh_token(tokens: dict[str, Any], refresh: Refresh) -> None:
    assert (await refresh(tokens["access_token"])).status in (401, 422)


async def test_a_session_ends_when_it_is_not_used_for_14_days(
    tokens: dict[str, Any], refresh: Refresh, let_pass: LetPass
) -> None:
    await let_pass(timedelta(days=14, seconds=-60))
    used = (await refresh(tokens["refresh_token"])).body["refresh_token"]
    await let_pass(timedelta(days=14, seconds=-60))
    used = (await refresh(used)).body["refresh_token"]
    await let_pass(timedelta(days=14))
    assert refusal(await refresh(used)) == (401, "session_expired")


async def test_a_session_ends_90_days_after_its_login_though_it_is_used(
    tokens: dict[str, Any], refresh: Refresh, let_pass: LetPass
) -> None:
    token = tokens["refresh_token"]
    for _ in range(8):
        await let_pass(timedelta(days=10))
        token = (await refresh(token)).body["refresh_token"]
    await let_pass(timedelta(days=10))
    assert refusal(await refresh(token)) == (401, "session_expired")


async def test_a_disabled_account_has_no_sessions(
    tokens: dict[str, Any], refresh: Refresh, database: Database
) -> None:
    await database.execute("UPDATE users SET status = 'disabled'")
    assert refusal(await refresh(tokens["refresh_token"])) == (401, "session_expired")


async def test_one_session_ending_leaves_the_others(
    auth: ServiceClient, tokens: dict[str, Any], refresh: Refresh, let_pass: LetPass
) -> None:
    login = {"email": "ann@x.org", "password": "correct staple battery"}
    other = (await auth.post("/v1/auth/login", json=login)).body
    foo, *_ = await replaced(refresh, tokens["refresh_token"])
    await let_pass(timedelta(seconds=11))
    assert (await refresh(foo)).status == 401
    assert (await refresh(other["refresh_token"])).status == 200


async def test_the_key_that_tokens_are_made_with_is_not_readable_in_the_database(
    tokens: dict[str, Any], database: Database
) -> None:
    """Nor is a token: nothing in the row makes one without the service's secret."""
    row = await database.fetchrow("SELECT * FROM sessions")
    assert row is not None
    assert tokens["refresh_token"] not in str(dict(row))
    assert len(row["refresh_key_enc"]) == 12 + 32 + 16
