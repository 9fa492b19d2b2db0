"""Clients that ask a proxy for as long as it takes, and count what they are answered."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .raw import Client, Reply

Kind = Literal["read", "put", "keyed", "post"]

# Of ten requests: six reads, one of them large, one PUT, one POST with a key, two without.
_TURNS: tuple[tuple[Kind, str, str], ...] = (
    ("read", "GET", "/v1/small"),
    ("read", "GET", "/v1/small"),
    ("post", "POST", "/v1/writes"),
    ("read", "GET", "/v1/large"),
    ("put", "PUT", "/v1/small"),
    ("read", "GET", "/v1/small"),
    ("keyed", "POST", "/v1/keyed"),
    ("read", "GET", "/v1/small"),
    ("post", "POST", "/v1/writes"),
    ("read", "GET", "/v1/small"),
)


@dataclass
class Tally:
    """Answers by kind and status; a status of 0 is a connection that ended without a whole answer."""

    answers: Counter[tuple[Kind, int]] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    """The tokens of writes that were answered 200."""
    slowest: dict[Kind, float] = field(default_factory=dict)
    """Seconds that the slowest answer of each kind took."""
    strangers: int = 0
    """Answers that carried another request's token."""

    @property
    def requests(self) -> int:
        return self.answers.total()

    def failed(self, *kinds: Kind) -> int:
        """Requests of ``kinds`` that were not answered 200."""
        return sum(count for (kind, status), count in self.answers.items() if kind in kinds and status != 200)

    def statuses(self, *kinds: Kind) -> set[int]:
        return {status for kind, status in self.answers if kind in kinds}


class Load:
    """``clients`` at once, each with a connection that it keeps, until ``enough`` says so."""

    def __init__(self, port: int, clients: int = 8) -> None:
        self.tally = Tally()
        self._port = port
        self._clients = clients

    async def run(self, enough: Callable[[], bool]) -> None:
        """Ask until then."""
        async with asyncio.TaskGroup() as group:
            for name in range(self._clients):
                group.create_task(self._client(name, enough))

    async def _client(self, name: int, enough: Callable[[], bool]) -> None:
        client = await Client.to("127.0.0.1", self._port)
        number = name  # not all at the same turn
        while not enough():
            number += 1
            reply = await self._ask(client, f"{name}-{number}", *_TURNS[number % len(_TURNS)])
            if reply is None or reply.fields.get(b"connection") == b"close":
                client.close()
                client = await Client.to("127.0.0.1", self._port)
        client.close()

    async def _ask(self, client: Client, token: str, kind: Kind, method: str, path: str) -> Reply | None:
        key = f"Idempotency-Key: {token}\r\n" if kind == "keyed" else ""
        body = "" if method == "GET" else f"Content-Length: {len(token)}\r\n"
        head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nX-Token: {token}\r\n{key}{body}\r\n"
        started = time.monotonic()
        try:
            reply = await client.ask((head + token * bool(body)).encode(), method.encode())
        except (AssertionError, ConnectionError):
            reply = None
        status = reply.status if reply is not None and reply.whole else 0
        self.tally.answers[kind, status] += 1
        self.tally.slowest[kind] = max(self.tally.slowest.get(kind, 0.0), time.monotonic() - started)
        if reply is not None and status in (200, 500):  # others are the proxy's own
            self.tally.strangers += reply.body.rstrip(b" ") != token.encode()
        if status == 200 and kind in ("keyed", "post"):
            self.tally.acknowledged.add(token)
        return reply if status else None
