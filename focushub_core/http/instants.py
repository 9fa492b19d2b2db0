"""Instants leave in UTC, written with ``Z``, whatever offset they came or were made with.

msgspec writes an instant with the offset that it has. Those of the database are in UTC already; so an answer is only
looked through (0.1 us an instant, nothing for classes that hold none), and rewritten where one is found that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from types import NoneType
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec

from focushub_core.rules import choices, plain

Test = Callable[[Any], bool]

_WITHOUT = frozenset(
    {str, int, float, bool, bytes, NoneType, UUID, date, time, timedelta, Decimal, msgspec.UnsetType}
)
_by_class: dict[type, Test | None] = {}


def all_in_utc(value: Any) -> bool:
    """Whether no instant in ``value`` has another offset than UTC's. One without any is no instant."""
    kind = type(value)
    try:
        test = _by_class[kind]
    except KeyError:
        test = _by_class[kind] = _test_of(kind)
    return test is None or test(value)


def to_utc(value: Any) -> Any:
    """``value`` in msgspec's plain types, its instants in UTC."""
    return _rewritten(msgspec.to_builtins(value, builtin_types=(datetime,), str_keys=True))


def _rewritten(value: Any) -> Any:
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, dict):
        return {name: _rewritten(item) for name, item in value.items()}
    return [_rewritten(item) for item in value] if isinstance(value, list | tuple) else value


def _test_of(kind: type) -> Test | None:
    if kind is datetime:
        return _in_utc
    if issubclass(kind, list | tuple | set | frozenset):
        return _all
    if issubclass(kind, Mapping):
        return lambda value: _all(value.values())
    if issubclass(kind, msgspec.Struct):
        return _struct(kind)
    return None


def _all(values: Iterable[Any]) -> bool:
    """The same for each of ``values``; those of a class that holds none cost no call."""
    for value in values:
        test = _by_class.get(type(value), all_in_utc)
        if test is not None and not test(value):
            return False
    return True


def _in_utc(value: datetime) -> bool:
    return value.tzinfo is UTC or value.tzinfo is None or not value.utcoffset()


def _struct(kind: type[msgspec.Struct]) -> Test | None:
    names = [field.name for field in msgspec.structs.fields(kind) if _may_hold(field.type)]
    if not names:
        return None
    if len(names) == 1:
        get = attrgetter(names[0])

        def one(value: Any) -> bool:
            at = get(value)
            return at is None or getattr(at, "tzinfo", None) is UTC or all_in_utc(at)

        return one
    get_all, get_zones = attrgetter(*names), attrgetter(*(f"{name}.tzinfo" for name in names))
    expected = (UTC,) * len(names)

    def several(value: Any) -> bool:
        try:
            if get_zones(value) == expected:  # all of it in C
                return True
        except AttributeError:  # one is no instant
            pass
        return _all(get_all(value))

    return several


def _may_hold(wanted: Any) -> bool:
    """Whether a value of the declared type can hold an instant with an offset."""
    base, extras = plain(wanted)
    if base is datetime:
        return not any(isinstance(extra, msgspec.Meta) and extra.tz is False for extra in extras)
    members = choices(base)
    if len(members) > 1:
        return any(map(_may_hold, members))
    if base in _WITHOUT or get_origin(base) is Literal or (isinstance(base, type) and issubclass(base, Enum)):
        return False
    inner = [part for part in get_args(base) if part is not Ellipsis]
    return (
        any(map(_may_hold, inner))
        if inner and get_origin(base) in (list, tuple, set, frozenset, dict)
        else True
    )
