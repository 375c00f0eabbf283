"""Servers that stand in for kubelets, pods and extension servers: real sockets, in threads of the test's process."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.wire.wire_server import Certificates

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
READ_BYTES = 65536


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case; the last of a name
    body: bytes = b""
    certificate: str = ""  # common name of the client's


@dataclass
class Line:
    """The server's side of one connection."""

    socket: socket.socket
    buffer: bytes = b""

    def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not (data := self.socket.recv(READ_BYTES)):
                raise EOFError
            self.buffer += data
        taken, _, self.buffer = self.buffer.partition(mark)
        return taken

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not (data := self.socket.recv(READ_BYTES)):
                raise EOFError
            self.buffer += data
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def some(self) -> bytes:
        taken, self.buffer = self.buffer, b""
        return taken or self.socket.recv(READ_BYTES)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, status: int, body: bytes = b"", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Any", *headers]
        if status not in (101, 204, 304) and not any(one.lower().startswith("transfer-encoding") for one in headers):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def chunks(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.send(b"%x\r\n%b\r\n" % (len(piece), piece))

    # WebSocket, as far as kubectl speaks it.

    def accept_websocket(self, asked: Asked, protocol: str) -> None:
        key = hashlib.sha1((asked.headers["sec-websocket-key"] + WEBSOCKET_GUID).encode()).digest()
        accepted = base64.b64encode(key).decode()
        names = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accepted}")
        self.answer(101, b"", *names, f"Sec-WebSocket-Protocol: {protocol}")

    def messages(self) -> Iterator[bytes]:
        """What the client sends, unmasked; pings and pongs are left out."""
        while True:
            first, second = self.exactly(2)
            size = second & 127
            if size > 125:
                size = struct.unpack(">H" if size == 126 else ">Q", self.exactly(2 if size == 126 else 8))[0]
            mask, data = self.exactly(4), self.exactly(size)
            data = bytes(one ^ mask[place % 4] for place, one in enumerate(data))
            if first & 15 == 8:
                return
            if first & 15 < 8:
                yield data

    def message(self, data: bytes, kind: int = 2) -> None:
        size = len(data)
        head = bytes([128 | kind, size]) if size < 126 else bytes([128 | kind, 126]) + struct.pack(">H", size)
        self.send(head + data)


Handle = Callable[[Line, Asked], None]


@dataclass
class Server:
    """Answers each request with `handle`, until the block ends."""

    handle: Handle
    address: str = "127.0.0.1"
    context: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Server:
        self.listener = socket.create_server((self.address, self.port), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError), accepted:
            if self.context is not None:
                accepted = self.context.wrap_socket(accepted, server_side=True)
            self.open.append(accepted)
            with accepted:
                line = Line(accepted)
                while True:
                    asked = _request(line)
                    asked.certificate = _common_name(accepted)
                    self.asked.append(asked)
                    self.handle(line, asked)
                    if asked.headers.get("upgrade"):
                        return


def _request(line: Line) -> Asked:
    first, *rest = line.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
    body = line.exactly(int(headers.get("content-length", "0")))
    if headers.get("transfer-encoding") == "chunked":
        while size := int(line.until(b"\r\n"), 16):
            body += line.exactly(size + 2)[:-2]
        line.until(b"\r\n")
    return Asked(method, target, headers, body)


def _common_name(accepted: socket.socket) -> str:
    shown = accepted.getpeercert() if isinstance(accepted, ssl.SSLSocket) else None
    pairs = [pair for names in (shown or {}).get("subject", ()) for pair in names]  # type: ignore[attr-defined]
    return next((value for key, value in pairs if key == "commonName"), "")


def server_context(certificates: Certificates, name: str = "server", clients: Path | None = None) -> ssl.SSLContext:
    """`clients`: who signs the certificates of clients, which then must show one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificates.files(name))
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def own_address() -> str:
    """An address of this machine that is no loopback one; "" when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        found: str = probe.getsockname()[0]
    return "" if found.startswith("127.") else found


def as_json(line: Line, status: int, obj: object) -> None:
    line.answer(status, json.dumps(obj).encode(), "Content-Type: application/json")
