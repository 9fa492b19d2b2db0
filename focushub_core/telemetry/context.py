"""The request that is being served, for everything that happens on its behalf.

A request's id is made at the edge (the load balancer), travels as ``X-Request-Id`` through every hop, stands in every
log line and problem document, and is answered to the client.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

from uuid_utils import uuid7

HEADER = "X-Request-Id"
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_ACCEPTABLE = re.compile(r"[A-Za-z0-9_-]{8,64}")


def take_up(value: str | None) -> str:
    """The id that came with a request, if it is one that is safe to log and pass on; else a new one.

    >>> take_up("0190a5c2f7e87b3c9d1e")
    '0190a5c2f7e87b3c9d1e'
    """
    if value is not None and _ACCEPTABLE.fullmatch(value):
        return value
    return new_id()


def new_id() -> str:
    """A request's id, where none came with it."""
    return uuid7().hex
