"""Several documents as one, for the gateway: pure.

Rules that hold here:

* A document that is missing is named (``x-unavailable``), not lost in silence.
* Schemas that two services call alike but mean differently get their service's name in front; equal ones are one.
* Operation ids stay unique, tags and security schemes are united, and of two operations on one path the first stands.
* Whose a tag is stands in ``x-tagGroups``, which API pages other than ours read, too; the first service's it stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

Json = dict[str, Any]
Reachable = Callable[[str, str], bool]
"""Whether a service's path can be asked for: ``(service, path)``."""

_SECTIONS = ("schemas", "responses", "headers", "parameters", "securitySchemes")


def merge(
    info: Json, documents: Mapping[str, Json | None], reachable: Reachable = lambda service, path: True
) -> Json:
    """One document of those by service; ``None`` for a service that did not answer."""
    found: Json = {"openapi": "3.1.1", "info": dict(info), "tags": [], "x-tagGroups": []}
    found |= {"paths": {}, "components": {}}
    for service, document in documents.items():
        if document is not None:
            _add(found, service, _kept(document, service, reachable))
    missing = [service for service, document in documents.items() if document is None]
    if missing:
        words = f"Not described here, since they did not answer: {', '.join(missing)}."
        found["info"]["description"] = "\n\n".join(filter(None, [info.get("description"), words]))
        found["x-unavailable"] = missing
    return found


def _kept(document: Json, service: str, reachable: Reachable) -> Json:
    paths = {path: item for path, item in document["paths"].items() if reachable(service, path)}
    used = {
        tag for item in paths.values() for operation in item.values() for tag in operation.get("tags", ())
    }
    tags = [tag for tag in document.get("tags", ()) if tag["name"] in used]
    return {**document, "paths": paths, "tags": tags}


def _add(found: Json, service: str, document: Json) -> None:
    document = _renamed(found, service, document)
    for section in _SECTIONS:
        inner = document.get("components", {}).get(section, {})
        if inner:
            found["components"].setdefault(section, {}).update(inner)
    _add_tags(found, service, document.get("tags", ()))
    names = {operation["operationId"] for item in found["paths"].values() for operation in item.values()}
    for path, item in document["paths"].items():
        target = found["paths"].setdefault(path, {})
        for method, operation in item.items():
            target.setdefault(method, _named(operation, names, service))


def _add_tags(found: Json, service: str, tags: Iterable[Json]) -> None:
    known = {tag["name"] for tag in found["tags"]}
    new = [tag for tag in tags if tag["name"] not in known]
    if new:
        found["tags"] += new
        found["x-tagGroups"].append({"name": service, "tags": [tag["name"] for tag in new]})


def _named(operation: Json, names: set[str], service: str) -> Json:
    plain = operation["operationId"]
    name = plain if plain not in names else f"{_identifier(service)}_{plain}"
    for number in count(2):
        if name not in names:
            break
        name = f"{_identifier(service)}_{plain}_{number}"
    names.add(name)
    return {**operation, "operationId": name}


def _renamed(found: Json, service: str, document: Json) -> Json:
    """``document`` with other names for components that would hide another service's."""
    new: dict[str, str] = {}
    for section in _SECTIONS:
        there = found["components"].get(section, {})
        for name, component in document.get("components", {}).get(section, {}).items():
            if name in there and there[name] != component:
                other = f"{_identifier(service)}_{name}"
                new[f"#/components/{section}/{name}"] = f"#/components/{section}/{other}"
    return _replaced(document, new) if new else document


def _replaced(document: Json, new: Mapping[str, str]) -> Json:
    changed: Json = _with_references(document, new)
    for section, inner in changed["components"].items():
        changed["components"][section] = {
            new.get(f"#/components/{section}/{name}", name).rpartition("/")[2]: component
            for name, component in inner.items()
        }
    return changed


def _with_references(value: Any, new: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: new.get(item, item) if key == "$ref" else _with_references(item, new)
            for key, item in value.items()
        }
    return [_with_references(item, new) for item in value] if isinstance(value, list) else value


def _identifier(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower()
