"""One answer out of several services' (the dashboard), as a declared contract.

Rules that hold here:

* All sections are asked at once. Each has its share of one deadline; one that is late is reported, not waited for.
* With at least one section the answer is 200, ``partial`` where some are missing, and ``X-Partial`` names those.
  With none, or without one that is required, it is a 503 problem with ``Retry-After``.
* A section's data is what the service said: JSON that is looked at, but neither taken apart nor written anew unless the
  section has a ``shape``.
* What a failing service said never reaches the client: a section is ``ok`` with its data, or ``unavailable`` with
  a code of ours. A 401 is the exception: the token is no longer good, so the whole answer is 401.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from focushub_core.deadline import left
from focushub_core.errors import FocusHubError, GatewayTimeout, Unauthorized, Unavailable
from focushub_core.proxy.engine.call import Call, Reply
from focushub_core.telemetry import explain

__all__ = ["Aggregate", "Fetch", "Outcome", "Reply", "Section", "gather", "read"]

SECTION_DEADLINE = 0.8
"""Seconds that one section may take."""
TOTAL_DEADLINE = 1.5
"""Seconds that all may take together."""

_JSON = msgspec.json.Decoder(msgspec.Raw)
"""Goes over a text without making anything of it: four times as fast."""

_log = logging.getLogger(__name__)


class Section(msgspec.Struct, frozen=True):
    """A part of the answer: which service is asked for which path, and how its JSON becomes the section's data.

    Without it there is no answer if it is ``required``. ``seconds`` is its share of the whole's deadline.
    """

    name: str
    service: str
    path: str
    shape: Callable[[Any], Any] | None = None
    required: bool = False
    seconds: float = SECTION_DEADLINE


Fetch = Callable[[Section], Call | Awaitable[Reply]]
"""Asks one section's service; what it gives raises `FocusHubError` when there is no answer."""


class Outcome(msgspec.Struct, frozen=True):
    """A section's data, or the code that says why there is none."""

    data: Any = None
    code: str | None = None

    def document(self) -> dict[str, Any]:
        """The section as it stands in the answer."""
        if self.code is None:
            return {"status": "ok", "data": self.data}
        return {"status": "unavailable", "error": {"code": self.code}, "data": None}


class Aggregate(msgspec.Struct, frozen=True):
    """All sections' outcomes, by name."""

    outcomes: Mapping[str, Outcome]
    required: frozenset[str] = frozenset()

    @property
    def missing(self) -> list[str]:
        """The names of the sections without data."""
        return [name for name, outcome in self.outcomes.items() if outcome.code is not None]

    def sections(self) -> dict[str, Any]:
        """The sections as they stand in the answer; `Unavailable` where none has data, or a required one has not."""
        missing = self.missing
        if len(missing) == len(self.outcomes):
            raise Unavailable("None of the services behind this answered.", code="upstreams_unavailable")
        if lacking := [name for name in missing if name in self.required]:
            names = ", ".join(lacking)
            raise Unavailable(
                f"What this cannot do without did not come: {names}.", code="section_unavailable"
            )
        return {name: outcome.document() for name, outcome in self.outcomes.items()}


async def gather(sections: Sequence[Section], fetch: Fetch, *, deadline: float = TOTAL_DEADLINE) -> Aggregate:
    """Asks all ``sections`` at once; raises `Unauthorized` if a service no longer takes the token."""
    asked: list[tuple[Section, Call | _Awaited]] = []
    for section in sections:
        reply = fetch(section)
        asked.append((section, reply if isinstance(reply, Call) else _Awaited(reply)))
    waiting = _Waiting(asked, left(deadline))
    try:
        await waiting.last
    finally:
        waiting.end()
    outcomes = {section.name: _outcome(section, pending) for section, pending in asked}
    return Aggregate(outcomes, frozenset([section.name for section in sections if section.required]))


