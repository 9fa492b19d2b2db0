"""A function's signature is its contract: this compiles it into an aiohttp handler.

How a parameter gets its value:

* one whose name stands in the path (``/v1/notes/{note_id}``): from there;
* ``body``: the JSON body, checked against its type; where it has a default, a request may have none;
* one whose type has a provider (`User`, `Database`, what the service provides): from it;
* one annotated with `Header`: from that header field; with `Query`: a struct whose fields are query parameters;
* any other: from the query string, by its name (``from_`` is ``from``); a ``list`` or ``tuple`` takes every occurrence.

Everything is looked at when the application is built: a parameter that nothing can fill is a `ConfigurationError`
then. All that is wrong with a request, parameters and body, is reported in one 422. `focushub_core.http.openapi`
writes the document out of the same reading.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from focushub_core.errors import ConfigurationError, FieldError, Invalid
from focushub_core.http.bodies import BodyReader, invalid
from focushub_core.http.description import Description
from focushub_core.http.habit import Call, Habit
from focushub_core.http.kinds import from_text, has_plain_datetime
from focushub_core.http.models import Answer, Header, Query, encode
from focushub_core.http.parameters import MISSING, Parameter, parameter, refuse_unknown, require_utf8
from focushub_core.http.routing import Route
from focushub_core.validation import field_errors

Provider = Callable[[web.Request], Any]
"""Gives a value for a request; may be a coroutine function."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


JSON: Mapping[str, str] = {"Content-Type": "application/json"}
"""The fields of an answer that says nothing else."""
VALUES = (msgspec.Struct, msgspec.Raw, dict, list, type(None))
"""Surely no responses."""


class Constant(msgspec.Struct, frozen=True):
    """The provider of one value for all requests: handlers hold it, and ask for it no more."""

    value: Any

    def __call__(self, _: web.Request) -> Any:
        return self.value


class QueryStruct(msgspec.Struct, frozen=True):
    """A parameter whose struct is made of query parameters."""

    name: str
    kind: type[msgspec.Struct]
    parameters: tuple[Parameter, ...]

    def read(self, request: web.Request, wrong: list[FieldError]) -> Any:
        """The struct; what is wrong with its fields goes to ``wrong``."""
        before = len(wrong)
        values = {parameter.name: parameter.read(request, wrong) for parameter in self.parameters}
        if len(wrong) > before:
            return None
        try:
            return self.kind(**{name: value for name, value in values.items() if value is not MISSING})
        except (TypeError, ValueError) as error:  # what `__post_init__` says
            as_msgspec = msgspec.ValidationError(str(error))
            as_msgspec.__cause__ = error
            wrong.extend(field_errors(as_msgspec))
            return None


class Signature(msgspec.Struct, frozen=True):
    """What a handler takes and gives, read once."""

    parameters: tuple[Parameter | QueryStruct, ...]
    provided: tuple[tuple[str, Any, Provider], ...]
    """Names, types and where they come from."""
    body: Any
    result: Any
    default_body: Any = MISSING

    def flat(self) -> list[Parameter]:
        """All parameters, those of query structs, too."""
        found: list[Parameter] = []
        for each in self.parameters:
            found.extend(each.parameters if isinstance(each, QueryStruct) else [each])
        return found


class Operation(msgspec.Struct, frozen=True):
    """A route whose signature has been read, and where its values come from."""

    route: Route
    signature: Signature
    providers: Mapping[type, Provider]

    @property
    def habits(self) -> list[Habit]:
        """Those of the route's habits that have something to do here, the outermost first."""
        return [habit for habit in self.route.habits if habit.fits(self)]

    @property
    def is_whole(self) -> bool:
        """Whether its function neither sees aiohttp's request nor says that it may make a response itself."""
        result = self.signature.result
        sees = any(kind is web.Request for _, kind, _ in self.signature.provided)
        return not sees and result not in (None, Any, object) and not _makes_responses(result)

    def described(self) -> Description:
        """What its provided types and its habits say of it."""
        description = Description()
        for _, kind, _ in self.signature.provided:
            describe: Callable[[Description], None] | None = getattr(kind, "describe", None)
            if describe is not None:
                describe(description)
        for habit in self.habits:
            habit.describe(description, self)
        return description

    def query_names(self) -> frozenset[str]:
        """The query parameters that somebody here reads."""
        own = {each.key for each in self.signature.flat() if each.source == "query"}
        return frozenset(
            own | {said["name"] for said in self.described().parameters if said["in"] == "query"}
        )


