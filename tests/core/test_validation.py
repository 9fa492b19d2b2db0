"""Every wrong field of a value, at once."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core import Body, FieldError
from focushub_core.rules import Rule, Wrong, compiled
from focushub_core.validation import check


class Due(Body):
    day: date
    minutes: Annotated[int, msgspec.Meta(ge=0, le=1440)] = 0


class Order(Body):
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=5)]
    due: Due | None = None
    labels: list[Annotated[str, msgspec.Meta(max_length=3)]] = []
    sizes: dict[str, int] = {}
    pair: tuple[int, str] | None = None


def why_odd(number: int) -> str | None:
    if number > 10:
        raise ValueError("This is too much.")
    return "Only even numbers." if number % 2 else None


Even = Annotated[int, Rule("odd", why_odd)]


class Tree(Body):
    """Rules wherever one can stand: on fields, items, values, members of unions, the whole of an array; and `Wrong`."""

    size: Even = 0
    low: int = 0
    high: int | None = None
    sizes: Annotated[
        list[Even], Rule("unordered", lambda sizes: None if sizes == sorted(sizes) else "Unordered.")
    ] = []
    by_name: dict[str, Even | None] = {}
    pair: tuple[str, Even] | None = None
    branches: list["Tree"] = []

    def __post_init__(self) -> None:
        if self.high is not None and self.high < self.low:
            raise Wrong(
                FieldError("high", "below_low", "It lies below low."), FieldError("low", "above_high", "!")
            )


class Circle(Body, tag_field="kind", tag="circle"):
    radius: Annotated[int, msgspec.Meta(ge=0)]


class Box(Body, tag_field="kind", tag="box"):
    width: int
    height: int


def fields(value: Any, wanted: Any = Order) -> list[tuple[str, str]]:
    return [(wrong.field, wrong.code) for wrong in check(value, wanted)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"title": "a"}, []),
        ({}, [("title", "missing")]),
        ({"title": ""}, [("title", "too_short")]),
        ({"title": "aaaaaa"}, [("title", "too_long")]),
        ({"title": 1}, [("title", "wrong_type")]),
        ({"title": "a", "colour": 1}, [("colour", "unknown_field")]),
        ({"title": "a", "due": {"day": "x"}}, [("due.day", "wrong_format")]),
        ({"title": "a", "due": {"minutes": 1441}}, [("due.day", "missing"), ("due.minutes", "too_large")]),
        ({"title": "a", "due": 3}, [("due", "wrong_type")]),
        (
            {"title": "a", "labels": ["ok", "long", 3]},
            [("labels[1]", "too_long"), ("labels[2]", "wrong_type")],
        ),
        ({"title": "a", "sizes": {"x": "1"}}, [("sizes.x", "wrong_type")]),
        ({"title": "a", "pair": [1, 2]}, [("pair[1]", "wrong_type")]),
        ([], [("", "wrong_type")]),
    ],
)
def test_each_wrong_field_is_named_with_its_path(value, expected):
    assert fields(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"kind": "circle", "radius": 1}, []),
        ({"kind": "circle", "radius": -1, "width": 2}, [("width", "unknown_field"), ("radius", "too_small")]),
        ({"kind": "box", "width": "2"}, [("width", "wrong_type"), ("height", "missing")]),
        ({"kind": "star"}, [("kind", "not_allowed")]),
        ({"kind": ["box"]}, [("kind", "wrong_type")]),
        ({}, [("", "missing")]),
    ],
)
def test_of_several_kinds_the_one_that_is_named_is_checked(value, expected):
    assert fields(value, Circle | Box) == expected


def test_many_wrong_fields_are_all_reported_one_nested_one_in_an_array():
    value = {"title": "", "due": {"day": "2026-01-01", "minutes": -1}, "labels": ["toolong"], "x": 1}
    assert {name for name, _ in fields(value)} == {"title", "due.minutes", "labels[0]", "x"}


class Card(Body, tag="card"):
    number: int


class Cash(Body, tag="cash"):
    amount: int


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("hunter2", int), ("hunter2", Literal["a", "b"]), ({"type": "hunter2"}, Card | Cash), ("hunter2", UUID)],
)
def test_a_message_does_not_quote_the_value(value, wanted):
    wrong = check(value, wanted)
    assert wrong
    assert "hunter2" not in str(wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["title", "due", "labels", "day", "minutes", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_nothing_is_reported_exactly_when_the_value_is_right(value):
    try:
        msgspec.convert(value, Order)
        right = True
    except msgspec.ValidationError:
        right = False
    assert (check(value, Order) == []) is right


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"size": 2, "sizes": [2, 4], "by_name": {"x": None}, "pair": ["a", 2], "branches": [{}]}, []),
        ({"size": 1, "low": "x"}, [("size", "odd"), ("low", "wrong_type")]),
        ({"size": 12}, [("size", "odd")]),
        ({"low": 2**63}, [("low", "out_of_range")]),
        ({"sizes": [1, 2, 3]}, [("sizes[0]", "odd"), ("sizes[2]", "odd")]),
        ({"sizes": [4, 2]}, [("sizes", "unordered")]),
        ({"by_name": {"x": 3}, "pair": ["a", 3]}, [("by_name.x", "odd"), ("pair[1]", "odd")]),
        ({"branches": [{"branches": [{"size": 1}]}]}, [("branches[0].branches[0].size", "odd")]),
        ({"low": 2, "high": 1}, [("high", "below_low"), ("low", "above_high")]),
        (
            {"branches": [{}, {"low": 2, "high": 1}], "size": 3},
            [("size", "odd"), ("branches[1].high", "below_low"), ("branches[1].low", "above_high")],
        ),
    ],
)
def test_rules_beside_the_types_are_asked_together_with_them(value, expected):
    assert fields(value, Tree) == expected


TREES = st.recursive(
    st.fixed_dictionaries({}, optional={"size": st.integers(-3, 14), "low": st.integers() | st.none()}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "high": st.none() | st.integers(-1, 1),
            "low": st.integers(-1, 1),
            "sizes": st.lists(st.integers(0, 3), max_size=3),
            "by_name": st.dictionaries(st.text(max_size=2), st.none() | st.integers(0, 2), max_size=2),
            "pair": st.none() | st.tuples(st.text(max_size=1), st.integers(1, 2)).map(list),
            "branches": st.lists(inner, max_size=2),
        },
    ),
    max_leaves=4,
)


@given(TREES)
def test_rules_are_reported_exactly_when_one_is_broken(value):
    """The hot path (compiled, on the decoded value) and the walk that names what is wrong agree."""
    holds = compiled(Tree)
    assert holds is not None
    try:
        right = holds(msgspec.convert(value, Tree))
    except msgspec.ValidationError:
        right = False
    assert (check(value, Tree) == []) is right


def test_a_type_without_rules_costs_nothing():
    assert compiled(Due) is None
    assert compiled(list[Annotated[int, msgspec.Meta(ge=0, lt=5)]]) is None
