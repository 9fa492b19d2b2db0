"""What `focushub generate` prints: the tree of a new stack and the next two commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from .spec import StackSpec

NOTES = {
    ".env": "fresh secrets; git ignores it",
    "docker": "one Dockerfile for all Python parts",
    "docker-compose.override.yml": "the development form on top of it",
    "docker-compose.yml": "the production form",
    "focushub.toml": "services, ports, routes, limits, said once",
    "gateway": "checks tokens and limits, routes",
    "load-balancer": "in front of the gateways",
    "nginx": "in front of it all, in containers",
    "shared": "what the services agree on",
    "tests": "the stack as a whole",
    "vendor": "the kit's wheel; git ignores it",
}
UNTRACKED = (".env", "vendor/")


def generated(spec: StackSpec, directory: Path, files: Iterable[str], *, written: bool) -> None:
    """Prints the tree of ``files`` below ``directory``, one line a top-level entry, and what to do next."""
    console = Console(highlight=False)
    console.print(Text(f"{'Wrote' if written else 'Would write'} {spec.name}:\n"), soft_wrap=True)
    console.print(_tree(spec, directory, [*files, *UNTRACKED]))
    if written:
        console.print("\nNext:\n")
        console.print(Text(_next(shlex.quote(str(directory)))), soft_wrap=True)


def _tree(spec: StackSpec, directory: Path, files: Iterable[str]) -> Tree:
    notes = NOTES | {
        service.name: f"port {service.port}, database {service.database}" for service in spec.services
    }
    tree = Tree(Text(f"{directory}/", "bold"), guide_style="dim")
    for top in _top_level(files):
        note = notes.get(top.rstrip("/"))
        tree.add(Text(top.ljust(30) if note else top).append(note or "", "dim"))
    return tree


def _top_level(files: Iterable[str]) -> list[str]:
    """The entries of the stack's folder, folders first and with a ``/``."""
    folders: set[str] = set()
    plain: set[str] = set()
    for file in files:
        first, slash, _ = file.partition("/")
        (folders if slash else plain).add(PurePosixPath(first).name + slash)
    return [*sorted(folders), *sorted(plain)]


def _next(place: str) -> str:
    """The next two commands, fit to be copied."""
    here, containers = f"focushub up {place}", f"cd {place} && docker compose up --build"
    return f"  {here.ljust(len(containers))}   # here, without Docker\n  {containers}   # in containers"
