"""What the engine's two sides know of each other: what serves a request, as its client's connection sees it."""

from __future__ import annotations

from typing import Protocol

from focushub_core.proxy.http1 import End


class Serving(Protocol):
    """What a client's connection is busy with."""

    wants_body: bool
    """Whether pieces of the request's body may be given now."""

    def on_body(self, data: bytes) -> None:
        """A piece of the request's body."""

    def on_body_end(self, end: End) -> None:
        """The request is over."""

    def on_full(self) -> None:
        """The client has to take some of what was written before more is."""

    def on_room(self) -> None:
        """It took it: more may follow."""

    def on_gone(self) -> None:
        """The client is gone."""

    def look(self, now: float) -> float:
        """Act on what is due; the next deadline."""
