"""A load generator that costs hardly anything: it asks over TLS and throws the answers away unread, undecrypted.

A list of 10,000 objects takes its client nearly as long to decrypt as the server to make, so on two cores a usual client
measures itself. This one leaves the bytes in the kernel (MSG_TRUNC). It reads a JSON spec from stdin and writes a result
to stdout, as load.py does.

    list    `connections` threads, each asking again and again, on a connection of its own that the server closes
    watch   `connections` watches; says "ready" when all have begun, then waits until each was sent `bytes` more
"""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import sys
import threading
import time
from typing import Any

DISCARD_BYTES = 1 << 20
WORTH_WAKING_BYTES = 1 << 18  # of a list; less is left to grow
SILENCE_S = 10.0


def asked(spec: dict[str, Any], context: ssl.SSLContext, connection: str) -> socket.socket:
    """The socket below a TLS connection on which the request was sent."""
    plain = socket.create_connection(("127.0.0.1", spec["port"]), timeout=60)
    secure = context.wrap_socket(plain, server_hostname="localhost")
    line = f"GET {spec['path']} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {spec['token']}\r\n"
    secure.sendall(f"{line}Accept: application/json\r\nConnection: {connection}\r\n\r\n".encode())
    return socket.socket(fileno=secure.detach())


def lists(spec: dict[str, Any], context: ssl.SSLContext) -> dict[str, Any]:
    sizes: list[int] = []
    began = time.perf_counter()

    def ask_on() -> None:
        room = bytearray(DISCARD_BYTES)
        while time.perf_counter() < began + spec["seconds"]:
            with asked(spec, context, "close") as raw:
                raw.settimeout(60)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, WORTH_WAKING_BYTES)
                size = 0
                while got := raw.recv_into(room, 0, socket.MSG_TRUNC):
                    size += got
                sizes.append(size)

    threads = [threading.Thread(target=ask_on) for _ in range(spec["connections"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = max(sizes) // 2
    return {"done": len(sizes), "errors": sum(size < wanted for size in sizes), "seconds": time.perf_counter() - began}


def watches(spec: dict[str, Any], context: ssl.SSLContext) -> dict[str, Any]:
    room, selector = bytearray(DISCARD_BYTES), selectors.DefaultSelector()
    left: dict[int, int] = {}
    for _ in range(spec["connections"]):
        raw = asked(spec, context, "keep-alive")
        raw.setblocking(False)
        selector.register(raw, selectors.EVENT_READ, raw)
        left[raw.fileno()] = spec["bytes"]
    while selector.select(1):  # tickets and heads
        for key, _ in selector.select(0):
            key.data.recv_into(room, 0, socket.MSG_TRUNC)
    print(json.dumps({"ready": True}), flush=True)
    last, waiting = 0.0, set(left)
    for key in selector.get_map().values():
        wake_later(key.data, left[key.fd])
    while waiting:
        ready = selector.select(SILENCE_S)
        if not ready:
            break
        for key, _ in ready:
            left[key.fd] -= key.data.recv_into(room, 0, socket.MSG_TRUNC)
            if left[key.fd] <= 0:
                waiting.discard(key.fd)
            wake_later(key.data, left[key.fd])
        last = time.time()
    return {"complete": not waiting, "last": last}


def wake_later(raw: socket.socket, left: int) -> None:
    """Not for each event, but for the last ones."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, max(1, min(left, WORTH_WAKING_BYTES // 8)))


def main() -> None:
    spec = json.load(sys.stdin)
    context = ssl.create_default_context(cafile=spec["ca"])
    print(json.dumps((watches if spec["what"] == "watch" else lists)(spec, context)), flush=True)


if __name__ == "__main__":
    main()
