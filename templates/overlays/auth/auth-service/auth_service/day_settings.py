"""Writes a person's day settings through to Redis, where the gateway reads them.

Rules that hold here:

* Redis is needed by nobody: away or frozen, it costs a request at most `DEADLINE` and never fails one; that it is
  away is logged once, and once that it is back.
* A key lives for `LIFETIME`, which bounds how long a lost write can be felt; reading the profile puts it back.
  Without a key the gateway asks this service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from focushub_core import Secret
from stack_shared.day import DaySettings, key_of

if TYPE_CHECKING:
    from redis import asyncio as aioredis

DEADLINE = 0.1
"""Seconds that Redis may take, connecting included."""
LIFETIME = 3600
"""Seconds."""

_log = logging.getLogger(__name__)


class DayCache:
    """The keys ``focushub:day:<user id>`` in the Redis at ``url``; without one, or closed, it does nothing."""

    def __init__(self, url: Secret | None) -> None:
        self._url = url
        self._client: aioredis.Redis | None = None
        self._away = False

    async def __aenter__(self) -> Self:
        """Gets ready to connect; that Redis is away is found out later."""
        if self._url is not None:
            self._client = _client(self._url.reveal())
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def write(self, user_id: UUID, settings: DaySettings) -> None:
        """Stores the settings, in place of others."""
        await self._set(user_id, settings, only_if_absent=False)

    async def fill(self, user_id: UUID, settings: DaySettings) -> None:
        """Stores the settings where there are none; so a slow reader never undoes a change."""
        await self._set(user_id, settings, only_if_absent=True)

    async def ping(self) -> None:
        """Raises `ConnectionError` when Redis does not answer."""
        if self._client is not None:
            await _in_time(self._client.get("focushub:day:"))

    async def _set(self, user_id: UUID, settings: DaySettings, *, only_if_absent: bool) -> None:
        if self._client is None:
            return
        try:
            await _in_time(
                self._client.set(key_of(user_id), settings.header(), ex=LIFETIME, nx=only_if_absent)
            )
        except ConnectionError as error:
            self._note(away=True, reason=str(error))
        else:
            self._note(away=False)

    def _note(self, *, away: bool, reason: str = "") -> None:
        if away and not self._away:
            _log.warning("Redis is away: day settings are not written through", extra={"reason": reason})
        elif self._away and not away:
            _log.info("Redis is back: day settings are written through again")
        self._away = away


async def _in_time(call: Awaitable[Any]) -> None:
    from redis.exceptions import RedisError

    try:
        async with asyncio.timeout(DEADLINE):
            await call
    except TimeoutError:
        raise ConnectionError("Redis did not answer in time") from None
    except (RedisError, OSError) as error:
        raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _client(url: str) -> aioredis.Redis:
    from redis import asyncio as aioredis  # only who uses Redis pays for its import
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return aioredis.Redis.from_url(url, socket_connect_timeout=DEADLINE, retry=Retry(NoBackoff(), 0))
