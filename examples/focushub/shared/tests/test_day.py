"""A person's day settings, as they travel."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.errors import BadRequest
from stack_shared.day import DaySettings
from stack_shared.zones import UnknownZone, names, zone_named


def test_without_the_field_days_are_those_of_utc() -> None:
    """As a direct call to a service is answered."""
    assert DaySettings.parse(None) == DaySettings(ZoneInfo("UTC"), 1, 0)
    assert DaySettings.parse(None).header() == "UTC;1;0"


@given(st.sampled_from(sorted(names())), st.integers(1, 7), st.integers(0, 720))
def test_the_field_carries_every_setting(zone: str, week_start: int, day_start: int) -> None:
    """There and back."""
    settings = DaySettings(ZoneInfo(zone), week_start, day_start)
    assert DaySettings.parse(settings.header()) == settings


@pytest.mark.parametrize(
    "value",
    [
        "",
        "UTC",
        "UTC;0;0",
        "UTC;8;0",
        "UTC;1;721",
        "UTC;1;-1",
        "UTC;1;007",
        "UTC;1;0;",
        " UTC;1;0",
        "utc;1;0",
        "+02:00;1;0",
        "../UTC;1;0",
        "Mars/Olympus;1;0",
        "UTC;\u0661;0",
    ],
)
def test_a_malformed_field_is_refused(value: str) -> None:
    """It is not quietly taken for the defaults: days would be wrong and nobody would know."""
    with pytest.raises(BadRequest) as refused:
        DaySettings.parse(value)
    assert refused.value.code == "invalid_day_settings"


@pytest.mark.parametrize(
    "name", ["", "localtime", "+02:00", "UTC+2", "America", "/etc/localtime", "europe/berlin"]
)
def test_a_zone_has_an_iana_name(name: str) -> None:
    """Offsets, folders, paths and other spellings are none."""
    with pytest.raises(UnknownZone):
        zone_named(name)


def test_every_listed_zone_can_be_loaded() -> None:
    """The list and the data are of one version."""
    assert all(zone_named(name).key == name for name in names())


def test_settings_answer_for_the_persons_days() -> None:
    """Each method is the calendar's function with these settings."""
    settings = DaySettings(ZoneInfo("Europe/Berlin"), 7, 240)
    instant = datetime(2026, 5, 2, 1, 30, tzinfo=UTC)
    assert settings.day_of(instant) == date(2026, 5, 1)
    assert settings.start_of(date(2026, 5, 2)) == datetime(2026, 5, 2, 2, 0, tzinfo=UTC)
    assert settings.split(instant, instant + timedelta(hours=1)) == {
        date(2026, 5, 1): timedelta(minutes=30),
        date(2026, 5, 2): timedelta(minutes=30),
    }
    assert settings.week_of(date(2026, 5, 2)) == date(2026, 4, 26)
