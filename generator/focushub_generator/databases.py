"""Makes the roles and databases of a stack on a server that others run (Compose's, or a team's)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from focushub_core import settings, stack
from focushub_core.errors import ConfigurationError
from focushub_core.stack import ServiceEntry

from .local.migrate import addresses, choose


def provision(root: Path, admin_url: str, only: Sequence[str] = ()) -> None:
    """Makes each service's role and database on the server at ``admin_url``, a superuser's; again does no harm.

    Names and passwords are those of ``<SERVICE>_DATABASE_URL``. Raises `ConfigurationError` where one is missing.
    """
    urls = addresses(choose(stack.load(root), only), settings.read_layers(root))
    asyncio.run(_provision(admin_url, urls))


async def _provision(admin_url: str, urls: Mapping[ServiceEntry, str]) -> None:
    from focushub_core.database.provision import provision

    logins = [(service, *_login(service, url)) for service, url in urls.items()]
    for service, role, password in logins:
        await provision(admin_url, database=str(service.database), role=role, password=password)


def _login(service: ServiceEntry, url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if not parts.username or not parts.password:
        raise ConfigurationError(f"{service.variable}_DATABASE_URL lacks a role or its password")
    return parts.username, parts.password
