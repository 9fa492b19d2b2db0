"""What a value must be beyond its type, said beside the type::

    TimeZone = Annotated[str, msgspec.Meta(max_length=64), Rule("invalid_timezone", why_unknown)]

    class Stay(Body):
        arrival: date
        departure: date
        zone: TimeZone = "UTC"

        def __post_init__(self) -> None:
            if self.departure <= self.arrival:
                raise Wrong(FieldError("departure", "too_early", "It lies before the arrival."))

A `Rule` looks at one field and is asked even where other fields are wrong; `Wrong` is for what several fields say
together, and comes when each of them is right by itself. Both are reported with the request's other wrong fields.

Three rules hold for every value that a request brings, without being said: an instant exists in UTC, too (the last
day of year 9999 has none west of Greenwich); a whole number without bounds of its own fits 64 bits; a ``Decimal`` is
a number.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from focushub_core.errors import FieldError

Why = Callable[[Any], str | None]
"""Why a value is wrong, for people; ``None`` where it is right. It may raise a `ValueError` that says so instead."""
Holds = Callable[[Any], bool]

ARRAYS = (list, tuple, set, frozenset, Sequence, Set)
MAPPINGS = (dict, Mapping)
INT64 = range(-(2**63), 2**63)


class Rule(NamedTuple):
    """``code`` is the wrong field's; ``why`` is not asked about ``None`` and what a request leaves out."""

    code: str
    why: Why

    def complaint(self, value: Any) -> str | None:
        """What is wrong with ``value``."""
        try:
            return self.why(value)
        except ValueError as error:
            return str(error)


class Wrong(ValueError):
    """Raised in ``__post_init__``: the fields that are wrong, by paths that begin in this object."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__(" ".join(error.detail for error in errors))
        self.errors = errors


def complaints(value: Any, wanted: Any) -> Iterator[tuple[str, str]]:
    """Codes and reasons: the rules of ``wanted`` itself that ``value`` breaks; not those of what is inside."""
    for rule in _own(wanted, type(value)):
        reason = rule.complaint(value)
        if reason is not None:
            yield rule.code, reason


@cache
def compiled(wanted: Any) -> Holds | None:
    """Whether a ``wanted`` keeps all rules, inside it, too; ``None`` where there are none."""
    return _compile(wanted, {})


def is_struct(wanted: Any) -> bool:
    """Whether it is a class of msgspec's."""
    return isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)


def plain(wanted: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its ``Annotated``, and what was annotated."""
    if get_origin(wanted) is Annotated:
        inner, *extras = get_args(wanted)
        base, below = plain(inner)
        return base, (*below, *extras)
    return wanted, ()


def choices(wanted: Any) -> tuple[Any, ...]:
    """The members of a union; of any other type itself."""
    return get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)


# The rules that are never said ------------------------------------------------------------------------------


def _not_in_utc(value: datetime) -> str | None:
    if value.tzinfo is not None and value.year in (1, 9999):
        try:
            value.astimezone(UTC)
        except OverflowError:
            return "This instant is out of range."
    return None


def _not_64_bits(value: int) -> str | None:
    return None if value in INT64 else "This number is out of range."


def _no_number(value: Decimal) -> str | None:
    return None if value.is_finite() else "This is not a number."


_UNSAID: Mapping[Any, Rule] = {
    datetime: Rule("out_of_range", _not_in_utc),
    int: Rule("out_of_range", _not_64_bits),
    Decimal: Rule("wrong_format", _no_number),
}


def _bounded(extras: tuple[Any, ...]) -> bool:
    """Whether msgspec itself keeps a number within bounds on both sides."""
    metas = [extra for extra in extras if isinstance(extra, msgspec.Meta)]
    below = any(meta.le is not None or meta.lt is not None for meta in metas)
    return below and any(meta.ge is not None or meta.gt is not None for meta in metas)


# From types to predicates -----------------------------------------------------------------------------------


def _own(wanted: Any, kind: type) -> Iterator[Rule]:
    """The rules for a value of class ``kind``, for a union those of its member of that class."""
    base, extras = plain(wanted)
    members = choices(base)
    for member in members if len(members) > 1 else ():
        if _class(member) is kind:
            yield from _own(member, kind)
    if kind in (types.NoneType, msgspec.UnsetType):
        return
    unsaid = _UNSAID.get(base) if base is kind else None
    if unsaid is not None and not (base is int and _bounded(extras)):
        yield unsaid
    yield from (extra for extra in extras if isinstance(extra, Rule))


def _class(wanted: Any) -> Any:
    base, _ = plain(wanted)
    return get_origin(base) or base


def _compile(wanted: Any, known: dict[Any, Holds | None]) -> Holds | None:
    base, extras = plain(wanted)
    members = choices(base)
    inside = _union(members, known) if len(members) > 1 else _inside(base, known)
    rules = tuple(_own(wanted, _class(base))) if len(members) == 1 else _said(extras)
    if not rules:
        return inside

    def holds(value: Any) -> bool:
        if inside is not None and not inside(value):
            return False
        return value is None or value is msgspec.UNSET or all(rule.complaint(value) is None for rule in rules)

    return holds


def _said(extras: tuple[Any, ...]) -> tuple[Rule, ...]:
    return tuple(extra for extra in extras if isinstance(extra, Rule))


def _union(members: tuple[Any, ...], known: dict[Any, Holds | None]) -> Holds | None:
    found = {_class(member): _compile(member, known) for member in members}
    by_class = {kind: check for kind, check in found.items() if check is not None}
    if not by_class:
        return None

    def holds(value: Any) -> bool:
        check = by_class.get(type(value))
        return check is None or check(value)

    return holds


def _inside(wanted: Any, known: dict[Any, Holds | None]) -> Holds | None:
    """The rules of an object's fields, an array's items, a mapping's values."""
    kind = get_origin(wanted) or wanted
    if is_struct(kind):
        return _struct(wanted, known)
    parts = [_compile(part, known) for part in get_args(wanted) if part is not Ellipsis]
    checks = [check for check in parts if check is not None]
    if kind in ARRAYS and checks:
        return _items(parts) if kind is tuple and Ellipsis not in get_args(wanted) else _each(checks[0])
    if kind in MAPPINGS and checks:
        keys, values = parts[0] or _right, parts[1] or _right
        return lambda value: all(map(keys, value)) and all(map(values, value.values()))
    return None


def _right(_: Any) -> bool:
    return True


def _each(check: Holds) -> Holds:
    return lambda value: all(map(check, value))


def _items(parts: list[Holds | None]) -> Holds:
    return lambda value: all(part is None or part(item) for part, item in zip(parts, value, strict=True))


def _struct(wanted: Any, known: dict[Any, Holds | None]) -> Holds | None:
    if wanted in known:  # a type that contains itself: looked up when it is complete

        def later(value: Any) -> bool:
            check = known[wanted]
            return check is None or check(value)

        return later
    known[wanted] = _right
    fields = [
        (attrgetter(field.name), check)
        for field in msgspec.structs.fields(wanted)
        if (check := _compile(field.type, known)) is not None
    ]
    known[wanted] = (lambda value: all(check(get(value)) for get, check in fields)) if fields else None
    return known[wanted]
