"""`focushub migrate`: every service's database, or one, brought up to date by its own role."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from focushub_core import stack as stacks
from focushub_core.errors import ConfigurationError, FocusHubError
from focushub_core.settings import read_layers
from focushub_core.stack import ServiceEntry, Stack


def migrate(root: Path, *, services: Sequence[str], show_status: bool, dry_run: bool) -> int:
    """Applies what is pending, or shows it; 1 if a database could not be brought up to date."""
    stack = stacks.load(root)
    chosen = choose(stack, services)
    urls = addresses(chosen, read_layers(root))
    results = asyncio.run(_all(root, urls, show_status=show_status, dry_run=dry_run))
    failed = [result for result in results.values() if isinstance(result, FocusHubError | OSError)]
    for entry in chosen:
        for line in _said(results[entry.name]):
            print(f"{entry.name.ljust(16)} {line}")  # noqa: T201
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


async def _all(
    root: Path, urls: Mapping[ServiceEntry, str], *, show_status: bool, dry_run: bool
) -> dict[str, list[str] | BaseException]:
    work = [_one(root / entry.migrations, url, show_status, dry_run) for entry, url in urls.items()]
    results = await asyncio.gather(*work, return_exceptions=True)
    return {entry.name: result for entry, result in zip(urls, results, strict=True)}


async def _one(folder: Path, url: str, show_status: bool, dry_run: bool) -> list[str]:
    from focushub_core.database import migrations

    if show_status:
        return [f"{state.state.ljust(8)} {state.file}" for state in await migrations.status(url, folder)]
    verb = "would apply" if dry_run else "applied"
    done = await migrations.migrate(url, folder, dry_run=dry_run)
    return [f"{verb} {migration.file}" for migration in done] or ["up to date"]


def _said(result: list[str] | BaseException) -> list[str]:
    if isinstance(result, list):
        return result
    if isinstance(result, FocusHubError | OSError):
        return [f"failed: {result}"]
    raise result
