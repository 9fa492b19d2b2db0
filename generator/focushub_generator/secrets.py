"""A stack's ``.env``: fresh random secrets, readable by its owner only.

Rules that hold here:

* The file is 0600 from its first byte: it is made by `tempfile.mkstemp` and gets its name when it is whole.
* Once there it is never changed, by no run and no race: its name is given by a hard link, which refuses a taken name.
* Secrets use only ``[A-Za-z0-9_-]``, so that shells, Compose, URLs and dotenv readers agree on them.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

EXAMPLE = ".env.example"
ENV = ".env"

EMPTY_SECRET = re.compile(r"^(?P<name>[A-Z][A-Z0-9_]*_(?:PASSWORD|SECRET))=[ \t]*$", re.MULTILINE)
"""A line of ``.env.example`` that asks for a secret: ``REDIS_PASSWORD=``."""


def fresh_secret() -> str:
    """A new secret: 256 random bits in 43 characters of ``[A-Za-z0-9_-]``, never beginning with ``-``."""
    while (text := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return text


def fill(example: str, new: Callable[[], str] = fresh_secret) -> str:
    """``example`` with a secret of its own behind every empty ``..._PASSWORD=`` and ``..._SECRET=``."""
    return EMPTY_SECRET.sub(lambda match: f"{match['name']}={new()}", example)


def write_env(root: Path) -> bool:
    """Writes ``root/.env`` from ``root/.env.example`` unless it is there; says whether it did."""
    if os.path.lexists(root / ENV):
        return False
    text = fill((root / EXAMPLE).read_text(encoding="utf-8"))
    handle, unnamed = tempfile.mkstemp(dir=root, prefix=f"{ENV}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.link(unnamed, root / ENV)
    except FileExistsError:
        return False
    finally:
        Path(unnamed).unlink()
    return True
