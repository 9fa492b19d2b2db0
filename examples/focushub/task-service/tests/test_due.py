"""The three kinds of due, and on which day each is due."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack_shared.day import DaySettings
from task_service.due import Due, due_of

LOS_ANGELES = "America/Los_Angeles;1;0"
TOKYO = "Asia/Tokyo;1;0"
NIGHT_OWL = "Europe/Berlin;1;240"


def due(**said: str) -> Due:
    return msgspec.convert(said, Due)


@pytest.mark.parametrize(
    ("said", "person", "day"),
    [
        ({"date": "2026-05-10"}, LOS_ANGELES, "2026-05-10"),
        ({"date": "2026-05-10"}, TOKYO, "2026-05-10"),
        ({"datetime": "2026-05-10T21:30:00"}, LOS_ANGELES, "2026-05-10"),
        ({"datetime": "2026-05-10T21:30:00"}, TOKYO, "2026-05-10"),
        ({"datetime": "2026-05-10T21:30:00", "timezone": "America/Los_Angeles"}, TOKYO, "2026-05-11"),
        ({"datetime": "2026-05-11T13:30:00", "timezone": "Asia/Tokyo"}, LOS_ANGELES, "2026-05-10"),
        ({"date": "2026-05-10"}, NIGHT_OWL, "2026-05-10"),
        ({"datetime": "2026-05-10T01:00:00"}, NIGHT_OWL, "2026-05-09"),
        ({"datetime": "2026-05-10T04:00:00"}, NIGHT_OWL, "2026-05-10"),
    ],
)
def test_each_kind_is_due_on_its_day(said: dict[str, str], person: str, day: str) -> None:
    """A day is itself; a floating time is the person's clock; a zoned time is a moment, wherever they are."""
    assert due(**said).day_for(DaySettings.parse(person)) == date.fromisoformat(day)


@pytest.mark.parametrize(("person", "overdue"), [(LOS_ANGELES, False), (TOKYO, True)])
def test_a_day_is_over_when_it_is_over_for_the_person(person: str, overdue: bool) -> None:
    """T1: at one instant it is still today in Los Angeles, and yesterday in Tokyo."""
    settings = DaySettings.parse(person)
    today = settings.day_of(datetime(2026, 5, 11, 4, 30, tzinfo=UTC))
    assert (due(date="2026-05-10").day_for(settings) < today) is overdue


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"date": "2026-05-10", "datetime": "2026-05-10T09:00:00"},
        {"date": "2026-05-10", "timezone": "Asia/Tokyo"},
        {"timezone": "Asia/Tokyo"},
        {"datetime": "2026-05-10T09:00:00Z"},
        {"datetime": "2026-05-10T09:00:00+02:00"},
        {"datetime": "2026-05-10"},
        {"date": "2026-02-30"},
        {"date": "0001-01-01"},
        {"date": "9999-12-31"},
        {"day": "2026-05-10"},
    ],
)
def test_anything_else_is_no_due(said: dict[str, str]) -> None:
    """Neither both nor none, no offsets, no days that no calendar has."""
    with pytest.raises(msgspec.ValidationError):
        due(**said)


days = st.dates(date(1900, 1, 1), date(2199, 12, 31))
moments = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31))
dues = st.one_of(
    st.builds(lambda day: Due(day=day), days),
    st.builds(lambda moment: Due(moment=moment), moments),
    st.builds(lambda moment: Due(moment=moment, timezone="Asia/Tokyo"), moments),
)


@given(dues)
def test_a_due_survives_the_table_and_the_wire(given_due: Due) -> None:
    """Each kind comes back as the kind it was."""
    assert due_of(given_due.columns()) == given_due
    assert msgspec.json.decode(msgspec.json.encode(given_due), type=Due) == given_due
