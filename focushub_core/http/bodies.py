"""Request bodies: JSON in, a checked struct out, or a 4xx problem that names everything that is wrong.

Rules that hold here:

* Malformed (not UTF-8, not JSON, NaN, Infinity, a lone surrogate, nested too deep) is 400; another content type 415;
  a body over the limit 413, compressed or not; a body that is JSON but not what the route takes 422.
* The hot path is one pass in C. The value is walked again only when that pass fails.
* NUL in text is refused here, since PostgreSQL's ``text`` cannot hold it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

from focushub_core.errors import BadRequest, FieldError, Invalid, UnsupportedMediaType
from focushub_core.validation import check, field_error


class BodyReader:
    """Reads bodies of one type."""

    def __init__(self, wanted: Any) -> None:
        self._wanted = wanted
        self._decoder = msgspec.json.Decoder(wanted)

    async def read(self, request: web.Request) -> Any:
        """The request's body as the wanted type; raises `RequestError` as said above."""
        content_type = request.content_type
        if content_type != "application/json" and not content_type.endswith("+json"):
            raise UnsupportedMediaType("Send the body as application/json.")
        return self.decode(await request.read())

    def decode(self, raw: bytes) -> Any:
        """Like `read`, from the body's bytes."""
        try:
            value = self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise self._invalid(raw, error) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"The body is not JSON: {error}", code="malformed_json") from None
        except RecursionError:
            raise BadRequest("The body is nested too deep.", code="too_deep") from None
        if b"\\u0000" in raw:
            _refuse_nul(_decode_any(raw))
        return value

    def _invalid(self, raw: bytes, first: msgspec.ValidationError) -> Invalid:
        wrong = check(_decode_any(raw), self._wanted) or [field_error(first)]
        return Invalid(_count(wrong), errors=wrong)


def _decode_any(raw: bytes) -> Any:
    """JSON without a type. A number that no double holds fails even here, and is malformed."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}", code="malformed_json") from None
    except RecursionError:
        raise BadRequest("The body is nested too deep.", code="too_deep") from None


def _count(wrong: list[FieldError]) -> str:
    return "One field is wrong." if len(wrong) == 1 else f"{len(wrong)} fields are wrong."


def _refuse_nul(value: object) -> None:
    wrong = [
        FieldError(path, "nul_character", "Text must not contain NUL.") for path in _nul_paths(value, "")
    ]
    if wrong:
        raise Invalid(_count(wrong), errors=wrong)


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
