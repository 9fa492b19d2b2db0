"""A function's signature is its contract: this compiles it into an aiohttp handler.

How a parameter gets its value:

* one whose name stands in the path (``/v1/notes/{note_id}``): from there;
* ``body``: the JSON body, checked against its type; where it has a default, a request may have none;
* one whose type has a provider (`User`, `Database`, what the service provides): from it;
* one annotated with `Header`: from that header field;
* any other: from the query string, by its name (``from_`` is ``from``); a ``list`` or ``tuple`` takes every occurrence.

Everything is looked at when the application is built: a parameter that nothing can fill is a `ConfigurationError`
then. All that is wrong with a request, parameters and body, is reported in one 422.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from focushub_core.errors import ConfigurationError, FieldError, Invalid
from focushub_core.http.bodies import BodyReader
from focushub_core.http.habit import Call
from focushub_core.http.models import Answer, Header, encode
from focushub_core.http.routing import Route
from focushub_core.validation import field_error

Provider = Callable[[web.Request], Any]
"""Gives a value for a request; may be a coroutine function."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MISSING: Any = inspect.Parameter.empty
_NOT_TEXT = (msgspec.inspect.CustomType, msgspec.inspect.StructType, msgspec.inspect.DictType)


class Parameter(msgspec.Struct, frozen=True):
    """A path, query or header parameter: where it comes from, and what it must be."""

    name: str
    source: str
    key: str
    wanted: Any
    default: Any
    many: bool = False

    def read(self, request: web.Request, wrong: list[FieldError]) -> Any:
        """The parameter's value; what is wrong with it goes to ``wrong``."""
        text = self._text(request)
        if text is None or text == []:
            if self.default is _MISSING:
                wrong.append(FieldError(self.key, "missing", f"The {self.source} parameter is required."))
            return self.default
        if "\0" in text:
            wrong.append(FieldError(self.key, "nul_character", "Text must not contain NUL."))
            return None
        try:
            return msgspec.convert(text, self.wanted, strict=False)
        except msgspec.ValidationError as error:
            wrong.append(field_error(error, self.key))
            return None

    def _text(self, request: web.Request) -> str | list[str] | None:
        if self.source == "path":
            return request.match_info[self.key]
        if self.source == "header":
            return request.headers.get(self.key)
        return request.query.getall(self.key, []) if self.many else request.query.get(self.key)


class Signature(msgspec.Struct, frozen=True):
    """What a handler takes and gives, read once."""

    parameters: tuple[Parameter, ...]
    provided: tuple[tuple[str, Provider], ...]
    body: Any
    result: Any
    default_body: Any = _MISSING


def read_signature(route: Route, providers: Mapping[type, Provider]) -> Signature:
    """Reads ``route.function``; raises `ConfigurationError` where a parameter cannot be filled."""
    hints = get_type_hints(route.function, include_extras=True)
    parameters: list[Parameter] = []
    provided: list[tuple[str, Provider]] = []
    body: Any = None
    default_body: Any = _MISSING
    for name, parameter in inspect.signature(route.function).parameters.items():
        if name not in hints:
            raise ConfigurationError(f"{_where(route)}: the parameter {name!r} has no annotation")
        wanted = hints[name]
        if name == "body":
            body, default_body = wanted, parameter.default
        elif (provider := providers.get(_class_of(wanted))) is not None:
            provided.append((name, provider))
        else:
            parameters.append(_parameter(route, name, wanted, parameter.default))
    return Signature(tuple(parameters), tuple(provided), body, hints.get("return"), default_body)


def takes(route: Route, kind: type) -> bool:
    """Whether a parameter of the route's function is a ``kind``."""
    return any(_class_of(wanted) is kind for wanted in get_type_hints(route.function).values())


