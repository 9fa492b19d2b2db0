"""The stack's OpenAPI document: the gateway's own routes and those of all services, as they say them now.

Rules that hold here:

* All services are asked at once; one that does not answer in time is named in the document, which is 200 all the same.
* Only what the gateway routes to a service stands in it.
* Merging is done again only when a service says something else than before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from focushub_core.errors import BadRequest, FocusHubError
from focushub_core.gateway.aggregate import Reply
from focushub_core.gateway.routes import RouteTable

PATH = "/openapi.json"
DEADLINE = 2.0
"""Seconds."""

Ask = Callable[[str], Awaitable[Reply]]
"""Asks the service with this key for its document; raises `FocusHubError` when there is no answer."""


class Documents:
    """The merged document of ``services`` (keys) and ``own``, the gateway's."""

    def __init__(self, services: Iterable[str], own: Callable[[], dict[str, Any]], table: RouteTable) -> None:
        self._services = tuple(services)
        self._own = own
        self._table = table
        self._said: tuple[bytes | None, ...] | None = None
        self._merged = b""

    async def merged(self, ask: Ask) -> bytes:
        """The document as JSON."""
        said = tuple(await asyncio.gather(*(self._document(service, ask) for service in self._services)))
        if said != self._said:
            self._merged = self._merge(said)
            self._said = said
        return self._merged

    async def _document(self, service: str, ask: Ask) -> bytes | None:
        try:
            async with asyncio.timeout(DEADLINE):
                reply = await ask(service)
        except (FocusHubError, TimeoutError):
            return None
        return reply.body if reply.status == 200 else None

    def _merge(self, said: tuple[bytes | None, ...]) -> bytes:
        from focushub_core.http.openapi.merge import merge

        own = self._own()
        documents: dict[str, dict[str, Any] | None] = {"gateway": own}
        for service, raw in zip(self._services, said, strict=True):
            documents[service] = None if raw is None else _parsed(raw)
        return msgspec.json.encode(merge(own["info"], documents, self._reachable))

    def _reachable(self, service: str, path: str) -> bool:
        return service == "gateway" or routed_to(self._table, path) == service


def routed_to(table: RouteTable, path: str) -> str | None:
    """The key of the service that a path of a document goes to; its parameters are anything."""
    try:
        match = table.match(path.replace("{", "").replace("}", "").encode())
    except BadRequest:
        return None
    return match.service.key if match else None


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) and "paths" in found and "openapi" in found else None
