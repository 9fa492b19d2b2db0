"""What `focushub generate` and `focushub add` print: what is new, and the next two commands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from .add import Added
from .spec import StackSpec

NOTES = {
    ".github": "lint, tests and the journey, for GitHub Actions",
    ".env": "fresh secrets; git ignores it",
    "compose": "services that join later",
    "docker": "one Dockerfile for all Python parts",
    "docker-compose.override.yml": "the development form on top of it",
    "docker-compose.yml": "the production form",
    "focushub.toml": "services, ports, routes, limits, said once",
    "gateway": "checks tokens and limits, routes",
    "kubernetes": "a base for Kustomize",
    "load-balancer": "in front of the gateways",
    "monitoring": "Prometheus and Grafana, Elasticsearch and Kibana",
    "nginx": "in front of it all, in containers",
    "shared": "what the services agree on",
    "tests": "the stack as a whole",
    "vendor": "the kit's wheel; git ignores it",
}
UNTRACKED = (".env", "vendor/")
PURPOSES = {
    ".env": "its password",
    ".env.example": "that it has one",
    "compose": "its containers",
    "focushub.toml": "its table",
    "monitoring": "that it is watched",
}


def generated(spec: StackSpec, directory: Path, files: Iterable[str], *, written: bool) -> None:
    """Prints the tree of ``files`` below ``directory``, one line a top-level entry, and what to do next."""
    console = Console(highlight=False)
    console.print(Text(f"{'Wrote' if written else 'Would write'} {spec.name}:\n"), soft_wrap=True)
    console.print(_tree(spec, directory, [*files, *UNTRACKED]))
    if written:
        console.print("\nNext:\n")
        console.print(Text(_next(shlex.quote(str(directory)))), soft_wrap=True)


def added(done: Added, directory: Path) -> None:
    """Prints what joined the stack in ``directory``, file by file, and what to do next."""
    service, console = done.service, Console(highlight=False)
    about = f"port {service.port}, database {service.database}, path {service.prefixes[0]}"
    console.print(Text(f"Added {service.name} to {done.stack.name}: {about}\n"), soft_wrap=True)
    width = max(map(len, (*done.new, *done.longer))) + 3
    for verb, files in (("new", done.new), ("longer", done.longer)):
        for file in files:
            note = PURPOSES.get(file.partition("/")[0], "the service: package, migrations, tests")
            console.print(Text(f"  {verb.ljust(8)}{file.ljust(width)}").append(note, "dim"), soft_wrap=True)
    for line in done.advice:
        console.print(Text(f"\n{line}"), soft_wrap=True)
    console.print("\nNext:\n")
    console.print(Text(_next_of_a_service(done, directory)), soft_wrap=True)


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


def _next_of_a_service(done: Added, directory: Path) -> str:
    root = done.stack.root
    here = directory if directory.resolve() == root else Path(os.path.relpath(root))
    tests = f"cd {shlex.quote(str(here / done.service.name))} && python -m pytest"
    start = f"focushub up {shlex.quote(str(here))}".ljust(len(tests))
    return f"  {tests}   # its tests\n  {start}   # again, if it runs"
