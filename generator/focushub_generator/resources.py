"""Where the templates lie: in the installed wheel, or in the checkout that is being worked on."""

from __future__ import annotations

from pathlib import Path

from focushub_core.errors import ConfigurationError

FOLDERS = ("templates", "nginx", "docker")
"""What `data_root` holds; the wheel has them below ``focushub_generator/data``."""

LEFT_OUT = frozenset(
    {
        *(".env", ".focushub", "vendor"),
        *(".git", ".venv", ".tox", "build", "dist", "__pycache__", ".DS_Store"),
        *(".coverage", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    }
)
"""Names that are never part of a stack's sources, as its ``.gitignore`` says, too: secrets and what commands make, what
tools leave where templates are worked on, and the bytecode that pip makes of templates on installation."""


def data_root() -> Path:
    """The folder in which `FOLDERS` lie."""
    here = Path(__file__).resolve().parent
    for root in (here / "data", here.parents[1]):
        if (root / "templates" / "stack").is_dir():
            return root
    raise ConfigurationError(f"the templates are missing beside {here}; install focushub-core anew")


def files_below(folder: Path) -> tuple[str, ...]:
    """Every file below ``folder`` by its path from there, with ``/``, sorted; `LEFT_OUT` left out."""
    return tuple(
        sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and is_kept(path.relative_to(folder).parts)
        )
    )


def is_kept(parts: tuple[str, ...]) -> bool:
    """Whether a path of these names belongs to a tree at all."""
    return LEFT_OUT.isdisjoint(parts) and not parts[-1].endswith((".pyc", ".pyo"))


def inventory() -> tuple[str, ...]:
    """Every file that `data_root` offers, such as ``templates/overlays/task/task-service/pyproject.toml``."""
    root = data_root()
    return tuple(f"{folder}/{file}" for folder in FOLDERS for file in files_below(root / folder))
