"""Asks the part in this container for its health; exit 0 if it answers 200.

Only `socket` is imported: it runs every few seconds beside every part.
"""

import os
import socket
import sys

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def main() -> int:
    """The exit code; any failure to connect or to answer in time is 1."""
    try:
        with socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=2) as connection:
            connection.sendall(REQUEST)
            head = connection.recv(64)
    except OSError:
        return 1
    return 0 if head.split(b" ")[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())