class _Waiting:
    """For all that was ``asked``, ``total`` seconds at most; ``last`` is done when nothing is left to wait for."""

    def __init__(self, asked: Sequence[tuple[Section, Call | _Awaited]], total: float) -> None:
        loop = asyncio.get_running_loop()
        self.last: asyncio.Future[None] = loop.create_future()
        self._asked = asked
        self._left = len(asked)
        self._timers: dict[float, asyncio.TimerHandle] = {}
        self._began = loop.time()
        self._explanation = explain.current.get()
        for section, pending in asked:
            pending.tell(self._over if self._explanation is None else partial(self._explained, section))
            if (seconds := section.seconds) not in self._timers:
                wait = max(0.0, min(seconds, total))
                self._timers[seconds] = loop.call_later(wait, self._late, seconds)
        if not asked:
            self.last.set_result(None)

    def end(self) -> None:
        """Nobody waits any more."""
        for timer in self._timers.values():
            timer.cancel()
        if self._left:
            for _, pending in self._asked:
                pending.cancel()
        self._asked = ()  # these know who waits for them: no cycle is left behind

    def _late(self, seconds: float) -> None:
        """The sections with this share of the deadline are not waited for any more."""
        for section, pending in self._asked:
            if section.seconds == seconds and not pending.over:
                pending.cancel()
                self._explained(section, pending)

    def _over(self, _: Call | _Awaited) -> None:
        self._left -= 1
        if not self._left and not self.last.done():
            self.last.set_result(None)

    def _explained(self, section: Section, pending: Call | _Awaited) -> None:
        if self._explanation is not None:
            took = asyncio.get_running_loop().time() - self._began
            self._explanation.add(f"section-{section.name}", took, _in_a_word(pending))
        self._over(pending)


class _Awaited:
    """What any other awaitable gives, as a `Call` gives it."""

    over = False
    reply: Reply | None = None
    problem: BaseException | None = None

    def __init__(self, coming: Awaitable[Reply]) -> None:
        self._coming = asyncio.ensure_future(coming)

    def tell(self, told: Callable[[Any], None]) -> None:
        self._coming.add_done_callback(partial(self._done, told))

    def cancel(self) -> None:
        self.over = True
        if not self._coming.cancel():
            self._take()  # it came in this very turn of the loop

    def _done(self, told: Callable[[Any], None], _: asyncio.Future[Reply]) -> None:
        if not self.over:
            self.over = True
            self._take()
            told(self)

    def _take(self) -> None:
        if not self._coming.cancelled():
            self.problem = self._coming.exception()
            self.reply = self._coming.result() if self.problem is None else None


def _in_a_word(pending: Call | _Awaited) -> str:
    if pending.problem is not None:
        return "failed"
    return "late" if pending.reply is None else str(pending.reply.status)


def _outcome(section: Section, pending: Call | _Awaited) -> Outcome:
    reply, problem = pending.reply, pending.problem
    if reply is not None:
        return read(section, reply)
    if problem is None or isinstance(problem, TimeoutError | GatewayTimeout):
        return Outcome(code="upstream_timeout")
    if isinstance(problem, Unauthorized) or not isinstance(problem, FocusHubError):
        raise problem
    _log.warning("section failed", extra={"section": section.name, "code": problem.code})
    return Outcome(code="upstream_unavailable")


def read(section: Section, reply: Reply) -> Outcome:
    """What a service's answer means for its section."""
    if reply.status != 200:
        if reply.status == Unauthorized.status:
            raise Unauthorized("The access token is no longer valid.", code="invalid_token")
        _log.warning("section failed", extra={"section": section.name, "upstream_status": reply.status})
        return Outcome(code="upstream_error")
    try:
        if section.shape is not None:
            return Outcome(section.shape(msgspec.json.decode(reply.body)))
        if not reply.body.isascii():
            reply.body.decode()  # that it is UTF-8 is not looked at below
        return Outcome(_JSON.decode(reply.body))
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError, ValueError, AttributeError):
        _log.warning("section is not what was agreed", extra={"section": section.name})
        return Outcome(code="upstream_error")
