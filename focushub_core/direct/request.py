"""What a handler's parameters, providers and habits read of a request that the engine has read.

Rules that hold here:

* It reads like aiohttp's ``web.Request``. What is asked for often is answered here; for anything else that request is
  made, once (`Request.full`), and answers.
* What is the same for all requests with the same header fields is made once (`RequestHead.fields`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from email.message import Message
from functools import lru_cache
from typing import Any, NamedTuple

from aiohttp import HttpVersion, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_urldispatcher import UrlMappingMatchInfo
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy, istr
from yarl import URL

from focushub_core.proxy.engine import Asked
from focushub_core.proxy.engine.own import LARGEST
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.rewrite import Side
from focushub_core.telemetry.context import HEADER

_ID = istr(HEADER)
_VERSIONS = (HttpVersion(1, 0), HttpVersion(1, 1))
_NO_QUERY: MultiDictProxy[str] = MultiDictProxy(MultiDict())
_UNKNOWN_KIND = "application/octet-stream"

RawFields = list[tuple[bytes, bytes]]


class Around(NamedTuple):
    """What all requests of an application share: itself, a connection of its server's to ask, what of a head's fields
    its handlers see, and what a request knows from the start."""

    app: web.Application
    protocol: RequestHandler
    seen: Callable[[RequestHead, Side], RawFields]
    known: Callable[[Asked], dict[Any, Any]]


class Request:
    """``asked``, as a handler in ``around.app`` sees it; of ``route``, if that is known."""

    __slots__ = ("_around", "_asked", "_full", "_headers", "_match", "_route", "_state", "writer")

    def __init__(self, asked: Asked, around: Around, route: web.AbstractRoute | None = None) -> None:
        self._asked = asked
        self._around = around
        self._headers: CIMultiDictProxy[str] | None = None
        self._state = around.known(asked)
        self._full: web.Request | None = None
        self._match: UrlMappingMatchInfo | None = None
        self._route = route
        self.writer: Gathering | None = None
        """Where a response writes that is not whole when its handler returns it."""

    @property
    def id(self) -> str:
        """The request's id."""
        return self._asked.request_id

    @property
    def method(self) -> str:
        return self._asked.head.method.decode()

    @property
    def raw_path(self) -> str:
        return self._asked.head.target.decode()

    @property
    def path(self) -> str:
        return self.rel_url.path

    @property
    def rel_url(self) -> URL:
        path, _, query = self.raw_path.partition("?")
        return URL.build(path=path, query_string=query, encoded=True)

    @property
    def query(self) -> MultiDictProxy[str]:
        return self.rel_url.query if b"?" in self._asked.head.target else _NO_QUERY

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        if self._headers is None:
            fields = _texts(self._asked, self._around).fields.copy()
            fields[_ID] = self._asked.request_id
            if self._asked.head.more:
                fields.extend((name.decode(), value.decode()) for name, value in self._asked.head.changing())
            self._headers = CIMultiDictProxy(fields)
        return self._headers

    @property
    def found(self) -> Mapping[str, str]:
        """What the path says: `match_info` without all that aiohttp keeps with it."""
        return self._asked.route.found

    @property
    def match_info(self) -> UrlMappingMatchInfo:
        if self._match is None:
            assert self._route is not None
            self._match = UrlMappingMatchInfo(dict(self._asked.route.found), self._route)
        return self._match

    @property
    def kept(self) -> dict[object, Any]:
        """What was made of its fields, for all requests with the same ones; soon forgotten with them."""
        return _texts(self._asked, self._around).kept

    @property
    def remote(self) -> str:
        return self._asked.side.peer.decode()

    @property
    def app(self) -> web.Application:
        return self._around.app

    @property
    def content_type(self) -> str:
        return self._kind()[0]

    @property
    def charset(self) -> str | None:
        return self._kind()[1]

    @property
    def body_exists(self) -> bool:
        return bool(self._asked.head.framing)

    async def read(self) -> bytes:
        return self._asked.body

    def __getitem__(self, key: Any) -> Any:
        return self._state[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._state[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self._state

    def get(self, key: Any, default: Any = None) -> Any:
        """What was kept here under ``key``."""
        return self._state.get(key, default)

    @property
    def full(self) -> web.Request:
        """The same as aiohttp has it."""
        if self._full is None:
            self._full = self._made()
        return self._full

    def __getattr__(self, name: str) -> Any:
        return getattr(self.full, name)

    def _kind(self) -> tuple[str, str | None]:
        said = self.headers.get("Content-Type")
        return (_UNKNOWN_KIND, None) if said is None else _kind_of(said)

    def _made(self) -> web.Request:
        asked, around, head = self._asked, self._around, self._asked.head
        message = RawRequestMessage(
            "GET" if head.method == b"HEAD" else self.method,  # the engine leaves the body out
            self.raw_path,
            _VERSIONS[head.minor],
            self.headers,
            (*_texts(asked, around).raw, *head.changing()),
            not head.keeps,
            None,
            False,
            False,
            self.rel_url,
        )
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        writer: Any = self.writer
        made = web.Request(
            message,
            self._payload(loop),
            around.protocol,
            writer,
            task,
            loop,
            client_max_size=LARGEST,
            state=self._state,
            remote=self.remote,
        )
        if self._route is not None:
            match = made._match_info = self.match_info
            match.add_app(around.app)
            match.freeze()
        return made

    def _payload(self, loop: asyncio.AbstractEventLoop) -> StreamReader:
        if self._asked.head.framing is None:
            return EMPTY_PAYLOAD
        body = StreamReader(self._around.protocol, len(self._asked.body) + 1, loop=loop)
        body.feed_data(self._asked.body)
        body.feed_eof()
        return body


class Gathering(AbstractStreamWriter):
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


_WHOLE = "this route answers as a whole: return a web.Response"


class _Texts(NamedTuple):
    """A head's fields as aiohttp has them, for peers that are ``believed`` or for others; without the request's id and
    what changes from one request to the next (`RequestHead.changing`)."""

    fields: CIMultiDict[str]
    raw: tuple[tuple[bytes, bytes], ...]
    believed: bool
    kept: dict[object, Any]


def _texts(asked: Asked, around: Around) -> _Texts:
    known = asked.head.fields
    texts = known.texts
    if not isinstance(texts, _Texts) or texts.believed is not asked.side.peer_trusted:
        texts = known.texts = _texts_of(asked, around)
    return texts


def _texts_of(asked: Asked, around: Around) -> _Texts:
    raw = tuple(around.seen(asked.head, asked.side))
    fields: CIMultiDict[str] = CIMultiDict(
        (name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in raw
    )
    fields.popall("Expect", None)  # the engine has answered it
    return _Texts(fields, raw, asked.side.peer_trusted, {})


@lru_cache(maxsize=64)
def _kind_of(field: str) -> tuple[str, str | None]:
    """The media type that a ``Content-Type`` names, and its charset."""
    message = Message()
    message["Content-Type"] = field
    charset = message.get_param("charset")
    return message.get_content_type(), charset if isinstance(charset, str) else None
