"""What `focushub verify` makes of what happened: each promise, kept and broken. No stack is needed for it."""

from __future__ import annotations

import pytest

from focushub_generator.local.verify import report
from focushub_generator.local.verify.ledger import Attempt, Ledger, Write
from focushub_generator.local.verify.promises import MOMENT_S, SETTLING_S, Kill, Verdict, judge

GATEWAY = Kill("gateway-1", "gateway", 101, at=10.0, back=11.0)
SERVICE = Kill("task-service", "service", 102, at=20.0, back=22.0)
KILLS = (GATEWAY, SERVICE)
AWAY = "upstream_unreachable"


def attempt(
    at: float = 1.0,
    status: int = 200,
    *,
    method: str = "GET",
    service: str | None = "task-service",
    why: str = "",
    is_problem: bool = True,
    took: float = 0.01,
    resent: bool = False,
) -> Attempt:
    problem, resent = is_problem and status >= 400, resent or method == "GET"
    return Attempt(1, method, "/v1/tasks", service, at, at + took, status, why, problem, resent)


def written(
    mark: str = "m1", key: str | None = "k", *, acknowledged: bool = True, attempts: int = 1
) -> Write:
    return Write(1, "/v1/tasks", mark, key, attempts, acknowledged)


def verdict(*attempts: Attempt, writes: tuple[Write, ...] = (), **found: int) -> Verdict:
    return judge(Ledger(list(attempts), list(writes), found=found), KILLS)


KEPT = {
    "a read at rest": attempt(1.0),
    "a read while the gateway is away": attempt(10.5),
    "a write while the gateway is away": attempt(10.5, 201, method="POST"),
    "a write in a gateway's hands when it is killed": attempt(9.99, 502, method="POST", why=AWAY, took=0.05),
    "one that came a moment later": attempt(10.0 + MOMENT_S / 2, 503, method="POST", why=AWAY),
    "a read of the service that is away": attempt(20.5, 503, why=AWAY),
    "a write to the service that is away": attempt(20.5, 504, method="POST", why=AWAY),
    "what is made of it and others": attempt(20.5, 503, service=None, why=AWAY),
    "what a limit refuses": attempt(1.0, 429, why="too_many_requests"),
    "a key whose first request is still at work": attempt(
        1.0, 409, method="POST", why="idempotency_key_in_use"
    ),
}


@pytest.mark.parametrize("happened", KEPT.values(), ids=KEPT)
def test_what_was_promised_is_no_broken_promise(happened: Attempt) -> None:
    assert verdict(happened).broken == ()


BROKEN = {
    "a read at rest fails": (attempt(1.0, 500), "at rest: 1 of 1 reads failed, where none may"),
    "a read fails while a gateway is away": (
        attempt(10.5, 502, why=AWAY),
        "gateway-1 killed: 1 of 1 reads failed, where none may (the first: GET /v1/tasks: 502 " + AWAY,
    ),
    "a write fails long after a gateway was killed": (
        attempt(10.0 + 2 * MOMENT_S, 502, method="POST", why=AWAY),
        "gateway-1 killed: 1 of 1 writes failed",
    ),
    "a write with a key that is kept is not sent to another gateway": (
        attempt(9.99, 502, method="POST", why=AWAY, took=0.05, resent=True),
        "gateway-1 killed: 1 of 1 writes failed, where none may",
    ),
    "a write in a gateway's hands is cut": (
        attempt(9.99, 0, method="POST", why="no whole answer", took=0.05),
        "1 of 1 writes under way failed, where only 502, 503 and 504 problems may be",
    ),
    "a read of another service fails while one is away": (
        attempt(20.5, 503, service="habit-service", why=AWAY),
        "task-service killed: 1 of 1 reads of others failed",
    ),
    "a service that is away is a 500": (attempt(20.5, 500), "1 of 1 reads of it failed, where only 502"),
    "a service that is away is no problem document": (
        attempt(20.5, 503, is_problem=False),
        "1 of 1 reads of it failed",
    ),
    "a service that is back still fails": (
        attempt(22.0 + SETTLING_S + 0.1, 503, why=AWAY),
        "at rest: 1 of 1 reads failed",
    ),
    "a read is 404": (attempt(1.0, 404, why="not_found"), "at rest: 1 of 1 reads failed"),
}


@pytest.mark.parametrize(("happened", "words"), BROKEN.values(), ids=BROKEN)
def test_a_failure_that_was_not_promised_is_said(happened: Attempt, words: str) -> None:
    found = verdict(happened, attempt(30.0, method="PUT"))
    assert not found.kept
    assert len(found.broken) == 1
    assert words in found.broken[0]


