"""``/v1/focus/summary``: a day's focus, for the dashboard.

Which day it is, and when it begins, the person's day settings say; segments are instants, and are cut to it.
"""

from __future__ import annotations

from datetime import date as Date
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from focushub_core import Database, Routes, User
from stack_shared.day import Day, DaySettings

from .sessions import Sessions

routes = Routes("/v1/focus/summary")

# Of each segment counts what lies within the day, of the open one until now.
_FOCUS = """
    SELECT count(DISTINCT session_id) AS sessions,
           floor(extract(epoch FROM coalesce(sum(greatest(
               least(ended_at, $3, $4) - greatest(started_at, $2), interval '0')), interval '0')))::bigint AS focused_s
    FROM segments
    WHERE user_id = $1 AND tstzrange(started_at, ended_at, '[)') && tstzrange($2, $3, '[)')"""


class Focus(msgspec.Struct, frozen=True):
    """Seconds of focus, and in how many sessions."""

    sessions: int = 0
    focused_s: int = 0


class Summary(msgspec.Struct, frozen=True):
    """One day's focus."""

    date: Date
    timezone: str
    focused_s: int
    sessions: int


@routes.get()
async def summary(
    user: User, day: DaySettings, sessions: Sessions, database: Database, date: Day | None = None
) -> Summary:
    """The focus of ``date``, by default of the person's today."""
    now = sessions.clock()
    wanted = date or day.day_of(now)
    begin, end = day.start_of(wanted), day.start_of(wanted + timedelta(days=1))
    await sessions.open(user.id)
    focus = await _focus(database, user.id, begin, end, now)
    return Summary(wanted, day.zone.key, focus.focused_s, focus.sessions)


async def _focus(database: Database, user_id: UUID, begin: datetime, end: datetime, now: datetime) -> Focus:
    if begin > now:  # an open session has no end yet, but it does not reach into tomorrow
        return Focus()
    return await database.one(Focus, _FOCUS, user_id, begin, end, now) or Focus()
