"""The rules of streaks, as tables and properties; no database, no clock."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit_service.days import Today
from habit_service.schedules import Daily, Schedule, TimesPerWeek, Version, Weekdays
from habit_service.streaks import History, Mark, Standing, judge, periods
from stack_shared.day import DaySettings

DAY = timedelta(days=1)
WORKDAYS = Weekdays(days=[1, 2, 3, 4, 5])
LETTERS: dict[str, Mark] = {"d": "done", "s": "skip", "f": "fail"}


def on(text: str, *, zone: str = "UTC", week_start: int = 1) -> Today:
    return Today(date.fromisoformat(text), DaySettings(ZoneInfo(zone), week_start))


def history(start: str, marks: str, rule: Schedule | None = None, *later: Version) -> History:
    """A letter a day from ``start`` on: d done, s skipped, f failed, anything else unknown; blanks don't count."""
    first = date.fromisoformat(start)
    letters = enumerate(marks.replace(" ", ""))
    known = {first + index * DAY: LETTERS[letter] for index, letter in letters if letter in LETTERS}
    return History(first, (Version(first, rule or Daily()), *later), known)


def streaks(past: History, today: Today) -> tuple[int, int]:
    standing = judge(past, today)
    return standing.current, standing.best


@pytest.mark.parametrize(
    ("marks", "today", "expected"),
    [
        ("ddd.d", "2026-05-05", (1, 3, False)),
        ("dddsd", "2026-05-05", (4, 4, False)),
        ("dddsd", "2026-05-06", (4, 4, True)),
        ("dddsd", "2026-05-07", (0, 4, False)),
        ("dddsdf", "2026-05-06", (0, 4, False)),
        ("dddsds", "2026-05-06", (4, 4, False)),
        ("", "2026-05-01", (0, 0, False)),
    ],
)
def test_today_is_pending_and_a_skip_bridges(marks: str, today: str, expected: tuple[int, int, bool]) -> None:
    """H3."""
    standing = judge(history("2026-05-01", marks), on(today))
    assert (standing.current, standing.best, standing.at_risk) == expected


@pytest.mark.parametrize(
    ("start", "marks", "today", "expected"),
    [("2026-03-28", "ddd", "2026-03-30", 3), ("2017-03-24", "dddd", "2017-03-27", 4)],
)
def test_days_on_which_clocks_change_are_days(start: str, marks: str, today: str, expected: int) -> None:
    """H2: they are counted on the calendar, not as so many hours."""
    assert streaks(history(start, marks), on(today, zone="Europe/Berlin")) == (expected, expected)


def test_skips_alone_count_nothing() -> None:
    """H4: skip Monday to Wednesday, done on Thursday, skip Friday to Sunday."""
    assert streaks(history("2026-05-04", "sssdsss"), on("2026-05-10")) == (1, 1)


@pytest.mark.parametrize(
    ("marks", "expected"), [("ddddd ..d", (6, 6, 6)), ("ddddd d.d", (6, 6, 7)), ("dddd. ddd", (1, 4, 7))]
)
def test_on_weekdays_only_those_are_due(marks: str, expected: tuple[int, int, int]) -> None:
    """H5: from Monday, 4 May 2026 to the next Monday; an extra Saturday is in the total and in no streak."""
    standing = judge(history("2026-05-04", marks, WORKDAYS), on("2026-05-11"))
    assert (standing.current, standing.best, standing.total) == expected


THREE_GOOD_WEEKS = "d.d.d.. ddd.... ....ddd"  # June 2026: 1, 3, 5 | 8, 9, 10 | 19, 20, 21


@pytest.mark.parametrize(
    ("start", "marks", "today", "expected"),
    [
        ("2026-06-01", THREE_GOOD_WEEKS, "2026-06-23", 3),
        ("2026-06-01", THREE_GOOD_WEEKS, "2026-06-28", 3),
        ("2026-06-01", THREE_GOOD_WEEKS, "2026-06-29", 0),
        ("2026-06-01", "ddd.... ssssdd.", "2026-06-15", 2),
        ("2026-06-01", "ddd.... ssssd..", "2026-06-15", 0),
        ("2026-06-01", "ddd.... sssssss ddd", "2026-06-17", 2),
        ("2026-06-05", "dd.", "2026-06-08", 1),
        ("2026-06-05", "d..", "2026-06-08", 0),
    ],
    ids=[
        "this week is pending",
        "until its last day",
        "and missed after it",
        "four skips of 3: two are asked",
        "and one is not enough",
        "a skipped week is neutral",
        "a start on Friday asks for two",
        "and one is not enough then",
    ],
)
def test_three_times_a_calendar_week(start: str, marks: str, today: str, expected: int) -> None:
    """H6."""
    standing = judge(history(start, marks, TimesPerWeek(times=3)), on(today))
    assert (standing.current, standing.unit) == (expected, "week")


@pytest.mark.parametrize(("week_start", "expected"), [(7, 1), (1, 2)])
def test_it_matters_on_which_day_weeks_start(week_start: int, expected: int) -> None:
    """H7: done on Sunday 7 to Wednesday 10 June, started that Sunday."""
    past = history("2026-06-07", "dddd", TimesPerWeek(times=3))
    assert judge(past, on("2026-06-10", week_start=week_start)).current == expected


def test_a_new_schedule_judges_nothing_anew() -> None:
    """H8: daily for ten perfect days, then three times a week: the ten days stay kept days."""
    version = Version(date(2026, 6, 11), TimesPerWeek(times=3))
    past = history("2026-06-01", "dddddddddd", Daily(), version)
    found = list(periods(past, on("2026-06-20")))
    assert [period.kept for period in found[:10]] == [True] * 10
    assert [(period.first.day, period.last.day, period.required) for period in found[10:]] == [
        (11, 14, 2),
        (15, 21, 3),
    ]
    assert judge(past, on("2026-06-13")).best == 10


