"""Every wrong field of a value, at once."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focushub_core import Body
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
