"""Connections to upstreams, kept and used again.

Rules that hold here:

* A connection serves one exchange at a time. It is kept only if both messages on it ended as they should, and nothing
  came behind the answer: so no answer can belong to another request than the one it is given to.
* Bytes on a connection that waits for work, or its end, mean that it is not to be trusted: it is closed.
* The one used last is used next; those that idle longer than ``kept_s`` are closed, and all to an upstream that left.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Protocol, cast
from urllib.parse import urlsplit

from focushub_core.balancer import Upstream
from focushub_core.errors import ConfigurationError, FocusHubError, GatewayTimeout, Unavailable
from focushub_core.proxy.engine.outbox import Outbox
from focushub_core.proxy.http1 import (
    End,
    Event,
    Limits,
    Names,
    ProtocolError,
    ResponseHead,
    ResponseReader,
    to,
)

MOST_KEPT = 512
"""Idle connections to one upstream."""
_LIMITS = Limits(head=64 * 1024, fields=256)


class Asking(Protocol):
    """Who waits for an answer on a `Link`."""

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """An answer, whole, and nothing behind it; the link is still held."""

    def on_head(self, head: ResponseHead) -> None:
        """An answer's head, interim ones too."""

    def on_data(self, data: bytes) -> None:
        """A piece of its body."""

    def on_end(self, end: End) -> None:
        """It is over; the link is still held."""

    def on_nonsense(self, error: ProtocolError) -> None:
        """What came was not an answer, or not one alone."""

    def on_lost(self, error: BaseException | None) -> None:
        """The connection is gone."""

    def on_room(self) -> None:
        """What was written has gone out: more may follow."""

    def on_frozen(self) -> None:
        """The upstream answers nobody: go elsewhere if that is allowed, or wait on."""


class Connecting(Protocol):
    """Who waits for a connection to an upstream."""

    def connected(self, link: Link) -> bool:
        """It is there; False if it is not wanted any more."""

    def not_connected(self, upstream: Upstream, problem: FocusHubError) -> None:
        """There is none, which is this ``problem``."""


class Link(asyncio.Protocol):
    """One connection to an upstream."""

    __slots__ = (
        "_links",
        "_reader",
        "answered",
        "asking",
        "authority",
        "full",
        "idle_since",
        "sent",
        "to",
        "transport",
        "upstream",
        "used",
    )

    transport: asyncio.Transport

    def __init__(self, links: Links, upstream: Upstream) -> None:
        self._links = links
        self._reader = ResponseReader(links.names, _LIMITS)
        self.upstream = upstream
        self.authority = authority(upstream.origin)
        self.to = to(self.authority)
        self.asking: Asking | None = None
        self.used = False
        """Whether it has served before: then it may have been closed under us."""
        self.answered = False
        """Whether anything came for the exchange it serves."""
        self.sent = False
        """Whether anything of its request was written."""
        self.full = False
        self.idle_since = 0.0

    def ask(self, asking: Asking, method: bytes, data: bytes) -> None:
        """Send a request's head, and its body as far as it is at hand, by the end of this turn of the loop.

        ``asking`` hears of the answer.
        """
        self.asking = asking
        self.answered = self.sent = False
        self._reader.expect(method)
        self._links.outbox.write(self, data)

    def write(self, data: bytes) -> None:
        """Send more of the body, by the end of this turn of the loop."""
        self._links.outbox.write(self, data)

    def send(self, data: bytes) -> None:
        """Write now, if the connection is still there: it is not where the exchange was given up."""
        if not self.transport.is_closing():
            self.sent = True
            self.transport.write(data)

    def done(self, now: float) -> None:
        """The exchange is over here, and both messages ended as they should; the answer came whole (`on_whole`)."""
        self.asking = None
        if self.full:
            self.transport.abort()
        else:
            self._links.keep(self, now)

    def leave(self, *, clean: bool, now: float = 0.0) -> None:
        """The exchange is over here; ``clean`` if both messages ended as they should, at ``now``."""
        self.asking = None
        if clean and not self.full and not self._reader.rest:
            self._links.keep(self, now)
        else:
            self.transport.abort()

    # asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._links.open.add(self)

    def data_received(self, data: bytes) -> None:
        asking = self.asking
        if asking is None:
            self._links.forget(self)
            self.transport.abort()
            return
        if not self.sent:
            asking.on_lost(None)  # nothing was asked yet: it cannot be an answer
            return
        self.answered = True
        reader = self._reader
        try:
            if (whole := reader.whole(data)) is not None:
                asking.on_whole(*whole)
                return
            reader.receive(data)
            while self.asking is asking and (event := reader.next()) is not None:
                _tell(asking, event)
                if type(event) is End:
                    return
        except ProtocolError as error:
            asking.on_nonsense(error)

    def eof_received(self) -> bool:
        asking = self.asking
        if asking is not None:
            try:
                end = self._reader.eof()
            except ProtocolError as error:
                asking.on_lost(error)
            else:
                asking.on_end(end)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._links.open.discard(self)
        self._links.forget(self)
        if self.asking is not None:
            self.asking.on_lost(exc)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self.asking is not None:
            self.asking.on_room()


