"""The calendar rules that all services share, by the vectors that others' bugs left behind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack_shared.calendar import logical_day, resolve, split_by_day, start_of, week_of

ZONES = [
    "UTC",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Kiritimati",
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
day_starts = st.integers(0, 720)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))
days = st.dates(date(1970, 1, 1), date(2037, 12, 31))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("instant", "zone", "day_start", "day"),
    [
        ("2020-02-02T04:30Z", "UTC", 300, "2020-02-01"),
        ("2020-02-02T09:30Z", "UTC", 300, "2020-02-02"),
        ("2020-02-02T04:30Z", "Etc/GMT-2", 300, "2020-02-02"),
        ("2020-02-02T04:30Z", "Etc/GMT+5", 0, "2020-02-01"),
        ("2026-07-02T01:00+02:00", "Europe/Rome", 240, "2026-07-01"),
        ("2026-11-01T05:45Z", "America/New_York", 90, "2026-11-01"),
        ("2026-11-01T06:15Z", "America/New_York", 90, "2026-11-01"),
        ("2026-05-11T04:30Z", "America/Los_Angeles", 0, "2026-05-10"),
        ("2026-05-11T04:30Z", "Asia/Tokyo", 0, "2026-05-11"),
        ("2011-12-30T09:59Z", "Pacific/Apia", 0, "2011-12-29"),
        ("2011-12-30T10:00Z", "Pacific/Apia", 0, "2011-12-31"),
        ("2026-01-16T04:30Z", "America/New_York", 0, "2026-01-15"),
    ],
)
def test_the_logical_day_is_the_latest_that_has_begun(
    instant: str, zone: str, day_start: int, day: str
) -> None:
    """H1, T1, F8; Apia went from 29 to 31 December 2011."""
    assert logical_day(at(instant), ZoneInfo(zone), day_start) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("local", "zone", "instant"),
    [
        ("2026-03-07T09:00", "America/New_York", "2026-03-07T14:00Z"),
        ("2026-03-08T09:00", "America/New_York", "2026-03-08T13:00Z"),
        ("2026-03-09T09:00", "America/New_York", "2026-03-09T13:00Z"),
        ("2007-03-11T02:30", "America/New_York", "2007-03-11T07:30Z"),
        ("2007-11-04T01:30", "America/New_York", "2007-11-04T05:30Z"),
        ("2026-01-15T23:30", "America/New_York", "2026-01-16T04:30Z"),
    ],
)
def test_a_local_time_is_resolved_as_rfc_5545_says(local: str, zone: str, instant: str) -> None:
    """T2 (the wall clock stays across a change), T3 (a gap, an overlap), F8 (the offset of then, not of now)."""
    assert resolve(at(local), ZoneInfo(zone)) == at(instant)


def test_a_resolved_time_is_in_utc() -> None:
    """So that subtracting two gives the time that passed."""
    assert resolve(at("2026-03-07T09:00"), ZoneInfo("Asia/Tokyo")).tzinfo is UTC


@pytest.mark.parametrize(
    ("start", "end", "zone", "minutes"),
    [
        ("2020-03-29T01:49", "2020-03-29T03:15", "Europe/Berlin", 26),
        ("2021-10-31T00:00", "2021-11-01T00:00", "Europe/Berlin", 25 * 60),
        ("2026-03-08T00:00", "2026-03-09T00:00", "America/New_York", 23 * 60),
        ("2026-11-01T00:00", "2026-11-02T00:00", "America/New_York", 25 * 60),
        ("2026-10-04T00:00", "2026-10-05T00:00", "Australia/Lord_Howe", 23 * 60 + 30),
        ("2026-04-05T00:00", "2026-04-06T00:00", "Australia/Lord_Howe", 24 * 60 + 30),
    ],
)
def test_a_length_is_the_time_that_passed(start: str, end: str, zone: str, minutes: int) -> None:
    """F6."""
    where = ZoneInfo(zone)
    first, last = resolve(at(start), where), resolve(at(end), where)
    assert last - first == timedelta(minutes=minutes)
    assert split_by_day(first, last, where) == {at(start).date(): timedelta(minutes=minutes)}


@pytest.mark.parametrize(
    ("start", "end", "day_start", "parts"),
    [
        ("2026-03-07T23:30", "2026-03-08T00:45", 0, {"2026-03-07": 1800, "2026-03-08": 2700}),
        ("2026-05-01T23:00", "2026-05-02T05:00", 240, {"2026-05-01": 18_000, "2026-05-02": 3600}),
        ("2026-05-01T23:00", "2026-05-02T00:00", 0, {"2026-05-01": 3600}),
        ("2026-05-01T23:00", "2026-05-01T23:00", 0, {}),
    ],
)
def test_an_interval_is_split_where_days_begin(
    start: str, end: str, day_start: int, parts: dict[str, int]
) -> None:
    """F7; half-open, so that an end at midnight leaves nothing on the next day."""
    zone = ZoneInfo("America/New_York")
    found = split_by_day(resolve(at(start), zone), resolve(at(end), zone), zone, day_start)
    assert {str(day): part.total_seconds() for day, part in found.items()} == parts


@pytest.mark.parametrize(
    ("day", "week_start", "first"),
    [
        ("2026-06-07", 1, "2026-06-01"),
        ("2026-06-08", 1, "2026-06-08"),
        ("2026-06-07", 7, "2026-06-07"),
        ("2026-06-13", 7, "2026-06-07"),
        ("2027-01-01", 6, "2026-12-26"),
    ],
)
def test_a_week_is_named_by_its_first_day(day: str, week_start: int, first: str) -> None:
    """H7: whether a Sunday ends a week or begins one is the person's choice."""
    assert week_of(date.fromisoformat(day), week_start) == date.fromisoformat(first)


