"""aiohttp's connection with a short way for ordinary requests, which are almost all.

aiohttp hands a request from the parser to a task of the connection, from there to a task of the request, and back;
and writes an answer in eight coroutines. Here the parser's callback starts the request's task, which writes the
answer in one piece. It saves a quarter of what a request costs (docs/decisions/database-speed.md).

Rules that hold here:

* The short way is for a whole message of HTTP/1.1 on a kept connection, without ``Expect`` or an upgrade. All else
  goes aiohttp's own way, as does every answer that is not a plain `web.Response` with bytes.
* Both ways make the same answer, by aiohttp's own writer of heads, with its checks.
* One request of a connection is served at a time, in the order in which they came, each in a task of its own.
* This knows aiohttp from the inside: with another version than those of `KNOWN` there is only aiohttp's own way.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeGuard

import aiohttp
from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11, RawRequestMessage, StreamWriter
from aiohttp.http_writer import _serialize_headers as serialize_head
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _PAYLOAD_ACCESS_ERROR, RequestHandler
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from focushub_core.runtime.shortcuts import Shortcuts

KNOWN = ("3.14.",)
"""Versions of aiohttp, by how they begin."""
_LARGEST = 64 * 1024
"""Bytes of a body that is copied behind its head."""


def runner(app: web.Application, **options: Any) -> web.AppRunner:
    """What runs ``app``, by the short way where this aiohttp is known."""
    return (_Runner if aiohttp.__version__.startswith(KNOWN) else web.AppRunner)(app, **options)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        cancels = made.handler_cancellation
        return _Server(self._app, handler_cancellation=cancels, loop=made._loop, **made._kwargs)


class _Server(web.Server):
    """Makes a connection of each that is accepted; ``app`` answers."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        handle: Any = app._handle
        super().__init__(handle, request_factory=app._make_request, **options)
        self._app = app
        self._shortcuts = None if app.middlewares else Shortcuts(app)
        self.hooks = None if app._subapps else tuple(app.on_response_prepare)
        """What is done to every answer before it is written; None where that is not the same for all."""

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What the application says; past its own search where a shortcut leads."""
        found = (
            self._shortcuts.find(request.method, request.raw_path) if self._shortcuts is not None else None
        )
        if found is None:
            return await self._app._handle(request)
        match = UrlMappingMatchInfo(found.values, found.route)
        match._apps.append(self._app)
        match._current_app, match._frozen = self._app, True
        request._match_info = match
        return await found.route.handler(request)


class _Connection(RequestHandler):
    """One client's. While aiohttp's own way has nothing to do, it waits for ``_waiter``."""

    __slots__ = ("_server", "_serving")

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._serving: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():  # aiohttp is at it
            super().data_received(data)
            return
        self._waiter = None
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        if self._messages and self._serving is None:
            self._take_next(waiter)

    def connection_lost(self, exc: BaseException | None) -> None:
        serving = self._serving
        super().connection_lost(exc)
        if serving is not None and self._server.handler_cancellation:
            serving.cancel()

    def _process_keepalive(self) -> None:
        if self._serving is None:
            super()._process_keepalive()
        else:  # aiohttp looks only whether its own way is idle
            later = self._loop.time() + self._keepalive_timeout
            self._keepalive_handle = self._loop.call_at(later, self._process_keepalive)

    def _take_next(self, waiter: asyncio.Future[None]) -> None:
        message, payload = self._messages[0]
        if not _is_ordinary(message, payload) or self._buffer_paused or self._upgraded or self._close:
            waiter.set_result(None)
            return
        self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        self._serving = self._loop.create_task(self._serve(message, payload))

    async def _serve(self, message: Any, payload: Any) -> None:
        server, task = self._server, self._serving
        assert task is not None
        server.requests_count += 1
        writer = StreamWriter(self, self._loop)
        request: Any = server._app._make_request(message, payload, self, writer, task)
        self._request_in_progress, self._current_request = True, request
        keep = False
        try:
            response = await self._answer(request)
            keep = await self._send(request, response)
            if payload is not EMPTY_PAYLOAD:
                payload.set_exception(_PAYLOAD_ACCESS_ERROR)
        except ConnectionError:
            self.log_debug("Ignored premature client disconnection")
        except Exception as error:  # noqa: BLE001 - as aiohttp does: a hook of the application failed
            self.log_exception("Unhandled exception", exc_info=error)
        finally:
            request._task = None  # no circle
            self._serving = self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None and not self._handler_waiter.done():
                self._handler_waiter.set_result(None)
            self._go_on(keep=keep)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._server.answer(request)
        except web.HTTPException as error:
            return error
        except Exception as error:  # noqa: BLE001 - what the part's edge let through
            return self.handle_error(request, 500, error)

    async def _send(self, request: web.Request, response: web.StreamResponse) -> bool:
        """Whether the connection is kept."""
        self._current_request = None
        if not _is_plain(response, request):
            response, gone = await self.finish_response(request, response, None)
            return bool(response.keep_alive) and not gone
        if self._server.hooks is None:
            await request._prepare_hook(response)
        else:
            for hook in self._server.hooks:
                await hook(request, response)
        keep = self._write(request, response)
        if self._paused:
            await self._drain_helper()
        return keep

    def _write(self, request: web.Request, response: web.Response) -> bool:
        headers, body = response.headers, response.body
        assert isinstance(body, bytes)
        keep = response.keep_alive
        if keep is None:
            keep = request.keep_alive
        headers[hdrs.CONTENT_LENGTH] = str(len(body))
        headers.setdefault(hdrs.CONTENT_TYPE, "application/octet-stream")
        if hdrs.DATE not in headers:
            headers[hdrs.DATE] = rfc822_formatted_time()
        headers.setdefault(hdrs.SERVER, SERVER_SOFTWARE)
        if not keep and hdrs.CONNECTION not in headers:
            headers[hdrs.CONNECTION] = "close"
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(serialize_head(f"HTTP/1.1 {response.status} {response.reason}", headers) + body)
        return keep

    def _go_on(self, *, keep: bool) -> None:
        if not keep or self._close or self._force_close:
            self._keepalive = False
            self.force_close()  # what was written goes out first
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        waiter = self._waiter
        if self._messages and waiter is not None and not waiter.done():
            self._take_next(waiter)


def _is_ordinary(message: Any, payload: Any) -> bool:
    return (
        type(message) is RawRequestMessage
        and message.version == HttpVersion11
        and not message.should_close
        and not message.upgrade
        and payload.is_eof()
        and hdrs.EXPECT not in message.headers
    )


def _is_plain(response: web.StreamResponse, request: web.Request) -> TypeGuard[web.Response]:
    if type(response) is not web.Response:
        return False
    body = response._body
    return (
        type(body) is bytes
        and 0 < len(body) <= _LARGEST
        and response._cookies is None
        and not response._compression
        and not response._chunked
        and not response.prepared
        and request.method != hdrs.METH_HEAD
        and response.status >= 200
        and response.status not in (204, 304)
    )
