"""Pure: from a spec and a list of files to the ordered steps that write a stack.

Rules that hold here:

* No file is read or written; the same spec and files always give the same plan.
* Rendering comes first, then the verbatim layers; no two steps write the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from focushub_core.errors import ConfigurationError
from focushub_core.stack import ServiceEntry

from .spec import StackSpec

RENDERED = "templates/stack/{{cookiecutter.stack}}/"
OWN_SECRETS: Mapping[str, tuple[str, ...]] = {"auth": ("AUTH_KEY_SECRET",)}
"""Secrets that one service alone may see, by its key."""


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
    return {"stack": spec.name, "services": [_service_values(service) for service in spec.services]}


def _service_values(service: ServiceEntry) -> dict[str, Any]:
    return {
        "key": service.key,
        "name": service.name,
        "package": service.package,
        "variable": service.variable,
        "port": service.port,
        "database": service.database,
        "prefixes": list(service.prefixes),
        "public": list(service.public),
        "day_aware": list(service.day_aware),
        "keyed": list(service.keyed),
        "database_url": database_url(service),
        "environment": environment(service),
        "database_url_in_pods": _database_url(service, f"$({_password_of(service)})"),
        "secrets": [_password_of(service), *_secrets(service)],
    }


def database_url(service: ServiceEntry) -> str:
    """A service's database as Compose writes it, its password taken from ``.env``."""
    return _database_url(service, from_env(_password_of(service)))


def environment(service: ServiceEntry) -> dict[str, str]:
    """What a service's container gets beside what all get: its database and the secrets that it uses, no other's."""
    return {
        f"{service.variable}_DATABASE_URL": database_url(service),
        **{name: from_env(name) for name in _secrets(service)},
    }


def from_env(name: str) -> str:
    """Compose's way to take ``name`` from ``.env`` and to say what to do where it is missing."""
    return f"${{{name}:?run focushub prepare}}"


def _database_url(service: ServiceEntry, password: str) -> str:
    return f"postgresql://{service.database}:{password}@postgres:5432/{service.database}"


def _password_of(service: ServiceEntry) -> str:
    return f"{service.variable}_DATABASE_PASSWORD"


def _secrets(service: ServiceEntry) -> tuple[str, ...]:
    """The secrets of ``.env`` that the service uses, beside its database's password."""
    return ("CURSOR_SECRET", *OWN_SECRETS.get(service.key, ()))


def _refuse_twice(rendered: tuple[str, ...], copies: tuple[Copy, ...]) -> None:
    owners = dict.fromkeys(rendered, "templates/stack")
    for copy in copies:
        if copy.target in owners:
            raise ConfigurationError(
                f"{copy.target} is written twice: by {owners[copy.target]} and {copy.source}"
            )
        owners[copy.target] = copy.source
