"""Registering tells nobody who has an account, and names everything that is wrong."""

from __future__ import annotations

import asyncio
from typing import Any

from focushub_core.testing import ServiceClient

ANN = {"email": "ann@x.org", "password": "correct staple battery"}


async def accounts(auth: ServiceClient) -> int:
    assert auth.service.database is not None
    count: int = await auth.service.database.fetchval("SELECT count(*) FROM users")
    return count


async def test_a_new_and_a_taken_address_get_the_same_answer(auth: ServiceClient) -> None:
    new = await auth.post("/v1/auth/register", json=ANN)
    taken = await auth.post("/v1/auth/register", json=ANN | {"password": "quite another one"})
    assert (new.status, new.body) == (taken.status, taken.body)
    assert new.status == 202
    assert new.headers.keys() == taken.headers.keys()


async def test_registering_again_leaves_the_account_as_it_is(auth: ServiceClient) -> None:
    await auth.post("/v1/auth/register", json=ANN)
    await auth.post("/v1/auth/register", json=ANN | {"password": "quite another one"})
    assert (await auth.post("/v1/auth/login", json=ANN)).status == 200


async def test_two_spellings_of_an_address_registered_at_once_make_one_account(auth: ServiceClient) -> None:
    spellings = ["Ann@x.org", "ann@x.org", "ANN@X.ORG", "ann@X.org"]
    replies = await asyncio.gather(
        *(auth.post("/v1/auth/register", json=ANN | {"email": spelling}) for spelling in spellings)
    )
    assert [reply.status for reply in replies] == [202] * 4
    assert await accounts(auth) == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"email": "ann"}, "invalid_email"),
    ({"password": "short"}, "weak_password"),
    ({"password": "Focushub2026!"}, "weak_password"),
    ({"timezone": "+02:00"}, "invalid_timezone"),
    ({"timezone": "Europe/Atlantis"}, "invalid_timezone"),
    ({"password": "x" * 129}, "validation_failed"),
    ({"is_admin": True}, "validation_failed"),
]


async def test_what_is_wrong_is_said_and_makes_no_account(auth: ServiceClient) -> None:
    expected = [(422, code, [*change]) for change, code in WRONG]
    replies = [await auth.post("/v1/auth/register", json=ANN | change) for change, _ in WRONG]
    found = [
        (reply.status, reply.body["code"], [error["field"] for error in reply.body["errors"]])
        for reply in replies
    ]
    assert found == expected
    assert await accounts(auth) == 0


async def test_all_that_is_wrong_is_said_at_once(auth: ServiceClient) -> None:
    reply = await auth.post(
        "/v1/auth/register", json={"email": "ann", "password": "12345678", "timezone": "CEST"}
    )
    assert {wrong["field"]: wrong["code"] for wrong in reply.body["errors"]} == {
        "email": "invalid_email",
        "password": "weak_password",
        "timezone": "invalid_timezone",
    }
