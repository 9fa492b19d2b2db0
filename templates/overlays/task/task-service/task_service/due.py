"""When a task is due, in three kinds (T1):

* ``{"date": "2026-05-10"}``: a day, wherever the person is;
* ``{"datetime": "2026-05-10T09:00:00"}``: a time on the person's own clock, wherever they are ("floating");
* ``{"datetime": "2026-05-10T09:00:00", "timezone": "Europe/Berlin"}``: a time on the clock of that place.

A datetime has no offset: it is what the clock shows, and stays so when an offset changes.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import NamedTuple

import msgspec

from focushub_core import Body, WallClock
from stack_shared.calendar import resolve
from stack_shared.day import YEARS, DaySettings
from stack_shared.zones import ZoneName, zone_named


class DueColumns(NamedTuple):
    """The same in the table: a day, a day and a time, or a day, a time and a zone."""

    due_date: date | None = None
    due_time: time | None = None
    due_tz: str | None = None


class Due(Body, frozen=True, omit_defaults=True):
    """A day or a time; as a part of a change it is replaced whole."""

    day: date | None = msgspec.field(default=None, name="date")
    moment: WallClock | None = msgspec.field(default=None, name="datetime")
    timezone: ZoneName | None = None

    def __post_init__(self) -> None:
        if (self.day is None) == (self.moment is None):
            raise ValueError("Say either date or datetime.")
        if self.timezone is not None and self.moment is None:
            raise ValueError("A timezone goes with a datetime.")
        if self._date().year not in YEARS:
            raise ValueError(f"The date is out of range: {YEARS[0]} to {YEARS[-1]}.")

    def day_for(self, person: DaySettings) -> date:
        """The day of the person's calendar on which it is due."""
        if self.moment is None:
            return self._date()
        zone = zone_named(self.timezone) if self.timezone else person.zone
        return person.day_of(resolve(self.moment, zone))

    def columns(self) -> DueColumns:
        """For the table; `due_of` reads it back."""
        at = self.moment.time() if self.moment else None
        return DueColumns(self._date(), at, self.timezone)

    def _date(self) -> date:
        return self.moment.date() if self.moment else self.day or date.min


def due_of(columns: DueColumns) -> Due | None:
    """What the table's columns say; ``None`` where no date is set."""
    if columns.due_date is None:
        return None
    if columns.due_time is None:
        return Due(day=columns.due_date)
    return Due(moment=datetime.combine(columns.due_date, columns.due_time), timezone=columns.due_tz)
