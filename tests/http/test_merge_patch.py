"""A merge patch does to a struct what RFC 7396 does to its JSON."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from focushub_core.errors import Invalid
from focushub_core.http.merge_patch import Patch


class Place(msgspec.Struct, frozen=True):
    city: str
    street: str | None = None


class Thing(msgspec.Struct, frozen=True):
    title: str
    note: str | None
    tags: list[str]
    place: Place | None
    version: int = 1


class PlaceChange(Patch, frozen=True):
    city: str | UnsetType = UNSET
    street: str | UnsetType | None = UNSET


class Change(Patch, frozen=True):
    title: str | UnsetType = UNSET
    note: str | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET
    place: PlaceChange | UnsetType | None = UNSET


def merge_patch(target: Any, patch: Any) -> Any:
    """The RFC's own algorithm (section 2); ``null`` stays where JSON would have no member: a struct has it."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    return target | {name: merge_patch(target.get(name), value) for name, value in patch.items()}


texts = st.text(max_size=5)
places = st.builds(Place, city=texts, street=st.none() | texts)
things = st.builds(Thing, title=texts, note=st.none() | texts, tags=st.lists(texts, max_size=2), place=places)
place_patches = st.fixed_dictionaries({}, optional={"city": texts, "street": st.none() | texts})
patches = st.fixed_dictionaries(
    {},
    optional={
        "title": texts,
        "note": st.none() | texts,
        "tags": st.lists(texts, max_size=2),
        "place": st.none() | place_patches,
    },
)


@given(things, patches)
def test_it_does_what_the_rfc_says(thing: Thing, patch: dict[str, Any]) -> None:
    changed = msgspec.convert(patch, Change).applied_to(thing)
    assert msgspec.to_builtins(changed) == merge_patch(msgspec.to_builtins(thing), patch)


@given(things)
def test_what_says_nothing_new_changes_nothing(thing: Thing) -> None:
    same = {name: value for name, value in msgspec.to_builtins(thing).items() if name != "version"}
    assert msgspec.convert(same, Change).applied_to(thing) == thing == Change().applied_to(thing)


def test_null_is_refused_where_a_value_must_be() -> None:
    with pytest.raises(msgspec.ValidationError, match="title"):
        msgspec.convert({"title": None}, Change)


def test_a_part_that_was_not_there_is_given_whole() -> None:
    homeless = Thing("a", None, [], None)
    assert msgspec.convert({"place": {"city": "Bonn"}}, Change).applied_to(homeless).place == Place("Bonn")
    with pytest.raises(Invalid) as refused:
        msgspec.convert({"place": {"street": "Am Markt"}}, Change).applied_to(homeless)
    assert [(wrong.field, wrong.code) for wrong in refused.value.errors] == [("place.city", "missing")]
