"""Every wrong field of a value, at once.

msgspec decodes and validates in one pass in C and stops at the first error. That pass is the hot path; only when
it fails is the value walked a second time, field by field, to name everything that is wrong with it.

Rules that hold here:

* `check` returns an empty list exactly when ``msgspec.convert(value, wanted)`` succeeds and the result keeps the
  rules beside its types (`focushub_core.rules`); a property test holds it.
* A path is what a person would write: ``due.date``, ``labels[2]``; the value itself is ``""``.
* The walk goes as deep as the value: whoever calls bounds that (`focushub_core.http.bodies.MAX_DEPTH`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec

from focushub_core import rules
from focushub_core.errors import FieldError
from focushub_core.rules import ARRAYS, MAPPINGS, Wrong, is_struct


def check(value: object, wanted: Any, path: str = "", *, strict: bool = True) -> list[FieldError]:
    """Names every field in which ``value`` (as JSON decodes it) is not a ``wanted``, in the value's order.

    ``strict=False`` takes text for numbers, booleans and null, as in a query string.
    """
    return list(_walk(value, wanted, path, strict))


def _walk(value: object, wanted: Any, path: str, strict: bool) -> Iterator[FieldError]:
    inner = [*_members(value, wanted, path, strict)]
    if inner:
        yield from inner
        return
    try:
        converted = msgspec.convert(value, wanted, strict=strict, str_keys=True)
    except msgspec.ValidationError as error:
        yield from field_errors(error, path)
    else:
        yield from (FieldError(path, code, why) for code, why in rules.complaints(converted, wanted))


def _members(value: object, wanted: Any, path: str, strict: bool) -> Iterator[FieldError]:
    """The errors inside an object or array; none where the value is of another kind altogether."""
    wanted = _plain(wanted, value)
    if isinstance(value, dict) and is_struct(wanted):
        yield from _struct(value, wanted, path, strict)
    elif isinstance(value, dict) and _origin(wanted) in MAPPINGS:
        for name, item in value.items():
            yield from _walk(item, _argument(wanted, 1), _join(path, str(name)), strict)
    elif isinstance(value, list) and _origin(wanted) in ARRAYS:
        for index, item in enumerate(value):
            yield from _walk(item, _item_type(wanted, index), f"{path}[{index}]", strict)


def _struct(value: dict[str, object], wanted: Any, path: str, strict: bool) -> Iterator[FieldError]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    config = wanted.__struct_config__
    if config.forbid_unknown_fields:
        for name in value:
            if name not in fields and name != config.tag_field:
                yield FieldError(_join(path, name), "unknown_field", "There is no such field.")
    for name, field in fields.items():
        if name in value:
            yield from _walk(value[name], field.type, _join(path, name), strict)
        elif field.required:
            yield FieldError(_join(path, name), "missing", "This field is required.")


def _plain(wanted: Any, value: object) -> Any:
    """Without ``Annotated``; for ``T | None`` just ``T``, for tagged structs the one that the value's tag names.

    Other unions are judged as a whole.
    """
    wanted, _ = rules.plain(wanted)
    found = rules.choices(wanted)
    if len(found) == 1:
        return wanted
    found = tuple(choice for choice in found if choice not in (type(None), msgspec.UnsetType))
    if len(found) > 1 and isinstance(value, dict):
        found = tuple(choice for choice in found if is_struct(choice) and _has_tag_of(choice, value))
    return _plain(found[0], value) if len(found) == 1 else wanted


def _has_tag_of(wanted: Any, value: dict[str, object]) -> bool:
    config = wanted.__struct_config__
    return config.tag is not None and value.get(config.tag_field) == config.tag


def _origin(wanted: Any) -> Any:
    return get_origin(wanted) or wanted


def _argument(wanted: Any, index: int) -> Any:
    arguments = get_args(wanted)
    return arguments[index] if index < len(arguments) else Any


def _item_type(wanted: Any, index: int) -> Any:
    arguments = get_args(wanted)
    fixed = _origin(wanted) is tuple and Ellipsis not in arguments
    return _argument(wanted, index if fixed else 0)


def _join(path: str, name: str) -> str:
    if not name or name.startswith("["):
        return path + name
    return f"{path}.{name}" if path else name


# What msgspec says, in the words of a problem document ----------------------------------------------------

_QUOTED = re.compile(r"Invalid (?:enum )?value .*", re.DOTALL)
_PATH = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_CODES = (
    ("missing required field", "missing"),
    ("unknown field", "unknown_field"),
    ("of length >=", "too_short"),
    ("of length <=", "too_long"),
    ("matching regex", "wrong_format"),
    ("timezone component", "wrong_format"),
    (">=", "too_small"),
    ("<=", "too_large"),
    (">", "too_small"),
    ("<", "too_large"),
    (", got `", "wrong_type"),
    ("out of range", "out_of_range"),
    ("not one of", "not_allowed"),
    ("Invalid", "wrong_format"),
)
_WORDS = {"int": "integer", "str": "string", "bool": "boolean", "float": "number"}
GENERIC = frozenset(code for _, code in _CODES) | {
    "invalid",
    "nul_character",
    "unknown_parameter",
    "repeated",
}
"""The codes that this library gives by itself; any other is a service's own."""


def field_errors(error: msgspec.ValidationError, path: str = "") -> list[FieldError]:
    """msgspec's one error, below ``path``; where ``__post_init__`` raised `Wrong`, all that it names."""
    if isinstance(error.__cause__, Wrong):
        at = _join(path, _place(error))
        return [wrong._replace(field=_join(at, wrong.field)) for wrong in error.__cause__.errors]
    return [field_error(error, path)]


def field_error(error: msgspec.ValidationError, path: str = "") -> FieldError:
    """msgspec's one error as a `FieldError` below ``path``; its message never quotes the value."""
    path = _join(path, _place(error))
    text = _QUOTED.sub("This value is not one of those allowed", _PATH.sub("", str(error)))
    code = next((code for words, code in _CODES if words in text), "invalid")
    text = re.sub(r"`(\w+)`", lambda word: f"`{_WORDS.get(word[1], word[1])}`", text)
    return FieldError(path, code, text if text.endswith(".") else text + ".")


def _place(error: msgspec.ValidationError) -> str:
    found = _PATH.search(str(error))
    return found[1].lstrip(".") if found else ""
