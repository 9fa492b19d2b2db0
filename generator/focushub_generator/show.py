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
    "focushub.toml": "services, ports, databases, routes, limits: the one place they are said",
    "docker-compose.yml": "the production form: only NGINX is published",
    "docker-compose.override.yml": "the development form on top of it",
    ".env": "fresh secrets, readable by you alone; git ignores it",
    "vendor": "the kit's wheel for the images; git ignores it",
    "gateway": "routes, checks tokens, gathers the dashboard",
    "load-balancer": "in front of the gateways",
    "shared": "what the services agree on",
    "tests": "the stack as a whole",
}


def generated(spec: StackSpec, directory: Path, files: Iterable[str], *, written: bool) -> None:
    """Prints the tree of ``files`` below ``directory``, one line a top-level entry, and what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"{'Wrote' if written else 'Would write'} {spec.name}:"))
    console.print(_tree(spec, directory, [*files, ".env", "vendor/focushub_core.whl"]))
    if written:
        place = shlex.quote(str(directory))
        console.print("\nNext:")
        console.print(
            Text(f"  focushub up {place}", "bold").append("     run it here, without Docker", "not bold dim")
        )
        console.print(
            Text(f"  cd {place} && docker compose up --build", "bold").append(
                "     run it in containers", "not bold dim"
            )
        )


def _tree(spec: StackSpec, directory: Path, files: list[str]) -> Tree:
    notes = NOTES | {
        service.name: f"port {service.port}, database {service.database}" for service in spec.services
    }
    tops: dict[str, int] = {}
    for file in files:
        top = PurePosixPath(file).parts[0]
        tops[top] = tops.get(top, 0) + 1
    folders = {PurePosixPath(file).parts[0] for file in files if "/" in file}
    width = max(len(top) for top in tops) + 1
    tree = Tree(Text(f"{directory}/", "bold"), guide_style="dim")
    for top in sorted(tops, key=lambda top: (top not in folders, top)):
        label = f"{top}/" if top in folders else top
        tree.add(Text(label.ljust(width + 2)).append(notes.get(top, ""), "dim"))
    return tree