def operation_of(route: Route, providers: Mapping[type, Provider]) -> Operation:
    """``route``, read; raises `ConfigurationError` where a parameter cannot be filled."""
    return Operation(route, read_signature(route, providers), providers)


class Whole(NamedTuple):
    """Answers a request as a whole: ``call`` takes one that reads like aiohttp's, and gives what `respond` takes."""

    call: Call
    status: int = 200


def build(
    route: Route, providers: Mapping[type, Provider], *, whole: bool = False
) -> tuple[Handler, Whole | None]:
    """The aiohttp handler of ``route``; and what answers in its place where nothing of aiohttp's is needed for that.

    ``whole``: nothing is, whatever its function sees or returns.
    """
    operation = operation_of(route, providers)
    call = _call(operation)
    for habit in reversed(operation.habits):
        call = habit.wrap(call, operation)
    status = route.status

    async def handle(request: web.Request) -> web.StreamResponse:
        return respond(await call(request), status)

    # what decorators left on the function, such as its limits, is found on its handler
    functools.update_wrapper(handle, route.function, assigned=())
    return handle, Whole(call, status) if whole or operation.is_whole else None


def respond(result: Any, status: int) -> web.StreamResponse:
    """What a function returned as an answer; ``status`` where it says no other."""
    # a struct is asked for first: that a value is no answer of aiohttp's, an abstract class, takes 1 us to know
    if not isinstance(result, VALUES) and isinstance(result, web.StreamResponse):
        return result
    status, headers, body = finished(result, status)
    return web.Response(body=body, status=status, headers=headers)


def finished(result: Any, status: int) -> tuple[int, Mapping[str, str], bytes | None]:
    """Status, header fields and JSON of what a function returned that is no response; ``None``: 204, without a body."""
    headers: Mapping[str, str] = {}
    if isinstance(result, Answer):
        status, headers, result = result.status or status, result.headers, result.body
    if result is None and status in (200, 204):
        return 204, headers, None
    if not headers:
        headers = JSON
    elif not any(name.lower() == "content-type" for name in headers):
        headers = {**headers, **JSON}
    return status, headers, bytes(result) if type(result) is msgspec.Raw else encode(result)


def takes(route: Route, kind: type) -> bool:
    """Whether a parameter of the route's function is a ``kind``."""
    return any(_class_of(wanted) is kind for wanted in get_type_hints(route.function).values())


# Reading signatures -----------------------------------------------------------------------------------------


def read_signature(route: Route, providers: Mapping[type, Provider]) -> Signature:
    """Reads ``route.function``; raises `ConfigurationError` where a parameter cannot be filled."""
    hints = get_type_hints(route.function, include_extras=True)
    parameters: list[Parameter | QueryStruct] = []
    provided: list[tuple[str, Any, Provider]] = []
    body: Any = None
    default_body: Any = MISSING
    for name, given in inspect.signature(route.function).parameters.items():
        if name not in hints:
            raise ConfigurationError(f"{where(route)}: the parameter {name!r} has no annotation")
        wanted = hints[name]
        if name == "body":
            _require_zones(route, name, wanted)
            body, default_body = wanted, given.default
        elif (provider := providers.get(_class_of(wanted))) is not None:
            provided.append((name, _class_of(wanted), provider))
        else:
            parameters.append(_parameter(route, name, wanted, given.default))
    return Signature(tuple(parameters), tuple(provided), body, hints.get("return"), default_body)


def _parameter(route: Route, name: str, wanted: Any, default: Any) -> Parameter | QueryStruct:
    if f"{{{name}}}" in route.path:
        return parameter(name, "path", name, wanted)
    if get_origin(wanted) is Annotated:
        for extra in get_args(wanted)[1:]:
            if isinstance(extra, Header):
                return parameter(name, "header", extra.name, get_args(wanted)[0], default)
            if isinstance(extra, Query):
                return _query_struct(name, get_args(wanted)[0])
    if not from_text(msgspec.inspect.type_info(wanted)):
        raise ConfigurationError(
            f"{where(route)}: nothing provides a {getattr(wanted, '__name__', wanted)} for {name!r}"
        )
    _require_zones(route, name, wanted)
    return parameter(name, "query", name.removesuffix("_"), wanted, default)


