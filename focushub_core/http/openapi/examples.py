"""An example of a JSON Schema: a value that fits it, for people to read.

Said examples (``msgspec.Meta(examples=[...])``) come first, then choices, then something made up by format and name.
Pure; of the JSON Schema that msgspec writes, not of all of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

_FORMATS: Mapping[str, str] = {
    "uuid": "0190a5c2-f7e8-7b3c-9d1e-2f6a4b8c0d1e",
    "date": "2026-05-10",
    "date-time": "2026-05-10T09:00:00Z",
    "time": "09:00:00",
    "duration": "PT25M",
    "decimal": "1.5",
}
_WORDS = ("text", "a", "#336699", "en", "x" * 64)
_DEEPEST = 6


def example_of(schema: Mapping[str, Any], components: Mapping[str, Mapping[str, Any]]) -> Any:
    """A value that fits ``schema``; `UNSET` where none was found."""
    return _Examples(components).of(schema, "", 0)


class _Examples:
    def __init__(self, components: Mapping[str, Mapping[str, Any]]) -> None:
        self._components = components

    def of(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        if depth > _DEEPEST:
            return UNSET
        if "$ref" in schema:
            return self.of(self._components[schema["$ref"].rpartition("/")[2]], name, depth)
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        if "const" in schema:
            return schema["const"]
        if "anyOf" in schema:
            return self._choice(schema["anyOf"], name, depth)
        make = getattr(self, f"_{schema.get('type')}", None)
        return make(schema, name, depth) if make else UNSET

    def _choice(self, schemas: list[Mapping[str, Any]], name: str, depth: int) -> Any:
        """The first that is not just ``null``, which is what is left where nothing else can be shown."""
        found = (self.of(schema, name, depth) for schema in schemas if schema.get("type") != "null")
        shown = next((value for value in found if value is not UNSET), UNSET)
        may_be_null = any(schema.get("type") == "null" for schema in schemas)
        return None if shown is UNSET and may_be_null else shown

    def _object(self, schema: Mapping[str, Any], _: str, depth: int) -> Any:
        required = schema.get("required", ())
        found: dict[str, Any] = {}
        for name, inner in schema.get("properties", {}).items():
            value = self.of(inner, name, depth + 1)
            if value is not UNSET:
                found[name] = value
            elif name in required:
                return UNSET
        return found

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        if "prefixItems" in schema:
            found = [self.of(item, name, depth + 1) for item in schema["prefixItems"]]
            return UNSET if UNSET in found else found
        item = self.of(schema.get("items", {}), name, depth + 1)
        least = schema.get("minItems", 0)
        if item is UNSET or least > 1:
            return UNSET if least else []
        return [item]

    def _string(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        fitting = (word for word in (name, *_WORDS) if _fits(word, schema))
        return next(fitting, UNSET)

    def _integer(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        low = max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1)
        value = 1 if low <= 1 <= _most(schema) else low
        step = schema.get("multipleOf", 1)
        return -(-value // step) * step if value <= _most(schema) else UNSET

    def _number(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        low = max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1)
        return 1.5 if low <= 1.5 <= _most(schema) else float(low)

    def _boolean(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        return schema.get("default", True)

    def _null(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        return None


def _most(schema: Mapping[str, Any]) -> float:
    return float(min(schema.get("maximum", 1e18), schema.get("exclusiveMaximum", 1e18) - 1))


def _fits(word: str, schema: Mapping[str, Any]) -> bool:
    fits = schema.get("minLength", 0) <= len(word) <= schema.get("maxLength", 1000)
    return bool(word) and fits and re.search(schema.get("pattern", ""), word) is not None