def test_what_has_the_wrong_kind_of_zone_is_refused() -> None:
    """Python would silently take the machine's zone."""
    utc = ZoneInfo("UTC")
    with pytest.raises(ValueError, match="needs a zone"):
        logical_day(datetime(2026, 1, 1), utc)
    with pytest.raises(ValueError, match="no zone of its own"):
        resolve(datetime(2026, 1, 1, tzinfo=UTC), utc)
    with pytest.raises(ValueError, match="ends before it starts"):
        split_by_day(at("2026-01-02T00:00Z"), at("2026-01-01T00:00Z"), utc)


@given(instants, st.timedeltas(timedelta(0), timedelta(days=3)), zones, day_starts)
def test_the_logical_day_never_runs_backwards(
    instant: datetime, step: timedelta, zone: ZoneInfo, start: int
) -> None:
    """Also while clocks are set back."""
    assert logical_day(instant, zone, start) <= logical_day(instant + step, zone, start)


@given(instants, zones, day_starts)
def test_an_instant_lies_within_its_logical_day(instant: datetime, zone: ZoneInfo, start: int) -> None:
    """It has begun, and the next has not."""
    day = logical_day(instant, zone, start)
    assert start_of(day, zone, start) <= instant < start_of(day + timedelta(days=1), zone, start)


@given(instants, st.timedeltas(timedelta(0), timedelta(days=40)), zones, day_starts)
def test_the_parts_of_an_interval_add_up(
    start: datetime, length: timedelta, zone: ZoneInfo, day_start: int
) -> None:
    """To its length; in the days' order; none empty, and none longer than its day."""
    parts = split_by_day(start, start + length, zone, day_start)
    assert sum(parts.values(), timedelta(0)) == length
    assert list(parts) == sorted(parts)
    for day, part in parts.items():
        whole = start_of(day + timedelta(days=1), zone, day_start) - start_of(day, zone, day_start)
        assert timedelta(0) < part <= whole


@given(days, st.integers(1, 7))
def test_a_week_begins_on_its_day_and_has_seven(day: date, week_start: int) -> None:
    """And all its days are of it."""
    first = week_of(day, week_start)
    assert first.isoweekday() == week_start
    assert {week_of(first + timedelta(days=n), week_start) for n in range(7)} == {first}
    assert 0 <= (day - first).days <= 6
