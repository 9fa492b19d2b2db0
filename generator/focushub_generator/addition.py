"""Pure: what a further service of a stack is called, where it lies, and what it adds to the stack's files.

Rules that hold here:

* Everything is checked before anything is written; every refusal says in one line what is taken, and by whom.
* Names in the template (``templates/service/``) are those of a service ``sample``; they are replaced as whole words.
* What is added to a file comes behind what is there: comments and form stay as their owner wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from focushub_core import stack as stacks
from focushub_core.errors import ConfigurationError
from focushub_core.stack import ServiceEntry, Stack

from .local.ports import HIGHEST
from .spec import check_name

FIRST_PORT = 3005
"""Where the search for a free one begins: behind the bundled services."""
MOST_GATEWAYS = 16
NGINX_PORT = 80
LONGEST_KEY = 31
LONGEST_IDENTIFIER = 63
"""Bytes of a name in PostgreSQL."""


class Addition(NamedTuple):
    """A service that may join: nothing of its own is taken."""

    stack: Stack
    service: ServiceEntry


def addition(stack: Stack, name: str, port: int | None = None, *, nginx: int = NGINX_PORT) -> Addition:
    """The service ``name`` (``notes``, or ``notes-service``) for ``stack``; without ``port`` on the next free one.

    Raises `ConfigurationError` for a bad or taken name, port, prefix or database.
    """
    key = name.removesuffix("-service")
    check_name(key, "service", longest=_longest(stack))
    if key in stack.services:
        raise ConfigurationError(f"there is a service {key} already, on port {stack.services[key].port}")
    service = ServiceEntry(
        key,
        _port(stack, port, nginx),
        prefixes=(f"/v1/{key}",),
        database=f"{_database_prefix(stack)}{key.replace('-', '_')}",
        keyed=(f"/v1/{key}",),
    )
    _refuse_taken(stack, service)
    return Addition(stack, service)


def _database_prefix(stack: Stack) -> str:
    return f"{stack.name.replace('-', '_')}_"


def _longest(stack: Stack) -> int:
    return min(LONGEST_KEY, LONGEST_IDENTIFIER - len(_database_prefix(stack)))


def _port(stack: Stack, wanted: int | None, nginx: int) -> int:
    taken = dict(reversed([*ports(stack, nginx)]))
    if wanted is None:
        return next(port for port in range(FIRST_PORT, HIGHEST + 1) if port not in taken)
    if wanted in taken:
        raise ConfigurationError(
            f"port {wanted} is taken by {taken[wanted]}; leave --port out for a free one"
        )
    if not 1 <= wanted <= HIGHEST:
        raise ConfigurationError(f"port {wanted} is not usable; take one from 1 to {HIGHEST}")
    return wanted


def ports(stack: Stack, nginx: int = NGINX_PORT) -> Iterator[tuple[int, str]]:
    """Every port of the stack with its owner, those of gateways included that `up --gateways` may start."""
    yield nginx, "NGINX"
    yield stack.load_balancer.port, "the load balancer"
    yield stack.redis.port, "Redis"
    for service in stack.services.values():
        yield service.port, service.name
    for number in range(1, MOST_GATEWAYS + 1):
        yield stack.gateway.port_of(number), f"gateway-{number}"


def _refuse_taken(stack: Stack, service: ServiceEntry) -> None:
    for other in stack.services.values():
        for prefix in sorted({*service.prefixes} & {*other.prefixes}):
            raise ConfigurationError(f"{prefix} is taken by {other.name}; take another name")
        if other.database == service.database:
            raise ConfigurationError(
                f"the database {service.database} is taken by {other.name}; take another name"
            )


# What it is made of ----------------------------------------------------------------------------------------------


def words(added: Addition) -> dict[str, str]:
    """What stands in the template, and what in its place."""
    stack, service = added
    auth = stack.services.get("auth")
    return {
        "sample-migrate": f"{service.key}-migrate",
        "sample-service": service.name,
        "sample_service": service.package,
        "SampleService": "".join(word.capitalize() for word in service.name.split("-")),
        "/v1/sample": service.prefixes[0],
        "sample_database": str(service.database),
        "SAMPLE_DATABASE_URL": f"{service.variable}_DATABASE_URL",
        "SAMPLE_DATABASE_PASSWORD": password_of(service),
        "auth-service:3001": f"auth-service:{auth.port if auth else 3001}",
        "3999": str(service.port),
    }


def filled(text: str, words: Mapping[str, str]) -> str:
    """``text`` with whole words replaced, each once: what comes in is not looked at again."""
    either = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{either})(?!\w)", lambda found: words[found[0]], text)


def password_of(service: ServiceEntry) -> str:
    """The name of its secret in ``.env``."""
    return f"{service.variable}_DATABASE_PASSWORD"


def with_table(text: str, added: Addition) -> str:
    """``focushub.toml`` with the service's table at its end; `ConfigurationError` where it then says anything else."""
    service = added.service
    table = [
        f"[services.{service.key}]",
        f"port = {service.port}",
        f'database = "{service.database}"',
        f'prefixes = ["{service.prefixes[0]}"]',
        f'keyed = ["{service.keyed[0]}"]',
    ]
    longer = behind(text, ["", *table])
    if {**added.stack.services, service.key: service} != stacks.parse(longer, added.stack.root).services:
        raise ConfigurationError(
            f"no table can be added at the end of {stacks.FILE_NAME}; look at its last lines"
        )
    return longer


def with_include(text: str, fragment: str) -> str:
    """A list of Compose files with ``fragment`` at its end."""
    started = re.sub(r"^include: *\[\]$", "include:", text, flags=re.MULTILINE)
    return behind(started, [f"  - {{path: {fragment}, project_directory: .}}"])


def with_scraping(text: str, service: ServiceEntry) -> str | None:
    """Prometheus' configuration with the service as a last job; ``None`` where jobs are not the last thing in it."""
    if re.findall(r"^\w.*$", text, re.MULTILINE)[-1:] != ["scrape_configs:"]:
        return None
    found_by = f"{{names: [{service.name}], type: A, port: {service.port}, refresh_interval: 5s}}"
    return behind(text, ["", f"  - job_name: {service.name}", "    dns_sd_configs:", f"      - {found_by}"])


def with_secret(text: str, name: str, value: str = "") -> str:
    """An ``.env`` file with one more setting."""
    return behind(text, [f"{name}={value}"])


def behind(text: str, lines: list[str]) -> str:
    """``text`` with further lines, ended as its own are."""
    end = "\r\n" if "\r\n" in text else "\n"
    start = text if not text or text.endswith("\n") else text + end
    return start + "".join(line + end for line in lines)
