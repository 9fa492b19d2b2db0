"""Calendar days: which day it is for a person, and how time falls on days. Pure functions; the rules live only here.

Rules that hold here:

* A person's day D begins at the instant that a clock on their wall shows ``D, day_start`` and lasts until the next
  day begins: 23, 24 or 25 hours, or others still.
* The logical day of an instant is the latest D that has begun. It is not "local time minus hours": that runs
  backwards when clocks are set back (New York, 2026-11-01, day start 01:30).
* A local time that clocks skip or show twice is read as RFC 5545 (3.3.5) says: one in a gap with the offset before
  it, one that comes twice as its first occurrence. That is ``zoneinfo`` with ``fold=0``.
* Lengths are differences of instants. Python subtracts the wall clocks of two datetimes in the same zone, so
  everything is turned into UTC first.

Instants are datetimes with a zone of any kind and come back in UTC; local times are datetimes without one.
Within two days of the ends of the calendar (years 1 and 9999) there is an ``OverflowError``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


def resolve(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which clocks in ``zone`` show ``local``; ``ValueError`` if it has a zone already."""
    if local.tzinfo is not None:
        raise ValueError("a local time has no zone of its own")
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def start_of(day: date, zone: ZoneInfo, day_start_minutes: int = 0) -> datetime:
    """The instant, in UTC, at which ``day`` begins for somebody whose days begin so many minutes after midnight."""
    return resolve(datetime.combine(day, time()) + timedelta(minutes=day_start_minutes), zone)


def logical_day(instant: datetime, zone: ZoneInfo, day_start_minutes: int = 0) -> date:
    """The latest day that has begun at ``instant``."""
    instant = _in_utc(instant)
    day = (
        instant.astimezone(zone).date() + DAY
    )  # one more: clocks set back over midnight show the day before again
    while start_of(day, zone, day_start_minutes) > instant:
        day -= DAY
    return day


def split_by_day(
    start: datetime, end: datetime, zone: ZoneInfo, day_start_minutes: int = 0
) -> dict[date, timedelta]:
    """How much of the time from ``start`` to ``end`` falls on each day, in their order; nothing on days without any.

    The parts add up to ``end - start``, and none is longer than its day. ``ValueError`` if the end is before the
    start.
    """
    start, end = _in_utc(start), _in_utc(end)
    if end < start:
        raise ValueError("an interval ends before it starts")
    parts: dict[date, timedelta] = {}
    while start < end:
        day = logical_day(start, zone, day_start_minutes)
        until = min(end, start_of(day + DAY, zone, day_start_minutes))
        parts[day] = until - start
        start = until
    return parts


def week_of(day: date, week_start: int = 1) -> date:
    """The first day of the calendar week that ``day`` is in; weeks begin on ``week_start``, Monday 1 to Sunday 7."""
    return day - timedelta(days=(day.isoweekday() - week_start) % 7)


def _in_utc(instant: datetime) -> datetime:
    """``ValueError`` where there is no zone: Python would take that of the machine."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return instant.astimezone(UTC)
