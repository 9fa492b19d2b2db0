"""What becomes of a request: who answers it, and what goes with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from focushub_core.balancer import Pool
from focushub_core.errors import FocusHubError
from focushub_core.proxy.engine.answers import Answer
from focushub_core.proxy.http1 import RequestHead
from focushub_core.proxy.rewrite import Side


class Asked(msgspec.Struct):
    """A request, read whole, for a route of the part's own. All its fields are those of ``head.whole()``."""

    head: RequestHead
    body: bytes
    side: Side
    request_id: str
    route: Route


Handler = Callable[[Asked], Awaitable[Answer]]
"""Answers on a route of the part's own. It may raise `FocusHubError`."""


class Route(msgspec.Struct):
    """Who answers: an upstream of ``pool``, or ``handler``; or nobody, for the reason that ``refusal`` says.
    Or somebody ``elsewhere``: the protocol that it makes has the whole connection from this request on.

    ``label`` names it in logs and metrics: of bounded variety. ``sent`` are further field lines for the upstream,
    ``told`` for the client, on whatever answer it gets. A POST below one of the paths ``keyed``
    with an ``Idempotency-Key`` acts once, however often it comes: it may be sent again.
    """

    label: str
    pool: Pool | None = None
    sent: bytes = b""
    told: bytes = b""
    keyed: tuple[str, ...] = ()
    notes: tuple[tuple[str, float, str], ...] = ()
    """What was done to find this out, for who asks (`focushub_core.proxy.engine.witness`)."""
    handler: Handler | None = None
    elsewhere: Callable[[], asyncio.Protocol] | None = None
    refusal: FocusHubError | None = None
    user: object = None
    """Who asks, where that is known: for the handler."""
    found: Mapping[str, str] = {}
    """What the path says, for the handler."""

    def telling(self, told: bytes) -> Route:
        """The same way for another request, the answer to which is told something else."""
        return msgspec.structs.replace(self, told=told)


Router = Callable[[RequestHead, Side], Route | Awaitable[Route]]
"""Says what becomes of a request, at once if it can. It may raise `FocusHubError`."""
