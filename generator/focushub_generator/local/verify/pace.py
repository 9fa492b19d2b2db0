"""How fast clients may go without being refused by the stack's own limits. Pure.

A client is one signed-in person; limits by user are each one's own. `SHARE` of what they allow leaves room for what
gateways hold in advance of each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from focushub_core.stack import LimitTable

CLIENTS = 8
"""People at once; registering and logging in are two requests each, under the limit of logins."""
FASTEST = 20.0
"""Requests a second of one client: eight of them are a good load for a laptop, and leave it usable."""
SHARE = 0.7


def pace(limits: Iterable[LimitTable], seconds: float) -> float:
    """Requests a second of one client over ``seconds``, under every limit that counts people on all routes."""
    allowed = [
        ((limit.burst or limit.quota) + limit.quota / limit.window * seconds) / seconds
        for limit in limits
        if "user" in ((limit.by,) if isinstance(limit.by, str) else limit.by) and not limit.routes
    ]
    return min([FASTEST, *(SHARE * rate for rate in allowed)])
