"""One connection to Redis that all callers share: what they say in one turn of the loop leaves in one write.

Why not redis-py: a call of it costs 88 us of CPU with 64 callers and 142 us with one, one here 3 and 48 (measured,
see ``docs/decisions/limiter-connection.md``). It stays the client for everything that is not asked on every request.

Rules that hold here:

* A command is sent at most once. A connection that breaks fails every command that waits on it.
* A command whose answer is not there by the deadline, connecting included, fails, and its connection is closed: an
  answer that comes late must not be taken for another's.
* One timer watches all commands. What has waited too long is looked at once more after the socket was read: a
  process that was held up itself is not Redis being away.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from focushub_core.errors import ConfigurationError
from focushub_core.ratelimit.store import StoreUnavailable

GRACE_S = 0.005
"""The last part of the deadline: between the first look at a command that is late and the second."""

Command = tuple[str | bytes | int, ...]


class Refused(Exception):
    """Redis answered with an error; ``code`` is its first word, such as ``NOSCRIPT`` or ``READONLY``."""

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]


class Address(msgspec.Struct, frozen=True):
    """Where a Redis is, and how one gets in."""

    host: str
    port: int
    path: str = ""
    tls: bool = False
    greeting: tuple[Command, ...] = ()

    @classmethod
    def parse(cls, url: str) -> Address:
        """From ``redis://user:password@host:port/db``, ``rediss://...`` or ``unix://:password@/path?db=1``."""
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix") or not (parts.hostname or parts.scheme == "unix"):
            raise ConfigurationError("REDIS_URL is not of the form redis://user:password@host:port/db")
        path = unquote(parts.path) if parts.scheme == "unix" else ""
        return cls(parts.hostname or "", parts.port or 6379, path, parts.scheme == "rediss", _greeting(parts))


def _greeting(parts: SplitResult) -> tuple[Command, ...]:
    commands: list[Command] = []
    if parts.password:
        user = (unquote(parts.username),) if parts.username else ()
        commands.append(("AUTH", *user, unquote(parts.password)))
    database = parts.query.removeprefix("db=") if parts.scheme == "unix" else parts.path.strip("/")
    if database not in ("", "0"):
        if not database.isdecimal():
            raise ConfigurationError("the database in REDIS_URL is not a number")
        commands.append(("SELECT", database))
    return tuple(commands)


class Connection:
    """Speaks to the Redis at ``url``; connects when first used, and anew after a failure when used again."""

    def __init__(self, url: str, *, deadline_s: float) -> None:
        self._address = Address.parse(url)
        self._deadline_s = deadline_s
        self._wire: _Wire | None = None

    def call(self, *command: str | bytes | int) -> asyncio.Future[Any]:
        """The answer to come; `Refused` when it is an error, `StoreUnavailable` when there is none in time."""
        wire = self._wire
        if wire is None or wire.dead:
            wire = self._wire = _Wire(self._address, self._deadline_s)
        return wire.call(command)

    def drop(self, reason: str) -> None:
        """Close; the next call looks the name up and connects anew (another server may be the primary now)."""
        if self._wire is not None:
            self._wire.fail(reason)
            self._wire = None


class _Wire(asyncio.Protocol):
    """One connection's life, from the first command to the first failure."""

    def __init__(self, address: Address, deadline_s: float) -> None:
        import hiredis  # only who uses Redis pays for it

        self.dead = False
        self._reader = hiredis.Reader()
        self._pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]
        self._refusal = hiredis.ReplyError
        self._loop = asyncio.get_running_loop()
        self._patience_s = max(0.0, deadline_s - GRACE_S)
        self._transport: asyncio.Transport | None = None
        self._unsent = [self._pack(command) for command in address.greeting]
        self._greeted = len(address.greeting)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._late: asyncio.Future[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._connecting = self._loop.create_task(self._connect(address), name="limiter-connect")

    def call(self, command: Command) -> asyncio.Future[Any]:
        if self._transport is not None and not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(self._pack(command))
        future = self._loop.create_future()
        self._waiting.append((future, self._loop.time() + self._patience_s))
        if self._timer is None:
            self._timer = self._loop.call_later(self._patience_s, self._watch)
        return future

    async def _connect(self, address: Address) -> None:
        try:
            if address.path:
                await self._loop.create_unix_connection(lambda: self, address.path)
            else:
                tls = ssl.create_default_context() if address.tls else None
                await self._loop.create_connection(lambda: self, address.host, address.port, ssl=tls)
        except OSError as error:
            self.fail(f"cannot connect: {error}")

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass of asyncio's
        if self.dead:
            self._transport.abort()
        else:
            self._flush()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while not self.dead:
            try:
                reply = self._reader.gets()
            except Exception as error:  # noqa: BLE001 - hiredis.ProtocolError; whatever it is, this is not Redis
                self.fail(f"not an answer of Redis: {error}")
                return
            if reply is False:
                return
            self._take(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail("the connection was lost")

    def _take(self, reply: Any) -> None:
        refused = isinstance(reply, self._refusal)
        if self._greeted:
            self._greeted -= 1
            if refused:
                self.fail(str(reply))
            return
        if not self._waiting:
            self.fail("an answer that nobody asked for")
            return
        future, _ = self._waiting.popleft()
        if future.done():
            return
        if refused:
            future.set_exception(Refused(str(reply)))
        else:
            future.set_result(reply)

    def _watch(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        oldest, due = self._waiting[0]
        left = due - self._loop.time()
        if left <= 0:
            if self._late is oldest:
                self.fail("no answer in time")
                return
            self._late, left = oldest, GRACE_S
        self._timer = self._loop.call_later(left, self._watch)

    def fail(self, reason: str) -> None:
        """End this connection and everything that waits on it."""
        if self.dead:
            return
        self.dead = True
        if self._timer is not None:
            self._timer.cancel()
        self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(StoreUnavailable(reason))
        self._waiting.clear()