def _tell(asking: Asking, event: Event) -> None:
    if isinstance(event, bytes):
        asking.on_data(event)
    elif isinstance(event, ResponseHead):
        asking.on_head(event)
    elif isinstance(event, End):
        asking.on_end(event)


class Links:
    """The connections to all upstreams, those that idle, and the way to new ones. Watched by the wheel."""

    def __init__(self, loop: asyncio.AbstractEventLoop, names: Names, kept_s: float, outbox: Outbox) -> None:
        self.names = names
        self.outbox = outbox
        self.slot = 0
        self.open: set[Link] = set()
        self._loop = loop
        self._kept_s = kept_s
        self._idle: dict[Upstream, list[Link]] = {}
        self._closed = False

    def take(self, upstream: Upstream) -> Link | None:
        """An idle connection to ``upstream``."""
        idle = self._idle.get(upstream)
        return idle.pop() if idle else None

    def keep(self, link: Link, now: float) -> None:
        """``link`` waits for its next exchange from ``now`` on."""
        idle = self._idle.get(link.upstream)
        if idle is None:
            if link.upstream.left:
                link.transport.abort()
                return
            idle = self._idle[link.upstream] = []
        if self._closed or len(idle) >= MOST_KEPT or link.transport.is_closing():
            link.transport.abort()
            return
        link.used = True
        link.idle_since = now
        idle.append(link)

    def forget(self, link: Link) -> None:
        """``link`` is of no more use."""
        if link.asking is None and link in (idle := self._idle.get(link.upstream, [])):
            idle.remove(link)

    async def connect(self, upstream: Upstream, timeout_s: float) -> Link:
        """A new connection. Raises `OSError`; `TimeoutError` where there is none within ``timeout_s``."""
        host, port = address(upstream.url)
        async with asyncio.timeout(timeout_s):
            _, link = await self._loop.create_connection(lambda: Link(self, upstream), host, port)
        return link

    def forsake(self, upstream: Upstream) -> None:
        """``upstream`` answers nobody: who waits for it may go elsewhere."""
        for link in [link for link in self.open if link.upstream is upstream]:
            if link.asking is not None:
                link.asking.on_frozen()

    def look(self, now: float) -> float:
        """Close those that have waited too long; the oldest are in front."""
        for upstream in list(self._idle):
            idle = self._idle[upstream]
            while idle and (upstream.left or now - idle[0].idle_since > self._kept_s):
                idle.pop(0).transport.abort()
            if upstream.left:
                del self._idle[upstream]
        return now + 1.0

    def close(self) -> None:
        """Close all that idle, and keep none any more."""
        self._closed = True
        for idle in self._idle.values():
            while idle:
                idle.pop().transport.abort()


def address(url: str) -> tuple[str, int]:
    """Host and port of an origin such as ``http://127.0.0.1:3000``; else `ConfigurationError`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is not an origin: {error}") from error
    if parts.scheme != "http" or not host or parts.path.strip("/") or parts.query or parts.username:
        raise ConfigurationError(f"{url!r} is not an origin such as http://127.0.0.1:3000")
    return host, port


def nobody() -> Unavailable:
    """There is no connection to anybody, or nobody's address is known."""
    return Unavailable("nobody who serves this can be reached", code="upstream_unreachable")


def not_connected(error: OSError) -> FocusHubError:
    """What it means to who waits that a connection could not be made."""
    if isinstance(error, TimeoutError):
        return GatewayTimeout("no connection in time", code="upstream_timeout")
    return nobody()


@lru_cache(1024)
def authority(url: str) -> bytes:
    """What ``Host`` says of an origin."""
    return urlsplit(url).netloc.encode("idna" if not url.isascii() else "ascii")