def _parameter(route: Route, name: str, wanted: Any, default: Any) -> Parameter:
    if f"{{{name}}}" in route.path:
        return Parameter(name, "path", name, wanted, _MISSING)
    if get_origin(wanted) is Annotated:
        for extra in get_args(wanted)[1:]:
            if isinstance(extra, Header):
                return Parameter(name, "header", extra.name, get_args(wanted)[0], default)
    if not _from_text(msgspec.inspect.type_info(wanted)):
        raise ConfigurationError(
            f"{_where(route)}: nothing provides a {getattr(wanted, '__name__', wanted)} for {name!r}"
        )
    many = get_origin(wanted) in (list, tuple, set)
    return Parameter(name, "query", name.removesuffix("_"), wanted, default, many)


def _from_text(info: msgspec.inspect.Type) -> bool:
    """Whether a value of this type can be read from a query string."""
    if isinstance(info, msgspec.inspect.UnionType):
        return all(_from_text(choice) for choice in info.types)
    if isinstance(info, msgspec.inspect.CollectionType):
        return _from_text(info.item_type)
    return not isinstance(info, _NOT_TEXT)


def _class_of(wanted: Any) -> Any:
    """For ``User | None`` and ``Annotated[User, ...]``: ``User``."""
    if get_origin(wanted) is Annotated:
        return _class_of(get_args(wanted)[0])
    if get_origin(wanted) in (Union, types.UnionType):
        choices = [choice for choice in get_args(wanted) if choice is not type(None)]
        return choices[0] if len(choices) == 1 else None
    return wanted


def _where(route: Route) -> str:
    return f"{getattr(route.function, '__qualname__', route.function)} ({route.method} {route.path})"


class Operation(msgspec.Struct, frozen=True):
    """A route whose signature has been read, and where its values come from."""

    route: Route
    signature: Signature
    providers: Mapping[type, Provider]


def operation_of(route: Route, providers: Mapping[type, Provider]) -> Operation:
    """``route``, read; raises `ConfigurationError` where a parameter cannot be filled."""
    return Operation(route, read_signature(route, providers), providers)


def build(route: Route, providers: Mapping[type, Provider]) -> Handler:
    """The aiohttp handler of ``route``."""
    operation = operation_of(route, providers)
    call = _call(operation)
    for habit in reversed(route.habits):
        if habit.fits(operation):
            call = habit.wrap(call, operation)
    status = route.status

    async def handle(request: web.Request) -> web.StreamResponse:
        return respond(await call(request), status)

    # what decorators left on the function, such as its limits, is found on its handler
    return functools.update_wrapper(handle, route.function, assigned=())


def _call(operation: Operation) -> Call:
    """Reads and checks what the request says, and calls the function."""
    function, signature = operation.route.function, operation.signature
    reader = BodyReader(signature.body) if signature.body is not None else None

    async def call(request: web.Request) -> Any:
        arguments: dict[str, Any] = {}
        for name, provider in signature.provided:  # who asks comes before what is asked
            value = provider(request)
            arguments[name] = await value if inspect.isawaitable(value) else value
        wrong: list[FieldError] = []
        for parameter in signature.parameters:
            arguments[parameter.name] = parameter.read(request, wrong)
        if reader is not None and (signature.default_body is _MISSING or request.can_read_body):
            arguments["body"] = await _read_body(reader, request, wrong)
        if wrong:
            raise Invalid("The request is not what this route takes.", errors=wrong)
        return await function(**arguments)

    return call


async def _read_body(reader: BodyReader, request: web.Request, wrong: list[FieldError]) -> Any:
    """The body; its wrong fields join those of the parameters, so that all are reported at once."""
    try:
        return await reader.read(request)
    except Invalid as error:
        wrong.extend(error.errors)
        return None


def respond(result: Any, status: int) -> web.StreamResponse:
    """What a function returned as an answer; ``status`` where it says no other."""
    headers: Mapping[str, str] | None = None
    if isinstance(result, Answer):
        status, headers, result = result.status or status, result.headers, result.body
    if isinstance(result, web.StreamResponse):
        return result
    if result is None and status in (200, 204):
        return web.Response(status=204, headers=headers)
    return web.Response(body=encode(result), status=status, headers=headers, content_type="application/json")
