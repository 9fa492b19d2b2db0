"""The OpenAPI 3.1 document of a part, out of the signatures that its handlers are compiled from.

Rules that hold here:

* Nothing is said twice: paths, parameters, bodies and results are those of `focushub_core.http.handlers`, habits and
  provided types say what is theirs, docstrings explain.
* Every answer is in it: an operation's own problems by status and code, all others as its ``default``.
* It is written when it is first asked for, and imported then: a part that nobody asks pays nothing.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from focushub_core import rules
from focushub_core.http.description import Description
from focushub_core.http.handlers import Operation
from focushub_core.http.models import Answer
from focushub_core.http.openapi.problems import REQUEST_ID, Problem, components, imply, problem
from focushub_core.http.openapi.schemas import Json, Schemas, described, markdown
from focushub_core.http.parameters import MISSING, Parameter
from focushub_core.identity.user import User
from focushub_core.reasons import reason

VERSION = "3.1.1"
_REQUEST_ID_HEADER = {
    "description": "The request's id, in every log line about it.",
    "schema": {"type": "string"},
}


class About(msgspec.Struct, frozen=True):
    """The head of a document."""

    title: str
    version: str
    description: str = ""


def document(about: About, operations: Iterable[Operation]) -> Json:
    """The document of ``operations``, those that are not public left out."""
    operations = [operation for operation in operations if operation.route.public]
    schemas = Schemas([Problem, *(kind for operation in operations for kind in _types(operation))])
    names = _names(operations)
    paths: dict[str, Json] = {}
    for operation, name in zip(operations, names, strict=True):
        item = paths.setdefault(operation.route.path, {})
        item[operation.route.method.lower()] = _operation(operation, name, schemas)
    return {
        "openapi": VERSION,
        "info": {"title": about.title, "version": about.version} | described(about.description),
        "tags": list(_tags(operations)),
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": components(),
            "headers": {"X-Request-Id": _REQUEST_ID_HEADER},
            "securitySchemes": _security_schemes(operations),
        },
    }


def _types(operation: Operation) -> Iterator[Any]:
    signature = operation.signature
    yield from (parameter.wanted for parameter in signature.flat())
    if signature.body is not None:
        yield signature.body
    result = _result(operation)
    if result is not None:
        yield result


def _result(operation: Operation) -> Any:
    """What a success holds: the type inside `Answer`; ``None`` for nothing and for what aiohttp itself answers."""
    result = operation.signature.result
    if get_origin(result) is Answer:
        result = get_args(result)[0]
    elif result is Answer:
        result = Any
    if isinstance(result, type) and issubclass(result, web.StreamResponse):
        return None
    return None if result is type(None) else result


# One operation ----------------------------------------------------------------------------------------------


def _operation(operation: Operation, name: str, schemas: Schemas) -> Json:
    description = operation.described()
    imply(description, operation)
    summary, _, more = _doc(operation.route.function).partition("\n")
    parameters = [_parameter(each, schemas) for each in operation.signature.flat()]
    found: Json = {
        "operationId": name,
        "tags": [_tag(operation)],
        "summary": markdown(summary.rstrip(".")) or name,
        **described(more.strip()),
        "parameters": parameters + description.parameters,
        "responses": _answers(operation, description, schemas),
    }
    if operation.signature.body is not None:
        found["requestBody"] = _body(operation, schemas)
    if security := description.security or _security(operation):
        found["security"] = security
    return {key: value for key, value in found.items() if value != []}


def _doc(function: object) -> str:
    return inspect.getdoc(function) or ""


def _parameter(each: Parameter, schemas: Schemas) -> Json:
    schema = schemas.of(each.wanted)
    if each.default is not MISSING and each.default not in (None, (), []):
        schema["default"] = msgspec.to_builtins(each.default)
    required = each.default is MISSING
    said = {"name": each.key, "in": each.source, "required": required, "schema": schema}
    return {**said, **described(schema.pop("description", ""))}


def _body(operation: Operation, schemas: Schemas) -> Json:
    schema = schemas.of(operation.signature.body)
    content = {"application/json": {"schema": schema, **schemas.example(schema)}}
    if operation.route.method == "PATCH":
        content["application/merge-patch+json"] = {"schema": schema}
    return {"required": operation.signature.default_body is MISSING, "content": content}


def _answers(operation: Operation, description: Description, schemas: Schemas) -> Json:
    result, status = _result(operation), operation.route.status
    headers = {"X-Request-Id": REQUEST_ID} | description.headers
    found: dict[str, Json] = {}
    if result is None and status == 200 and operation.signature.result in (None, type(None)):
        status = 204
    success: Json = {"description": reason(status), "headers": headers}
    if result is not None:
        schema = schemas.of(result)
        success["content"] = {"application/json": {"schema": schema, **schemas.example(schema)}}
    found[str(int(status))] = success
    for other, answer in description.responses.items():
        found[str(other)] = {"headers": headers} | answer
    for status, codes in sorted(description.problems.items()):
        found[str(status)] = problem(status, codes)
    found["default"] = {"$ref": "#/components/responses/Problem"}
    return found


# Names, tags, security --------------------------------------------------------------------------------------


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """A bearer token, where the function takes a `User`; one that it can do without, where it takes ``User | None``."""
    for name, kind, _ in operation.signature.provided:
        if kind is User:
            wanted = get_type_hints(operation.route.function)[name]
            return [{}, {"bearer": []}] if type(None) in rules.choices(wanted) else [{"bearer": []}]
    return []


def _security_schemes(operations: Iterable[Operation]) -> Json:
    if not any(_security(operation) for operation in operations):
        return {}
    return {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}


_VERSION_SEGMENT = re.compile(r"v\d+")


def _tag(operation: Operation) -> str:
    """As said, else the first name of the path behind the version."""
    segments = [
        part for part in operation.route.path.split("/") if part and not _VERSION_SEGMENT.fullmatch(part)
    ]
    return operation.route.tag or (segments[0].strip("{}") if segments else "root")


def _tags(operations: Iterable[Operation]) -> Iterator[Json]:
    """Each tag once; where a module's functions are all of one, its first line explains it."""
    modules: dict[str, str] = {}
    for operation in operations:
        modules.setdefault(_tag(operation), operation.route.function.__module__)
    shared = list(modules.values())
    for name, module in modules.items():
        doc = _doc(sys.modules.get(module)) if shared.count(module) == 1 else ""
        yield {"name": name, **described(doc.partition("\n")[0])}


def _names(operations: list[Operation]) -> list[str]:
    """Operation ids: the functions' names, with their tag where two are called alike."""
    plain = [operation.route.function.__name__ for operation in operations]
    tagged = [
        f"{_identifier(_tag(operation))}_{name}" for operation, name in zip(operations, plain, strict=True)
    ]
    names = [full if plain.count(name) > 1 else name for name, full in zip(plain, tagged, strict=True)]
    return [
        name if names.count(name) == 1 else f"{name}_{names[:i].count(name) + 1}"
        for i, name in enumerate(names)
    ]


def _identifier(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_").lower()
