"""A stack without Docker: what `focushub up`, `run`, `status`, `verify`, `migrate`, `logs` and `psql` do.

Each function returns the exit code and raises `FocusHubError` or `OSError` with one clear line for a failure.
What a command needs is loaded when it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["logs", "migrate", "psql", "run_part", "status", "up", "verify"]


def up(
    root: Path,
    *,
    port_offset: int,
    gateways: int | None,
    reload: bool,
    without: tuple[str, ...],
    postgres: str | None,
    redis: str | None,
) -> int:
    """Runs the stack in ``root`` in the foreground until a signal."""
    from focushub_generator.local.topology import Options
    from focushub_generator.local.up import up as run

    return run(root, Options(port_offset, gateways, reload, without, postgres, redis))


def run_part(root: Path, service: str, *, reload: bool) -> int:
    """Runs one part alone, as ``python -m <package>`` in its folder does."""
    from focushub_generator.local.run import run

    return run(root, service, reload=reload)


def status(root: Path, *, as_json: bool) -> int:
    """Shows every part of the stack that runs in ``root``; 0 only if all are healthy."""
    from focushub_generator.local.status import show

    return show(root, as_json=as_json)


def verify(root: Path, *, seconds: float, service: str | None, as_json: bool) -> int:
    """Kills parts of the stack under load; 1 when a promise was broken."""
    from focushub_generator.local.verify.run import verify as run

    return run(root, seconds=seconds, service=service, as_json=as_json)


def migrate(root: Path, *, services: Sequence[str], show_status: bool, dry_run: bool) -> int:
    """Brings the databases up to date, or shows what would be done."""
    from focushub_generator.local.migrate import migrate as run

    return run(root, services=services, show_status=show_status, dry_run=dry_run)


def logs(root: Path, *, service: str | None, request: str | None, follow: bool) -> int:
    """Shows the local stack's logs, in order of time."""
    from focushub_generator.local.reading import show

    return show(root, service=service, request=request, follow=follow)


def psql(root: Path, service: str) -> int:
    """Opens a prompt on a service's database; returns only on failure."""
    from focushub_generator.local.psql import prompt

    return prompt(root, service)
