"""What a running `up` tells other commands, in ``.focushub/``, written whole or not at all and removed at its end.

* ``state.json``: the parts, their addresses, process ids and restarts. No secret.
* ``run.env`` (0600): the addresses that parts started by hand need, database passwords among them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from focushub_core.errors import ConfigurationError
from focushub_generator.local.lock import folder_of, is_running


def write(path: Path, text: str) -> None:
    """Replaces ``path``, 0600 from its first byte; raises `OSError`."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def write_state(root: Path, state: Mapping[str, Any]) -> None:
    """Writes ``state.json``."""
    write(folder_of(root) / "state.json", json.dumps(state, indent=1) + "\n")


def write_run_env(root: Path, values: Mapping[str, str]) -> None:
    """Writes ``run.env``."""
    lines = [
        "# Written by `focushub up` while it runs.\n",
        *(f"{name}={text}\n" for name, text in values.items()),
    ]
    write(folder_of(root) / "run.env", "".join(lines))


def read_run_env(root: Path) -> dict[str, str]:
    """What `write_run_env` wrote; nothing where it has not yet."""
    try:
        text = (folder_of(root) / "run.env").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def clear(root: Path) -> None:
    """Removes both: nothing runs."""
    for name in ("state.json", "run.env"):
        (folder_of(root) / name).unlink(missing_ok=True)


def read_state(root: Path) -> dict[str, Any]:
    """The running stack's state; raises `ConfigurationError` when no `up` runs here."""
    if is_running(root):
        try:
            state: dict[str, Any] = json.loads((folder_of(root) / "state.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigurationError("the stack is only just starting; try again in a moment") from None
        return state
    raise ConfigurationError(f"no stack runs in {root}; `focushub up` starts it")
