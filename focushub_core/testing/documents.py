"""A committed OpenAPI document as a test: a change of the API is a change of a file, which a reviewer sees.

::

    def test_the_api_is_the_one_that_was_committed():
        require_snapshot(Notes, Path(__file__).parents[1] / "openapi.json")
"""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

from focushub_core.routed import RoutedPart


def require_snapshot(kind: type[RoutedPart], file: Path) -> None:
    """Raises `AssertionError` with what differs and how to renew ``file``, where it is not the part's document."""
    now = kind.described()
    kept = file.read_text("utf-8") if file.exists() else ""
    if now == kept:
        return
    changes = list(unified_diff(kept.splitlines(), now.splitlines(), "committed", "now", lineterm="", n=2))
    package = kind.__module__.partition(".")[0]
    renew = f"python -m {package} openapi > {file.name}"
    shown = "\n".join(changes[:60])
    raise AssertionError(f"the API has changed; if that is meant, renew {file.name} by: {renew}\n\n{shown}")
