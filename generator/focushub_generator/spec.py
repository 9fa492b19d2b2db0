"""What a stack is to be: its name, checked, and the services of the bundled platform.

Rules that hold here:

* A name is checked before anything is written; every refusal says in one line what to do instead.
* What follows from the name (databases, roles) is derived here or in `focushub_core.stack`, never in a template.
* Nothing here touches the file system.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from focushub_core.errors import ConfigurationError
from focushub_core.stack import ServiceEntry

MAX_NAME = 40
"""Leaves room below PostgreSQL's 63 bytes for ``<name>_habits`` and below DNS' 63 for ``<name>-load-balancer-1``."""

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)

PARTS = frozenset({"gateway", "load-balancer", "nginx", "postgres", "redis", "migrate", "shared", "tests"})
"""Names of parts and folders of every stack."""

YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null", "none"})
"""What a compose file would not read as text."""

DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
)
"""Names that no folder on Windows may have."""

OTHERS = frozenset({"localhost", "default", "focushub-core", "focushub-generator"})

OF_PLACES = frozenset({"dashboard", "docker", "kubernetes"})
"""No service's: the gateway's own path; names whose DOCKER_HOST or KUBERNETES_PORT would be taken for its settings."""

_TASK_PREFIXES = ("/v1/projects", "/v1/sections", "/v1/labels", "/v1/tasks", "/v1/comments")
BUNDLED = (
    ServiceEntry(
        "auth",
        3001,
        prefixes=("/v1/auth", "/v1/me", "/.well-known"),
        database="auth",
        public=("/v1/auth", "/.well-known"),
    ),
    ServiceEntry(
        "task",
        3002,
        prefixes=_TASK_PREFIXES,
        database="tasks",
        day_aware=("/v1/tasks",),
        keyed=_TASK_PREFIXES,
    ),
    ServiceEntry(
        "focus",
        3003,
        prefixes=("/v1/focus",),
        database="focus",
        day_aware=("/v1/focus/summary",),
        keyed=("/v1/focus",),
    ),
    ServiceEntry(
        "habit",
        3004,
        prefixes=("/v1/habits",),
        database="habits",
        day_aware=("/v1/habits",),
        keyed=("/v1/habits",),
    ),
)
"""The bundled platform's services; a database's name gets the stack's before it."""


class StackSpec(NamedTuple):
    """A stack to be generated; made by `stack_spec`, so its name is a good one."""

    name: str
    services: tuple[ServiceEntry, ...]


def stack_spec(name: str) -> StackSpec:
    """The bundled platform under ``name``; a name that cannot be one is a `ConfigurationError`."""
    check_name(name)
    prefix = name.replace("-", "_")
    services = (replace(bundled, database=f"{prefix}_{bundled.database}") for bundled in BUNDLED)
    return StackSpec(name, tuple(services))


def check_name(name: str, noun: str = "stack", *, longest: int = MAX_NAME) -> None:
    """Raises `ConfigurationError`, one line saying what to do, when ``name`` cannot be a stack's or a service's."""
    for is_wrong, advice in STACK_REFUSALS if noun == "stack" else SERVICE_REFUSALS:
        if is_wrong(name):
            raise ConfigurationError(f"{_shown(name)} cannot be a {noun}'s name: {advice}")
    if len(name) > longest:
        raise ConfigurationError(
            f"{_shown(name)} cannot be a {noun}'s name: it is too long; use at most {longest} characters"
        )


def _shown(name: str) -> str:
    """The name on one line, in ASCII, however odd or long it is."""
    text = ascii(name)
    return text if len(text) <= MAX_NAME + 22 else f"{text[: MAX_NAME + 20]}...'"


def _is_path(name: str) -> bool:
    return name in {".", ".."} or "/" in name or "\\" in name


def _is_reserved(name: str) -> bool:
    return name in PARTS | YAML_WORDS | DEVICES | OTHERS


def _is_a_bundled_folder(name: str) -> bool:
    return name in {f"{bundled.key}-service" for bundled in BUNDLED}


def _is_of_postgres(name: str) -> bool:
    """`postgres` and the templates are databases of every server; roles may not begin with ``pg_``."""
    return (
        re.fullmatch(r"postgres(ql)?|template\d*|pg|pg[-_].*|public|information[-_]schema", name) is not None
    )


Refusal = tuple[Callable[[str], bool], str]
RESERVED = "that word is reserved for a part of a stack or of a tool; add a word, such as my-gateway"
STACK_REFUSALS: tuple[Refusal, ...] = (
    (lambda name: not name.strip(), "it is empty; give one with --name, such as --name my-stack"),
    (_is_path, "it is a path; give the folder as DIR and a plain name with --name, such as --name my-stack"),
    (lambda name: not name.isascii(), "use only the letters a to z, digits and hyphens, such as my-stack"),
    (lambda name: len(name) > MAX_NAME, f"it is too long; use at most {MAX_NAME} characters"),
    (_is_of_postgres, "PostgreSQL has that name for itself; add a word, such as my-postgres"),
    (keyword.iskeyword, "it is a word of Python's grammar; add a word, such as my-class"),
    (lambda name: _is_reserved(name) or _is_a_bundled_folder(name), RESERVED),
    (
        lambda name: NAME.fullmatch(name) is None,
        "begin with a letter, then lower-case letters, digits and single hyphens, such as my-stack-2",
    ),
)
"""Checked in this order, so that the first line that fits is the most helpful one."""
SERVICE_REFUSALS: tuple[Refusal, ...] = (
    (lambda name: not name.strip(), "it is empty; give a plain word, such as notes"),
    (_is_path, "it is a path; give a plain word, such as notes, and the stack's folder as DIR"),
    (lambda name: not name.isascii(), "use only the letters a to z, digits and hyphens, such as notes"),
    (keyword.iskeyword, "it is a word of Python's grammar; add a word, such as my-class"),
    (lambda name: _is_reserved(name) or name in OF_PLACES, RESERVED),
    (
        lambda name: len(name) <= MAX_NAME and NAME.fullmatch(name) is None,
        "begin with a letter, then lower-case letters, digits and single hyphens, such as order-book",
    ),
)
