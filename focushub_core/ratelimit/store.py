"""Where buckets are kept: the door that the limiter goes through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from focushub_core.errors import Unavailable
from focushub_core.ratelimit.gcra import Charge, Decision


class StoreUnavailable(Unavailable):
    """The store did not decide in time, or could not."""

    code = "limit_store_unavailable"


class Store(Protocol):
    """Decides on several charges at once: all are admitted, or none is charged."""

    async def charge(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        """One decision for each charge; `StoreUnavailable` when there is none within the store's deadline."""

    async def ping(self) -> None:
        """Return when the store would decide now; `StoreUnavailable` when not."""

    async def close(self) -> None:
        """Let go of connections."""
