"""wrk: requests as fast as a server answers, and what it says of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import LOAD_CORE, Round, pin

FIELDS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120",
    "Accept": "application/json",
    "Accept-Language": "en-US,en;q=0.9",
    "Accept-Encoding": "gzip, deflate, br",
    "Cookie": "session=abcdefghijklmnop; theme=dark",
    "Referer": "http://localhost/console",
    "Cache-Control": "no-cache",
    "X-Trace": "0190a5c2f7e87b3c",
}
"""With Host and Authorization, ten."""
_MARK = "0000000000000000"
_SCRIPT = """
local tokens = {TOKENS}
local parts, number = {}, 0
init = function()
  for at, token in ipairs(tokens) do
    wrk.headers["Authorization"] = "Bearer " .. token
    local text = wrk.format()
    local first, last = text:find("MARK", 1, true)
    parts[at] = first and {text:sub(1, first - 1), text:sub(last + 1)} or text
  end
end
"""
_SAME = """
request = function()
  number = number % #parts + 1
  return parts[number]
end
"""
_VARIED = """
request = function()
  number = number + 1
  local part = parts[number % #parts + 1]
  return part[1] .. string.format("%016x", number) .. part[2]
end
"""


def script(tokens: Sequence[str], *, varied: bool = False, delay_ms: float = 0) -> str:
    """Asks with each of the tokens in turn; if ``varied``, no two requests have all fields the same.

    Each connection waits ``delay_ms`` between two requests, on average.
    """
    fields = FIELDS | {"X-Trace": _MARK} if varied else FIELDS
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in fields.items()]
    quoted = ", ".join(json.dumps(token) for token in tokens)
    begin = _SCRIPT.replace("TOKENS", quoted).replace("MARK", _MARK)
    if delay_ms:
        lines.append(f"delay = function() return math.random() * {2 * delay_ms:.2f} end")
    return "\n".join([*lines, begin, _VARIED if varied else _SAME])


class Missing(SystemExit):
    """Something that is needed is not installed; where nobody can do without it, the run ends."""


class Tools:
    """Programs from the PATH, or from Debian packages that were unpacked into ``packages``."""

    def __init__(self, packages: Path | None) -> None:
        self._packages = packages

    def find(self, name: str) -> str:
        """The program's path; `Missing` where there is none."""
        places = [str(self._packages / each) for each in ("usr/bin", "usr/sbin")] if self._packages else []
        found = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", ""), "/usr/sbin"]))
        if found is None:
            raise Missing(f"{name} is not installed: apt-get install {name}, or --packages DIR")
        return found

    def environment(self) -> Mapping[str, str]:
        """For programs of unpacked packages, which bring their libraries."""
        if self._packages is None:
            return os.environ
        libraries = ":".join(str(path) for path in self._packages.glob("usr/lib/*-linux-gnu"))
        return os.environ | {"LD_LIBRARY_PATH": libraries}


def ask(tools: Tools, url: str, text: str, *, connections: int, seconds: int) -> Round:
    """What a server answered in ``seconds`` when asked by the script ``text``; every answer must be a 2xx."""
    output = run(tools, url, text, connections=connections, seconds=seconds)
    if failed := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", output):
        raise SystemExit(f"not all were answered: {failed[0]}")
    return read(output)


def run(tools: Tools, url: str, text: str, *, connections: int, seconds: int, timeout_s: int = 2) -> str:
    """What wrk says after it has asked a server for ``seconds`` by the script ``text``."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(text)
        file.flush()
        argv = [tools.find("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        return subprocess.run(  # noqa: S603
            [*argv, "--timeout", f"{timeout_s}s", "-s", file.name, url],
            capture_output=True, text=True, check=True, env=tools.environment(),
            preexec_fn=lambda: pin(LOAD_CORE),
        ).stdout  # fmt: skip


def read(output: str) -> Round:
    """The figures out of what wrk says; ``failed`` are answers that were no success."""
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return {
        "requests": int(_find(r"(\d+) requests in", output)),
        "failed": int(failed[1]) if failed else 0,
        "per_second": float(_find(r"Requests/sec:\s+([\d.]+)", output)),
        "p50_ms": _ms(_find(r"(?m)^ +50%\s+(\S+)", output)),
        "p99_ms": _ms(_find(r"(?m)^ +99%\s+(\S+)", output)),
    }


def _find(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    if found is None:
        raise SystemExit(f"wrk said something unexpected:\n{output}")
    return found[1]


def _ms(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise SystemExit(f"{text!r} is no time")
