"""The proxies that are compared, each in front of the same two upstreams, with a JSON access log.

Each is one process on one core. What is not installed is named, not left out in silence.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import wrk
from wrk import Missing

UPSTREAMS = (21101, 21102)
SINK = 21103
"""Takes uploads, behind the upstreams."""
HERE = Path(__file__).parent
_STREAMS = "client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1;"
"""Else nginx writes a large body to a file first."""


@dataclass(frozen=True)
class Peer:
    """A proxy: ``argv`` runs it in the foreground at ``port``."""

    name: str
    port: int
    argv: list[str]
    varied: bool = False


class Tools(wrk.Tools):
    """Programs from the PATH or from unpacked packages, a folder with ``node_modules``, and one to ``work`` in."""

    def __init__(self, packages: Path | None, node: Path | None, work: Path) -> None:
        super().__init__(packages)
        self.node = node
        self.work = work

    def write(self, name: str, text: str) -> str:
        """A file in the working folder."""
        path = self.work / name
        path.write_text(text)
        return str(path)


def upstreams(tools: Tools) -> list[str]:
    """nginx that answers 150 bytes of JSON at two ports, and a file of 100 MB."""
    body = (
        '{"id":"0190a5c2","title":"hello","done":false,"labels":["a","b"],"due":null,"note":"'
        + "x" * 60
        + '"}'
    )
    listen = " ".join(f"listen 127.0.0.1:{port};" for port in UPSTREAMS)
    large = tools.work / "large"
    with large.open("wb") as file:
        file.truncate(100 * 2**20)
    return _nginx(
        tools,
        "upstream",
        f"""server {{ {listen} keepalive_requests 100000000; access_log off; root {tools.work};
        location = /large {{ }}
        location = /sink {{ proxy_pass http://127.0.0.1:{SINK}; {_STREAMS} }}
        location / {{ default_type application/json; return 200 '{body}'; }} }}""",
    )


def sink() -> list[str]:
    return [sys.executable, str(HERE / "sink.py"), str(SINK)]


def nginx(tools: Tools) -> Peer:
    """With buffered logging, as people run it."""
    servers = " ".join(f"server 127.0.0.1:{port};" for port in UPSTREAMS)
    log = tools.work / "nginx-access.log"
    argv = _nginx(
        tools,
        "proxy",
        f"""log_format line escape=json '{{"ts":"$time_iso8601","method":"$request_method","path":"$uri",'
          '"status":$status,"ms":$request_time,"request_id":"$request_id"}}';
        access_log {log} line buffer=64k flush=1s;
        upstream both {{ {servers} keepalive 128; keepalive_requests 100000000; }}
        server {{ listen 127.0.0.1:21110; keepalive_requests 100000000; location / {{
          proxy_pass http://both; proxy_set_header Connection "";
          proxy_set_header X-Request-Id $request_id; proxy_set_header X-Forwarded-For $remote_addr;
          proxy_set_header X-Forwarded-Proto http; proxy_set_header X-Forwarded-Host $host;
          {_STREAMS} }} }}""",
    )
    return Peer("nginx", 21110, argv)


def _nginx(tools: Tools, name: str, http: str) -> list[str]:
    temporary = " ".join(
        f"{kind}_temp_path {tools.work}/{name}-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"""worker_processes 1; daemon off; master_process off; pid {tools.work}/{name}.pid;
    error_log {tools.work}/{name}.err; events {{ worker_connections 4096; }} http {{ {temporary} {http} }}"""
    return [tools.find("nginx"), "-p", str(tools.work), "-c", tools.write(f"{name}.conf", text)]


def haproxy(tools: Tools) -> Peer:
    servers = "\n  ".join(f"server s{port} 127.0.0.1:{port}" for port in UPSTREAMS)
    text = f"""global
  maxconn 4096
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  log global
  log-format '{{"ts":"%tr","method":"%HM","path":"%HPO","status":%ST,"ms":%Ta,"request_id":"%ID"}}'
  unique-id-format %{{+X}}o%ci_%cp_%Ts_%rt
  unique-id-header X-Request-Id
  option forwardfor
frontend front
  bind 127.0.0.1:21111
  default_backend both
backend both
  balance roundrobin
  http-reuse always
  {servers}
"""
    return Peer("haproxy", 21111, [tools.find("haproxy"), "-db", "-f", tools.write("haproxy.cfg", text)])


def fastify(tools: Tools) -> Peer:
    """Fastify 5 with @fastify/http-proxy; one log line a request, by its own logger."""
    if tools.node is None or not (tools.node / "node_modules/@fastify/http-proxy").is_dir():
        raise Missing(
            "fastify is not installed: npm install fastify@5 @fastify/http-proxy, then --node FOLDER"
        )
    script = tools.node / "proxy.cjs"
    script.write_text((HERE / "fastify.cjs").read_text())
    return Peer("fastify", 21112, [tools.find("node"), str(script), "21112", *map(str, UPSTREAMS)])


def aiohttp(_: Tools) -> Peer:
    argv = [sys.executable, str(HERE / "aiohttp_proxy.py"), "21113", *map(str, UPSTREAMS)]
    return Peer("aiohttp", 21113, argv)


def focushub(_: Tools) -> Peer:
    return Peer("focushub", 21114, _balance(21114))


def focushub_varied(_: Tools) -> Peer:
    """The same, asked with a field that differs in every request: no head is remembered."""
    return Peer("focushub, heads differ", 21115, _balance(21115), varied=True)


def _balance(port: int) -> list[str]:
    words = [word for upstream in UPSTREAMS for word in ("--upstream", f"127.0.0.1:{upstream}")]
    program = [sys.executable, "-m", "focushub_generator", "balance"]
    return [*program, "--listen", f"127.0.0.1:{port}", *words, "--health-path", "/", "--log-format", "json"]


ALL = (nginx, focushub, focushub_varied, haproxy, fastify, aiohttp)


def start(argv: list[str], core: int, tools: Tools, log: str) -> subprocess.Popen[bytes]:
    """Runs it on one core; what it says goes to a file."""
    with (tools.work / log).open("wb") as out:
        process = subprocess.Popen(  # noqa: S603
            argv, stdout=out, stderr=subprocess.STDOUT, env=tools.environment(), cwd=tools.work
        )
    os.sched_setaffinity(process.pid, {core})
    return process