def test_what_was_acknowledged_and_is_not_there_is_lost() -> None:
    found = verdict(writes=(written("m1"), written("m2"), written("m3", acknowledged=False, key=None)), m2=1)
    assert (found.lost, found.broken) == (1, ("1 acknowledged write was lost: m1 in /v1/tasks",))


def test_what_is_there_twice_was_done_twice() -> None:
    """Whether it was acknowledged or not, and with a key or without."""
    writes = (written("m1", attempts=2), written("m2", key=None, acknowledged=False))
    found = verdict(writes=writes, m1=2, m2=3)
    assert found.twice == 2
    assert found.broken == ("2 writes were executed twice: m1 in /v1/tasks, m2 in /v1/tasks",)


def test_a_write_that_was_not_acknowledged_may_be_there_or_not() -> None:
    writes = (written("m1", key=None, acknowledged=False), written("m2", key=None, acknowledged=False))
    assert verdict(writes=writes, m1=1).kept


def test_a_write_with_a_key_is_acknowledged_in_the_end() -> None:
    found = verdict(writes=(written(acknowledged=False, attempts=40),))
    assert found.broken == ("1 write with a key was never acknowledged: m1 in /v1/tasks",)


def test_a_write_that_limits_never_let_in_is_owed_nothing() -> None:
    refused = Write(1, "/v1/tasks", "m1", "k", attempts=3, refused=True)
    assert verdict(writes=(refused,)).kept


def test_an_answer_of_somebody_else_is_said() -> None:
    ledger = Ledger(astray=["GET /v1/tasks: 200, asked by client 1, holds what client 2 made"])
    assert judge(ledger, KILLS).broken == (
        "1 answer reached another client: GET /v1/tasks: 200, asked by client 1, holds what client 2 made",
    )


def test_what_cannot_be_read_back_is_said_and_is_not_called_lost() -> None:
    ledger = Ledger(writes=[written()], unread={(1, "/v1/tasks"): "GET /v1/tasks: 503"})
    found = judge(ledger, KILLS)
    assert (found.lost, found.broken) == (0, ("/v1/tasks could not be read back: GET /v1/tasks: 503",))


def test_what_is_not_whole_is_said_as_it_was_seen() -> None:
    words = "when all were back: GET /v1/dashboard/today: 200 lacks tasks"
    assert judge(Ledger(missing=[words]), KILLS).broken == (words,)


def test_a_part_that_does_not_come_back_is_said() -> None:
    found = judge(Ledger(), [Kill("gateway-1", "gateway", 101, at=10.0, back=None)])
    assert found.broken == ("gateway-1 was not healthy again within 20 s",)


def test_every_failure_and_every_limit_is_counted_in_its_row() -> None:
    found = verdict(
        *(attempt(1.0, took=0.001 * number) for number in range(1, 101)),
        attempt(1.0, 429),
        attempt(10.5),
        attempt(20.5, 503, why=AWAY),
        attempt(20.5),
    )
    rows = [(row.during, row.sent, row.requests, row.failed, row.allowed, row.limited) for row in found.rows]
    assert rows == [
        ("at rest", "reads", 101, 0, 0, 1),
        ("gateway-1 killed", "reads", 1, 0, 0, 0),
        ("task-service killed", "reads of it", 2, 1, 2, 0),
    ]
    assert (found.rows[0].p50_ms, found.rows[0].p99_ms) == (50.0, 99.0)


def test_the_report_is_a_table_within_a_hundred_columns_and_ends_with_the_verdict() -> None:
    kills = (GATEWAY, Kill("order-book-service", "service", 102, at=20.0, back=22.0))
    happened = [
        attempt(moment, method=method) for moment in (1.0, 9.99, 10.6, 20.5) for method in ("GET", "POST")
    ]
    happened.append(attempt(20.5, 429, service="order-book-service"))
    kept = report.lines(judge(Ledger(happened), kills))
    assert max(map(len, kept)) <= 100
    assert kept[-1] == "All promises kept."
    assert "What a limit refused (429) counts as neither done nor failed." in kept
    broken = report.lines(judge(Ledger([*happened, attempt(1.0, 500)]), kills))
    assert broken[-1].startswith("BROKEN  at rest: 1 of 2 reads failed")


def test_the_report_for_programs_has_the_same() -> None:
    found = report.fields(verdict(attempt(1.0, 500)))
    assert (found["kept"], len(found["broken"]), found["rows"][0]["failed"]) == (False, 1, 1)
    assert [kill["part"] for kill in found["kills"]] == ["gateway-1", "task-service"]
