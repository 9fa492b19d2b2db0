"""Pure: from a spec and a list of files to the ordered steps that write a stack.

Rules that hold here:

* No file is read or written; the same spec and files always give the same plan.
* Rendering comes first, then the verbatim layers; no two steps write the same file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from focushub_core.errors import ConfigurationError

from .spec import StackSpec

RENDERED = "templates/stack/{{cookiecutter.stack}}/"


class Layer(NamedTuple):
    """A folder copied verbatim: ``source`` in the data, ``target`` in the stack; both end in ``/`` or are empty."""

    source: str
    target: str


class Copy(NamedTuple):
    """One file copied byte for byte, with its run bit."""

    source: str
    target: str


class Plan(NamedTuple):
    """What to do, in order: render with ``values``, which writes ``rendered``, then carry out ``copies``."""

    values: dict[str, Any]
    rendered: tuple[str, ...]
    copies: tuple[Copy, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of the new stack that git is to know, sorted."""
        return tuple(sorted((*self.rendered, *(copy.target for copy in self.copies))))


def layers(spec: StackSpec) -> tuple[Layer, ...]:
    """The verbatim layers of a stack, the lowest first."""
    services = (Layer(f"templates/overlays/{service.key}/", "") for service in spec.services)
    return (
        Layer("templates/overlays/base/", ""),
        *services,
        Layer("nginx/", "nginx/"),
        Layer("docker/", "docker/"),
    )


def plan(spec: StackSpec, files: Iterable[str]) -> Plan:
    """The steps for ``spec``, given every file of the data (`resources.inventory`)."""
    files = tuple(files)
    rendered = tuple(file.removeprefix(RENDERED) for file in files if file.startswith(RENDERED))
    copies = tuple(
        Copy(file, layer.target + file.removeprefix(layer.source))
        for layer in layers(spec)
        for file in files
        if file.startswith(layer.source)
    )
    _refuse_twice(rendered, copies)
    return Plan(values(spec), rendered, copies)


def values(spec: StackSpec) -> dict[str, Any]:
    """What rendered files may use; everything derived is derived here, so that templates only write it down."""
    return {
        "stack": spec.name,
        "services": [
            {
                "key": service.key,
                "name": service.name,
                "package": service.package,
                "variable": service.variable,
                "port": service.port,
                "database": service.database,
                "prefixes": list(service.prefixes),
            }
            for service in spec.services
        ],
    }


def _refuse_twice(rendered: tuple[str, ...], copies: tuple[Copy, ...]) -> None:
    owners = dict.fromkeys(rendered, "templates/stack")
    for copy in copies:
        if copy.target in owners:
            raise ConfigurationError(
                f"{copy.target} is written twice: by {owners[copy.target]} and {copy.source}"
            )
        owners[copy.target] = copy.source
