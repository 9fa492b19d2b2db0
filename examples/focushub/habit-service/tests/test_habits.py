"""Habits and entries through HTTP, on a real database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from focushub_core.testing import ServiceClient

from .conftest import Moment, keeper

LOS_ANGELES, TOKYO = "America/Los_Angeles;1;0", "Asia/Tokyo;1;0"


async def test_a_new_habit_is_found_where_its_answer_says(habits: ServiceClient) -> None:
    ann = habits.person()
    water = {
        "name": "Water",
        "description": "",
        "kind": "quantity",
        "unit": "l",
        "target": 1.5,
        "schedule": {"kind": "weekdays", "days": [1, 3]},
        "start_date": "2026-05-01",
    }
    reply = await ann.post("/v1/habits", json=water)
    assert (reply.status, reply.body) == (201, {"id": reply.body["id"], **water})
    assert (await ann.get(reply.headers["Location"])).body == reply.body
    assert (await ann.get("/v1/habits")).body == {"items": [reply.body], "next_cursor": None}


async def test_a_habit_is_daily_from_the_persons_today_on(habits: ServiceClient, moment: Moment) -> None:
    moment.now = "2026-05-11T04:30"
    reply = await habits.person().post(
        "/v1/habits", json={"name": "Read"}, headers={"X-User-Day": LOS_ANGELES}
    )
    assert (reply.body["schedule"], reply.body["start_date"]) == ({"kind": "daily"}, "2026-05-10")


@pytest.mark.parametrize(
    ("schedule", "fields"),
    [
        ({"kind": "every_n_days", "n": 2}, {"schedule.kind"}),
        ({"kind": "weekdays", "days": []}, {"schedule.days"}),
        ({"kind": "weekdays", "days": [1, 8], "times": 3}, {"schedule.days[1]", "schedule.times"}),
        ({"kind": "weekdays", "days": [1, 1]}, {"schedule"}),
        ({"kind": "times_per_week", "times": 0}, {"schedule.times"}),
        ({}, {"schedule"}),
        ("daily", {"schedule"}),
    ],
)
async def test_a_schedule_that_is_none_is_refused(
    habits: ServiceClient, schedule: Any, fields: set[str]
) -> None:
    reply = await habits.person().post("/v1/habits", json={"name": "Read", "schedule": schedule})
    assert (reply.status, reply.body["code"]) == (422, "invalid_schedule")
    assert {wrong["field"] for wrong in reply.body["errors"]} == fields


@pytest.mark.parametrize(
    ("habit", "wrong"),
    [
        (
            {"name": " ", "kind": "mood", "schedule": {"kind": "weekdays", "days": [9]}, "colour": 1},
            {
                "name": "wrong_format",
                "kind": "not_allowed",
                "schedule.days[0]": "too_large",
                "colour": "unknown_field",
            },
        ),
        ({"name": "a", "kind": "quantity"}, {"target": "missing"}),
        ({"name": "a", "target": 1, "unit": "km"}, {"target": "not_allowed", "unit": "not_allowed"}),
        ({"name": "a", "start_date": "1999-01-01"}, {"start_date": "out_of_range"}),
    ],
)
async def test_every_wrong_field_is_named(habits: ServiceClient, habit: Any, wrong: dict[str, str]) -> None:
    reply = await habits.person().post("/v1/habits", json=habit)
    assert (reply.status, reply.body["code"]) == (422, "validation_failed")
    assert {one["field"]: one["code"] for one in reply.body["errors"]} == wrong


async def test_pages_hold_every_habit_once_in_the_order_they_were_made(habits: ServiceClient) -> None:
    ann = habits.person()
    for name in "abcde":
        await ann.post("/v1/habits", json={"name": name})
    seen, page = "", {"next_cursor": ""}
    while page["next_cursor"] is not None:
        cursor = {"cursor": page["next_cursor"]} if seen else {}
        page = (await ann.get("/v1/habits", params={"limit": 2} | cursor)).body
        seen += "".join(habit["name"] for habit in page["items"])
    assert seen == "abcde"


async def test_anothers_habit_is_not_there(habits: ServiceClient) -> None:
    ann, bob = await keeper(habits), habits.person()
    entry = f"{ann.path}/entries/2026-05-06"
    replies = [
        await bob.get(ann.path),
        await bob.get(f"{ann.path}/stats"),
        await bob.put(entry, json={"state": "done"}),
        await bob.post(f"{entry}/increment"),
        await bob.delete(entry),
    ]
    assert [reply.status for reply in replies] == [404] * 5
    assert (await bob.get("/v1/habits")).body["items"] == []
    assert (await bob.get("/v1/habits/today")).body["items"] == []
    assert (await habits.get(ann.path)).status == 401


async def test_checking_in_twice_is_checking_in_once(habits: ServiceClient) -> None:
    ann = await keeper(habits)
    replies = [await ann.enter("2026-05-06", state="done", note="early") for _ in range(2)]
    assert [(reply.status, reply.body) for reply in replies] == [
        (
            200,
            {
                "habit_id": ann.habit["id"],
                "date": "2026-05-06",
                "state": "done",
                "amount": None,
                "note": "early",
            },
        )
    ] * 2
    assert await ann.streaks() == (1, 1)


async def test_a_missed_day_can_be_entered_later_and_taken_back(habits: ServiceClient) -> None:
    """H10."""
    ann = await keeper(habits, start_date="2026-05-02")
    for day in ("02", "03", "05", "06"):
        await ann.enter(f"2026-05-{day}")
    assert await ann.streaks() == (2, 2)
    await ann.enter("2026-05-04")
    assert await ann.streaks() == (5, 5)
    assert (await ann.person.delete(f"{ann.path}/entries/2026-05-04")).status == 204
    assert await ann.streaks() == (2, 2)


async def test_a_traveller_checks_in_on_the_days_of_the_place(habits: ServiceClient, moment: Moment) -> None:
    """H9: the same moment is 10 May in Los Angeles and 11 May in Tokyo."""
    moment.now = "2026-05-11T04:30"
    ann = await keeper(habits, start_date="2026-05-09")
    await ann.enter("2026-05-09")
    ann.day = LOS_ANGELES
    tomorrow = await ann.enter("2026-05-11")
    assert (tomorrow.status, tomorrow.body["code"]) == (422, "date_in_future")
    await ann.enter("2026-05-10")
    ann.day = TOKYO
    assert await ann.streaks() == (2, 2)
    assert (await ann.enter("2026-05-11")).status == 200
    assert await ann.streaks() == (3, 3)
    ann.day = LOS_ANGELES
    assert await ann.streaks() == (2, 2)


@pytest.mark.parametrize(
    ("date", "entry", "code"),
    [
        ("2026-05-07", {"state": "done"}, "date_in_future"),
        ("2016-01-01", {"state": "done"}, "date_before_limit"),
        ("2026-05-06", {"state": "maybe"}, "validation_failed"),
        ("2026-05-06", {"note": "?"}, "missing"),
        ("2026-05-06", {"state": "done", "amount": 1}, "not_allowed"),
        ("2026-02-30", {"state": "done"}, "validation_failed"),
    ],
)
async def test_an_entry_that_does_not_fit_is_refused(
    habits: ServiceClient, date: str, entry: Any, code: str
) -> None:
    reply = await (await keeper(habits)).enter(date, **entry)
    assert (reply.status, reply.body["code"]) == (422, code)


async def test_a_quantity_is_done_when_its_target_is_reached(habits: ServiceClient) -> None:
    ann = await keeper(habits, kind="quantity", target=0.3, unit="l")
    path = f"{ann.path}/entries/2026-05-06/increment"
    states = [(await ann.person.post(path, json={"by": 0.1})).body["state"] for _ in range(3)]
    assert states == [None, None, "done"]
    assert (await ann.enter("2026-05-06", amount=0.2)).body["state"] is None


async def test_no_increment_is_lost(habits: ServiceClient) -> None:
    ann = await keeper(habits, kind="quantity", target=30)
    path = f"{ann.path}/entries/2026-05-06/increment"
    replies = await asyncio.gather(*(ann.person.post(path) for _ in range(30)))
    assert sorted(reply.body["amount"] for reply in replies) == list(range(1, 31))
    assert await ann.streaks() == (1, 1)


async def test_counting_on_a_skipped_day_ends_the_skip(habits: ServiceClient) -> None:
    ann = await keeper(habits, kind="quantity", target=2)
    await ann.enter("2026-05-06", state="skip")
    reply = await ann.person.post(f"{ann.path}/entries/2026-05-06/increment", json={"by": 2})
    assert (reply.body["state"], reply.body["amount"]) == ("done", 2)


async def test_only_a_quantity_can_be_counted_up(habits: ServiceClient) -> None:
    ann = await keeper(habits)
    reply = await ann.person.post(f"{ann.path}/entries/2026-05-06/increment")
    assert (reply.status, reply.body["code"]) == (422, "not_a_quantity")


async def test_an_amount_cannot_grow_without_end(habits: ServiceClient) -> None:
    ann = await keeper(habits, kind="quantity", target=2)
    path = f"{ann.path}/entries/2026-05-06/increment"
    assert [(await ann.person.post(path, json={"by": 1e9})).status for _ in range(2)] == [200, 422]


async def test_today_says_how_each_habit_stands(habits: ServiceClient) -> None:
    ann = await keeper(habits, start_date="2026-05-04")
    await ann.enter("2026-05-04")
    await ann.enter("2026-05-05")
    water = {"name": "Water", "kind": "quantity", "target": 4}
    gym = {"name": "Gym", "schedule": {"kind": "times_per_week", "times": 3}, "start_date": "2026-05-04"}
    for habit in (water, gym):
        identity = (await ann.person.post("/v1/habits", json=habit)).body["id"]
        entry = {"amount": 1} if habit is water else {"state": "done"}
        await ann.person.put(f"/v1/habits/{identity}/entries/2026-05-06", json=entry)
    today = await ann.get("/v1/habits/today")
    assert today["date"] == "2026-05-06"
    assert [(item.pop("habit")["name"], item) for item in today["items"]] == [
        ("Read", standing(streak=2, at_risk=True)),
        ("Water", standing(amount=1, progress=0.25)),
        ("Gym", standing(state="done", progress=1, week_done=1, week_required=3)),
    ]


def standing(**said: Any) -> dict[str, Any]:
    """What today says of a due habit for which nothing was entered."""
    nothing = {
        "due": True,
        "state": None,
        "amount": None,
        "progress": 0,
        "streak": 0,
        "at_risk": False,
        "week_done": None,
        "week_required": None,
    }
    return nothing | said


async def test_another_day_may_be_asked_for(habits: ServiceClient) -> None:
    """So that all sections of a dashboard are about the same one; not one that is years ahead."""
    ann = await keeper(habits, start_date="2026-05-01")
    await ann.enter("2026-05-04")
    for day, state, streak in (("2026-05-04", "done", 1), ("2026-05-05", None, 1), ("2026-05-07", None, 0)):
        found = await ann.get(f"/v1/habits/today?date={day}")
        assert found["date"] == day
        assert [(one["state"], one["streak"]) for one in found["items"]] == [(state, streak)]
    for day in ("2027-05-08", "9999-12-31", "0001-01-01", "soon"):
        refused = await ann.person.get("/v1/habits/today", params={"date": day})
        assert (refused.status, refused.body["errors"][0]["field"]) == (422, "date")


async def test_a_deleted_habit_can_be_restored_with_its_entries(habits: ServiceClient) -> None:
    """Meanwhile it is nowhere; another person neither deletes nor restores it."""
    ann, bob = await keeper(habits), habits.person()
    await ann.enter("2026-05-06")
    assert (await bob.delete(ann.path)).status == 404
    assert (await ann.person.delete(ann.path)).status == 204
    gone = [
        await ann.person.get(ann.path),
        await ann.person.delete(ann.path),
        await ann.enter("2026-05-05"),
        await bob.post(f"{ann.path}/restore"),
    ]
    assert [reply.status for reply in gone] == [404] * 4
    assert (await ann.get("/v1/habits"))["items"] == (await ann.get("/v1/habits/today"))["items"] == []
    restored = await ann.person.post(f"{ann.path}/restore")
    assert (restored.status, restored.body) == (200, ann.habit)
    assert await ann.streaks() == (1, 1)


async def test_a_purged_habit_takes_its_entries_along(habits: ServiceClient, moment: Moment) -> None:
    ann, database = await keeper(habits), habits.service.database
    assert database is not None
    await ann.enter("2026-05-06")
    await ann.person.delete(ann.path)
    moment.now = "2026-06-06T12:00"
    for work in habits.service.upkeep():
        await work()
    assert (
        await database.fetchval("SELECT (SELECT count(*) FROM habits) + (SELECT count(*) FROM entries)") == 0
    )


async def test_counting_up_again_with_the_same_key_counts_once(habits: ServiceClient) -> None:
    """H14."""
    ann, key = await keeper(habits, kind="quantity", unit="l", target=3), {"Idempotency-Key": "k"}
    path = f"{ann.path}/entries/2026-05-06/increment"
    first, again = [await ann.person.post(path, json={"by": 1}, headers=key) for _ in range(2)]
    assert (first.body["amount"], again.body, again.headers["Idempotency-Replayed"]) == (
        1,
        first.body,
        "true",
    )
    assert (await ann.person.post(path, json={"by": 2}, headers=key)).body["code"] == "idempotency_key_reused"
    assert (await ann.person.post(path, json={"by": 1})).body["amount"] == 2


@pytest.mark.parametrize("path", ["/v1/habits", "/v1/habits/today", "{habit}", "{habit}/stats"])
async def test_what_has_not_changed_is_not_sent_again(
    habits: ServiceClient, moment: Moment, path: str
) -> None:
    """What depends on the day changes with it."""
    ann = await keeper(habits)
    path = path.format(habit=ann.path)
    tag = {"If-None-Match": (await ann.person.get(path)).headers["ETag"]}
    assert (await ann.person.get(path, headers=tag)).status == 304
    moment.now = "2026-05-09T12:00"
    changes = "today" in path or "stats" in path
    assert (await ann.person.get(path, headers=tag)).status == (200 if changes else 304)
