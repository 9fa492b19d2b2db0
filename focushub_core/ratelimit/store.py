"""Where buckets are kept: the doors that the limiter goes through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from focushub_core.errors import Unavailable
from focushub_core.ratelimit.gcra import Charge, Decision, Grant, Want


class StoreUnavailable(Unavailable):
    """The store did not decide in time, or could not."""

    code = "limit_store_unavailable"


class Store(Protocol):
    """Decides on several charges at once: all are admitted, or none is charged."""

    def decide(self, charges: Sequence[Charge]) -> tuple[Decision, ...] | None:
        """One decision for each charge if nothing has to be waited for, else None and nothing is charged."""

    async def charge(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        """One decision for each charge; `StoreUnavailable` when there is none within the store's deadline."""

    async def ping(self) -> int:
        """The number of live processes that share the store, this one among them; `StoreUnavailable` when it
        would not decide now."""

    async def close(self) -> None:
        """Let go of connections."""


class SharedStore(Protocol):
    """What `Leases` takes permits from."""

    async def reserve(self, wants: Sequence[Want], part: int) -> Grant:
        """As `gcra.grant`, by the store's own clock; `StoreUnavailable` when there is no answer in time."""

    async def ping(self) -> int:
        """As `Store.ping`."""

    async def close(self) -> None:
        """Let go of connections."""
