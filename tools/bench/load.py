"""The load generator: one process, one thread, many connections with one request each under way.

Reads a JSON spec from stdin, writes one JSON result to stdout. It is a process of its own, so that its work is not in the
server's figures, and as thin as Python allows: raw sockets, prebuilt bytes, an answer read only as far as is needed to
know where it ends.

    {"port": 6443, "ca": FILE, "token": "...", "connections": 16, "seconds": 3, "count": 0, "what": "create", ...}

`what`: create, get, update, patch, apply (ConfigMaps `prefix`0 ... at `path`; all but create choose among `objects` of
them), list (`path`), or watch (`path`: until `count` events came on all connections together). `http2`: one connection
carries all the requests, as client-go's does (`load_http2.py`).
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
from dataclasses import dataclass, field
from typing import Any

HEAD = "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
EVENT = b'{"type":"'
READ_BYTES = 1 << 18

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request before it is put into bytes."""

    method: str
    path: str
    body: bytes = b""
    media_type: str = "application/json"


class Connection:
    """A socket and the answer that is coming in on it."""

    __slots__ = ("began", "end", "length", "seen", "socket", "status", "token")

    def __init__(self, spec: Spec, context: ssl.SSLContext) -> None:
        self.socket = connect(spec, context)
        self.token = spec["token"]
        self.began = 0.0

    def ask(self, asked: Asked) -> None:
        head = HEAD.format(method=asked.method, path=asked.path, token=self.token)
        if asked.body:
            head += f"Content-Type: {asked.media_type}\r\nContent-Length: {len(asked.body)}\r\n"
        request = f"{head}\r\n".encode() + asked.body
        self.began = time.perf_counter()
        self.seen, self.length, self.end, self.status = 0, -1, b"", 0
        sent = self.socket.send(request)
        assert sent == len(request), "a request must fit into a socket's buffer"

    def finished(self) -> bool:
        """Reads on; whether the answer is whole. Bodies are counted, not kept."""
        for piece in pieces(self.socket):
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


def connect(spec: Spec, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", spec["port"]), timeout=60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secure = context.wrap_socket(plain, server_hostname="localhost")
    secure.setblocking(False)
    return secure


def pieces(secure: ssl.SSLSocket) -> Iterator[bytes]:
    """What there is to read now. Raises ConnectionError at the end."""
    while True:
        try:
            piece = secure.recv(READ_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if not piece:
            raise ConnectionError("the server closed a connection")
        yield piece


def requests(spec: Spec) -> Callable[[], Asked]:
    """What to ask next."""
    what, path, prefix = spec["what"], spec["path"], spec.get("prefix", "")
    numbers = itertools.count(spec.get("first", 0))
    if what in ("list", "watch"):
        only = Asked("GET", path)
        return lambda: only
    if what == "get":
        ready = [Asked("GET", f"{path}/{prefix}{number}") for number in range(spec["objects"])]
        return lambda: ready[next(numbers) * 7919 % len(ready)]
    write = {"create": create, "update": update, "patch": patch, "apply": apply}[what]
    return lambda: write(spec, path, prefix, next(numbers))


def config_map(name: str, spec: Spec, number: int) -> dict[str, Any]:
    """One of about `bytes`; every `rare`th, if asked for, has the label that selectors look for."""
    labels = {"app": "bench"}
    if spec.get("rare") and number % spec["rare"] == 0:
        labels["rare"] = "yes"
    filler = "x" * spec.get("bytes", 2000)
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": filler}}


def create(spec: Spec, path: str, prefix: str, number: int) -> Asked:
    return Asked("POST", path, json.dumps(config_map(f"{prefix}{number}", spec, number)).encode())


def update(spec: Spec, path: str, prefix: str, number: int) -> Asked:
    name = f"{prefix}{number % spec['objects']}"
    body = config_map(name, spec, number)
    body["data"]["n"] = str(number)
    return Asked("PUT", f"{path}/{name}", json.dumps(body).encode())


def patch(spec: Spec, path: str, prefix: str, number: int) -> Asked:
    target = f"{path}/{prefix}{number % spec['objects']}"
    return Asked("PATCH", target, b'{"data":{"n":"%d"}}' % number, "application/merge-patch+json")


def apply(spec: Spec, path: str, prefix: str, number: int) -> Asked:
    name = f"{prefix}{number % spec['objects']}"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"applied": str(number)}}
    target = f"{path}/{name}?fieldManager=bench&force=true"
    return Asked("PATCH", target, json.dumps(body).encode(), "application/apply-patch+yaml")


@dataclass(slots=True)
class Tally:
    """How long each answer took, and what went wrong."""

    waits: list[float] = field(default_factory=list)
    body_bytes: int = 0
    errors: int = 0
    first_error: str = ""

    def note(self, status: int, wait_s: float, body_bytes: int) -> None:
        if status >= 300:
            self.errors += 1
            self.first_error = self.first_error or f"status {status}"
        else:
            self.waits.append(wait_s)
            self.body_bytes += body_bytes

    def result(self, seconds: float, own_cpu: float) -> Spec:
        waits = sorted(self.waits)
        middle, worst = (waits[len(waits) // 2], waits[len(waits) * 99 // 100]) if waits else (0.0, 0.0)
        return {
            "done": len(waits), "errors": self.errors, "first_error": self.first_error, "seconds": seconds,
            "p50_ms": middle * 1e3, "p99_ms": worst * 1e3, "bytes": self.body_bytes, "own_cpu": own_cpu,
        }  # fmt: skip


def closed_loop(spec: Spec, context: ssl.SSLContext) -> Spec:
    """Each connection asks again as soon as it was answered, for `seconds` or until `count` were asked."""
    connections = [Connection(spec, context) for _ in range(spec["connections"])]
    next_request, selector, tally = requests(spec), selectors.DefaultSelector(), Tally()
    limit = spec.get("count") or 1 << 60
    start, cpu = time.perf_counter(), time.process_time()
    deadline = start + (spec.get("seconds") or 1e9)
    asked = 0
    for connection in connections[:limit]:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask(next_request())
        asked += 1
    while selector.get_map():
        for key, _ in selector.select():
            connection = key.data
            if not connection.finished():
                continue
            now = time.perf_counter()
            tally.note(connection.status, now - connection.began, connection.seen)
            if now < deadline and asked < limit:
                connection.ask(next_request())
                asked += 1
            else:
                selector.unregister(connection.socket)
    return tally.result(time.perf_counter() - start, time.process_time() - cpu)


def watching(spec: Spec, context: ssl.SSLContext) -> Spec:
    """Says "ready" once all watches are answered; counts events until there are `count`, or none came for 10 s."""
    connections = [Connection(spec, context) for _ in range(spec["connections"])]
    selector = selectors.DefaultSelector()
    only = requests(spec)()
    for connection in connections:
        connection.ask(only)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    answered: set[int] = set()
    tails: dict[int, bytes] = {}
    events, last = 0, 0.0
    while events < spec["count"]:
        ready = selector.select(10)
        if not ready:
            break
        for key, _ in ready:
            for piece in pieces(key.data.socket):
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
    if spec["what"] == "watch":
        result = watching(spec, context)
    elif spec.get("http2"):
        from load_http2 import multiplexed  # only this way needs HPACK

        result = multiplexed(spec, context)
    else:
        result = closed_loop(spec, context)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
