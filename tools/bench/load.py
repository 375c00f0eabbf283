"""The load generator: one process, one thread, many connections with one request each under way.

Reads a JSON spec from stdin, writes one JSON result to stdout. It is a process of its own, so that its work is not in the
server's figures, and as thin as Python allows: raw sockets, prebuilt bytes, an answer read only as far as is needed to
know where it ends.

    {"port": 6443, "ca": FILE, "token": "...", "connections": 16, "seconds": 3, "count": 0, "what": "create", ...}

`what`: create, get, patch (ConfigMaps `prefix`0 ... in `namespace`; get and patch choose among `objects` of them), list
(`path`), or watch (`path`: until `count` events came on all connections together).
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

HEAD = "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
BODY_BYTES = 700  # of each ConfigMap's data
EVENT = b'{"type":"'
READ_BYTES = 1 << 18

Spec = dict[str, Any]


class Connection:
    """A socket and the answer that is coming in on it."""

    __slots__ = ("began", "end", "length", "seen", "socket", "status")

    def __init__(self, spec: Spec, context: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", spec["port"]), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self.socket.setblocking(False)
        self.began = 0.0

    def send(self, request: bytes) -> None:
        self.began = time.perf_counter()
        self.seen, self.length, self.end, self.status = 0, -1, b"", 0
        sent = self.socket.send(request)
        assert sent == len(request), "a request must fit into a socket's buffer"

    def pieces(self) -> Iterator[bytes]:
        """What there is to read now. Raises ConnectionError at the end."""
        while True:
            try:
                piece = self.socket.recv(READ_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not piece:
                raise ConnectionError("the server closed a connection")
            yield piece

    def finished(self) -> bool:
        """Reads on; whether the answer is whole. Bodies are counted, not kept."""
        for piece in self.pieces():
            if not self.status:
                self.end += piece
                head_end = self.end.find(b"\r\n\r\n")
                if head_end < 0:
                    continue
                head = self.end[:head_end].lower()
                self.status = int(head[9:12])
                at = head.find(b"\r\ncontent-length:")
                if at >= 0:
                    self.length = int(head[at + 17 :].split(b"\r\n", 1)[0])
                piece = self.end[head_end + 4 :]
                self.end = b""
            self.seen += len(piece)
            self.end = (self.end + piece)[-5:] if len(piece) < 5 else piece[-5:]
        if not self.status:
            return False
        return self.seen >= self.length if self.length >= 0 else self.end == b"0\r\n\r\n"


def request(spec: Spec, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    head = HEAD.format(method=method, path=path, token=spec["token"])
    if body:
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def requests(spec: Spec) -> Callable[[], bytes]:
    """What to ask next."""
    what, path = spec["what"], spec.get("path") or f"/api/v1/namespaces/{spec['namespace']}/configmaps"
    numbers = itertools.count(spec.get("first", 0))
    prefix = spec.get("prefix", "")
    if what == "create":
        filler = "x" * BODY_BYTES

        def create() -> bytes:
            name = f"{prefix}{next(numbers)}"
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": filler}}
            return request(spec, "POST", path, json.dumps(body).encode())

        return create
    if what == "get":
        ready = [request(spec, "GET", f"{path}/{prefix}{number}") for number in range(spec["objects"])]
        return lambda: ready[next(numbers) * 7919 % len(ready)]
    if what == "patch":

        def patch() -> bytes:
            number = next(numbers)
            body = b'{"data":{"n":"%d"}}' % number
            target = f"{path}/{prefix}{number % spec['objects']}"
            return request(spec, "PATCH", target, body, "application/merge-patch+json")

        return patch
    only = request(spec, "GET", path)
    return lambda: only


def closed_loop(spec: Spec, connections: list[Connection]) -> Spec:
    """Each connection asks again as soon as it was answered, for `seconds` or until `count` were asked."""
    ask, selector = requests(spec), selectors.DefaultSelector()
    waits: list[float] = []
    body_bytes, errors, first_error = 0, 0, ""
    limit = spec.get("count") or 1 << 60
    start, cpu = time.perf_counter(), time.process_time()
    deadline = start + (spec.get("seconds") or 1e9)
    asked = 0
    for connection in connections[:limit]:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(ask())
        asked += 1
    while selector.get_map():
        for key, _ in selector.select():
            connection = key.data
            if not connection.finished():
                continue
            now = time.perf_counter()
            if connection.status >= 300:
                errors += 1
                first_error = first_error or f"status {connection.status}"
            else:
                waits.append(now - connection.began)
                body_bytes += connection.seen
            if now < deadline and asked < limit:
                connection.send(ask())
                asked += 1
            else:
                selector.unregister(connection.socket)
    seconds = time.perf_counter() - start
    waits.sort()
    middle, worst = (waits[len(waits) // 2], waits[len(waits) * 99 // 100]) if waits else (0.0, 0.0)
    return {
        "done": len(waits), "errors": errors, "first_error": first_error, "seconds": seconds, "p50_ms": middle * 1e3,
        "p99_ms": worst * 1e3, "bytes": body_bytes, "own_cpu": time.process_time() - cpu,
    }  # fmt: skip


def watching(spec: Spec, connections: list[Connection]) -> Spec:
    """Says "ready" once all watches are answered; counts events until there are `count`, or none came for 10 s."""
    selector = selectors.DefaultSelector()
    only = requests(spec)()
    for connection in connections:
        connection.send(only)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    answered: set[int] = set()
    tails: dict[int, bytes] = {}
    events, last = 0, 0.0
    while events < spec["count"]:
        ready = selector.select(10)
        if not ready:
            break
        for key, _ in ready:
            for piece in key.data.pieces():
                text = tails.get(key.fd, b"") + piece
                events += text.count(EVENT)
                tails[key.fd] = text[-len(EVENT) + 1 :]
                last = time.time()
                if key.fd not in answered and b"\r\n\r\n" in piece:
                    answered.add(key.fd)
                    if len(answered) == len(connections):
                        print(json.dumps({"ready": True}), flush=True)
    return {"events": events, "last": last, "own_cpu": time.process_time()}


def main() -> None:
    spec = json.load(sys.stdin)
    context = ssl.create_default_context(cafile=spec["ca"])
    connections = [Connection(spec, context) for _ in range(spec["connections"])]
    measure = watching if spec["what"] == "watch" else closed_loop
    print(json.dumps(measure(spec, connections)), flush=True)


if __name__ == "__main__":
    main()
