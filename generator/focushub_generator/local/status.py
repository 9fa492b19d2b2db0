"""`focushub status`: every part of the running stack, asked at this moment, its upstreams and its limits."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from focushub_core.settings import read_layers
from focushub_generator.local import health, readiness
from focushub_generator.local.console import table
from focushub_generator.local.state import read_run_env, read_state

DEADLINE = 2.0
HEALTHY = "healthy"
SHOWN = ("name", "url", "pid", "status", "version", "uptime_s", "restarts")
"""Of a part, to people: its name says of which kind it is."""


def show(root: Path, *, as_json: bool) -> int:
    """Prints all parts; 0 if all are healthy. Raises `ConfigurationError` when nothing runs in ``root``."""
    state = read_state(root)
    settings = {**read_layers(root), **read_run_env(root)}  # what runs, whatever else a shell may name
    _load_clients()
    parts, bodies = asyncio.run(_ask_all(state["parts"], settings))
    upstreams, limits = readiness.upstreams(parts, bodies), readiness.limits(parts, bodies)
    if as_json:
        found = {"stack": state["stack"], "parts": parts, "upstreams": upstreams, "limits": limits}
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        rows = [SHOWN, *(tuple(_cell(part[name]) for name in SHOWN) for part in parts)]
        more = readiness.upstream_rows(parts, upstreams), readiness.limit_rows(parts, limits)
        sys.stdout.write("\n\n".join("\n".join(table(shown)) for shown in (rows, *more) if shown) + "\n")
    return 0 if all(part["status"] == HEALTHY for part in parts) else 1


def _load_clients() -> None:
    """Before anybody's deadline begins: on a busy machine loading them takes a good part of it."""
    from focushub_core.database.driver import load

    import_module("redis.asyncio")
    load()


async def _ask_all(
    entries: list[dict[str, Any]], settings: Mapping[str, str]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, object]]]:
    """Every part as the contract shows it, and what each tells of its readiness."""
    http = [entry for entry in entries if str(entry["url"]).startswith("http")]
    telling = asyncio.gather(*(health.readiness(entry["url"], DEADLINE) for entry in http))
    parts = await asyncio.gather(*(_ask(entry, settings) for entry in entries))
    told = {entry["name"]: answer.fields for entry, answer in zip(http, await telling, strict=True)}
    return list(parts), told


async def _ask(entry: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """One part as the contract shows it."""
    status, version = await _examine(entry, settings)
    started_at = entry["started_at"] if entry["pid"] else None
    return {
        "name": entry["name"],
        "kind": entry["kind"],
        "url": entry["url"],
        "pid": entry["pid"],
        "status": status,
        "version": version,
        "uptime_s": None if started_at is None else round(max(0.0, time.time() - started_at), 1),
        "restarts": entry["restarts"],
    }


async def _examine(entry: Mapping[str, Any], settings: Mapping[str, str]) -> tuple[str, str | None]:
    """Status and version: ``healthy``, ``unhealthy`` (it answers so), or what `up` knows of one that is silent."""
    if entry["kind"] == "postgres":
        version = await _postgres_version(settings)
    elif entry["kind"] == "redis":
        version = await _redis_version(settings.get("REDIS_URL", ""))
    else:
        answer = await health.health(entry["url"], DEADLINE)
        version = str(answer.fields.get("version", "")) or None
        if answer.status:
            return (HEALTHY if answer.status == 200 else "unhealthy"), version
    if version is not None:
        return HEALTHY, version
    return ("unhealthy" if entry["state"] in {"running", "named"} else entry["state"]), None


async def _postgres_version(settings: Mapping[str, str]) -> str | None:
    """By a service's own login: what a service can do is what counts."""
    from focushub_core.database.driver import load
    from focushub_core.errors import FocusHubError

    url = next((text for name, text in sorted(settings.items()) if name.endswith("_DATABASE_URL")), "")
    try:
        async with asyncio.timeout(DEADLINE):
            session = await load().connect(url, timeout=DEADLINE, name="focushub status")
            rows = await session.fetch("SHOW server_version", (), DEADLINE)
            await session.close(DEADLINE)
    except (OSError, TimeoutError, FocusHubError):
        return None
    return str(rows[0][0])


async def _redis_version(url: str) -> str | None:
    from redis import RedisError
    from redis import asyncio as aioredis

    try:
        async with asyncio.timeout(DEADLINE), aioredis.from_url(url) as redis:
            found = await redis.info("server")
    except (OSError, TimeoutError, ValueError, RedisError):
        return None
    return str(found.get("valkey_version") or found.get("redis_version"))


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
