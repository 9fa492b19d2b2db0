"""Renews Swagger UI's files in `focushub_core/http/docs/assets`: ``python .ci/swagger_ui.py``, then commit.

Of npm's `swagger-ui-dist` two files and their licences are kept, out of some thirty. A further version is a change
of the two lines below: npm says the integrity (``npm view swagger-ui-dist@5.35.0 dist.integrity``).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "5.35.0"
INTEGRITY = "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ=="

PACKED = ("swagger-ui-bundle.js", "swagger-ui.css")
TEXTS = {
    "LICENSE": "LICENSE-swagger-ui.txt",
    "NOTICE": "NOTICE-swagger-ui.txt",
    "swagger-ui-bundle.js.LICENSE.txt": "LICENSE-swagger-ui-bundle.txt",
}
ASSETS = Path(__file__).resolve().parents[1] / "focushub_core" / "http" / "docs" / "assets"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"swagger-ui-dist@{VERSION}", "--pack-destination", folder]
        subprocess.run(command, check=True)  # noqa: S603 - nothing of it comes from outside
        packed = (Path(folder) / f"swagger-ui-dist-{VERSION}.tgz").read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
    if found != INTEGRITY:
        raise SystemExit(f"swagger-ui-dist {VERSION} is {found}, not {INTEGRITY}")
    lines = [f"swagger-ui-dist {VERSION}", INTEGRITY]
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for name in PACKED:
            content = _read(archive, name)
            # Without a date, so that equal files give equal bytes.
            (ASSETS / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
            lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}")
        for name, kept_as in TEXTS.items():
            (ASSETS / kept_as).write_bytes(_read(archive, name))
    (ASSETS / "VERSION").write_text("\n".join(lines) + "\n")


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(f"package/{name}")
    if member is None:
        raise SystemExit(f"{name} is no file of swagger-ui-dist {VERSION}")
    return member.read()


if __name__ == "__main__":
    main()
