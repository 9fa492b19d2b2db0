"""Takes what is sent to it, and says that it did: ``python sink.py PORT``. nginx itself does not read uploads."""

from __future__ import annotations

import socket
import sys
import threading

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve(client: socket.socket) -> None:
    buffer = bytearray(2**20)
    with client:
        while head := _head(client):
            fields, _, begun = head.partition(b"\r\n\r\n")
            left = int(fields.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]) - len(begun)
            while left:
                left -= client.recv_into(buffer, min(left, len(buffer)))
            client.sendall(ANSWER)


def _head(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(4096)
        if not piece:
            return b""
        data += piece
    return data


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
