"""Resolves what a stack installs, to wheels alone, for every platform and Python that is promised.

    python .ci/resolve.py

The kit with all extras and the dependencies of every template part are resolved together, as they meet in a person's
environment. Nothing is downloaded but metadata. Exit 1 names each target for which there is no wheel of something;
a package that resolves to different versions is shown, since that is how support for a platform begins to end.
"""

# ruff: noqa: S603, T201 - it runs uv, and prints

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = (
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_28",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
)
"""As uv names them; manylinux 2.28 is Debian 10, Ubuntu 20.04, RHEL 8 and whatever is newer."""

Target = tuple[str, str]


def sources() -> list[str]:
    """The kit's ``pyproject.toml`` and those of the parts."""
    parts = ROOT.glob("templates/overlays/*/*/pyproject.toml")
    return [str(ROOT / "pyproject.toml"), *sorted(map(str, parts))]


def resolve(target: Target) -> subprocess.CompletedProcess[str]:
    """Asks uv for ``(python, platform)``; standard output is one ``name==version`` a line."""
    python, platform = target
    options = f"--quiet --all-extras --no-annotate --no-header --python-version {python} --python-platform {platform}"
    command = [sys.executable, "-m", "uv", "pip", "compile", *options.split(), "--only-binary", ":all:"]
    return subprocess.run([*command, *sources()], capture_output=True, text=True, check=False, cwd=ROOT)


def differing(found: dict[Target, str]) -> dict[str, dict[str, set[str]]]:
    """Packages with more than one version: name, version, the platforms that get it."""
    versions: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (_, platform), text in found.items():
        for name, version in re.findall(r"^(\S+)==(\S+)", text, re.MULTILINE):
            versions[name][version].add(platform)
    return {name: where for name, where in versions.items() if len(where) > 1}


def main() -> int:
    """The exit code."""
    targets = list(product(PYTHONS, PLATFORMS))
    with ThreadPoolExecutor(4) as pool:
        done = dict(zip(targets, pool.map(resolve, targets), strict=True))
    for target, answer in done.items():
        count = f"{len(answer.stdout.split())} wheels" if answer.returncode == 0 else "FAILED"
        print(f"{' '.join(target):<28} {count}\n{answer.stderr}".rstrip())
    for name, versions in differing({target: answer.stdout for target, answer in done.items()}).items():
        print(
            f"{name}: "
            + "; ".join(f"{version} for {', '.join(sorted(who))}" for version, who in versions.items())
        )
    return int(any(answer.returncode for answer in done.values()))


if __name__ == "__main__":
    sys.exit(main())
