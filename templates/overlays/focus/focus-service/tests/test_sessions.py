"""Sessions through HTTP, on a real database."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from focushub_core.database import ExclusionViolation, UniqueViolation
from focushub_core.testing import Person, Reply, ServiceClient

from .conftest import FakeClock

SESSIONS = "/v1/focus/sessions"


async def start(person: Person, **wanted: object) -> Reply:
    return await person.post(SESSIONS, json=wanted)


async def test_a_started_session_is_found_where_its_answer_says(focus: ServiceClient) -> None:
    ann, task = focus.person(), str(uuid4())
    reply = await start(ann, kind="countdown", planned_s=600, task_id=task, tags=["deep", "work", "deep"])
    session = reply.body
    assert reply.status == 201
    assert (await ann.get(reply.headers["Location"])).body == session
    assert session | {"id": "", "segments": []} == {
        "id": "",
        "kind": "countdown",
        "status": "running",
        "task_id": task,
        "tags": ["deep", "work"],
        "planned_s": 600,
        "started_at": "2026-05-04T10:00:00Z",
        "ended_at": None,
        "focused_s": 0,
        "paused_s": 0,
        "segments": [],
    }


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"kind": "flow", "planned_s": 60}, {"planned_s": "not_allowed"}),
        ({"kind": "countdown"}, {"planned_s": "missing"}),
        ({"kind": "nap"}, {"kind": "not_allowed"}),
        (
            {"planned_s": 0, "tags": ["a", ""], "task_id": "7", "mood": "good"},
            {
                "planned_s": "too_small",
                "tags[1]": "too_short",
                "task_id": "wrong_format",
                "mood": "unknown_field",
            },
        ),
    ],
)
async def test_a_session_that_makes_no_sense_is_refused(
    focus: ServiceClient, body: object, wrong: object
) -> None:
    reply = await focus.person().post(SESSIONS, json=body)
    assert (reply.status, {one["field"]: one["code"] for one in reply.body["errors"]}) == (422, wrong)


async def test_of_twenty_starts_at_once_one_wins_and_is_named_to_the_others(focus: ServiceClient) -> None:
    """F1."""
    ann = focus.person()
    replies = await asyncio.gather(*(start(ann) for _ in range(20)))
    won = [reply.body for reply in replies if reply.status == 201]
    lost = [reply.body for reply in replies if reply.status == 409]
    assert (len(won), len(lost)) == (1, 19)
    assert {problem["code"] for problem in lost} == {"session_active"}
    assert {problem["current"]["id"] for problem in lost} == {won[0]["id"]}


async def test_the_database_itself_refuses_a_second_open_session(focus: ServiceClient) -> None:
    ann, database = focus.person(), focus.service.database
    await start(ann)
    assert database is not None
    with pytest.raises(UniqueViolation) as refused:
        await database.execute(
            """INSERT INTO sessions (id, user_id, kind, status, tags, started_at)
               VALUES (gen_random_uuid(), $1, 'flow', 'paused', '{}', '2026-01-01T00:00Z')""",
            ann.id,
        )
    assert refused.value.constraint == "one_open_session"


async def test_the_database_itself_refuses_time_that_counts_twice(
    focus: ServiceClient, clock: FakeClock
) -> None:
    ann, database = focus.person(), focus.service.database
    session = (await start(ann)).body
    clock.at("10:10")
    await ann.post(f"{SESSIONS}/{session['id']}/pause")
    assert database is not None
    with pytest.raises(ExclusionViolation):
        await database.execute(
            """INSERT INTO segments (session_id, user_id, started_at, ended_at)
               VALUES ($1, $2, '2026-05-04T10:09:59Z', '2026-05-04T10:20Z')""",
            session["id"],
            ann.id,
        )


async def test_a_start_can_stop_the_open_session_at_the_same_moment(
    focus: ServiceClient, clock: FakeClock
) -> None:
    """F2."""
    ann = focus.person()
    first = (await start(ann, kind="flow")).body
    clock.at("10:20")
    second = (await start(ann, kind="flow", on_conflict="stop")).body
    ended = (await ann.get(f"{SESSIONS}/{first['id']}")).body
    assert (ended["status"], ended["ended_at"], ended["focused_s"]) == (
        "finished",
        second["started_at"],
        1200,
    )


async def test_starts_that_all_stop_the_open_session_leave_one_open(focus: ServiceClient) -> None:
    ann = focus.person()
    replies = await asyncio.gather(*(start(ann, kind="flow", on_conflict="stop") for _ in range(8)))
    assert [reply.status for reply in replies] == [201] * 8
    assert len((await ann.get(SESSIONS, params={"status": "running"})).body["items"]) == 1


async def test_a_pause_is_no_focus(focus: ServiceClient, clock: FakeClock) -> None:
    """F3: span 1800, focused 1500, paused 300; one session, two segments."""
    ann = focus.person()
    path = f"{SESSIONS}/{(await start(ann, planned_s=3600)).body['id']}"
    for moment, step in [("10:10", "pause"), ("10:15", "resume"), ("10:30", "finish")]:
        clock.at(moment)
        session = (await ann.post(f"{path}/{step}")).body
    assert (session["focused_s"], session["paused_s"], session["ended_at"]) == (
        1500,
        300,
        "2026-05-04T10:30:00Z",
    )
    assert [one["ended_at"] for one in session["segments"]] == [
        "2026-05-04T10:10:00Z",
        "2026-05-04T10:30:00Z",
    ]
    assert (await ann.get(path)).body == session


async def test_the_current_session_runs_on_a_screen(focus: ServiceClient, clock: FakeClock) -> None:
    ann = focus.person()
    nobody = (await ann.get(f"{SESSIONS}/current")).body
    assert (nobody["session"], nobody["server_time"]) == (None, "2026-05-04T10:00:00Z")
    session = (await start(ann)).body
    clock.at("10:10")
    current = (await ann.get(f"{SESSIONS}/current")).body
    assert current.pop("session")["id"] == session["id"]
    assert current == {
        "server_time": "2026-05-04T10:10:00Z",
        "elapsed_s": 600,
        "focused_s": 600,
        "remaining_s": 900,
        "planned_end_at": "2026-05-04T10:25:00Z",
    }


@pytest.mark.parametrize("look", ["/current", "", "?status=running", "/{id}"])
async def test_a_pomodoro_whose_client_vanished_ended_in_time(
    focus: ServiceClient, clock: FakeClock, look: str
) -> None:
    """F4: 25 minutes from 10:00, next request 18:00: finished at 10:25, however one looks."""
    ann = focus.person()
    session = (await start(ann)).body
    clock.at("18:00")
    await ann.get(SESSIONS + look.format(id=session["id"]))
    found = (await ann.get(SESSIONS, params={"status": "finished"})).body["items"]
    assert [(one["ended_at"], one["focused_s"]) for one in found] == [("2026-05-04T10:25:00Z", 1500)]
    assert (await ann.get(f"{SESSIONS}/current")).body["session"] is None


async def test_after_a_forgotten_session_the_next_one_starts(focus: ServiceClient, clock: FakeClock) -> None:
    ann = focus.person()
    await start(ann, kind="flow")
    clock.at("18:00")
    assert (await start(ann)).status == 201


async def test_finishing_twice_is_finishing_once(focus: ServiceClient, clock: FakeClock) -> None:
    ann = focus.person()
    path = f"{SESSIONS}/{(await start(ann)).body['id']}/finish"
    clock.at("10:20")
    first = await ann.post(path, json={"ended_at": "2026-05-04T12:15:00+02:00"})
    clock.at("10:40")
    again = await ann.post(path)
    assert (first.status, first.body["focused_s"]) == (200, 900)
    assert (again.status, again.body) == (200, first.body)


@pytest.mark.parametrize(
    ("ended_at", "code"),
    [
        ("2026-05-04T10:00:00Z", "end_not_after_start"),
        ("2026-05-04T10:21:01Z", "in_future"),
        ("2026-05-04T10:10:00", "validation_failed"),
    ],
)
async def test_an_end_outside_the_session_is_refused(
    focus: ServiceClient, clock: FakeClock, ended_at: str, code: str
) -> None:
    """F10."""
    ann = focus.person()
    path = f"{SESSIONS}/{(await start(ann)).body['id']}/finish"
    clock.at("10:20")
    reply = await ann.post(path, json={"ended_at": ended_at})
    assert (reply.status, reply.body["code"], reply.body["errors"][0]["field"]) == (422, code, "ended_at")


@pytest.mark.parametrize(
    ("before", "step", "code"),
    [
        ([], "resume", "not_paused"),
        (["pause"], "pause", "not_running"),
        (["finish"], "pause", "not_running"),
        (["finish"], "resume", "not_paused"),
    ],
)
async def test_a_step_that_does_not_fit_is_a_conflict(
    focus: ServiceClient, clock: FakeClock, before: list[str], step: str, code: str
) -> None:
    ann = focus.person()
    path = f"{SESSIONS}/{(await start(ann)).body['id']}"
    for name in before:
        clock.go(minutes=1)
        assert (await ann.post(f"{path}/{name}")).status == 200
    reply = await ann.post(f"{path}/{step}")
    assert (reply.status, reply.body["code"]) == (409, code)


async def test_anothers_session_is_not_there(focus: ServiceClient) -> None:
    ann, bob = focus.person(), focus.person()
    path = f"{SESSIONS}/{(await start(ann)).body['id']}"
    replies = [
        await bob.get(path),
        *[await bob.post(f"{path}/{step}") for step in ("pause", "resume", "finish")],
    ]
    assert [reply.status for reply in replies] == [404] * 4
    assert (await bob.get(SESSIONS)).body == {"items": [], "next_cursor": None}
    assert (await bob.get(f"{SESSIONS}/current")).body["session"] is None
    assert (await start(bob)).status == 201
    assert (await focus.get(path)).status == 401


async def test_pages_hold_every_session_once_the_latest_first(focus: ServiceClient, clock: FakeClock) -> None:
    ann = focus.person()
    for _ in range(5):
        await start(ann, kind="flow", on_conflict="stop")
        clock.go(minutes=1)
    seen: list[str] = []
    cursor = None
    while not seen or cursor:
        page = (await ann.get(SESSIONS, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).body
        seen += [one["started_at"][14:16] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["04", "03", "02", "01", "00"]
    between = {"from": "2026-05-04T10:01:00Z", "to": "2026-05-04T10:03:00Z"}
    assert len((await ann.get(SESSIONS, params=between)).body["items"]) == 2
    forged = await ann.get(SESSIONS, params={"cursor": "AAAA"})
    assert (forged.status, forged.body["code"]) == (400, "invalid_cursor")


async def test_a_start_that_is_sent_again_with_its_key_is_answered_the_same(focus: ServiceClient) -> None:
    """And not with the conflict that it would make with itself."""
    ann, key = focus.person(), {"Idempotency-Key": "k"}
    first, again = [await ann.post(SESSIONS, json={}, headers=key) for _ in range(2)]
    assert (again.status, again.body, again.headers["Idempotency-Replayed"]) == (201, first.body, "true")
    assert again.headers["Location"] == first.headers["Location"]
    assert len((await ann.get(SESSIONS)).body["items"]) == 1
    other = await ann.post(SESSIONS, json={"kind": "flow"}, headers=key)
    assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")


async def test_a_start_that_stops_the_open_session_is_done_once_for_a_key(
    focus: ServiceClient, clock: FakeClock
) -> None:
    """Sent again later, it does not stop the session that it started."""
    ann, key = focus.person(), {"Idempotency-Key": "k"}
    await start(ann, kind="flow")
    for _ in range(2):
        clock.go(minutes=5)
        reply = await ann.post(SESSIONS, json={"kind": "flow", "on_conflict": "stop"}, headers=key)
    assert (await ann.get(f"{SESSIONS}/current")).body["session"]["id"] == reply.body["id"]
    assert len((await ann.get(SESSIONS)).body["items"]) == 2


@pytest.mark.parametrize("path", [SESSIONS, "/v1/focus/summary", SESSIONS + "/{id}"])
async def test_what_has_not_changed_is_not_sent_again(
    focus: ServiceClient, clock: FakeClock, path: str
) -> None:
    """A running session changes with every second, a paused one does not."""
    ann = focus.person()
    session = (await start(ann)).body["id"]
    path = path.format(id=session)
    tag = (await ann.get(path)).headers["ETag"]
    clock.go(seconds=1)
    assert (await ann.get(path, headers={"If-None-Match": tag})).status == 200
    await ann.post(f"{SESSIONS}/{session}/finish")
    tag = (await ann.get(path)).headers["ETag"]
    clock.go(seconds=1)
    assert (await ann.get(path, headers={"If-None-Match": tag})).status == 304
