"""`focushub openapi`: the document of a service, or of the whole stack, without anything running.

Each part is asked as ``python -m task_service openapi`` in its folder, in a process of its own: a stack's packages are
never imported into this one. Needs no settings, no database, no ``.env``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from focushub_core import stack as stack_module
from focushub_core.errors import ConfigurationError
from focushub_core.gateway.documents import routed_to
from focushub_core.gateway.routes import RouteTable
from focushub_core.http.openapi.merge import merge
from focushub_core.stack import Stack

TIMEOUT = 60.0
"""Seconds that a part may take to say its document."""
GATEWAY = ("gateway", "gateway_app")


def of_service(root: Path, name: str) -> str:
    """The document of a part, named by its folder: as the part prints it."""
    folders = _folders(stack_module.load(root))
    if name not in folders:
        raise ConfigurationError(f"there is no part {name} with a document; there are {', '.join(folders)}")
    return _ask(root, name, folders[name])


def of_stack(root: Path) -> str:
    """The merged document, as the gateway answers it at ``/openapi.json`` when all services answer."""
    stack = stack_module.load(root)
    folders = _folders(stack)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = dict(zip(folders, pool.map(lambda item: _ask(root, *item), folders.items()), strict=True))
    return _indented(_merged(stack, {folder: msgspec.json.decode(text) for folder, text in said.items()}))


def _merged(stack: Stack, said: Mapping[str, Any]) -> Any:
    table = RouteTable(stack.services.values())
    keys = {"gateway": "gateway"} | {service.name: key for key, service in stack.services.items()}
    documents = {keys[folder]: document for folder, document in said.items()}
    return merge(
        documents["gateway"]["info"],
        documents,
        lambda service, path: service == "gateway" or routed_to(table, path) == service,
    )


def _folders(stack: Stack) -> dict[str, str]:
    """The packages of the parts that have a document, by folder."""
    return dict([GATEWAY]) | {service.name: service.package for service in stack.services.values()}


def _ask(root: Path, folder: str, package: str) -> str:
    paths: Sequence[str] = (str(root / "shared"), os.environ.get("PYTHONPATH", ""))
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        found = subprocess.run(  # noqa: S603 - this stack's own package
            [sys.executable, "-m", package, "openapi"],
            cwd=root / folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{folder} did not say its document within {TIMEOUT:g} s") from None
    if found.returncode or not found.stdout:
        lines = found.stderr.strip().splitlines() or ["it printed nothing"]
        raise ConfigurationError(f"{folder} cannot say its document: {lines[-1]}")
    return found.stdout


def _indented(document: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
