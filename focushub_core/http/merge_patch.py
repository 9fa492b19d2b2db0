"""Merge patches (RFC 7396) as structs: what a request leaves out stays, ``null`` clears.

A body that changes something is a `Patch`: each of its fields may be left out, and ``None`` is in the type of those
that may be without a value::

    class TaskChange(Patch):
        title: Title | UnsetType = UNSET
        estimate_s: Seconds | UnsetType | None = UNSET

    changed = patch.applied_to(task)

A field whose type is itself a `Patch` is merged into the struct that is there; any other value is replaced whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET

from focushub_core.errors import Invalid
from focushub_core.http.models import Body
from focushub_core.validation import check

S = TypeVar("S", bound=msgspec.Struct)


class Patch(Body, frozen=True):
    """The body of a PATCH: subclass it, with fields that are ``UNSET`` where the request says nothing."""

    def given(self) -> Mapping[str, Any]:
        """The fields that the request has."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not UNSET}

    def applied_to(self, current: S) -> S:
        """``current`` with what the request says; equal to it where that is nothing new.

        Raises `Invalid` where a part that was not there yet is not given whole.
        """
        changes = {name: _merged(current, name, value) for name, value in self.given().items()}
        return msgspec.structs.replace(current, **changes)


def _merged(current: msgspec.Struct, name: str, value: Any) -> Any:
    if not isinstance(value, Patch):
        return value
    before = getattr(current, name)
    if isinstance(before, msgspec.Struct):
        return value.applied_to(before)
    return _made(current, name, value)


def _made(current: msgspec.Struct, name: str, patch: Patch) -> Any:
    """A part that was not there: the patch has to say all that it needs."""
    wanted = get_type_hints(type(current), include_extras=True)[name]
    kinds = [kind for kind in (wanted, *get_args(wanted)) if _is_struct(kind)]
    said = msgspec.to_builtins(patch)
    if wrong := check(said, kinds[0], name):
        raise Invalid("A part that was not there is given whole.", errors=wrong)
    return msgspec.convert(said, kinds[0])


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
