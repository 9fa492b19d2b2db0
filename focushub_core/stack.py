"""The stack as its one file says it: a typed reader of ``focushub.toml``.

Rules that hold here:

* A stack's parts, ports, databases, routes and limits are said in ``focushub.toml`` and nowhere else.
* A file that is wrong is refused with every reason at once, each with the table and key it is about.
* What can be derived (folder, package, names in the environment) is derived here and nowhere else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from focushub_core.errors import ConfigurationError
from focushub_core.validation import check

FILE_NAME = "focushub.toml"
GATEWAY_STEP = 100
"""Ports between one local gateway and the next: 3000, 3100, 3200, ..."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Prefix = Annotated[str, msgspec.Meta(pattern=r"^(/[A-Za-z0-9._~-]+)+$")]
LimitPrefix = Annotated[str, msgspec.Meta(pattern=r"^(/|(/[A-Za-z0-9._~-]+)+)$")]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Origin = Annotated[str, msgspec.Meta(pattern=r"^https?://[A-Za-z0-9.\[\]:-]+$")]
Key = re.compile(r"^[a-z][a-z0-9-]{0,30}$")
_TABLE = re.compile(r"^\s*\[([^\[\]]+)\]")
_ASSIGNMENT = re.compile(r"""^\s*([A-Za-z0-9_."'-]+)\s*=""")


class StackTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[stack]``"""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]*$")]


class LoadBalancerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[load-balancer]``"""

    port: Port = 8080


class CorsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[gateway.cors]``: the origins whose pages may use the API from a browser, such as ``https://app.example``."""

    allow: tuple[Origin, ...] = ()


class GatewayTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[gateway]``: ``replicas`` is how many a local stack starts."""

    port: Port = 3000
    replicas: Annotated[int, msgspec.Meta(ge=1, le=16)] = 2
    cors: CorsTable = CorsTable()

    def port_of(self, number: int) -> int:
        """The port of gateway ``number`` (1, 2, ...) of a local stack."""
        return self.port + GATEWAY_STEP * (number - 1)


class RedisTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[redis]``"""

    port: Port = 6379


class ServiceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[services.<key>]``: a service of the stack; one without ``database`` has none.

    ``prefixes`` are the paths that the gateway sends to it. Of these, those under ``public`` need no token, and
    requests under ``day_aware`` get the person's day settings with them; a POST under ``keyed`` acts once for each
    ``Idempotency-Key``, so that it may be sent again.
    """

    port: Port
    prefixes: tuple[Prefix, ...]
    database: Identifier | None = None
    public: tuple[Prefix, ...] = ()
    day_aware: tuple[Prefix, ...] = ()
    keyed: tuple[Prefix, ...] = ()


Counted = Literal["user", "address", "route"]


class LimitTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[limits.<name>]``: ``quota`` requests a ``window`` (seconds), ``burst`` at once, counted ``by``.

    What the other keys mean is said at `focushub_core.ratelimit.Policy`, which they become.
    """

    quota: Annotated[int, msgspec.Meta(ge=1)]
    by: Counted | Annotated[tuple[Counted, ...], msgspec.Meta(min_length=1)]
    window: Annotated[int, msgspec.Meta(ge=1)] = 60
    burst: Annotated[int, msgspec.Meta(ge=1)] | None = None
    routes: tuple[LimitPrefix, ...] = ()
    methods: tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Z]+$")], ...] = ()
    on_outage: Literal["share", "admit", "refuse"] = "share"
    exempt_routes: tuple[LimitPrefix, ...] = ()
    exempt_addresses: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()


class StackFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The file as it is written."""

    stack: StackTable
    load_balancer: LoadBalancerTable = LoadBalancerTable()
    gateway: GatewayTable = GatewayTable()
    redis: RedisTable = RedisTable()
    services: dict[str, ServiceTable] = {}
    limits: dict[str, LimitTable] = {}


class ServiceEntry(msgspec.Struct, frozen=True):
    """A service and the names that follow from its key (``task``, or ``order-book``)."""

    key: str
    port: int
    prefixes: tuple[str, ...]
    database: str | None = None
    public: tuple[str, ...] = ()
    day_aware: tuple[str, ...] = ()
    keyed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The part's name and its folder: ``task-service``."""
        return f"{self.key}-service"

    @property
    def package(self) -> str:
        """The import package in that folder: ``task_service``."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The start of its names in the environment: ``TASK`` (``TASK_DATABASE_URL``, ``TASK_SERVICE_URL``)."""
        return self.key.upper().replace("-", "_")

    @property
    def migrations(self) -> str:
        """Its migrations' folder, relative to the stack's."""
        return f"{self.name}/{self.package}/migrations"


