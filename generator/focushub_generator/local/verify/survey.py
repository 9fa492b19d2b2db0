"""What a stack's merged document lets a signed-in person read and write. Pure.

Rules that hold here:

* A read is a GET without path parameters or required query that wants a token.
* A collection is a path with such a GET, and a POST that makes one thing (201) from a JSON body with room for a mark.
* The document proposes; a trial against the running stack decides (`trial`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from focushub_core.stack import ServiceEntry
from focushub_generator.local.verify.bodies import Schemas, Template

Owner = Callable[[str], str | None]
"""The service of a path; ``None``: the gateway's own, made of several services' answers."""
KEY_FIELD = "Idempotency-Key"


@dataclass(frozen=True)
class Read:
    """A GET that answers a person who has just registered."""

    path: str
    service: str | None


@dataclass(frozen=True)
class Collection:
    """Things that can be made and listed: ``page`` is the query of a list's first page, ``item`` a thing's own path.

    ``takes_key``: the document knows the key; ``keeps_keys``: so does the stack's file, and who forwards relies on it.
    """

    path: str
    service: str
    templates: tuple[Template, ...]
    takes_key: bool
    keeps_keys: bool = False
    page: str = ""
    pages: bool = False
    item: str | None = None


@dataclass(frozen=True)
class Survey:
    """Everything that can be sent."""

    reads: tuple[Read, ...]
    collections: tuple[Collection, ...]


def owners(services: Iterable[ServiceEntry]) -> Owner:
    """Who serves a path: the service with the longest prefix that holds it."""
    prefixes = sorted(
        ((prefix, service.name) for service in services for prefix in service.prefixes),
        key=lambda pair: len(pair[0]),
        reverse=True,
    )

    def owner(path: str) -> str | None:
        return next((name for prefix, name in prefixes if _under(path, [prefix])), None)

    return owner


def _under(path: str, prefixes: Iterable[str]) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)


def survey(document: Mapping[str, Any], services: Iterable[ServiceEntry]) -> Survey:
    """What ``document`` offers, of which ``services`` are said in the stack's file."""
    services = list(services)
    owner = owners(services)
    keyed = tuple(prefix for service in services for prefix in service.keyed)
    paths: Mapping[str, Any] = document.get("paths", {})
    schemas = Schemas(document)
    readable = [path for path, methods in paths.items() if _is_read(path, methods.get("get"))]
    collections = [_collection(path, paths, schemas, owner(path)) for path in readable]
    return Survey(
        tuple(Read(path, owner(path)) for path in readable),
        tuple(
            replace(found, keeps_keys=_under(found.path, keyed)) for found in collections if found is not None
        ),
    )


def _is_read(path: str, operation: Any) -> bool:
    return (
        isinstance(operation, Mapping)
        and "{" not in path
        and bool(operation.get("security"))
        and "200" in operation.get("responses", {})
        and not any(parameter.get("required") for parameter in operation.get("parameters", ()))
    )


def _collection(
    path: str, paths: Mapping[str, Any], schemas: Schemas, service: str | None
) -> Collection | None:
    post = paths[path].get("post")
    if post is None or service is None or "201" not in post.get("responses", {}):
        return None
    content = post.get("requestBody", {}).get("content", {}).get("application/json", {})
    templates = tuple(schemas.templates(content.get("schema", {}), content.get("example")))
    if not templates:
        return None
    query = {parameter.get("name"): parameter for parameter in paths[path]["get"].get("parameters", ())}
    most = query["limit"].get("schema", {}).get("maximum") if "limit" in query else None
    return Collection(
        path,
        service,
        templates,
        takes_key=any(parameter.get("name") == KEY_FIELD for parameter in post.get("parameters", ())),
        page=f"?limit={most}" if most else "",
        pages="cursor" in query,
        item=_item(path, paths),
    )


def _item(path: str, paths: Mapping[str, Any]) -> str | None:
    """The template of one thing's own path, ``/v1/tasks/{task_id}``."""
    for candidate, methods in paths.items():
        rest = candidate.removeprefix(path + "/")
        if rest != candidate and rest.startswith("{") and rest.endswith("}") and "/" not in rest:
            return candidate if "get" in methods else None
    return None
