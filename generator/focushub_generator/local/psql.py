"""`focushub psql`: a prompt on a service's database, with the program that came with the embedded PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from focushub_core import stack as stacks
from focushub_core.embedded import find_postgres
from focushub_core.errors import ConfigurationError
from focushub_core.settings import read_layers


def prompt(root: Path, service: str) -> int:
    """Becomes ``psql``; the password goes by the environment. Raises `ConfigurationError` when there is no address."""
    entry = stacks.load(root).services.get(service.removesuffix("-service"))
    if entry is None:
        raise ConfigurationError(f"there is no service {service}")
    url = read_layers(root).get(f"{entry.variable}_DATABASE_URL")
    if not url:
        raise ConfigurationError(
            f"{entry.variable}_DATABASE_URL is not set; `focushub up` sets it while it runs"
        )
    program = find_postgres().program("psql")
    if not program.is_file():
        raise ConfigurationError(f"there is no {program}; connect by {entry.variable}_DATABASE_URL instead")
    os.execve(program, [str(program)], {**os.environ, **connection(url)})  # noqa: S606 - the point of it


def connection(url: str) -> dict[str, str]:
    """libpq's variables for a URL: arguments would show the password to every process."""
    address = urlsplit(url)
    options = dict(parse_qsl(address.query))
    found = {
        "PGHOST": address.hostname or options.get("host"),
        "PGPORT": str(address.port or options.get("port") or 5432),
        "PGUSER": unquote(address.username or ""),
        "PGPASSWORD": unquote(address.password or ""),
        "PGDATABASE": unquote(address.path.removeprefix("/")),
        "PGSSLMODE": options.get("sslmode"),
    }
    return {name: text for name, text in found.items() if text}
