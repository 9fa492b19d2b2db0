"""Questions about declared types, answered when an application is built or its document is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import inspect

_OBJECTS = inspect.StructType | inspect.TypedDictType | inspect.DataclassType | inspect.NamedTupleType


def parts(info: inspect.Type) -> Iterable[inspect.Type]:
    """The types that a type is made of, one level down."""
    if isinstance(info, inspect.Metadata):
        return (info.type,)
    if isinstance(info, inspect.UnionType):
        return info.types
    if isinstance(info, inspect.CollectionType):
        return (info.item_type,)
    if isinstance(info, inspect.DictType):
        return (info.key_type, info.value_type)
    if isinstance(info, _OBJECTS):
        return [field.type for field in info.fields]
    return info.item_types if isinstance(info, inspect.TupleType) else ()


def walk(info: inspect.Type) -> Iterator[inspect.Type]:
    """A type and all that it is made of, each class once."""
    seen: set[Any] = set()
    waiting = [info]
    while waiting:
        info = waiting.pop()
        kind = getattr(info, "cls", None)
        if kind is None or kind not in seen:
            seen.add(kind)
            yield info
            waiting.extend(parts(info))


def is_open(info: inspect.Type, above: frozenset[Any] = frozenset()) -> bool:
    """Whether a value of this type can be nested as deep as a client likes."""
    if isinstance(info, inspect.AnyType | inspect.RawType | inspect.CustomType):
        return True
    kind = getattr(info, "cls", None)
    if kind is not None and kind in above:
        return True
    return any(is_open(part, above if kind is None else above | {kind}) for part in parts(info))


def has_plain_datetime(info: inspect.Type) -> bool:
    """Whether it holds a ``datetime`` of which it is not said whether it has an offset."""
    return any(isinstance(part, inspect.DateTimeType) and part.tz is None for part in walk(info))


def from_text(info: inspect.Type) -> bool:
    """Whether a value of this type can be read from a query string."""
    wrong = (inspect.CustomType, inspect.StructType, inspect.DictType, inspect.AnyType)
    return not any(isinstance(part, wrong) for part in walk(info))


def reads_numbers(info: inspect.Type) -> bool:
    """Whether it is written in a query string in another way than in JSON: numbers and booleans, without quotes."""
    for part in walk(info):
        if isinstance(part, inspect.IntType | inspect.FloatType | inspect.BoolType):
            return True
        if isinstance(part, inspect.LiteralType) and any(isinstance(value, int) for value in part.values):
            return True
        if isinstance(part, inspect.EnumType) and any(isinstance(member.value, int) for member in part.cls):
            return True
    return False