def _query_struct(name: str, kind: Any) -> QueryStruct:
    fields = msgspec.structs.fields(kind)
    # a field that has a default keeps it: what a request leaves out is not given to the struct
    parameters = [
        parameter(
            field.name,
            "query",
            field.encode_name.removesuffix("_"),
            field.type,
            MISSING if field.required else _default_of(field),
        )
        for field in fields
    ]
    return QueryStruct(name, kind, tuple(parameters))


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    factory: Any = field.default_factory
    return field.default if factory is msgspec.NODEFAULT else factory()


def _require_zones(route: Route, name: str, wanted: Any) -> None:
    """An instant says where it is: a plain ``datetime`` would let both kinds in, and break on comparing them."""
    if has_plain_datetime(msgspec.inspect.type_info(wanted)):
        raise ConfigurationError(
            f"{where(route)}: a plain datetime in {name!r}; say Instant, or WallClock for one without an offset"
        )


def _makes_responses(result: Any) -> bool:
    """Whether a type names a response of aiohttp's, also among others."""
    if isinstance(result, type) and issubclass(result, web.StreamResponse):
        return True
    return any(_makes_responses(each) for each in get_args(result))


def _class_of(wanted: Any) -> Any:
    """For ``User | None`` and ``Annotated[User, ...]``: ``User``."""
    if get_origin(wanted) is Annotated:
        return _class_of(get_args(wanted)[0])
    if get_origin(wanted) in (Union, types.UnionType):
        choices = [choice for choice in get_args(wanted) if choice is not type(None)]
        return choices[0] if len(choices) == 1 else None
    return wanted


def where(route: Route) -> str:
    """The route's function and path, for messages."""
    return f"{getattr(route.function, '__qualname__', route.function)} ({route.method} {route.path})"


# Serving ----------------------------------------------------------------------------------------------------


class _Reading(msgspec.Struct, frozen=True):
    """What is read of a request's path, query and header fields. ``known`` are all query parameters; None: any is."""

    parameters: tuple[Parameter | QueryStruct, ...]
    known: frozenset[str] | None

    def read(self, request: web.Request, arguments: dict[str, Any], wrong: list[FieldError]) -> None:
        """Adds the parameters to ``arguments``, by their names; what is wrong with them goes to ``wrong``."""
        target = request.raw_path
        if "%" in target:
            require_utf8(target)
        for each in self.parameters:
            arguments[each.name] = each.read(request, wrong)
        if "?" in target and self.known is not None:
            refuse_unknown(request, self.known, wrong)


def _call(operation: Operation) -> Call:
    """Reads and checks what the request says, and calls the function."""
    signature = operation.signature
    constants = {name: each.value for name, _, each in signature.provided if isinstance(each, Constant)}
    function: Callable[..., Awaitable[Any]] = functools.partial(operation.route.function, **constants)
    provided = tuple((name, each) for name, _, each in signature.provided if name not in constants)
    sees_all = any(kind is web.Request for _, kind, _ in signature.provided)
    reading = _Reading(signature.parameters, None if sees_all else operation.query_names())
    default_body = signature.default_body
    reader = BodyReader(signature.body) if signature.body is not None else None

    async def call(request: web.Request) -> Any:
        arguments: dict[str, Any] = {}
        wrong: list[FieldError] = []
        for name, provider in provided:  # who asks comes before what is asked
            try:
                value = provider(request)
                arguments[name] = await value if type(value) is types.CoroutineType else value
            except Invalid as error:  # what a provider reads of the request is a parameter like others
                if not error.errors:
                    raise
                wrong.extend(error.errors)
        reading.read(request, arguments, wrong)
        # not `can_read_body`, which is false for a body that a habit has read already
        if reader is not None and (default_body is MISSING or request.body_exists):
            arguments["body"] = await _read_body(reader, request, wrong)
        if wrong:
            raise invalid(wrong)
        return await function(**arguments)

    def call_at_once(request: web.Request) -> Awaitable[Any]:
        """Where nothing is waited for before the function: one coroutine less."""
        arguments: dict[str, Any] = {}
        wrong: list[FieldError] = []
        reading.read(request, arguments, wrong)
        if wrong:
            raise invalid(wrong)
        return function(**arguments)

    return call if provided or reader is not None else call_at_once


async def _read_body(reader: BodyReader, request: web.Request, wrong: list[FieldError]) -> Any:
    """The body; its wrong fields join those of the parameters, so that all are reported at once."""
    try:
        return await reader.read(request)
    except Invalid as error:
        wrong.extend(error.errors)
        return None
