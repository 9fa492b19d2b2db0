"""The JSON Schemas of some types: msgspec's (2020-12, so OpenAPI 3.1's), with what msgspec cannot know.

* A whole number without bounds of its own is kept within 64 bits (`focushub_core.rules`).
* A plain ``datetime`` is an instant: there are none in requests, and what is answered is in UTC.
* Docstrings are Markdown here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast, get_args, get_origin

import msgspec

from focushub_core import rules
from focushub_core.http.kinds import walk
from focushub_core.http.openapi.examples import example_of

REF = "#/components/schemas/{name}"
_ANYTHING = "x-anything"

Json = dict[str, Any]


class Schemas:
    """The schemas of some types: small ones in place, structs as components."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        self._kinds = list({repr(kind): kind for kind in kinds}.values())
        found, components = msgspec.json.schema_components(
            self._kinds, ref_template=REF, schema_hook=lambda _: {_ANYTHING: True}
        )
        _say_instants(self._kinds, components)
        self._found = {repr(kind): _mended(schema) for kind, schema in zip(self._kinds, found, strict=True)}
        self.components: dict[str, Json] = {name: _mended(components[name]) for name in sorted(components)}

    def of(self, kind: Any) -> Json:
        """The schema of a type that was named."""
        return dict(self._found[repr(kind)])

    def example(self, schema: Json) -> Json:
        """``{"example": ...}`` of a value that fits, or nothing where none was found."""
        found = example_of(schema, self.components)
        return {} if found is msgspec.UNSET else {"example": found}


def described(text: str) -> Json:
    return {"description": markdown(text)} if text else {}


def markdown(text: str) -> str:
    return text.replace("``", "`")


_BOUNDS = (
    ("minimum", "exclusiveMinimum", rules.INT64.start),
    ("maximum", "exclusiveMaximum", rules.INT64.stop - 1),
)


def _mended(schema: Any) -> Json:
    return cast(Json, _mend(schema))


def _mend(schema: Any) -> Any:
    """What msgspec cannot know: what is kept within 64 bits, what may be anything, and that words are Markdown."""
    if isinstance(schema, list):
        return [_mend(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _mend(value) for key, value in schema.items() if key != _ANYTHING}
    if isinstance(found.get("description"), str):
        found["description"] = markdown(found["description"])
    if found.get("type") == "integer" and "enum" not in found:
        for bound, open_bound, value in _BOUNDS:
            if bound not in found and open_bound not in found:
                found |= {"format": "int64", bound: value}
    return found


def _say_instants(kinds: Iterable[Any], components: Json) -> None:
    """Gives a plain ``datetime`` its format: one that is answered is an instant, and of requests there are none."""
    by_title = {component.get("title"): component for component in components.values()}
    for info in (part for whole in msgspec.inspect.multi_type_info(kinds) for part in walk(whole)):
        if isinstance(info, msgspec.inspect.StructType):
            properties = by_title.get(_title(info.cls), {}).get("properties", {})
            for field in info.fields:
                _say_instant(field.type, properties.get(field.encode_name, {}))


def _title(kind: Any) -> str:
    """As msgspec gives it."""
    inner = ", ".join(part.__name__ if isinstance(part, type) else repr(part) for part in get_args(kind))
    return f"{get_origin(kind).__name__}[{inner}]" if inner else str(kind.__name__)


def _say_instant(info: msgspec.inspect.Type, schema: Json) -> None:
    if isinstance(info, msgspec.inspect.DateTimeType) and info.tz is None:
        schema["format"] = "date-time"
    elif isinstance(info, msgspec.inspect.CollectionType) and "items" in schema:
        _say_instant(info.item_type, schema["items"])
    elif isinstance(info, msgspec.inspect.UnionType):
        texts = [choice for choice in schema.get("anyOf", ()) if choice == {"type": "string"}]
        dates = [choice for choice in info.types if isinstance(choice, msgspec.inspect.DateTimeType)]
        if len(texts) == 1 and dates:
            _say_instant(dates[0], texts[0])
