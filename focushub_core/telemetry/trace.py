"""The trace that a request belongs to (W3C Trace Context), taken up and passed on.

Rules that hold here:

* Nothing is installed for it, and nobody is told of it: who sent ``traceparent`` finds its trace id in the log lines of
  every part that the request went through, and in what these asked of others.
* Where nobody records spans (`focushub_core.telemetry.tracing`), fields go on as they came: a new id would name a
  span that nobody ever shows, and break the trace in two. Nor is a trace begun.
* What is not valid is not taken up; without a valid ``traceparent``, ``tracestate`` says nothing (section 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import NamedTuple, Protocol

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

# Section 3.2.2: "Version ff is invalid", and "all bytes as zero [...] is considered an invalid value" of either id.
# A later version may go on after a dash, and is read as far as this one knows it (section 3.2.4).
_PARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]*)?"
)
_VERSION_00 = 55
"""Its length: of version 00, nothing may follow."""

# Section 3.3.1.3, with the names of tenants that level 1 has and level 2 has dropped.
_KEY = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER = re.compile(rf"({_KEY})=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]")
_MEMBERS = 32


class Call(Protocol):
    """A call to somebody else on the request's behalf, for the length of a ``with`` block."""

    @property
    def fields(self) -> dict[str, str]:
        """What is sent along."""

    def answered(self, status: int) -> None:
        """The answer's head is there."""

    def failed(self, kind: str) -> None:
        """There is no answer, or only half of one, for a reason of that kind: ``upstream_timeout``."""

    def __enter__(self) -> Call: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Trace(Protocol):
    """A request's place in its trace."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits in lower case."""

    def fields(self) -> dict[str, str]:
        """``traceparent``, and ``tracestate`` where there is one, for whoever is asked next."""

    def calling(self, method: str, url: str, *, inner: bool = False, since_ns: int | None = None) -> Call:
        """A call of ``method`` to ``url``, about to be made, or begun at ``since_ns``, nanoseconds since the epoch.

        An ``inner`` one is of what the present task does for the request.
        """

    def adopt(self) -> None:
        """The present task is the request's alone: what it does belongs to it."""

    def end(self, route: str, status: int, error: type[BaseException] | None = None) -> None:
        """The request was answered with ``status``; ``error`` is the exception that made it a 500."""


class PassedOn(NamedTuple):
    """What came, and goes on as it is."""

    trace_id: str
    parent: str
    state: str

    def fields(self) -> dict[str, str]:
        return {TRACEPARENT: self.parent, **({TRACESTATE: self.state} if self.state else {})}

    def calling(self, method: str, url: str, *, inner: bool = False, since_ns: int | None = None) -> Call:
        return _Unrecorded(self.fields())

    def adopt(self) -> None:
        current.set(self)

    def end(self, route: str, status: int, error: type[BaseException] | None = None) -> None:
        """Nobody records how it went."""

    @property
    def span_id(self) -> str:
        """Whose child the request is."""
        return self.parent[36:52]

    @property
    def flags(self) -> int:
        """Bit 0: the sender may have recorded it."""
        return int(self.parent[53:55], 16)


class _Unrecorded:
    """A call that nobody records."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields

    def answered(self, status: int) -> None: ...

    def failed(self, kind: str) -> None: ...

    def __enter__(self) -> Call:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


current: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""That of the request which is being served, where it has one."""


def take_up(parents: Sequence[str], states: Sequence[str] = ()) -> PassedOn | None:
    """What the fields ``traceparent`` and ``tracestate`` say; None unless the first came once and is valid.

    >>> take_up(["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]).trace_id
    '0af7651916cd43dd8448eb211c80319c'
    """
    if len(parents) != 1:
        return None
    (parent,) = parents
    found = _PARENT.fullmatch(parent)
    if found is None or (found[1] == "00" and len(parent) != _VERSION_00):
        return None
    return PassedOn(found[2], parent, _state(states) if states else "")


def fields() -> dict[str, str]:
    """What a call on behalf of the present request carries: nothing, where that belongs to no trace."""
    trace = current.get()
    return {} if trace is None else trace.fields()


def calling(method: str, url: str) -> Call:
    """A call on behalf of the present request, recorded where its trace is."""
    trace = current.get()
    return _Unrecorded({}) if trace is None else trace.calling(method, url, inner=True)


def _state(values: Sequence[str]) -> str:
    """One list out of all fields; empty where it is not one, or too long to be (section 3.3.1.1)."""
    members = [member.strip(" \t") for value in values for member in value.split(",")]
    named = [member for member in members if member]
    matches = [_MEMBER.fullmatch(member) for member in named]
    keys = {match[1] for match in matches if match is not None}
    return ",".join(named) if len(keys) == len(named) <= _MEMBERS else ""
