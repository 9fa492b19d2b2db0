"""A person's day: one moment, judged by where they are."""

from __future__ import annotations

from typing import Any

import pytest

from focushub_core.testing import FakeClock, Person, Serve
from task_service.service import TaskService

MOMENT = "2026-05-11T04:30"
"""21:30 on 10 May 2026 in Los Angeles, 13:30 on 11 May in Tokyo."""


@pytest.fixture
async def ann(serve: Serve, clock: FakeClock) -> Person:
    """Somebody, at that moment."""
    clock.set(MOMENT)
    return (await serve(TaskService, clock=clock)).person()


async def today(person: Person, settings: str | None) -> dict[str, Any]:
    headers = {} if settings is None else {"X-User-Day": settings}
    reply = await person.get("/v1/tasks/today", headers=headers)
    assert reply.status == 200, reply.body
    body: dict[str, Any] = reply.body
    for part in ("overdue", "due"):
        body[part] = [task["title"] for task in body[part]]
    return body


async def test_what_is_due_depends_on_where_the_person_is(ann: Person) -> None:
    """T1: a day is over earlier in Tokyo; a zoned time is the same moment everywhere."""
    for title, due in {
        "later": {"date": "2026-05-12"},
        "on the tenth": {"date": "2026-05-10"},
        "on the eleventh": {"date": "2026-05-11"},
        "floating": {"datetime": "2026-05-10T23:00:00"},
        "noon in Tokyo": {"datetime": "2026-05-11T12:00:00", "timezone": "Asia/Tokyo"},
        "undated": None,
    }.items():
        await ann.post("/v1/tasks", json={"title": title, "due": due})
    assert await today(ann, "America/Los_Angeles;1;0") == {
        "date": "2026-05-10",
        "overdue": [],
        "due": ["on the tenth", "floating", "noon in Tokyo"],
        "completed_count": 0,
    }
    assert await today(ann, "Asia/Tokyo;1;0") == {
        "date": "2026-05-11",
        "overdue": ["on the tenth", "floating"],
        "due": ["on the eleventh", "noon in Tokyo"],
        "completed_count": 0,
    }
    assert (await today(ann, None))["date"] == "2026-05-11"


async def test_another_day_may_be_asked_for(ann: Person) -> None:
    """So that all sections of a dashboard are about the same one, whatever the clock shows by then."""
    await ann.post("/v1/tasks", json={"title": "on the tenth", "due": {"date": "2026-05-10"}})
    for day, part in {"2026-05-09": None, "2026-05-10": "due", "2026-05-12": "overdue"}.items():
        reply = await ann.get("/v1/tasks/today", params={"date": day})
        filled = [name for name in ("overdue", "due") if reply.body[name]]
        assert (reply.body["date"], filled) == (day, [part] if part else [])
    for day in ("9999-12-31", "0001-01-01", "tomorrow"):
        refused = await ann.get("/v1/tasks/today", params={"date": day})
        assert (refused.status, refused.body["errors"][0]["field"]) == (422, "date")


async def test_the_day_begins_when_the_person_says(ann: Person) -> None:
    """At 04:30 a night owl whose day begins at five is still in yesterday."""
    await ann.post("/v1/tasks", json={"title": "at four", "due": {"datetime": "2026-05-11T04:00:00"}})
    night = await today(ann, "UTC;1;300")
    assert (night["date"], night["due"], night["overdue"]) == ("2026-05-10", ["at four"], [])
    assert (await today(ann, "UTC;1;0"))["due"] == ["at four"]


async def test_what_was_completed_today_is_counted(ann: Person) -> None:
    """On the person's own day; done tasks are neither due nor overdue."""
    for number, moment in enumerate(("2026-05-10T06:59:59Z", "2026-05-10T07:00:00Z", "2026-05-11T04:30:00Z")):
        made = await ann.post("/v1/tasks", json={"title": str(number), "due": {"date": "2026-05-10"}})
        await ann.post(made.headers["Location"] + "/complete", json={"completed_at": moment})
    seen = await today(ann, "America/Los_Angeles;1;0")
    assert (seen["completed_count"], seen["due"], seen["overdue"]) == (2, [], [])
    assert (await today(ann, "UTC;1;0"))["completed_count"] == 1


async def test_a_day_holds_only_ones_own_tasks(serve: Serve, clock: FakeClock) -> None:
    """Nobody sees, or counts, what another has to do."""
    clock.set(MOMENT)
    client = await serve(TaskService, clock=clock)
    ann, bob = client.person(), client.person()
    await ann.post("/v1/tasks", json={"title": "milk", "due": {"date": "2026-05-11"}})
    assert (await today(bob, None)) == {"date": "2026-05-11", "overdue": [], "due": [], "completed_count": 0}
    assert (await client.get("/v1/tasks/today")).status == 401


async def test_unreadable_day_settings_are_refused(ann: Person) -> None:
    """A day that is quietly the wrong one helps nobody."""
    reply = await ann.get("/v1/tasks/today", headers={"X-User-Day": "Mars/Olympus;1;0"})
    assert (reply.status, reply.body["code"]) == (400, "invalid_day_settings")
