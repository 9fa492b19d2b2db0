"""Request bodies: JSON in, a checked struct out, or a 4xx problem that names everything that is wrong.

Rules that hold here:

* Malformed (not UTF-8, not JSON, NaN, Infinity, a lone surrogate, nested deeper than `MAX_DEPTH`) is 400; another
  content type, charset or coding 415; a body over the limit 413, compressed or not; a body that is JSON but not
  what the route takes 422.
* The hot path is one pass in C. The value is walked again only when that pass fails, or where its type has rules
  that C does not know (`focushub_core.rules`).
* Nothing walks a value that is nested deeper than `MAX_DEPTH`; that itself is measured without recursion.
* NUL in text is refused here, since PostgreSQL's ``text`` cannot hold it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge

from focushub_core import rules
from focushub_core.errors import (
    BadRequest,
    FieldError,
    FocusHubError,
    Invalid,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from focushub_core.http.kinds import is_open
from focushub_core.http.problems import malformed_body
from focushub_core.validation import GENERIC, check, field_errors

MAX_DEPTH = 64
"""Objects and arrays in each other."""

CODINGS = frozenset({"identity", "gzip", "deflate"})
"""Content codings that are unpacked (by aiohttp, which counts the limit unpacked)."""

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE = bytes.maketrans(b"{}", b"[]")


class BodyReader:
    """Reads bodies of one type."""

    def __init__(self, wanted: Any) -> None:
        self._wanted = wanted
        self._decoder = msgspec.json.Decoder(wanted)
        self._holds = rules.compiled(wanted)
        self._bounded = not is_open(msgspec.inspect.type_info(wanted))

    async def read(self, request: web.Request) -> Any:
        """The request's body as the wanted type; raises `RequestError` as said above."""
        _require_json(request)
        _require_known_coding(request)
        return self.decode(await read_bytes(request))

    def decode(self, raw: bytes) -> Any:
        """Like `read`, from the body's bytes."""
        try:
            value = self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise self._invalid(raw, error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error) from None
        if not self._bounded and is_deep(raw):
            raise _too_deep()
        if self._holds is not None and not self._holds(value):
            raise self._invalid(raw, None)
        if b"\\u0000" in raw:
            _refuse_nul(_decode_any(raw))
        return value

    def _invalid(self, raw: bytes, first: msgspec.ValidationError | None) -> Invalid:
        wrong = check(_decode_any(raw), self._wanted)
        if not wrong and first is not None:
            wrong = field_errors(first)
        return invalid(wrong)


async def read_bytes(request: web.Request) -> bytes:
    """The body as it is after unpacking; a broken packing is 400, too much of it 413."""
    try:
        return await request.read()
    except HTTPRequestEntityTooLarge:
        raise PayloadTooLarge("The body is over the limit.") from None
    except web.RequestPayloadError:
        raise malformed_body() from None


def invalid(wrong: list[FieldError]) -> Invalid:
    """The 422 that names what is wrong. Where that is one thing with a code of a service's own, it is the problem's."""
    codes = {error.code for error in wrong}
    own = codes.pop() if len(codes) == 1 and not codes & GENERIC else None
    count = "One field is wrong." if len(wrong) == 1 else f"{len(wrong)} fields are wrong."
    return Invalid(wrong[0].detail if own else count, code=own, errors=wrong)


def is_deep(raw: bytes) -> bool:
    """Whether JSON is nested deeper than `MAX_DEPTH`; ``raw`` is known to be JSON.

    Strings are cut out, all but brackets is dropped, and pairs are taken away from the inside, a level at a time.
    """
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _without_strings(raw).translate(_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True


def _without_strings(raw: bytes) -> bytes:
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(plain.split(b'"')[::2])


def _require_json(request: web.Request) -> None:
    if request.headers.get("Content-Type") == "application/json":
        return
    kind = request.content_type
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedMediaType("Send the body as application/json.")
    charset = request.charset
    if charset is not None and charset.lower() not in {"utf-8", "utf8"}:  # RFC 8259, 8.1
        raise UnsupportedMediaType("JSON is sent in UTF-8.")


def _require_known_coding(request: web.Request) -> None:
    coding = request.headers.get("Content-Encoding")
    if coding is not None and coding.strip().lower() not in CODINGS:
        raise UnsupportedMediaType(
            "This content coding is not read here.", headers={"Accept-Encoding": "gzip"}
        )


def _malformed(error: Exception) -> FocusHubError:
    if isinstance(error, RecursionError):
        return _too_deep()
    return BadRequest(f"The body is not JSON: {error}", code="malformed_json")


def _too_deep() -> BadRequest:
    return BadRequest("The body is nested too deep.", code="too_deep")


def _decode_any(raw: bytes) -> Any:
    """JSON without a type. A number that no double holds fails even here, and is malformed."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from None
    if is_deep(raw):
        raise _too_deep()
    return value


def _refuse_nul(value: object) -> None:
    wrong = [
        FieldError(path, "nul_character", "Text must not contain NUL.") for path in _nul_paths(value, "")
    ]
    if wrong:
        raise invalid(wrong)


def _nul_paths(value: object, path: str) -> Iterator[str]:
    if isinstance(value, str) and "\0" in value:
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _nul_paths(name, path)
            yield from _nul_paths(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nul_paths(item, f"{path}[{index}]")
