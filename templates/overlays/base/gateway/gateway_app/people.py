"""A person's day settings: from the key that auth writes with the profile, or from auth itself while Redis is away."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import msgspec

from focushub_core import Secret, Unauthorized, Unavailable
from focushub_core.balancer import Pool
from focushub_core.gateway.upstreams import Reply
from stack_shared.day import DaySettings, key_of
from stack_shared.zones import zone_named

if TYPE_CHECKING:
    from redis import asyncio as aioredis

DEADLINE = 0.1
"""Seconds that Redis may take before auth is asked instead."""

_log = logging.getLogger(__name__)


class Profile(msgspec.Struct, frozen=True):
    """What the gateway reads of auth's ``GET /v1/me``."""

    timezone: str
    week_start: int
    day_start_minutes: int


class Client(Protocol):
    """What is needed of `focushub_core.gateway.upstreams.UpstreamClient`."""

    async def get(self, pool: Pool, path: str, fields: Mapping[str, str]) -> Reply:
        """The answer to GET ``path``."""
        raise NotImplementedError


class People:
    """Looks up day settings; ``redis_url`` is left out where the stack has no Redis."""

    def __init__(self, client: Client, auth: Pool, redis_url: Secret | None) -> None:
        self._client = client
        self._auth = auth
        self._redis = _connect(redis_url.reveal()) if redis_url else None

    async def close(self) -> None:
        """Closes the connection to Redis."""
        if self._redis is not None:
            await self._redis.aclose()

    async def day_settings(self, user_id: UUID, authorization: str) -> DaySettings:
        """The settings of the person whose token ``authorization`` carries, as they are now."""
        header = await self._written_through(user_id)
        if header is not None:
            return DaySettings.parse(header)
        return await self._from_auth(authorization)

    async def _written_through(self, user_id: UUID) -> str | None:
        if self._redis is None:
            return None
        from redis.exceptions import RedisError

        try:
            value = await self._redis.get(key_of(user_id))
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("day settings: Redis is away, auth is asked", extra={"reason": type(error).__name__})
            return None
        return value.decode() if isinstance(value, bytes) else value

    async def _from_auth(self, authorization: str) -> DaySettings:
        reply = await self._client.get(self._auth, "/v1/me", {"Authorization": authorization})
        if reply.status == Unauthorized.status:
            raise Unauthorized("The access token is no longer valid.", code="invalid_token")
        try:
            profile = msgspec.json.decode(reply.body, type=Profile)
            return DaySettings(zone_named(profile.timezone), profile.week_start, profile.day_start_minutes)
        except (msgspec.DecodeError, ValueError):
            raise Unavailable(
                "The person's day settings cannot be read.", code="day_settings_unavailable"
            ) from None


def _connect(url: str) -> aioredis.Redis:
    from redis import asyncio as aioredis

    return aioredis.Redis.from_url(url, socket_timeout=DEADLINE, socket_connect_timeout=DEADLINE)
