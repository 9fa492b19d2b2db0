"""A day's focus: what counts on which day, for whom, and until when."""

from __future__ import annotations

import pytest

from focushub_core.testing import Person, Reply, ServiceClient

from .conftest import FakeClock

SUMMARY = "/v1/focus/summary"
NEW_YORK = "America/New_York;1;0"
EARLY_RISER = "UTC;1;240"


async def focus_on(person: Person, clock: FakeClock, begin: str, end: str) -> None:
    """A session from ``begin`` to ``end``, in UTC."""
    clock.at(begin)
    session = (await person.post("/v1/focus/sessions", json={"kind": "flow"})).body
    clock.at(end)
    assert (await person.post(f"/v1/focus/sessions/{session['id']}/finish")).status == 200


async def summary(person: Person, date: str | None = None, day: str = "UTC;1;0") -> Reply:
    return await person.get(SUMMARY, params={"date": date} if date else {}, headers={"X-User-Day": day})


async def test_running_time_counts_until_now(focus: ServiceClient, clock: FakeClock) -> None:
    """F11."""
    ann = focus.person()
    await focus_on(ann, clock, "09:00", "09:10")
    clock.at("10:00")
    await ann.post("/v1/focus/sessions", json={"kind": "flow"})
    clock.at("10:05")
    found = (await summary(ann)).body
    assert found == {"date": "2026-05-04", "timezone": "UTC", "focused_s": 900, "sessions": 2}
    assert (await summary(ann, "2026-05-05")).body["sessions"] == 0


async def test_a_forgotten_pomodoro_counts_its_plan(focus: ServiceClient, clock: FakeClock) -> None:
    ann = focus.person()
    await ann.post("/v1/focus/sessions", json={})
    clock.at("18:00")
    assert (await summary(ann)).body["focused_s"] == 1500


@pytest.mark.parametrize(
    ("span", "day", "expected"),
    [
        (("2026-03-08T04:30", "2026-03-08T05:45"), NEW_YORK, {"2026-03-07": 1800, "2026-03-08": 2700}),
        (("2026-05-01T23:00", "2026-05-02T05:00"), EARLY_RISER, {"2026-05-01": 18_000, "2026-05-02": 3_600}),
        (("2026-01-16T04:30", "2026-01-16T04:40"), NEW_YORK, {"2026-01-15": 600, "2026-01-16": 0}),
        (("2020-03-29T00:49", "2020-03-29T01:15"), "Europe/Berlin;1;0", {"2020-03-29": 1560}),
    ],
    ids=["over midnight", "day begins at four", "offset of its own time", "clocks set forward"],
)
async def test_time_falls_on_the_days_of_the_person(
    focus: ServiceClient, clock: FakeClock, span: tuple[str, str], day: str, expected: dict[str, int]
) -> None:
    """F6, F7, F8; asked in July."""
    ann = focus.person()
    await focus_on(ann, clock, *span)
    clock.at("2026-07-01T12:00")
    assert {date: (await summary(ann, date, day)).body["focused_s"] for date in expected} == expected


async def test_today_is_the_persons_today(focus: ServiceClient, clock: FakeClock) -> None:
    clock.at("2026-05-11T04:30")
    ann = focus.person()
    dates = [
        (await summary(ann, day=f"{zone};1;0")).body["date"] for zone in ("America/Los_Angeles", "Asia/Tokyo")
    ]
    assert dates == ["2026-05-10", "2026-05-11"]


@pytest.mark.parametrize("date", ["9999-12-31", "0001-01-01", "2026-02-30", "today"])
async def test_a_day_that_cannot_be_is_refused(focus: ServiceClient, date: str) -> None:
    reply = await summary(focus.person(), date, "Asia/Tokyo;1;0")
    assert (reply.status, reply.body["errors"][0]["field"]) == (422, "date")


async def test_anothers_focus_does_not_count(focus: ServiceClient, clock: FakeClock) -> None:
    await focus_on(focus.person(), clock, "09:00", "09:10")
    assert (await summary(focus.person())).body["focused_s"] == 0
