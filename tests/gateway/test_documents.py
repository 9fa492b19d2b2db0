"""The stack's OpenAPI document at the gateway: all services' in one, and who is missing is named."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from focushub_core import Unavailable
from focushub_core.gateway import documents
from focushub_core.gateway.aggregate import Reply
from focushub_core.gateway.documents import Documents
from focushub_core.gateway.routes import RouteTable
from focushub_core.stack import parse

STACK = parse(
    """
[stack]
name = "shop"
[services.auth]
port = 3001
prefixes = ["/v1/me"]
[services.task]
port = 3002
prefixes = ["/v1/tasks"]
""",
    Path("/nowhere"),
)


def document(name: str, *paths: str) -> dict[str, Any]:
    operation = {"operationId": "read", "responses": {"200": {"description": "OK"}}}
    return {
        "openapi": "3.1.1",
        "info": {"title": name, "version": "1"},
        "paths": {path: {"get": operation} for path in paths},
        "components": {},
    }


AUTH = document("auth", "/v1/me", "/internal/keys", "/v1/elsewhere")
TASK = document("task", "/v1/tasks", "/v1/tasks/today")


def says(body: dict[str, Any]) -> Reply:
    return Reply(200, msgspec.json.encode(body))


class Stack:
    """Services that answer, or do not, as told; asked through `ask`."""

    def __init__(self, **said: Reply | None) -> None:
        self.said = said
        self.owned = 0
        table = RouteTable(STACK.services.values())
        self.documents = Documents(STACK.services, self.own, table)

    def own(self) -> dict[str, Any]:
        self.owned += 1
        return document("shop", "/v1/dashboard")

    async def ask(self, service: str) -> Reply:
        said = self.said[service]
        if said is None:
            raise Unavailable
        if said.status == 0:
            await asyncio.Event().wait()
        return said

    async def merged(self) -> Any:
        found = msgspec.json.decode(await self.documents.merged(self.ask))
        validate(found)
        return found


async def test_it_holds_what_the_gateway_answers_and_routes_and_no_more():
    found = await Stack(auth=says(AUTH), task=says(TASK)).merged()
    assert list(found["paths"]) == ["/v1/dashboard", "/v1/me", "/v1/tasks", "/v1/tasks/today"]
    assert found["info"]["title"] == "shop"
    assert "x-unavailable" not in found


@pytest.mark.parametrize(
    "reply",
    [None, Reply(0, b""), Reply(503, b"{}"), Reply(200, b"<html>"), Reply(200, b"[]"), Reply(200, b"{}")],
    ids=["away", "frozen", "503", "no JSON", "no object", "no document"],
)
async def test_a_service_without_a_document_is_named_and_the_others_are_there(reply, monkeypatch):
    monkeypatch.setattr(documents, "DEADLINE", 0.05)
    found = await Stack(auth=says(AUTH), task=reply).merged()
    assert found["x-unavailable"] == ["task"]
    assert list(found["paths"]) == ["/v1/dashboard", "/v1/me"]


async def test_it_is_merged_again_only_when_somebody_says_something_else():
    stack = Stack(auth=says(AUTH), task=None)
    await stack.merged()
    await stack.merged()
    assert stack.owned == 1
    stack.said["task"] = says(TASK)
    assert "/v1/tasks" in (await stack.merged())["paths"]
    assert stack.owned == 2
