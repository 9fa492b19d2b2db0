"""What a stack needs and git ignores: ``.env`` and the kit's wheel for the images."""

from __future__ import annotations

from pathlib import Path

from focushub_core import stack

from . import secrets, vendor


def prepare(root: Path) -> list[str]:
    """Writes what is missing in the stack ``root``; gives the paths written, from ``root``.

    ``.env`` is never changed once it is there. The wheel in ``vendor/`` is the kit that runs this, so one of another
    version gives way to it. Raises `ConfigurationError` where ``root`` is no stack.
    """
    stack.load(root)
    written = [secrets.ENV] if secrets.write_env(root) else []
    wheel = vendor.write_wheel(root / "vendor")
    return [*written, f"vendor/{wheel.name}"] if wheel else written