def test_a_traveller_keeps_the_days_that_were_entered() -> None:
    """H9: from Los Angeles to Tokyo and back; 11 May was entered in Tokyo, and is tomorrow again at home."""
    past = history("2026-05-08", "dddd")
    assert streaks(past, on("2026-05-11", zone="Asia/Tokyo")) == (4, 4)
    assert streaks(past, on("2026-05-10", zone="America/Los_Angeles")) == (3, 3)


@pytest.mark.parametrize(("zone", "expected"), [("Pacific/Apia", 3), ("Pacific/Honolulu", 1)])
def test_a_day_that_the_zone_never_had_is_not_due(zone: str, expected: int) -> None:
    """H9: Apia went from 29 December 2011 to the 31st."""
    assert judge(history("2011-12-28", "dd.d"), on("2011-12-31", zone=zone)).current == expected


def test_a_missed_day_entered_later_joins_two_runs() -> None:
    """H10: 4 + 1 + 5 = 10, and back when it is taken away."""
    today = on("2026-05-10")
    assert streaks(history("2026-05-01", "dddd.ddddd"), today) == (5, 5)
    assert streaks(history("2026-05-01", "ddddd ddddd"), today) == (10, 10)


def test_what_was_done_before_the_start_moves_the_start() -> None:
    """H10: those days are not missed ones."""
    past = history("2026-05-05", "dd")
    earlier = History(past.start_date, past.versions, {**past.marks, date(2026, 5, 4): "done"})
    assert streaks(earlier, on("2026-05-06")) == (3, 3)
    skipped = History(past.start_date, past.versions, {**past.marks, date(2026, 5, 1): "skip"})
    assert streaks(skipped, on("2026-05-06")) == (2, 2)


@pytest.mark.parametrize(
    ("marks", "today", "due", "at_risk", "done"),
    [
        ("ddd.... d......", "2026-06-09", True, False, 1),
        ("ddd.... d......", "2026-06-13", True, True, 1),
        ("ddd.... dd....d", "2026-06-14", True, False, 3),
        ("ddd.... ddd....", "2026-06-14", False, False, 3),
        ("....... d......", "2026-06-14", True, False, 1),
    ],
    ids=["time enough", "every day is needed", "done today", "enough before today", "nothing to lose"],
)
def test_a_week_is_due_until_it_is_full(
    marks: str, today: str, *, due: bool, at_risk: bool, done: int
) -> None:
    standing = judge(history("2026-06-01", marks, TimesPerWeek(times=3)), on(today))
    assert (standing.due, standing.at_risk) == (due, at_risk)
    assert (standing.week_done, standing.week_required) == (done, 3)


@pytest.mark.parametrize(
    ("rule", "today", "due"),
    [
        (Daily(), "2026-05-09", True),
        (Daily(), "2026-05-03", False),
        (WORKDAYS, "2026-05-08", True),
        (WORKDAYS, "2026-05-09", False),
        (TimesPerWeek(times=1), "2026-05-03", False),
    ],
)
def test_a_habit_is_due_on_its_days_and_from_its_start_on(rule: Schedule, today: str, *, due: bool) -> None:
    assert judge(history("2026-05-04", "", rule), on(today)).due is due


LETTER = st.sampled_from("ds.f")
PAST = st.text(LETTER, max_size=60)
RULES = st.sampled_from([Daily(), WORKDAYS, *(TimesPerWeek(times=times) for times in range(1, 8))])


def judge_text(marks: str, rule: Schedule, *, week_start: int = 1) -> Standing:
    """As it stands on the day after the last mark."""
    today = date(2026, 1, 1) + len(marks) * DAY
    return judge(history("2026-01-01", marks, rule), on(today.isoformat(), week_start=week_start))


@given(PAST)
def test_a_daily_streak_is_the_longest_row_of_done_days_with_skips_taken_out(marks: str) -> None:
    rows = marks[max(marks.find("d"), 0) :].replace("s", "").replace("f", ".").split(".")
    expected = (len(rows[-1]), max(map(len, rows)))
    standing = judge_text(marks, Daily())
    assert (standing.current, standing.best) == expected


@given(PAST, RULES, st.integers(1, 7))
def test_a_streak_is_never_longer_than_the_best_nor_than_what_was_done(
    marks: str, rule: Schedule, week_start: int
) -> None:
    standing = judge_text(marks, rule, week_start=week_start)
    assert 0 <= standing.current <= standing.best <= standing.total == marks.count("d")


@given(PAST, RULES, st.integers(0, 59), st.integers(1, 7))
def test_doing_more_never_shortens_a_streak(marks: str, rule: Schedule, index: int, week_start: int) -> None:
    """An unknown or failed day that becomes a done one; a skip may be worth more in a week that asks for less."""
    if index >= len(marks) or marks[index] == "s":
        return
    more = f"{marks[:index]}d{marks[index + 1 :]}"
    before, after = (judge_text(text, rule, week_start=week_start) for text in (marks, more))
    assert before.current <= after.current
    assert before.best <= after.best


@given(PAST, RULES)
def test_time_alone_never_lengthens_a_streak(marks: str, rule: Schedule) -> None:
    assert judge_text(marks + ".", rule).best == judge_text(marks, rule).best
    assert judge_text(marks + ".", rule).current <= judge_text(marks, rule).current
