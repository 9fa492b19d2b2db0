"""An aiohttp application behind the engine: its handlers answer requests that the engine has read.

Rules that hold here:

* A handler sees an ordinary request, without what a client may not say, as a service does
  (`focushub_core.proxy.rewrite`), and gives an ordinary answer, as a whole: for a stream a service is the place, and
  not the gateway.
* No socket lies between. What needs nothing of aiohttp's is served directly (`focushub_core.direct`); for the rest a
  request is made of what was read, and what the response writes is gathered.
* What a handler raises becomes a problem document, as in every part (`focushub_core.http.problems`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any

from aiohttp import web

from focushub_core.direct.lane import Lane, Leads
from focushub_core.direct.request import Around
from focushub_core.gateway.filters import Seen
from focushub_core.http.handlers import Whole
from focushub_core.identity.user import User
from focushub_core.proxy.engine import Answer, Asked
from focushub_core.proxy.rewrite import own_fields

USER: web.RequestKey[User] = web.RequestKey("gateway.user", User)
"""Who asks, where a good token came with the request."""
AUTHORIZATION: web.RequestKey[str] = web.RequestKey("gateway.authorization", str)
"""What that token came in: the field's value, as the services get it."""


class Hosted:
    """``app``, opened and closed with `open` and `close`; the handlers in ``whole`` are served directly.

    ``seconds`` is what a request may take. ``show_internals`` tells clients of unexpected errors what they were: for
    development.
    """

    def __init__(
        self, app: web.Application, whole: Mapping[object, Whole], *, show_internals: bool, seconds: float
    ) -> None:
        self._app = app
        self._whole = {} if app.middlewares or app.on_response_prepare else whole
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
        around = Around(self._app, server(), own_fields, _known)
        self._handler = server.request_handler
        self._lane = Lane(around, self._whole, show_internals=self._show_internals, seconds=self._seconds)

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

    def answer(self, asked: Asked) -> Awaitable[Answer]:
        """A `focushub_core.proxy.engine.Handler`."""
        found = self._lane.find(asked.head.method, asked.head.target) or self._lane.look(asked)
        return self._on(found, asked) if isinstance(found, tuple) else self._later(found, asked)

    async def _later(self, looking: Awaitable[Leads], asked: Asked) -> Answer:
        return await self._on(await looking, asked)

    def _on(self, leads: Leads, asked: Asked) -> Awaitable[Answer]:
        way, asked.route.found = leads
        return self._lane.by_aiohttp(asked, self._handler) if way is None else way.answer(asked)


def _known(asked: Asked) -> dict[Any, Any]:
    """What a request knows from the start."""
    user, seen = asked.route.user, asked.head.fields.noted
    if not isinstance(user, User):
        return {}
    assert isinstance(seen, Seen)  # the filters, which know who it is, noted it
    return {USER: user, AUTHORIZATION: seen.authorization}


def _labels(app: web.Application) -> Iterator[tuple[str, re.Pattern[str] | None]]:
    """The template of each route, and what its paths look like where that is more than one."""
    for resource in app.router.resources():
        info = resource.get_info()
        yield resource.canonical, info.get("pattern")
