"""Makes the roles and databases of a stack on a server that others run (Compose's, or a team's)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from focushub_core import settings, stack
from focushub_core.errors import ConfigurationError


def provision(root: Path, admin_url: str, only: str | None = None) -> None:
    """Makes each service's role and database on the server at ``admin_url``, a superuser's; again does no harm.

    Names and passwords are those of ``<SERVICE>_DATABASE_URL``. Raises `ConfigurationError` where one is missing.
    """
    asyncio.run(_provision(root, admin_url, only))


async def _provision(root: Path, admin_url: str, only: str | None) -> None:
    from focushub_core.database.provision import provision

    values = settings.read_layers(root)
    for service in stack.load(root).services.values():
        if service.database is None or only not in (None, service.name):
            continue
        role, password = _login(values, f"{service.variable}_DATABASE_URL")
        await provision(admin_url, database=service.database, role=role, password=password)


def _login(values: dict[str, str], name: str) -> tuple[str, str]:
    url = urlsplit(values.get(name, ""))
    if not url.username or not url.password:
        raise ConfigurationError(f"{name} is not set to a URL with a role and its password")
    return url.username, url.password
