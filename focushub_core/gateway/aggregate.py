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
from focushub_core.proxy.engine.call import Reply
from focushub_core.telemetry import explain

__all__ = ["Aggregate", "Fetch", "Outcome", "Reply", "Section", "gather", "read"]

SECTION_DEADLINE = 0.8
"""Seconds that one section may take."""
TOTAL_DEADLINE = 1.5
"""Seconds that all may take together."""

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


Fetch = Callable[[Section], Awaitable[Reply]]
"""Asks one section's service; raises `FocusHubError` when there is no answer."""


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
    now = asyncio.get_running_loop().time()
    total = left(deadline)
    asked = [(section, asyncio.ensure_future(fetch(section))) for section in sections]
    if (explanation := explain.current.get()) is not None:
        for section, reply in asked:
            reply.add_done_callback(partial(_explain, explanation, section.name, now))
    try:
        for seconds in sorted({section.seconds for section in sections}):
            share = {reply for section, reply in asked if section.seconds == seconds and not reply.done()}
            if share:
                passed = asyncio.get_running_loop().time() - now
                _, late = await asyncio.wait(share, timeout=max(0.0, min(seconds, total) - passed))
                for reply in late:
                    reply.cancel()
        outcomes = {section.name: _outcome(section, reply) for section, reply in asked}
    finally:
        for _, reply in asked:
            reply.cancel()
    return Aggregate(outcomes, frozenset(section.name for section in sections if section.required))


def _explain(explanation: explain.Explanation, name: str, began: float, reply: asyncio.Future[Reply]) -> None:
    what = "late" if reply.cancelled() else "failed" if reply.exception() else str(reply.result().status)
    explanation.add(f"section-{name}", asyncio.get_running_loop().time() - began, what)


def _outcome(section: Section, reply: asyncio.Future[Reply]) -> Outcome:
    if not reply.done() or reply.cancelled():
        return Outcome(code="upstream_timeout")
    try:
        return read(section, reply.result())
    except (TimeoutError, GatewayTimeout):
        return Outcome(code="upstream_timeout")
    except Unauthorized:
        raise
    except FocusHubError as error:
        _log.warning("section failed", extra={"section": section.name, "code": error.code})
        return Outcome(code="upstream_unavailable")


def read(section: Section, reply: Reply) -> Outcome:
    """What a service's answer means for its section."""
    if reply.status == Unauthorized.status:
        raise Unauthorized("The access token is no longer valid.", code="invalid_token")
    if reply.status != 200:
        _log.warning("section failed", extra={"section": section.name, "upstream_status": reply.status})
        return Outcome(code="upstream_error")
    try:
        data = msgspec.json.decode(reply.body)
        return Outcome(msgspec.Raw(reply.body) if section.shape is None else section.shape(data))
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError, ValueError, AttributeError):
        _log.warning("section is not what was agreed", extra={"section": section.name})
        return Outcome(code="upstream_error")
