"""SQL with ``$1`` for a driver that puts values into the text."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core.database.placeholders import to_text, translate
from focushub_core.errors import Internal


class Rule(msgspec.Struct, tag="weekly"):
    days: list[int]


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("sql", "text", "order"),
    [
        ("SELECT 1", "SELECT 1", []),
        ("SELECT $1, $2", "SELECT %s, %s", [0, 1]),
        ("SELECT $2, $1, $2", "SELECT %s, %s, %s", [1, 0, 1]),
        ("SELECT $12", "SELECT %s", [11]),
        ("SELECT 7 % $1", "SELECT 7 %% %s", [0]),
        ("a LIKE 'x%' AND b = $1", "a LIKE 'x%%' AND b = %s", [0]),
        ("SELECT '$1', $1", "SELECT '$1', %s", [0]),
        ("SELECT 'it''s $1', $1", "SELECT 'it''s $1', %s", [0]),
        ("SELECT E'\\'$1', $1", "SELECT E'\\'$1', %s", [0]),
        ("SELECT '\\', $1", "SELECT '\\', %s", [0]),
        ('SELECT "a$1", $1', 'SELECT "a$1", %s', [0]),
        ("SELECT a$1 FROM t", "SELECT a$1 FROM t", []),
        ("SELECT 1 -- $1 and 5 %\n, $1", "SELECT 1 -- $1 and 5 %%\n, %s", [0]),
        ("SELECT /* $1 ' */ $1", "SELECT /* $1 ' */ %s", [0]),
        ("SELECT $$ $1 $$, $1", "SELECT $$ $1 $$, %s", [0]),
        ("SELECT $a$ $1 $$ $a$, $1", "SELECT $a$ $1 $$ $a$, %s", [0]),
        ("SELECT $1::text[]", "SELECT %s::text[]", [0]),
    ],
)
def test_only_parameters_are_replaced_and_each_percent_sign_is_doubled(
    sql: str, text: str, order: list[int]
) -> None:
    statement = translate(sql)
    assert (text, order) == (statement.text, [place.argument for place in statement.places])


@pytest.mark.parametrize(
    ("cast", "is_json"),
    [
        ("", False),
        ("::jsonb", True),
        ("::json", True),
        (" :: jsonb", True),
        ("::jsonb[]", False),
        ("::text", False),
    ],
)
def test_a_cast_says_that_a_value_is_json(cast: str, is_json: bool) -> None:
    assert translate(f"SELECT $1{cast}").places[0].json is is_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (7, "7"),
        (1.5, "1.5"),
        (Decimal("1.10"), "1.10"),
        ("a 'b' %s", "a 'b' %s"),
        (Colour.RED, "red"),
        (b"\x00\xff", "\\x00ff"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(6, 30), "06:30:00"),
        (datetime(2026, 1, 31, 6, 30, tzinfo=UTC), "2026-01-31T06:30:00+00:00"),
        (timedelta(days=-1, microseconds=5), "-1 days 0 seconds 5 microseconds"),
        ([], "{}"),
        ([1, None, 3], '{"1",NULL,"3"}'),
        (["", "NULL", 'a"b\\c,{}'], '{"","NULL","a\\"b\\\\c,{}"}'),
        ([[1, 2], [3, 4]], '{{"1","2"},{"3","4"}}'),
        ({"a": [1]}, '{"a":[1]}'),
        (Rule([1, 2]), '{"type":"weekly","days":[1,2]}'),
    ],
)
def test_a_value_is_the_text_that_postgresql_reads(value: Any, text: str | None) -> None:
    assert text == to_text(value)


def test_lists_are_json_where_the_cast_says_so() -> None:
    statement = translate("SELECT $1::jsonb, $1::int[], $2::jsonb")
    assert statement.values(([1, 2], None)) == ["[1,2]", '{"1","2"}', None]


@pytest.mark.parametrize(
    ("sql", "args"), [("SELECT $2", (1,)), ("SELECT $1", (object(),)), ("SELECT /* /* */ */ $1", (1,))]
)
def test_what_cannot_be_said_is_a_bug_of_ours(sql: str, args: tuple[object, ...]) -> None:
    with pytest.raises(Internal):
        translate(sql).values(args)


@given(st.text("$1%'\"ab \n-/*E\\", max_size=12))
def test_a_text_that_is_put_into_a_string_stays_in_it(text: str) -> None:
    """Whatever stands in a quoted string, the parameter after it is found, and nothing else."""
    quoted = "'" + text.replace("'", "''") + "'"
    statement = translate(f"SELECT {quoted}, $1")
    assert statement.text % ("VALUE",) == f"SELECT {quoted}, VALUE"
