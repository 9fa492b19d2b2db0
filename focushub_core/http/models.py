"""What requests and answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

Instant = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, with an offset; answered in UTC")]
"""A moment; one without an offset is refused."""


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's JSON object: subclass it. A field that it does not declare is a 422."""


class Header(msgspec.Struct, frozen=True):
    """Takes a parameter from a header field: ``Annotated[str | None, Header("If-Match")]``."""

    name: str


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """A result with a status or header fields of its own."""

    body: T
    status: int | None = None
    headers: Mapping[str, str] = {}


def encode(value: Any) -> bytes:
    """``value`` as JSON; instants as RFC 3339 in UTC with ``Z``."""
    return _encoder.encode(value)


_encoder = msgspec.json.Encoder()
