"""The gateway in front of one upstream: ``python gateway.py PORT UPSTREAM_PORT REDIS_URL``.

``-`` for the address of Redis: without limits.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from focushub_core import Secret
from focushub_core.gateway import Gateway, GatewaySettings
from focushub_core.stack import parse

STACK = """
[stack]
name = "bench"
[gateway]
replicas = 1
[services.hello]
port = 3001
prefixes = ["/hello"]
public = ["/hello"]
"""
LIMIT = """
[limits.hello]
quota = 2000000
by = "address"
"""


def main() -> None:
    port, upstream, redis = sys.argv[1:]
    os.environ["HELLO_SERVICE_URL"] = f"http://127.0.0.1:{upstream}"
    limited = redis != "-"
    stack = parse(STACK + (LIMIT if limited else ""), Path("/nowhere"))
    url = Secret(redis) if limited else None
    settings = GatewaySettings(auth_jwks_url="http://127.0.0.1:1/", redis_url=url, port=int(port))
    sys.exit(Gateway(settings, stack=stack).serve())


main()
