"""The least body that a schema accepts, with a mark in it by which what it made is found again. Pure.

Rules that hold here:

* Only what is required is sent, and the mark: the less is said, the less can be refused.
* A mark goes into one top-level property that takes any text; a schema without one is not written to.
* What cannot be made up (a reference to something, a pattern) is taken from the document's own examples, or not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MARK = "mark"
"""Stands in a `Template` where the mark goes."""
LONGEST_MARK = 40
"""Characters."""
DATE, MOMENT = "2026-01-05", "2026-01-05T09:00:00Z"

Schema = Mapping[str, Any]


class NoBody(Exception):
    """Nothing can be made up that fits."""


@dataclass(frozen=True)
class Template:
    """A body, and the property into which the mark goes."""

    body: Mapping[str, Any]
    marked: str

    def with_mark(self, mark: str) -> dict[str, Any]:
        """The body of one request."""
        return {**self.body, self.marked: mark}


class Schemas:
    """The schemas of a document: resolves references to ``#/components/schemas``."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._named: Mapping[str, Schema] = document.get("components", {}).get("schemas", {})

    def templates(self, schema: Schema, example: object = None) -> list[Template]:
        """The bodies to try, the least one first, then the document's own ``example``; empty when there is none."""
        schema = self.resolve(schema)
        properties: Mapping[str, Schema] = schema.get("properties", {})
        required = schema.get("required", ())
        texts = sorted((name for name in properties if self._takes_text(properties[name])), key=_by(required))
        if not texts:
            return []
        found = []
        try:
            least = {name: self._value(properties[name]) for name in required if name != texts[0]}
            found.append(Template(least, texts[0]))
        except NoBody:
            pass
        if isinstance(example, Mapping):
            found.append(Template(dict(example), texts[0]))
        return found

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself; of several the first that is not null."""
        for _ in range(20):
            if "$ref" in schema:
                schema = self._named.get(str(schema["$ref"]).rpartition("/")[2], {})
            elif variants := schema.get("anyOf") or schema.get("oneOf"):
                schema = next((one for one in variants if one.get("type") != "null"), {})
            else:
                break
        return schema

    def _takes_text(self, schema: Schema) -> bool:
        schema = self.resolve(schema)
        pattern = schema.get("pattern")
        return (
            schema.get("type") == "string"
            and not {"format", "enum", "const"} & set(schema)
            and schema.get("minLength", 0) <= 1
            and schema.get("maxLength", LONGEST_MARK) >= LONGEST_MARK
            and (pattern is None or re.search(pattern, "verify-0a1b2c-1-1") is not None)
        )

    def _value(self, schema: Schema) -> Any:
        """Something that fits."""
        for said in ("const", "default", "example"):
            if schema.get(said) is not None:
                return schema[said]
        for several in ("enum", "examples"):
            if schema.get(several):
                return schema[several][0]
        resolved = self.resolve(schema)
        return self._value(resolved) if resolved is not schema else self._of_type(schema)

    def _of_type(self, schema: Schema) -> Any:
        match schema.get("type"):
            case "string":
                return _text(schema)
            case "integer" | "number":
                return max(schema.get("minimum", 1), min(1, schema.get("maximum", 1)))
            case "boolean":
                return False
            case "array" if not schema.get("minItems"):
                return []
            case "object":
                properties = schema.get("properties", {})
                return {name: self._value(properties[name]) for name in schema.get("required", ())}
        raise NoBody


def _text(schema: Schema) -> str:
    found = {"date": DATE, "date-time": MOMENT}.get(schema.get("format", ""))
    if found is None and ("format" in schema or "pattern" in schema):
        raise NoBody
    return found or "x" * max(1, schema.get("minLength", 1))


def _by(required: Any) -> Any:
    """Required properties first, then those that come first in the alphabet."""
    return lambda name: (name not in required, name)
