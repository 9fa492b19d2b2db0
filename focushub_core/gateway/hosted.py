"""An aiohttp application behind the engine: its handlers answer requests that the engine has read.

Rules that hold here:

* A handler sees an ordinary `web.Request`, without what a client may not say, as a service does
  (`focushub_core.proxy.rewrite`), and gives an ordinary `web.Response`. It answers as a whole: for a stream
  a service is the place, not the gateway.
* No socket lies between: the request is made of what was read, and what the response writes is gathered.
* What a handler raises becomes a problem document, as in every part (`focushub_core.http.problems`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import NamedTuple

from aiohttp import HttpVersion, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_urldispatcher import UrlMappingMatchInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from focushub_core import deadline
from focushub_core.http import problems
from focushub_core.identity.user import User
from focushub_core.proxy.engine import Answer, Asked
from focushub_core.proxy.engine.own import LARGEST
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.rewrite import HOP_BY_HOP, Side, own_fields
from focushub_core.runtime.shortcuts import Shortcuts
from focushub_core.telemetry.context import HEADER

USER: web.RequestKey[User] = web.RequestKey("gateway.user", User)
"""Who asks, where a good token came with the request."""

_TIME_LEFT = deadline.HEADER.lower().encode()
_VERSIONS = (HttpVersion(1, 0), HttpVersion(1, 1))
_ENGINES = frozenset({"content-length", "date", "server", *(name.decode() for name in HOP_BY_HOP)})
"""Fields that the engine writes, or that say too much."""


class Hosted:
    """``app``, opened and closed with `open` and `close`. ``seconds`` is what a request may take.

    ``show_internals`` tells clients of unexpected errors what they were: for development.
    """

    def __init__(self, app: web.Application, *, show_internals: bool, seconds: float) -> None:
        self._app = app
        self._shortcuts = None if app.middlewares else Shortcuts(app)
        self._hooks = app.on_response_prepare
        self._runner = web.AppRunner(app, access_log=None)
        self._show_internals = show_internals
        self._seconds = seconds
        self._templates = [(label, pattern) for label, pattern in _labels(app) if pattern is not None]
        self._paths = {label.encode(): label for label, pattern in _labels(app) if pattern is None}

    async def open(self) -> None:
        """Start the application."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._server = server
        self._protocol = server()  # belongs to no connection; requests ask it what they know of theirs

    async def close(self) -> None:
        """Stop it."""
        await self._runner.cleanup()

    def label(self, path: bytes) -> str | None:
        """The template of the route that ``path`` belongs to, or None: it is none of the application's."""
        found = self._paths.get(path)
        if found is None and self._templates:
            text = path.decode("utf-8", "replace")
            return next((label for label, pattern in self._templates if pattern.fullmatch(text)), None)
        return found

    async def answer(self, asked: Asked) -> Answer:
        """A `focushub_core.proxy.engine.Handler`."""
        deadline.start(deadline.take_up(asked.head.fields.first(_TIME_LEFT), self._seconds))
        writer = _Gathering()
        request = self._request(asked, writer)
        try:
            response = await self._handled(request)
        except web.HTTPRedirection as redirection:
            response = redirection
        except Exception as error:  # noqa: BLE001 - the edge of the process
            response = problems.answer(error, show_internals=self._show_internals)
        body = response.body if type(response) is web.Response else None
        if self._hooks or response._cookies or response.compression or not isinstance(body, bytes):
            await response.prepare(request)
            await response.write_eof()
            body = b"".join(writer.parts)
        fields = [(name, value) for name, value in response.headers.items() if name.lower() not in _ENGINES]
        return Answer(response.status, body, fields)

    async def _handled(self, request: web.Request) -> web.StreamResponse:
        found = self._shortcuts.find(request.method, request.raw_path) if self._shortcuts else None
        if found is None:
            return await self._server.request_handler(request)
        request._match_info = match = UrlMappingMatchInfo(found.values, found.route)
        match.add_app(self._app)
        match.freeze()
        return await found.route.handler(request)

    def _request(self, asked: Asked, writer: AbstractStreamWriter) -> web.Request:
        head = asked.head
        texts = head.fields.texts
        if not isinstance(texts, _Texts) or texts.believed is not asked.side.peer_trusted:
            texts = head.fields.texts = _texts_of(head, asked.side)
        fields = CIMultiDictProxy(CIMultiDict(texts.fields, **{HEADER: asked.request_id}))
        target = head.target.decode()
        message = RawRequestMessage(
            "GET" if head.method == b"HEAD" else head.method.decode(),  # the engine leaves the body out
            target,
            _VERSIONS[head.minor],
            fields,
            texts.raw,
            not head.keeps,
            None,
            False,
            False,
            URL(target, encoded=True),
        )
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        remote = asked.side.peer.decode()
        request = web.Request(
            message,
            self._body(asked),
            self._protocol,
            writer,
            task,
            loop,
            client_max_size=LARGEST,
            remote=remote,
        )
        if isinstance(asked.route.user, User):
            request[USER] = asked.route.user
        return request

    def _body(self, asked: Asked) -> StreamReader:
        if asked.head.framing is None:
            return EMPTY_PAYLOAD
        body = StreamReader(self._protocol, len(asked.body) + 1, loop=asyncio.get_running_loop())
        body.feed_data(asked.body)
        body.feed_eof()
        return body


class _Gathering(AbstractStreamWriter):
    """Keeps what a response writes; its head is read from the response itself."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.parts.append(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.parts.append(chunk)

    async def drain(self) -> None: ...

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        raise RuntimeError(_WHOLE)

    def enable_chunking(self) -> None:
        raise RuntimeError(_WHOLE)

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None: ...


_WHOLE = "a gateway's own route answers as a whole: return a web.Response"


class _Texts(NamedTuple):
    """A head's fields as aiohttp has them, for peers that are ``believed`` or for others; without the request's id."""

    fields: CIMultiDict[str]
    raw: tuple[tuple[bytes, bytes], ...]
    believed: bool


def _texts_of(head: RequestHead, side: Side) -> _Texts:
    raw = tuple(own_fields(head, side))
    fields: CIMultiDict[str] = CIMultiDict(
        (name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in raw
    )
    fields.popall("Expect", None)  # the engine has answered it
    return _Texts(fields, raw, side.peer_trusted)


def _labels(app: web.Application) -> Iterator[tuple[str, re.Pattern[str] | None]]:
    """The template of each route, and what its paths look like where that is more than one."""
    for resource in app.router.resources():
        info = resource.get_info()
        yield resource.canonical, info.get("pattern")
