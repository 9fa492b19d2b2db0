"""Slow clients, in a process of their own: ``python slow_clients.py PORT MANY``.

As many send a head, send a body, and read an answer, each a little every second; "ready" is said when all do.
"""

from __future__ import annotations

import asyncio
import socket
import sys

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
READ = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
KINDS = ((HEAD, b"x", 0), (BODY, b"x" * 600, 0), (READ, b"", 4096))
"""What each begins with, sends every second, and reads every second."""


async def slow(port: int, begin: bytes, more: bytes, taken: int) -> None:
    """One client, until it is cut off."""
    mine = socket.socket()
    mine.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024
    )  # else the kernel takes the whole answer for us
    mine.setblocking(False)
    await asyncio.get_running_loop().sock_connect(mine, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=mine, limit=4096)
    writer.write(begin)
    ready.release()
    while True:
        await asyncio.sleep(1)
        if more:
            writer.write(more)
        elif not await reader.read(taken):
            return


async def main(port: int, many: int) -> None:
    tasks = []
    for _ in range(many):
        for kind in KINDS:
            tasks.append(asyncio.create_task(slow(port, *kind)))
            await ready.acquire()
    await asyncio.sleep(1)  # what is passed on at once is passed on
    print("ready", flush=True)
    await asyncio.gather(*tasks, return_exceptions=True)


ready = asyncio.Semaphore(0)
if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
