"""The person behind a request."""

from __future__ import annotations

from uuid import UUID

import msgspec


class User(msgspec.Struct, frozen=True):
    """Whom a valid access token speaks for. A handler with a parameter of this type answers 401 without one."""

    id: UUID
    session_id: UUID
    scopes: frozenset[str] = frozenset()
    expires_at: int = 0
    """When the token ends, in seconds since the epoch."""
