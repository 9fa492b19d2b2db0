"""A request's body on its way to an upstream: kept, so that it can be sent again, or streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from aiohttp import web

from focushub_core.errors import BadRequest

KEPT = 64 * 1024
"""Bytes of a body, of a request's or an answer's, that are read whole before anything is sent on."""


class Body:
    """The body of ``request``: ``kept`` if it is small and its length is known, else streamed once.

    ``broken`` is set when the client broke off: then the upstream is not to blame. ``on_progress`` is called
    whenever a piece was handed on.
    """

    def __init__(self, request: web.Request, kept: bytes | None) -> None:
        self._request = request
        self._kept = kept
        self._started = False
        self._ended = False
        self.broken: BaseException | None = None
        self.on_progress: Callable[[], None] | None = None

    @classmethod
    async def of(cls, request: web.Request) -> Body:
        """Read it whole if it is small."""
        length = request.content_length
        if not request.body_exists:
            return cls(request, b"")
        if length is None or length > KEPT:
            return cls(request, None)
        try:
            return cls(request, await request.read())
        except web.RequestPayloadError as error:
            raise BadRequest("the body is not framed as HTTP/1.1 asks for") from error

    @property
    def at_hand(self) -> bool:
        """Whether it can (still) be sent from its beginning."""
        return self._kept is not None or not self._started

    @property
    def sent(self) -> bool:
        """Whether nothing of it is left to send, once an answer is there."""
        return self._kept is not None or self._ended

    def data(self) -> bytes | AsyncIterator[bytes] | None:
        """What is given to the client library."""
        return (self._kept or None) if self._kept is not None else self._stream()

    def fields(self) -> list[tuple[str, str]]:
        """The length of what is streamed, where the client said it; else it goes in chunks."""
        length = self._request.content_length
        return [("Content-Length", str(length))] if self._kept is None and length is not None else []

    async def _stream(self) -> AsyncIterator[bytes]:
        self._started = True
        try:
            async for piece in self._request.content.iter_any():
                yield piece
                if self.on_progress is not None:
                    self.on_progress()
            self._ended = True
        except (OSError, web.RequestPayloadError) as error:
            self.broken = error
            raise
