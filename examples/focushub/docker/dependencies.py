"""Prints the dependencies of a pyproject.toml, one a line, for pip's --requirement."""

import sys
import tomllib
from pathlib import Path

if __name__ == "__main__":
    project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
    sys.stdout.writelines(f"{line}\n" for line in project.get("dependencies", []))
