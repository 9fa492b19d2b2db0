"""A person's day settings, as the gateway tells them to the services in one header field.

``X-User-Day: Europe/Berlin;1;240`` says: zone; the day on which weeks start, Monday 1 to Sunday 7; when days begin, in
minutes after midnight. The gateway strips what a client sends under this name. A direct call has none: UTC;1;0.
Within one request everything is judged by the same settings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Annotated, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web

from focushub_core import Rule
from focushub_core.errors import BadRequest
from focushub_core.http.description import Description
from stack_shared import calendar
from stack_shared.zones import UnknownZone, zone_named

HEADER = "X-User-Day"
YEARS = range(1900, 2200)


def _why_out_of_range(day: date) -> str | None:
    return None if day.year in YEARS else f"The date is out of range: {YEARS[0]} to {YEARS[-1]}."


Day = Annotated[date, Rule("out_of_range", _why_out_of_range)]
"""A day that a request asks for, far enough from the calendar's ends to reckon with."""
LATEST_START = 720
"""Minutes after midnight: a day begins at noon at the latest."""

_FORM = re.compile(r"(?P<zone>[^;\s]+);(?P<week_start>[1-7]);(?P<day_start>0|[1-9][0-9]{0,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class DaySettings:
    """When a person's days and weeks begin, and where."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    week_start: int = 1
    """Monday 1 to Sunday 7."""
    day_start_minutes: int = 0
    """0 to 720."""

    @classmethod
    def of(cls, request: web.Request) -> Self:
        """Those of the person who asks, as the gateway says them: a service's provider."""
        return cls.parse(request.headers.get(HEADER))

    @classmethod
    def describe(cls, description: Description) -> None:
        """In the OpenAPI document: the field itself is between the gateway and the services."""
        description.refuses(400, "invalid_day_settings")

    @classmethod
    def parse(cls, header: str | None) -> Self:
        """Reads the field's value, ``None`` being the defaults; `BadRequest` (``invalid_day_settings``) else."""
        if header is None:
            return cls()
        found = _FORM.fullmatch(header)
        try:
            if found is None or int(found["day_start"]) > LATEST_START:
                raise _unreadable()
            return cls(zone_named(found["zone"]), int(found["week_start"]), int(found["day_start"]))
        except UnknownZone:
            raise _unreadable() from None

    def header(self) -> str:
        """The field's value; `parse` reads it."""
        return f"{self.zone.key};{self.week_start};{self.day_start_minutes}"

    def day_of(self, instant: datetime) -> date:
        """The person's day at ``instant`` (`calendar.logical_day`)."""
        return calendar.logical_day(instant, self.zone, self.day_start_minutes)

    def start_of(self, day: date) -> datetime:
        """The instant at which ``day`` begins for the person."""
        return calendar.start_of(day, self.zone, self.day_start_minutes)

    def split(self, start: datetime, end: datetime) -> dict[date, timedelta]:
        """How much of an interval falls on each of the person's days (`calendar.split_by_day`)."""
        return calendar.split_by_day(start, end, self.zone, self.day_start_minutes)

    def week_of(self, day: date) -> date:
        """The first day of the person's week that ``day`` is in."""
        return calendar.week_of(day, self.week_start)


def key_of(user_id: UUID) -> str:
    """The Redis key under which auth writes a person's settings, as the field's value, whenever they change."""
    return f"focushub:day:{user_id}"


def _unreadable() -> BadRequest:
    return BadRequest(f"{HEADER} is not zone;week start;day start.", code="invalid_day_settings")
