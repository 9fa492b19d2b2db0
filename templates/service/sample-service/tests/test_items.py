"""Items are kept as they were given, and are their makers' alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from focushub_core.testing import FakeClock, ServiceClient

PATH = "/v1/sample"


async def test_an_item_is_kept_as_it_was_given(service: ServiceClient) -> None:
    ann = service.person()
    made = await ann.post(PATH, json={"text": "Buy milk"})
    assert (made.status, made.body["text"]) == (201, "Buy milk")
    assert made.body["created_at"] == "2026-05-04T12:00:00Z"
    found = await ann.get(made.headers["Location"])
    assert (found.status, found.body) == (200, made.body)


async def test_an_item_is_its_makers_alone(service: ServiceClient) -> None:
    ann, bob = service.person(), service.person()
    item = (await ann.post(PATH, json={"text": "Buy milk"})).body
    reply = await bob.get(f"{PATH}/{item['id']}")
    assert (reply.status, reply.body["code"]) == (404, "item_not_found")
    assert (await bob.get(PATH)).body["items"] == []


async def test_a_request_that_is_sent_again_makes_no_second_item(service: ServiceClient) -> None:
    ann, key = service.person(), {"Idempotency-Key": "the-first-try"}
    first, again = [await ann.post(PATH, json={"text": "Buy milk"}, headers=key) for _ in range(2)]
    assert (again.status, again.body) == (first.status, first.body)
    assert (await ann.get(PATH)).body["items"] == [first.body]


async def test_without_a_token_there_is_nothing(service: ServiceClient) -> None:
    assert (await service.get(PATH)).status == 401
    assert (await service.post(PATH, json={"text": "Buy milk"})).status == 401


async def test_pages_together_are_all_items_in_order(service: ServiceClient, clock: FakeClock) -> None:
    ann = service.person()
    made = []
    for number in range(5):
        clock.go(minutes=1)
        made.append((await ann.post(PATH, json={"text": f"Item {number}"})).body)
    found, cursor = [], {}
    while cursor is not None:
        page = (await ann.get(PATH, params={"limit": "2", **cursor})).body
        found += page["items"]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert found == made


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "  "}, {"text": 3}, {"text": "a", "more": 1}])
async def test_what_is_no_item_is_refused(service: ServiceClient, body: dict[str, object]) -> None:
    reply = await service.person().post(PATH, json=body)
    assert (reply.status, len(reply.body["errors"])) == (422, 1)


async def test_its_document_names_what_it_answers(service: ServiceClient) -> None:
    document = (await service.get("/openapi.json")).body
    assert set(document["paths"]) == {PATH, f"{PATH}/{{item_id}}"}


async def test_health_names_the_database(service: ServiceClient) -> None:
    reply = await service.get("/health")
    assert (reply.status, reply.body["service"], reply.body["database"]) == (
        200,
        "sample-service",
        "connected",
    )
