"""Rise, fall, ejection: each as a table of what happened and where the upstream stands then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.balancer import CheckResult, Health, HealthSettings, Outcome, State

RESULTS = {"+": CheckResult.PASSED, "-": CheckResult.FAILED, "d": CheckResult.NOT_READY}
SETTINGS = HealthSettings()


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ("", State.UNKNOWN),
        ("+", State.UP),  # the first result decides
        ("-", State.DOWN),
        ("+--", State.UP),
        ("+---", State.DOWN),
        ("+--+--", State.UP),
        ("+---+", State.DOWN),
        ("+---++", State.UP),
        ("+---+-+", State.DOWN),
        ("+d", State.DRAINING),
        ("+d+", State.UP),
        ("+d---", State.DOWN),
        ("-d", State.DOWN),
        ("d", State.DRAINING),
    ],
)
def test_three_failed_checks_take_it_down_and_two_passed_ones_bring_it_up(
    checks: str, expected: State
) -> None:
    health = Health()
    for moment, check in enumerate(checks):
        health.checked(RESULTS[check], moment)

    assert health.state(len(checks)) is expected


def eject(health: Health, now: float, outcome: Outcome = Outcome.FAULTY) -> None:
    for _ in range(SETTINGS.failures):
        health.observed(outcome, now)


def test_five_failures_in_a_row_eject_for_thirty_seconds() -> None:
    health = Health()
    for _ in range(4):
        health.observed(Outcome.FAULTY, 100)
    assert health.state(100) is State.UNKNOWN

    health.observed(Outcome.UNREACHABLE, 100)

    assert health.state(129.9) is State.EJECTED
    assert health.state(130) is State.UNKNOWN


@given(st.lists(st.sampled_from([4, 3, 2, 1]), max_size=20))
def test_an_answer_in_between_forgets_the_failures(runs: list[int]) -> None:
    health = Health()
    for run in runs:
        for _ in range(run):
            health.observed(Outcome.FAULTY, 0)
        health.observed(Outcome.ANSWERED, 0)

    assert health.state(0) is State.UNKNOWN


def test_each_ejection_in_succession_is_longer_up_to_five_minutes() -> None:
    health, now, lengths = Health(), 1000.0, []
    for _ in range(12):
        eject(health, now)
        length = next(s for s in range(1, 1000) if health.state(now + s) is not State.EJECTED)
        lengths.append(length)
        now += length

    assert lengths == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


def test_who_served_well_for_as_long_begins_anew() -> None:
    health = Health()
    eject(health, 0)
    eject(health, 30)  # out until 90, for 60 s
    eject(health, 151)

    assert health.state(180.9) is State.EJECTED
    assert health.state(181) is State.UNKNOWN


def test_failures_of_requests_that_were_still_running_do_not_eject_twice() -> None:
    health = Health()
    eject(health, 0)
    eject(health, 1)

    assert health.state(30) is State.UNKNOWN


def test_who_can_be_reached_again_is_back_after_two_checks() -> None:
    health = Health()
    health.checked(CheckResult.PASSED, 0)
    eject(health, 1, Outcome.UNREACHABLE)
    health.checked(CheckResult.PASSED, 2)
    assert health.state(2) is State.EJECTED

    health.checked(CheckResult.PASSED, 4)

    assert health.state(4) is State.UP


def test_who_answers_badly_stays_out_whatever_the_checks_say() -> None:
    health = Health()
    eject(health, 0, Outcome.FAULTY)
    for moment in range(10):
        health.checked(CheckResult.PASSED, moment)

    assert health.state(29) is State.EJECTED


def test_one_that_is_frozen_is_out_at_once_and_back_after_two_checks() -> None:
    health = Health()
    health.checked(CheckResult.PASSED, 0)
    health.observed(Outcome.FROZEN, 1)
    assert health.state(1) is State.EJECTED

    health.observed(Outcome.FROZEN, 2)  # it is still: that makes it no longer
    health.checked(CheckResult.PASSED, 3)
    health.checked(CheckResult.PASSED, 4)

    assert health.state(4) is State.UP
    assert (health.frozen, health.ejected) == (2, 1)


@pytest.mark.parametrize(
    ("happens", "state", "why"),
    [
        ("", State.UNKNOWN, "not checked yet"),
        ("+", State.UP, ""),
        ("---", State.DOWN, "a check was answered 500"),
        ("d", State.DRAINING, "it asks for no more"),
        ("+5", State.EJECTED, "request after request failed; for 20 s more, at most"),
        ("+f", State.EJECTED, "it stood still with requests waiting; for 20 s more, at most"),
        ("+uuuuu", State.EJECTED, "nobody could connect; for 20 s more, at most"),
    ],
)
def test_where_it_stands_is_said_with_the_reason(happens: str, state: State, why: str) -> None:
    health = Health()
    details = {"-": "a check was answered 500", "d": "it asks for no more"}
    for event in happens:
        if event in RESULTS:
            health.checked(RESULTS[event], 0, details.get(event, ""))
        elif event == "5":
            eject(health, 0)
        else:
            health.observed({"f": Outcome.FROZEN, "u": Outcome.UNREACHABLE}[event], 0)

    assert (health.state(10), health.why(10)) == (state, why)
