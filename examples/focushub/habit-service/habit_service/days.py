"""Which day it is for the person who asks."""

from __future__ import annotations

from datetime import date as Date
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from focushub_core import FieldError, Invalid
from focushub_core.http.description import Description
from stack_shared.day import DaySettings

DAY = timedelta(days=1)
AHEAD = timedelta(days=366)
"""How far ahead a habit may start, and may be looked at."""


class Today(msgspec.Struct, frozen=True):
    """The person's day, and the settings that make it so: one for a whole request."""

    date: Date
    settings: DaySettings

    @classmethod
    def at(cls, now: datetime, settings: DaySettings) -> Today:
        """The day that it is at ``now``."""
        return cls(settings.day_of(now), settings)

    def on(self, date: Date) -> Today:
        """As if it were another day; `Invalid` for one that is further ahead than `AHEAD`."""
        if date > self.date + AHEAD:
            raise Invalid(errors=[FieldError("date", "out_of_range", "This is too far from today.")])
        return Today(date, self.settings)

    @classmethod
    def describe(cls, description: Description) -> None:
        """In the OpenAPI document: what the day settings say there."""
        DaySettings.describe(description)

    def week_of(self, day: Date) -> tuple[Date, Date]:
        """The first and the last day of the person's week that ``day`` is in."""
        first = self.settings.week_of(day)
        return first, first + 6 * DAY

    def exists(self, day: Date) -> bool:
        """Whether the person's zone has that day at all: Apia went from 2011-12-29 straight to the 31st."""
        return day not in _left_out(day.year, self.settings)


@lru_cache(maxsize=1024)  # every day that has no entry is asked for, for each habit
def _left_out(year: int, settings: DaySettings) -> frozenset[Date]:
    """The days of a year that end as they begin."""
    first = Date(year, 1, 1)
    days = (first + number * DAY for number in range((Date(year, 12, 31) - first).days + 1))
    return frozenset(day for day in days if settings.start_of(day) >= settings.start_of(day + DAY))
