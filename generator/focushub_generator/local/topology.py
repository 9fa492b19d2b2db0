"""What `up` starts and what each part is told: pure, from the stack's file and the options.

Rules that hold here:

* A part's environment is complete: what the caller's shell happens to export cannot move a port or change a database.
* HTTP ports are those of ``focushub.toml`` plus the offset, and never others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from focushub_core.errors import ConfigurationError
from focushub_core.stack import Stack

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Options:
    """What `focushub up` was asked for."""

    port_offset: int = 0
    gateways: int | None = None
    reload: bool = False
    without: tuple[str, ...] = ()
    postgres: str | None = None
    redis: str | None = None


@dataclass(frozen=True)
class HttpPart:
    """A Python part of the stack: ``cd folder && python -m package`` on ``port``."""

    name: str
    kind: str
    folder: str
    package: str
    port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"


def http_parts(stack: Stack, options: Options) -> list[HttpPart]:
    """Every HTTP part of the stack, those to be left out included: services, gateways, the balancer."""
    offset = options.port_offset
    parts = [
        HttpPart(service.name, "service", service.name, service.package, service.port + offset)
        for service in stack.services.values()
    ]
    count = stack.gateway.replicas if options.gateways is None else options.gateways
    if count < 1:
        raise ConfigurationError("a stack needs at least one gateway")
    for number in range(1, count + 1):
        port = stack.gateway.port_of(number) + offset
        parts.append(HttpPart(f"gateway-{number}", "gateway", "gateway", "gateway_app", port))
    port = stack.load_balancer.port + offset
    parts.append(HttpPart("load-balancer", "load-balancer", "load-balancer", "load_balancer", port))
    return parts


def started(parts: Iterable[HttpPart], without: Iterable[str]) -> list[HttpPart]:
    """The parts that are not left out; a name that no part has is a `ConfigurationError`."""
    parts, left_out = list(parts), set(without)
    unknown = left_out - {name for part in parts for name in (part.name, part.folder)}
    if unknown:
        names = ", ".join(dict.fromkeys(part.folder for part in parts))
        raise ConfigurationError(f"there is no part {', '.join(sorted(unknown))}; the parts are {names}")
    return [part for part in parts if not {part.name, part.folder} & left_out]


def find_part(parts: Iterable[HttpPart], name: str) -> HttpPart:
    """A part by its name or folder: ``task-service``, ``gateway-2``, or ``gateway`` for the first."""
    parts = list(parts)
    for part in parts:
        if name in {part.name, part.folder}:
            return part
    names = ", ".join(part.name for part in parts)
    raise ConfigurationError(f"there is no part {name}; the parts are {names}")


def service_database_url(admin_url: str, role: str, password: str, database: str) -> str:
    """The same server as ``admin_url``, another login and database; options such as ``sslmode`` are kept."""
    address = urlsplit(admin_url)
    host = address.netloc.rpartition("@")[2]
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    named = {"user", "password", "dbname", "database"}
    query = urlencode([pair for pair in parse_qsl(address.query) if pair[0] not in named])
    return urlunsplit((address.scheme, f"{login}@{host}", f"/{quote(database, safe='')}", query, ""))


def database_urls(stack: Stack, admin_url: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """``TASK_DATABASE_URL`` and its like; each service's role is named like its database."""
    urls = {}
    for service in stack.services.values():
        if service.database is not None:
            password = secret(secrets, f"{service.variable}_DATABASE_PASSWORD")
            url = service_database_url(admin_url, service.database, password, service.database)
            urls[f"{service.variable}_DATABASE_URL"] = url
    return urls


def secret(secrets: Mapping[str, str], name: str) -> str:
    """A secret by name; a missing one is a `ConfigurationError`."""
    if not secrets.get(name):
        raise ConfigurationError(
            f"{name} is not set: remove .env and run `focushub prepare`, or add it there"
        )
    return secrets[name]


def shared_environment(stack: Stack, parts: Iterable[HttpPart], redis_url: str) -> dict[str, str]:
    """Where the parts find each other; also what ``run.env`` tells parts that are started by hand."""
    parts = list(parts)
    urls = {part.name: part.url for part in parts}
    found = {f"{service.variable}_SERVICE_URL": urls[service.name] for service in stack.services.values()}
    found["REDIS_URL"] = redis_url
    gateways = [part.url for part in parts if part.kind == "gateway"]
    found["GATEWAY_URLS"] = ",".join(gateways)
    found["GATEWAY_REPLICAS"] = str(len(gateways))
    if "auth" in stack.services:
        found["AUTH_JWKS_URL"] = found["AUTH_SERVICE_URL"] + "/.well-known/jwks.json"
    return found


def part_environment(
    part: HttpPart, root: Path, inherited: Mapping[str, str], shared: Mapping[str, str], mode: str
) -> dict[str, str]:
    """The whole environment of a part; ``mode`` is ``development`` or ``production``."""
    paths = [str(root / "shared"), inherited.get("PYTHONPATH", "")]
    own = {
        "FOCUSHUB_ENV": mode,
        "HOST": LOOPBACK,  # some shells export the machine's name as HOST
        "PORT": str(part.port),
        "INSTANCE": part.name,
        "LOG_FORMAT": "json",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
        # glibc would keep the 19 MB of the first password's hash (mallopt(3), M_MMAP_THRESHOLD)
        "MALLOC_MMAP_THRESHOLD_": str(1024 * 1024),
    }
    if part.kind == "load-balancer":
        # Nothing in front of it looks at its readiness: it finishes, but need not wait.
        own["DRAIN_SECONDS"] = "0"
    if part.kind == "gateway":
        # What it is asked comes through the balancer, which says whose address it is.
        own["TRUSTED_PROXIES"] = LOOPBACK
    # Each part is a service of its own in a trace, whatever the shell calls its own programs.
    kept = {name: value for name, value in inherited.items() if name != "OTEL_SERVICE_NAME"}
    return {**kept, **shared, **own}


def part_command(part: HttpPart) -> tuple[str, ...]:
    """What `focushub up` and `focushub run` execute in the part's folder."""
    return (sys.executable, "-m", part.package)
