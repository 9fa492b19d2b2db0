"""Free ports on the loopback interface.

They are taken below 32768, where no system hands out ephemeral ports: above, an outgoing connection may sit on a
port between the moment it is found free and the moment the server binds it.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Container

from focushub_core.errors import ConfigurationError

LOWEST, HIGHEST = 15000, 32767
_TRIES = 200
_given: set[int] = set()
"""What this process has handed out: a second server is chosen a port for before the first one listens."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(reserved: Container[int] = ()) -> int:
    """A port that nobody listens on, never one twice; at random, so that two stacks starting at once seldom meet.

    ``reserved`` are ports that somebody will listen on in a moment.
    """
    for port in random.sample(range(LOWEST, HIGHEST + 1), _TRIES):
        if port not in _given and port not in reserved and is_free(port):
            _given.add(port)
            return port
    raise ConfigurationError(f"no free port on 127.0.0.1 between {LOWEST} and {HIGHEST} ({_TRIES} tried)")
