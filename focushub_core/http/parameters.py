"""Path, query and header parameters: text in, checked values out.

Rules that hold here:

* All that is wrong is named; nothing is guessed. A query parameter that the route does not know, or one value given
  twice, is refused like an unknown field of a body.
* Numbers, booleans and their like are read from their text; NaN and Infinity are none. Anything else is read as it
  stands in JSON.
* What is not UTF-8 once it is unquoted is malformed (400), not replaced.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, get_origin
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from focushub_core import rules
from focushub_core.errors import BadRequest, FieldError
from focushub_core.http.kinds import reads_numbers
from focushub_core.validation import check

MISSING: Any = inspect.Parameter.empty


class Parameter(msgspec.Struct, frozen=True):
    """A path, query or header parameter: where it comes from, and what it must be."""

    name: str
    source: str
    key: str
    wanted: Any
    holder: Any
    """A struct whose one field, ``value``, is a ``wanted``: of a struct msgspec knows what it holds, any other type it
    looks through with each value."""
    default: Any
    many: bool = False
    strict: bool = True
    """Whether its text is read as it stands in JSON: not where it is a number or a boolean."""
    holds: rules.Holds | None = None

    def read(self, request: web.Request, wrong: list[FieldError]) -> Any:
        """The parameter's value; what is wrong with it goes to ``wrong``."""
        if self.source == "path":
            # the engine's requests have it at hand; aiohttp's object around it takes a microsecond to make
            found: Mapping[str, str] = getattr(request, "found", None) or request.match_info
            text: str | list[str] | None = found[self.key]
        else:
            text = self._text(request, wrong)
        if text is None or text == []:
            if self.default is MISSING:
                wrong.append(FieldError(self.key, "missing", f"The {self.source} parameter is required."))
            return self.default
        if not (type(text) is str and text.isascii() and "\0" not in text) and _unprintable(text):
            wrong.append(
                FieldError(self.key, "nul_character", "Text must not contain NUL, and must be UTF-8.")
            )
            return None
        try:
            value = msgspec.convert((text,), self.holder, strict=self.strict).value
        except msgspec.ValidationError:
            wrong.extend(self._wrong(text))
            return None
        if not self.strict and not _finite(value):
            wrong.append(FieldError(self.key, "wrong_format", "This is not a number."))
        elif self.holds is not None and not self.holds(value):
            wrong.extend(self._wrong(text))
        return value

    def _text(self, request: web.Request, wrong: list[FieldError]) -> str | list[str] | None:
        if self.source == "header":
            return request.headers.get(self.key)
        if self.many:
            return request.query.getall(self.key, [])
        found = request.query.getall(self.key, [])
        if len(found) > 1:
            wrong.append(FieldError(self.key, "repeated", "This parameter is given more than once."))
        return found[0] if found else None

    def _wrong(self, text: str | list[str]) -> list[FieldError]:
        return check(text, self.wanted, self.key, strict=self.strict)


def parameter(name: str, source: str, key: str, wanted: Any, default: Any = MISSING) -> Parameter:
    """A parameter of type ``wanted``; that it may be ``None`` is said by its absence, never by a text."""
    wanted = without_none(wanted)
    info = msgspec.inspect.type_info(wanted)
    many = source == "query" and get_origin(rules.plain(wanted)[0]) in rules.ARRAYS
    holder = msgspec.defstruct("Holder", [("value", wanted)], array_like=True)
    return Parameter(
        name, source, key, wanted, holder, default, many, not reads_numbers(info), rules.compiled(wanted)
    )


def refuse_unknown(request: web.Request, known: Collection[str], wrong: list[FieldError]) -> None:
    """Names the query's parameters that are not ``known``."""
    for key in dict.fromkeys(request.query):
        if key not in known:
            wrong.append(FieldError(key, "unknown_parameter", "There is no such parameter."))


def require_utf8(target: str) -> None:
    """`BadRequest` where a request's target is not UTF-8 once it is unquoted (RFC 3986, 2.5)."""
    try:
        unquote_to_bytes(target).decode()
    except UnicodeDecodeError:
        raise BadRequest("The path or the query is not UTF-8.", code="malformed_target") from None


def without_none(wanted: Any) -> Any:
    """``T`` for ``T | None``."""
    members = tuple(choice for choice in rules.choices(wanted) if choice is not type(None))
    if len(members) == len(rules.choices(wanted)) or not members:
        return wanted
    found = members[0]
    for member in members[1:]:
        found = found | member
    return found


def _unprintable(text: str | list[str]) -> bool:
    """Whether it holds what PostgreSQL's text cannot: NUL, or bytes that are no characters."""
    if type(text) is str:
        return "\0" in text or not (text.isascii() or _is_utf8(text))
    return any(map(_unprintable, text))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _finite(value: Any) -> bool:
    if isinstance(value, float | Decimal):
        return math.isfinite(value)
    return all(map(_finite, value)) if isinstance(value, list | tuple | set | frozenset) else True
