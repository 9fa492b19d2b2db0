"""A login gives tokens, or one and the same refusal at one and the same price."""

from __future__ import annotations

from collections.abc import Iterator

import argon2
import pytest

from focushub_core.testing import Reply, ServiceClient

ANN = {"email": "ann@x.org", "password": "correct staple battery"}


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every Argon2 verification, as the hash that was verified against."""
    seen: list[str] = []
    verify = argon2.PasswordHasher.verify

    def counted(self: argon2.PasswordHasher, stored: str, password: str) -> bool:
        seen.append(stored)
        return verify(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    return iter([seen])


async def refusal(auth: ServiceClient, **login: str) -> Reply:
    return await auth.post("/v1/auth/login", json=ANN | login)


async def test_a_login_gives_tokens_that_no_cache_keeps(auth: ServiceClient) -> None:
    await auth.post("/v1/auth/register", json=ANN)
    reply = await auth.post("/v1/auth/login", json=ANN | {"device_name": "Ann's phone"})
    assert reply.status == 200
    assert reply.body.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "session_id",
    }
    assert (reply.body["token_type"], reply.body["expires_in"]) == ("Bearer", 600)
    assert reply.headers["Cache-Control"] == "no-store"


async def test_upper_and_lower_case_of_the_address_do_not_matter(auth: ServiceClient) -> None:
    await auth.post("/v1/auth/register", json=ANN)
    assert (await auth.post("/v1/auth/login", json=ANN | {"email": "ANN@X.Org"})).status == 200


async def test_every_failure_looks_alike_and_costs_one_verification(
    auth: ServiceClient, verifications: Iterator[list[str]]
) -> None:
    """Unknown, no address at all, wrong password, disabled: nothing tells them apart."""
    (seen,) = verifications
    for email in ("ann@x.org", "bob@x.org"):
        await auth.post("/v1/auth/register", json=ANN | {"email": email})
    assert auth.service.database is not None
    await auth.service.database.execute("UPDATE users SET status = 'disabled' WHERE email = 'bob@x.org'")

    prices, answers = [], []
    for login in (
        {"email": "nobody@x.org"},
        {"email": "not an address"},
        {"password": "wrong staple battery"},
        {"email": "bob@x.org"},
        {"email": "bob@x.org", "password": "wrong staple battery"},
    ):
        seen.clear()
        reply = await refusal(auth, **login)
        prices.append(len(seen))
        answers.append((reply.status, reply.body | {"request_id": ""}, reply.headers["WWW-Authenticate"]))
    assert prices == [1, 1, 1, 1, 1]
    assert all(answer == answers[0] for answer in answers)
    assert (answers[0][0], answers[0][1]["code"]) == (401, "invalid_credentials")


async def test_a_success_costs_one_verification(
    auth: ServiceClient, verifications: Iterator[list[str]]
) -> None:
    (seen,) = verifications
    await auth.post("/v1/auth/register", json=ANN)
    await auth.post("/v1/auth/login", json=ANN)
    assert len(seen) == 1


async def test_a_login_hashes_anew_what_was_hashed_with_other_parameters(auth: ServiceClient) -> None:
    await auth.post("/v1/auth/register", json=ANN)
    database = auth.service.database
    assert database is not None
    weaker = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(ANN["password"])
    await database.execute("UPDATE users SET password_hash = $1", weaker)
    assert (await auth.post("/v1/auth/login", json=ANN)).status == 200
    assert "m=19456,t=2,p=1" in await database.fetchval("SELECT password_hash FROM users")
    assert (await auth.post("/v1/auth/login", json=ANN)).status == 200


async def test_without_the_database_a_login_is_503(auth: ServiceClient) -> None:
    """Whoever has the right password is not told that it is wrong."""
    assert auth.service.database is not None
    await auth.service.database.close()
    assert (await refusal(auth)).status == 503
