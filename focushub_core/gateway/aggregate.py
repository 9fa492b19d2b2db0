"""One answer out of several services' (the dashboard), as a declared contract.

Rules that hold here:

* All sections are asked at once. Each has its own deadline, all share one; a section that is late is reported,
  not waited for.
* With at least one section the answer is 200, ``partial`` where some are missing, and ``X-Partial`` names those.
  With none it is a 503 problem with ``Retry-After``.
* What a failing service said never reaches the client: a section is ``ok`` with its data, or ``unavailable`` with
  a code of ours. A 401 is the exception: the token is no longer good, so the whole answer is 401.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from focushub_core.deadline import start
from focushub_core.errors import FocusHubError, GatewayTimeout, Unauthorized, Unavailable

SECTION_DEADLINE = 0.8
"""Seconds that one section may take."""
TOTAL_DEADLINE = 1.5
"""Seconds that all may take together."""

_log = logging.getLogger(__name__)


class Section(msgspec.Struct, frozen=True):
    """A part of the answer: which service is asked for which path, and how its JSON becomes the section's data."""

    name: str
    service: str
    path: str
    shape: Callable[[Any], Any] = lambda data: data


class Reply(msgspec.Struct, frozen=True):
    """What a service answered."""

    status: int
    body: bytes


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

    @property
    def missing(self) -> list[str]:
        """The names of the sections without data."""
        return [name for name, outcome in self.outcomes.items() if outcome.code is not None]

    def sections(self) -> dict[str, Any]:
        """The sections as they stand in the answer; `Unavailable` where none has data."""
        if len(self.missing) == len(self.outcomes):
            raise Unavailable("None of the services behind this answered.", code="upstreams_unavailable")
        return {name: outcome.document() for name, outcome in self.outcomes.items()}


async def gather(sections: Sequence[Section], fetch: Fetch, *, deadline: float = TOTAL_DEADLINE) -> Aggregate:
    """Asks all ``sections`` at once; raises `Unauthorized` if a service no longer takes the token."""
    each = min(SECTION_DEADLINE, deadline)
    outcomes = await asyncio.gather(*(_ask(section, fetch, each) for section in sections))
    return Aggregate({section.name: outcome for section, outcome in zip(sections, outcomes, strict=True)})


async def _ask(section: Section, fetch: Fetch, seconds: float) -> Outcome:
    try:
        async with asyncio.timeout(seconds):
            start(seconds)  # the section's own: each is asked in a task of its own
            reply = await fetch(section)
    except (TimeoutError, GatewayTimeout):
        return Outcome(code="upstream_timeout")
    except FocusHubError as error:
        _log.warning("section failed", extra={"section": section.name, "code": error.code})
        return Outcome(code="upstream_unavailable")
    return read(section, reply)


def read(section: Section, reply: Reply) -> Outcome:
    """What a service's answer means for its section."""
    if reply.status == Unauthorized.status:
        raise Unauthorized("The access token is no longer valid.", code="invalid_token")
    if reply.status != 200:
        _log.warning("section failed", extra={"section": section.name, "upstream_status": reply.status})
        return Outcome(code="upstream_error")
    try:
        return Outcome(section.shape(msgspec.json.decode(reply.body)))
    except (msgspec.DecodeError, KeyError, TypeError):
        _log.warning("section is not what was agreed", extra={"section": section.name})
        return Outcome(code="upstream_error")
