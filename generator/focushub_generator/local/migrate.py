"""`focushub migrate`: every service's database, or one, brought up to date by its own role."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from focushub_core import stack as stacks
from focushub_core.errors import ConfigurationError, FocusHubError
from focushub_core.settings import read_layers
from focushub_core.stack import ServiceEntry, Stack

if TYPE_CHECKING:
    from focushub_core.database import Migration, MigrationState


def migrate(root: Path, *, services: Sequence[str], show_status: bool, dry_run: bool) -> int:
    """Applies what is pending, or shows it; 1 if a database could not be brought up to date."""
    stack = stacks.load(root)
    chosen = choose(stack, services)
    settings = read_layers(root)
    urls = addresses(chosen, settings)

    async def one(entry: ServiceEntry) -> list[str]:
        return await _one(root / entry.migrations, urls[entry], driver(entry, settings), show_status, dry_run)

    results = asyncio.run(_all(chosen, one))
    failed = [result for result in results.values() if isinstance(result, FocusHubError | OSError)]
    width = max([16, *(len(entry.name) for entry in chosen)])
    for entry in chosen:
        for line in _said(results[entry.name]):
            print(f"{entry.name.ljust(width)} {line}")  # noqa: T201
    return 1 if failed else 0


def choose(stack: Stack, services: Sequence[str]) -> list[ServiceEntry]:
    """The services that have a database, or those named. Raises `ConfigurationError` for a name that is none."""
    found = [entry for entry in stack.services.values() if entry.database is not None]
    unknown = set(services) - {name for entry in found for name in (entry.name, entry.key)}
    if unknown:
        names = ", ".join(entry.name for entry in found)
        raise ConfigurationError(
            f"there is no service {', '.join(sorted(unknown))} with a database; there are {names}"
        )
    return [entry for entry in found if not services or {entry.name, entry.key} & set(services)]


def addresses(chosen: list[ServiceEntry], settings: Mapping[str, str]) -> dict[ServiceEntry, str]:
    """Each service's database. Raises `ConfigurationError` that names every missing setting."""
    names = {entry: f"{entry.variable}_DATABASE_URL" for entry in chosen}
    missing = [name for name in names.values() if not settings.get(name)]
    if missing:
        raise ConfigurationError(f"{', '.join(missing)} not set; `focushub up` sets them while it runs")
    return {entry: settings[name] for entry, name in names.items()}


def driver(entry: ServiceEntry, settings: Mapping[str, str]) -> str:
    """The driver that the service itself uses, unless its class says otherwise."""
    own = settings.get(f"{entry.variable}_DATABASE_DRIVER")
    return own or settings.get("DATABASE_DRIVER") or "asyncpg"


async def _all(
    chosen: Sequence[ServiceEntry], one: Callable[[ServiceEntry], Awaitable[list[str]]]
) -> dict[str, list[str] | BaseException]:
    results = await asyncio.gather(*map(one, chosen), return_exceptions=True)
    return {entry.name: result for entry, result in zip(chosen, results, strict=True)}


async def _one(folder: Path, url: str, driver: str, show_status: bool, dry_run: bool) -> list[str]:
    from focushub_core.database import migrations

    if show_status:
        found = await migrations.status(url, folder, driver=driver, with_kit=True)
        return [_line(state) for state in found] or ["has no migrations"]
    verb = "would apply" if dry_run else "applied"
    done = await migrations.migrate(url, folder, dry_run=dry_run, driver=driver, with_kit=True)
    return [f"{verb} {_file(migration)}" for migration in done] or ["up to date"]


def _line(state: MigrationState) -> str:
    applied = f"  {state.applied_at:%Y-%m-%d %H:%M:%S}Z" if state.applied_at else ""
    return f"{state.state.ljust(8)} {_file(state)}{applied}"


def _file(one: Migration | MigrationState) -> str:
    """A file's name; those of FocusHub's own tables (docs/decisions/kit-tables.md) have numbers of their own."""
    return f"focushub/{one.file}" if one.of_kit else one.file


def _said(result: list[str] | BaseException) -> list[str]:
    if isinstance(result, list):
        return result
    if isinstance(result, FocusHubError | OSError):
        return [f"failed: {result}"]
    raise result
