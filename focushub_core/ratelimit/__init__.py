"""Rate limits: exact over all processes that share a Redis, and kept up, by shares, while it is away.

`Policy` says what is limited, `Limiter` decides, `RateLimits` puts it in front of handlers, `limit` marks one of them.
As a library call::

    limiter = Limiter.of("20/minute", redis_url="redis://127.0.0.1:6379")    # or without Redis: for this process
    if not (await limiter.acquire("ann")).allowed: ...

Importing this package loads neither redis nor aiohttp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from focushub_core.ratelimit.gcra import Charge, Decision
from focushub_core.ratelimit.leases import Leases
from focushub_core.ratelimit.limiter import Limiter
from focushub_core.ratelimit.limits import limit
from focushub_core.ratelimit.local import LocalStore
from focushub_core.ratelimit.policy import Policy
from focushub_core.ratelimit.verdict import Verdict

if TYPE_CHECKING:
    from focushub_core.ratelimit.middleware import RateLimits
    from focushub_core.ratelimit.redis_store import RedisStore

__all__ = [
    "Charge",
    "Decision",
    "Leases",
    "Limiter",
    "LocalStore",
    "Policy",
    "RateLimits",
    "RedisStore",
    "Verdict",
    "limit",
]


def __getattr__(name: str) -> Any:
    if name == "RedisStore":
        from focushub_core.ratelimit.redis_store import RedisStore

        return RedisStore
    if name == "RateLimits":
        from focushub_core.ratelimit.middleware import RateLimits

        return RateLimits
    raise AttributeError(name)