class Stack(msgspec.Struct, frozen=True):
    """A stack, read and checked."""

    root: Path
    name: str
    load_balancer: LoadBalancerTable
    gateway: GatewayTable
    redis: RedisTable
    services: Mapping[str, ServiceEntry]
    limits: Mapping[str, LimitTable]
    limit_lines: Mapping[str, int] = {}
    """The line of the file in which each limit begins."""


def find_root(start: Path) -> Path | None:
    """The nearest folder, from ``start`` upwards, that holds a ``focushub.toml``."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    return None


def load(root: Path) -> Stack:
    """Reads ``root/focushub.toml``; a missing or wrong file is a `ConfigurationError` that names each reason."""
    path = root / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no {FILE_NAME} in {root}; name a stack's folder or make one with `focushub generate`"
        ) from None
    return parse(text, root)


def parse(text: str, root: Path) -> Stack:
    """Like `load`, from the file's text."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{FILE_NAME} is not valid TOML: {error}") from None
    lines = lines_of(text)
    problems = [_at_line(lines, wrong.field) + wrong.detail for wrong in check(document, StackFile)]
    if not problems:
        file = msgspec.convert(document, StackFile)
        problems = [*_clashes(file)]
    if problems:
        raise ConfigurationError(f"{FILE_NAME} is not usable: " + "; ".join(problems))
    services = {
        key: ServiceEntry(key=key, **msgspec.structs.asdict(table)) for key, table in file.services.items()
    }
    begins = {name: lines[f"limits.{name}"] for name in file.limits if f"limits.{name}" in lines}
    return Stack(
        root, file.stack.name, file.load_balancer, file.gateway, file.redis, services, file.limits, begins
    )


def lines_of(text: str) -> dict[str, int]:
    """The lines, from 1, in which a file's tables and keys are written, by names such as ``limits.user.quota``.

    For messages: the standard library's reader does not say where it found what.
    """
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = _plain(header[1])
            lines.setdefault(table, number)
        elif key := _ASSIGNMENT.match(line):
            lines.setdefault(f"{table}.{_plain(key[1])}".lstrip("."), number)
    return lines


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _at_line(lines: Mapping[str, int], field: str) -> str:
    """``line 7: limits.user.quota: ``; the line of its table where the field itself is not there."""
    name = field.partition("[")[0]
    while name and name not in lines:
        name = name.rpartition(".")[0]
    return f"line {lines[name]}: {field}: " if name else f"{field}: "


def _clashes(file: StackFile) -> list[str]:
    """What each table alone allows but all together don't."""
    problems = [
        f"services.{key}: a service's key is lower-case letters, digits and hyphens, at most 31"
        for key in file.services
        if not Key.match(key)
    ]
    taken: dict[object, str] = {}
    for what, owner in _claims(file):
        if what in taken:
            problems.append(f"{owner} is already taken by {taken[what]}")
        taken.setdefault(what, owner)
    return problems


def _claims(file: StackFile) -> list[tuple[object, str]]:
    """Everything that only one part may have, with the words that name it."""
    gateway = file.gateway
    claims: list[tuple[object, str]] = [
        (file.load_balancer.port, f"load-balancer.port {file.load_balancer.port}"),
    ]
    for number in range(1, gateway.replicas + 1):
        port = gateway.port_of(number)
        claims.append((port, f"the port {port} of gateway-{number}"))
    for key, service in file.services.items():
        claims.append((service.port, f"services.{key}.port {service.port}"))
        claims += [((prefix,), f"services.{key}: the prefix {prefix}") for prefix in service.prefixes]
        if service.database is not None:
            claims.append((service.database, f"services.{key}: the database {service.database}"))
    return claims
