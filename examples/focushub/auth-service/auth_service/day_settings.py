"""Writes a person's day settings through to Redis, where the gateway reads them.

Rules that hold here:

* Redis is told what was committed, and nothing else: after the commit the profile is read once more, under its row's
  lock, so that of two changes the later one is written last. A change that fails leaves Redis without a key, or as
  it was.
* Redis is needed by nobody: away or frozen, it costs a request at most `DEADLINE` and never fails one; that it is
  away is logged once, and once that it is back.
* What could not be written is written as soon as it can be, by the process that owes it. When that dies, too, the key
  is gone already, taken away before the commit, or ends with its `LIFETIME`; reading the profile puts it back.
  Without a key the gateway asks this service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from focushub_core import Database, Secret, deadline
from focushub_core.errors import FocusHubError
from stack_shared.day import DaySettings, key_of
from stack_shared.zones import zone_named

if TYPE_CHECKING:
    from redis import asyncio as aioredis

DEADLINE = 0.1
"""Seconds that Redis may take, connecting included."""
LIFETIME = 3600
"""Seconds."""
RETRY = 2.0
"""Seconds between two tries to write what could not be written."""
MOST_OWED = 10_000
"""People; of those beyond that, the keys end with their lifetime."""

_SELECT = "SELECT timezone, week_start, day_start_minutes FROM profiles WHERE user_id = $1 FOR UPDATE"

_log = logging.getLogger(__name__)


class DayCache:
    """The keys ``focushub:day:<user id>`` in the Redis at ``url``; without one, or closed, it does nothing."""

    def __init__(self, url: Secret | None, database: Database) -> None:
        self._url = url
        self._database = database
        self._client: aioredis.Redis | None = None
        self._away = False
        self._owed: set[UUID] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Gets ready to connect; that Redis is away is found out later."""
        if self._url is not None:
            self._client = _client(self._url.reveal())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def forget(self, user_id: UUID) -> None:
        """Takes the key away, within the transaction of a change: should this process end before it can `publish`."""
        if self._client is not None:
            await self._done(self._client.delete(key_of(user_id)))

    async def publish(self, user_id: UUID) -> None:
        """Writes what was committed, also when nobody waits for it any more; call it after the commit."""
        if self._client is not None:
            await asyncio.shield(self._start(self._publish(user_id)))

    async def fill(self, user_id: UUID, settings: DaySettings) -> None:
        """Stores the settings where there are none; so a slow reader never undoes a change."""
        if self._client is not None:
            await self._done(self._client.set(key_of(user_id), settings.header(), ex=LIFETIME, nx=True))

    async def ping(self) -> None:
        """Raises `ConnectionError` when Redis does not answer."""
        if self._client is not None:
            await _in_time(self._client.get("focushub:day:"))

    async def _publish(self, user_id: UUID) -> None:
        if not await self._published(user_id):
            if not self._owed:
                self._start(self._settle())
            if len(self._owed) < MOST_OWED:
                self._owed.add(user_id)

    async def _settle(self) -> None:
        while self._owed:
            await asyncio.sleep(RETRY)
            for user_id in list(self._owed):
                if not await self._published(user_id):
                    break  # it would be the same with the others
                self._owed.discard(user_id)

    async def _published(self, user_id: UUID) -> bool:
        deadline.start(None)  # not the request's: what is committed is to be told
        try:
            async with self._database.transaction() as transaction:
                row = await transaction.fetchrow(_SELECT, user_id)
                if self._client is None:
                    return False
                if row is None:
                    return await self._done(self._client.delete(key_of(user_id)))
                said = DaySettings(zone_named(row[0]), row[1], row[2]).header()
                return await self._done(self._client.set(key_of(user_id), said, ex=LIFETIME))
        except FocusHubError as error:
            _log.warning("day settings are not written through yet", extra={"reason": str(error)})
            return False

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _done(self, call: Awaitable[Any]) -> bool:
        """Whether Redis did it in time."""
        try:
            await _in_time(call)
        except ConnectionError as error:
            self._note(away=True, reason=str(error))
            return False
        self._note(away=False)
        return True

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
