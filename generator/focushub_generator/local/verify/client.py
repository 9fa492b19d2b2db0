"""One of the clients: a person of its own, who signs in, sends, and writes down what came of it.

Rules that hold here:

* A write with a key is sent again with it until it is acknowledged; one without a key is sent once. What a limit
  refused was not let in: it is sent again when the limit says so.
* What belongs to no load (signing in, reading back) is asked for until it is there, and stands in no ledger.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

from focushub_core.errors import ConfigurationError
from focushub_generator.local.verify.ledger import IN_USE, TOO_MANY, Attempt, Ledger, Outcome, Write
from focushub_generator.local.verify.promises import PATIENCE_S
from focushub_generator.local.verify.survey import Collection, Read
from focushub_generator.local.verify.wire import AGAIN_S, Reply, Request, Wire

LONGEST_WAIT_S = 65.0
"""For the limit of logins, which forgets within a minute."""
REGISTER, LOGIN = "/v1/auth/register", "/v1/auth/login"

Waits = Callable[[float], None]


def _silently(seconds: float) -> None:
    """Nobody hears of a wait."""


class Client:
    """Client ``number`` of the run ``run``; ``clock`` gives the load's seconds. Made inside a running loop."""

    def __init__(self, url: str, run: str, number: int, ledger: Ledger, clock: Callable[[], float]) -> None:
        self.number = number
        self.email = f"verify-{run}-{number}@example.com"
        self.ledger = ledger
        self._wire = Wire(url, run, number, clock)
        self._wire.astray = ledger.astray
        self._clock = clock
        self._name = f"verify-{run}-{number}"
        self._made = 0

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.close()

    async def join(self, waits: Waits) -> float:
        """Registers and logs in; gives for how many seconds the token is good. ``waits`` hears of a limit's wait.

        Raises `ConfigurationError` when the stack does not let anybody in.
        """
        account = {"email": self.email, "password": secrets.token_urlsafe(16)}
        await self.ask(Request("POST", REGISTER, body=account), waits)
        tokens = (await self.ask(Request("POST", LOGIN, body=account), waits)).body
        self._wire.token = str(tokens["access_token"])
        return float(tokens.get("expires_in", 60))

    async def read(self, read: Read) -> Reply:
        """One GET."""
        return await self._send(Request("GET", read.path, read.service, resent=True))

    async def see(self, collection: Collection, item: object) -> Reply:
        """Reads one thing that this client has just made."""
        template = str(collection.item)
        path = re.sub(r"\{\w+\}", quote(str(item), safe=""), template)
        return await self._send(Request("GET", path, collection.service, template, resent=True))

    async def write(self, collection: Collection, number: int = 0, *, with_key: bool) -> Reply:
        """Makes one thing, from the collection's template ``number``; the last attempt's answer."""
        self._made += 1
        key = secrets.token_hex(16) if with_key else None
        write = Write(self.number, collection.path, f"{self._name}-{self._made}", key)
        self.ledger.writes.append(write)
        body = collection.templates[number].with_mark(write.mark)
        resent = with_key and collection.keeps_keys
        request = Request("POST", collection.path, collection.service, body=body, key=key, resent=resent)
        give_up = self._clock() + PATIENCE_S
        while True:
            reply = await self._send(request)
            write.attempts += 1
            write.acknowledged |= reply.done
            write.refused = reply.attempt.status == TOO_MANY and (write.refused or write.attempts == 1)
            if not _again(write, reply.attempt) or self._clock() > give_up:
                return reply
            await asyncio.sleep(min(reply.retry_after, max(AGAIN_S, give_up - self._clock())))

    async def marks(self, collection: Collection) -> dict[str, int]:
        """How often each of this client's marks is in the list; `ConfigurationError` when it cannot be read."""
        found: dict[str, int] = {}
        query = collection.page
        while True:
            page = (await self.ask(Request("GET", collection.path + query))).body
            items = page.get("items", ()) if isinstance(page, Mapping) else page
            for mark in self._marks_in(items or ()):
                found[mark] = found.get(mark, 0) + 1
            cursor = page.get("next_cursor") if collection.pages and isinstance(page, Mapping) else None
            if cursor is None:
                return found
            query = f"{collection.page}{'&' if collection.page else '?'}cursor={quote(cursor, safe='')}"

    async def ask(self, request: Request, waits: Waits = _silently) -> Reply:
        """Asks until there is an answer. Raises `ConfigurationError`, which says what came instead."""
        give_up = time.monotonic() + LONGEST_WAIT_S
        while not (reply := await self._wire.exchange(request)).done:
            limited = reply.attempt.outcome is Outcome.LIMITED
            final = 400 <= reply.attempt.status < 500 and not limited
            if final or time.monotonic() + reply.retry_after > give_up:
                raise ConfigurationError(str(reply.attempt))
            if limited:
                waits(reply.retry_after)
            await asyncio.sleep(reply.retry_after)
        return reply

    async def _send(self, request: Request) -> Reply:
        """One request of the load, written down."""
        reply = await self._wire.exchange(request)
        self.ledger.attempts.append(reply.attempt)
        return reply

    def _marks_in(self, items: Iterable[Any]) -> list[str]:
        """The mark of each item that has one of this client's."""
        pattern = rf"{self._name}-\d+\b"
        return [match[0] for item in items if (match := re.search(pattern, json.dumps(item)))]


def _again(write: Write, attempt: Attempt) -> bool:
    """Whether a write is sent again: refused by a limit it was not let in, and with its key it acts only once."""
    if attempt.outcome is Outcome.LIMITED:
        return True
    lost = attempt.status == 0 or attempt.status >= 500
    return write.key is not None and (lost or attempt.why == IN_USE)
