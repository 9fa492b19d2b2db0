"""One of the clients of `focushub verify`, against a server that answers as it is told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from focushub_core.errors import ConfigurationError
from focushub_core.telemetry.context import take_up
from focushub_generator.local.verify import load
from focushub_generator.local.verify.bodies import Template
from focushub_generator.local.verify.client import Client
from focushub_generator.local.verify.ledger import Ledger
from focushub_generator.local.verify.survey import Collection, Read, Survey

THINGS = Collection("/v1/things", "thing-service", (Template({}, "name"),), takes_key=True, pages=True)
ID = "X-Request-Id"


class Server:
    """Answers each request with the next of ``script``: a status, or a body; then 200 and what was made."""

    def __init__(self, script: list[Any]) -> None:
        self.script = script
        self.requests: list[tuple[str, str, str | None]] = []
        self.made: list[dict[str, Any]] = []
        self.fields: dict[str, str] = {}
        self.ids: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs, request.headers.get("Idempotency-Key")))
        self.ids.append(request.headers[ID])
        said = self.script.pop(0) if self.script else None
        headers = {ID: request.headers[ID], **self.fields}
        if said == "cut":
            assert request.transport is not None
            request.transport.abort()
        elif isinstance(said, int):
            kind = "application/problem+json"
            return web.json_response(
                {"code": f"code_{said}"}, status=said, headers=headers, content_type=kind
            )
        elif said is not None:
            return web.json_response(said, headers=headers)
        if request.method == "POST":
            self.made.append({"id": len(self.made), **await request.json()})
            return web.json_response(self.made[-1], status=201, headers=headers)
        return web.json_response({"items": self.made, "next_cursor": None}, headers=headers)


Begin = Callable[..., Any]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    """Begins a server with a script, and client 3 of the run ``abcdef``."""
    async with AsyncExitStack() as resources:

        async def begin(*script: Any) -> tuple[Server, Client]:
            server = Server(list(script))
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", server.answer)
            listening = await resources.enter_async_context(TestServer(app))
            url = str(listening.make_url("/")).rstrip("/")
            client = Client(url, "abcdef", 3, Ledger(), time.monotonic)
            return server, await resources.enter_async_context(client)

        yield begin


@pytest.mark.parametrize("failure", [500, 502, 503, "cut", 429])
async def test_a_write_with_a_key_is_sent_again_with_it_until_it_is_acknowledged(
    begin: Begin, failure: Any
) -> None:
    server, client = await begin(failure, failure)
    assert (await client.write(THINGS, with_key=True)).done
    [write] = client.ledger.writes
    assert [key for _, _, key in server.requests] == [write.key] * 3
    assert (write.attempts, write.acknowledged, write.refused) == (3, True, False)
    assert [attempt.status for attempt in client.ledger.attempts][2] == 201


@pytest.mark.parametrize("failure", [500, 502, 503, "cut"])
async def test_a_write_without_a_key_is_sent_once(begin: Begin, failure: Any) -> None:
    server, client = await begin(failure)
    assert not (await client.write(THINGS, with_key=False)).done
    assert (len(server.requests), client.ledger.writes[0].acknowledged) == (1, False)


async def test_what_a_limit_refused_is_sent_again_without_a_key_too(begin: Begin) -> None:
    server, client = await begin(429)
    assert (await client.write(THINGS, with_key=False)).done
    assert [key for _, _, key in server.requests] == [None, None]


async def test_a_write_that_is_refused_for_what_it_is_is_not_sent_again(begin: Begin) -> None:
    server, client = await begin(422)
    await client.write(THINGS, with_key=True)
    assert (len(server.requests), client.ledger.writes[0].refused) == (1, False)


async def test_every_mark_is_another_and_says_whose_it_is(begin: Begin) -> None:
    server, client = await begin()
    for _ in range(2):
        await client.write(THINGS, with_key=False)
    assert [made["name"] for made in server.made] == ["verify-abcdef-3-1", "verify-abcdef-3-2"]


async def test_an_answer_with_the_id_of_another_request_is_noticed(begin: Begin) -> None:
    server, client = await begin()
    server.fields = {ID: "verify-abcdef-4-r1"}
    await client.read(Read("/v1/things", "thing-service"))
    assert len(client.ledger.astray) == 1
    assert "asked as verify-abcdef-3-r1, bears the id verify-abcdef-4-r1" in client.ledger.astray[0]


async def test_an_id_of_somebody_who_forwards_is_nobodys(begin: Begin) -> None:
    server, client = await begin()
    server.fields = {ID: "01a20668f75d7615a7ea78c7aeed2b75"}
    await client.read(Read("/v1/things", "thing-service"))
    assert client.ledger.astray == []


async def test_every_request_has_an_id_that_the_kit_takes_up(begin: Begin) -> None:
    server, client = await begin()
    for _ in range(2):
        await client.read(Read("/v1/things", "thing-service"))
    assert server.ids == ["verify-abcdef-3-r1", "verify-abcdef-3-r2"]
    assert [take_up(name) for name in server.ids] == server.ids


async def test_an_answer_with_what_another_client_made_is_noticed(begin: Begin) -> None:
    _, client = await begin({"items": [{"name": "verify-abcdef-3-1"}, {"name": "verify-abcdef-12-1"}]})
    await client.read(Read("/v1/things", "thing-service"))
    assert len(client.ledger.astray) == 1
    assert "asked by client 3, holds what client 12 made" in client.ledger.astray[0]


async def test_a_list_is_read_to_its_last_page_and_each_mark_counted(begin: Begin) -> None:
    first = {"items": [{"name": "verify-abcdef-3-1"}, {"name": "mine"}], "next_cursor": "a b"}
    last = {"items": [{"name": "verify-abcdef-3-10"}, {"name": "verify-abcdef-3-1"}], "next_cursor": None}
    server, client = await begin(503, first, 429, last)
    marks = await client.marks(replace(THINGS, page="?limit=2"))
    assert marks == {"verify-abcdef-3-1": 2, "verify-abcdef-3-10": 1}
    paths = [path for _, path, _ in server.requests]
    assert paths == ["/v1/things?limit=2"] * 2 + ["/v1/things?limit=2&cursor=a%20b"] * 2
    assert client.ledger.attempts == []


async def test_a_list_that_is_refused_is_an_error_that_says_so(begin: Begin) -> None:
    _, client = await begin(403)
    with pytest.raises(ConfigurationError, match="GET /v1/things: 403 code_403"):
        await client.marks(THINGS)


async def test_what_the_document_offers_and_the_stack_refuses_is_left_out(begin: Begin) -> None:
    """A path that a new person finds nothing at, and a collection that takes one thing only."""
    reads = (Read("/v1/things", "thing-service"), Read("/v1/nothing", "thing-service"))
    _, client = await begin({"items": []}, 404, {"id": 1}, 409)
    found = await load.trial(client, Survey(reads, (THINGS,)))
    assert found == Survey(reads[:1], ())


async def test_an_answer_that_lacks_a_part_for_long_is_said(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = await begin()
    monkeypatch.setattr(load, "WHOLE_S", 0.2)
    reads = (Read("/v1/things", "thing-service"),)
    assert await load.look(client, reads, "at first") == []
    server.fields = {"X-Partial": "tasks, habits"}
    assert await load.look(client, reads, "at last") == ["at last: GET /v1/things: 200 lacks tasks, habits"]


async def test_a_part_that_comes_back_within_the_time_is_not_missed(begin: Begin) -> None:
    _, client = await begin(503, 503)
    assert await load.look(client, (Read("/v1/things", "thing-service"),), "at last") == []


async def test_of_several_bodies_the_one_that_is_accepted_is_kept(begin: Begin) -> None:
    templates = (Template({}, "name"), Template({"kind": "a"}, "name"))
    _, client = await begin({"items": []}, 422)
    found = await load.trial(
        client, Survey((Read("/v1/things", "s"),), (replace(THINGS, templates=templates),))
    )
    assert [collection.templates for collection in found.collections] == [templates[1:]]
