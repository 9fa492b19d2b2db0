"""Buckets in Redis, shared by all processes: one script call a request, whatever the number of policies.

Rules that hold here:

* A script is never sent twice. NOSCRIPT alone leads to a second call, because it says that nothing ran.
* Whatever else Redis refuses (READONLY, OOM, LOADING) is Redis being away. The connection is closed then: another
  server may have taken over its name.
* Every key has a time to live: it leaves when its bucket is full again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from focushub_core.ratelimit.connection import Connection, Refused
from focushub_core.ratelimit.gcra import Charge, Decision, Grant, Want, decide_all
from focushub_core.ratelimit.store import StoreUnavailable

MEMBER_S = 6
"""A process that has not pinged for so long is no longer counted as alive."""

# A script that writes, so that a replica, or a full Redis, is not taken for a good one.
_PING = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[2]) * 2)
return redis.call('ZCARD', KEYS[1])
"""


class RedisStore:
    """Buckets at ``url``, under keys that start with ``prefix``; processes with the same prefix share them.

    ``deadline_s`` bounds every call, connecting included. Redis 7 or Valkey 8 and up; not a cluster, where
    the buckets of one call could lie on several nodes.
    """

    def __init__(self, url: str, *, prefix: str = "limit:", deadline_s: float = 0.1) -> None:
        self._prefix = prefix
        self._connection = Connection(url, deadline_s=deadline_s)
        self._script = Path(__file__).with_name("gcra.lua").read_text("utf-8")
        self._sha = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()
        self._member = secrets.token_hex(8)
        self._joined = False

    def decide(self, charges: Sequence[Charge]) -> None:
        """Nothing is decided without asking Redis."""

    async def charge(self, charges: Sequence[Charge]) -> tuple[Decision, ...]:
        if not charges:
            return ()
        wants = [
            Want(c.bucket, c.policy.interval_us, c.policy.tolerance_us, c.cost * c.policy.interval_us)
            for c in charges
        ]
        granted = await self.reserve(wants, 1)
        decisions, _ = decide_all(charges, granted.debts, now_us=0)
        if all(decision.allowed for decision in decisions) != granted.admitted:
            raise AssertionError("gcra.lua and gcra.py disagree")
        return decisions

    async def reserve(self, wants: Sequence[Want], part: int) -> Grant:
        """Takes what is needed of every bucket or nothing, and leases beyond that (`gcra.grant`)."""
        arguments: list[str | int] = [len(wants), *(self._prefix + want.bucket for want in wants), part]
        for want in wants:
            arguments += (want.interval_us, want.tolerance_us, want.need_us, want.extra_us)
        try:
            answer = await self._connection.call("EVALSHA", self._sha, *arguments)
        except Refused as refused:
            if refused.code != "NOSCRIPT":
                raise self._away(refused) from None
            answer = await self._eval(self._script, *arguments)  # Redis is new or was flushed; this loads it
        return Grant(bool(answer[0]), tuple(answer[1::2]), tuple(answer[2::2]))

    async def ping(self) -> int:
        """Says that this process is alive, and returns how many are; `StoreUnavailable` unless Redis can write."""
        count: int = await self._eval(_PING, 1, f"{self._prefix}processes", self._member, MEMBER_S)
        self._joined = True
        return count

    async def close(self) -> None:
        if self._joined:
            with suppress(StoreUnavailable, Refused):  # or it will be missed in MEMBER_S seconds
                await self._connection.call("ZREM", f"{self._prefix}processes", self._member)
        self._connection.drop("closed")

    async def _eval(self, script: str, *arguments: str | int) -> Any:
        try:
            return await self._connection.call("EVAL", script, *arguments)
        except Refused as refused:
            raise self._away(refused) from None

    def _away(self, refused: Refused) -> StoreUnavailable:
        self._connection.drop("Redis does not do its work")
        return StoreUnavailable(str(refused))
