"""What requests and answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from focushub_core.http.instants import all_in_utc, to_utc

T = TypeVar("T")

Instant = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, with an offset; answered in UTC")]
"""A moment; one without an offset is refused."""
WallClock = Annotated[
    datetime,
    msgspec.Meta(
        tz=False,
        description="What a clock shows: a day and a time without an offset",
        examples=["2026-05-10T09:00:00"],
        extra_json_schema={"pattern": r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?$"},
    ),
]
"""A day and a time on somebody's clock; one with an offset is refused."""

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""What a column of type ``integer`` holds."""
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What a column of type ``bigint`` holds. A plain ``int`` of a request is kept within these bounds, too."""

Unset = msgspec.UnsetType
"""In a merge patch (RFC 7396) what is left out differs from ``null``: ``color: Color | Unset | None = UNSET``."""
UNSET = msgspec.UNSET


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's JSON object: subclass it. A field that it does not declare is a 422."""


class Header(msgspec.Struct, frozen=True):
    """Takes a parameter from a header field: ``Annotated[str | None, Header("If-Match")]``."""

    name: str


class Query(msgspec.Struct, frozen=True):
    """Makes a struct of query parameters: ``wanted: Annotated[TaskFilter, Query()]``."""


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """A result with a status or header fields of its own."""

    body: T
    status: int | None = None
    headers: Mapping[str, str] = {}


def encode(value: Any) -> bytes:
    """``value`` as JSON; instants as RFC 3339 in UTC with ``Z``, whatever their offset."""
    return _encoder.encode(value if all_in_utc(value) else to_utc(value))


_encoder = msgspec.json.Encoder()
