"""SIGTERM, against a real process: what has begun ends well, and no peer can hold up the end."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import h2.connection
import pytest

from tests.served import Served

RELAXED = ("--durability", "relaxed", "--controllers", "none")
alone_and_with_workers = pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["alone", "workers"])
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
ENDS_WITHIN_S = 60
DATA, HEADERS, RST_STREAM, GOAWAY = 0, 1, 3, 7
END_STREAM = 1


@pytest.fixture
def sockets() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


class Peers:
    """Opens raw connections to a server, all closed with the test."""

    def __init__(self, server: Served, stack: contextlib.ExitStack) -> None:
        self.server, self.stack = server, stack
        self.context = ssl.create_default_context(cafile=str(server.ca))
        self.context.load_cert_chain(server.data_dir / "pki" / "admin.crt", server.data_dir / "pki" / "admin.key")

    def plain(self) -> socket.socket:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(ENDS_WITHIN_S)
        raw.connect(("127.0.0.1", self.server.port))
        return self.stack.enter_context(raw)

    def tls(self, protocol: str = "http/1.1") -> ssl.SSLSocket:
        self.context.set_alpn_protocols([protocol])
        return self.stack.enter_context(self.context.wrap_socket(self.plain(), server_hostname="127.0.0.1"))

    def http1(self, line: str, *headers: str, body: bytes = b"") -> ssl.SSLSocket:
        """A connection on which this has been sent."""
        stream = self.tls()
        stream.sendall("\r\n".join((f"{line} HTTP/1.1", "Host: a", *headers, "", "")).encode() + body)
        return stream

    def http2(self, path: str) -> Http2:
        return Http2(self.tls("h2"), path)


class Http2:
    """One GET over HTTP/2."""

    def __init__(self, stream: ssl.SSLSocket, path: str) -> None:
        self.stream = stream
        self.h2 = h2.connection.H2Connection()
        self.h2.initiate_connection()
        fields = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", path)]
        self.h2.send_headers(1, fields, end_stream=True)
        stream.sendall(self.h2.data_to_send())

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """(type, flags, stream, payload) until the server closes; h2 itself would forget its streams on a GOAWAY."""
        data = b""
        while more := self.stream.recv(65536):
            data += more
            while len(data) >= 9 and len(data) >= (end := 9 + int.from_bytes(data[:3], "big")):
                yield data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:end]
                data = data[end:]


def until(stream: socket.socket, mark: bytes) -> bytes:
    """What comes, up to `mark`."""
    data = b""
    while mark not in data:
        more = stream.recv(65536)
        assert more, data
        data += more
    return data


def rest(stream: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError, ssl.SSLError):
        while more := stream.recv(65536):
            data += more
    return data


def ended(server: Served) -> tuple[int, str]:
    """The exit status and what it wrote to stderr, once it has ended by itself."""
    _, errors = server.process.communicate(timeout=ENDS_WITHIN_S)
    return server.process.returncode, errors


@alone_and_with_workers
def test_watches_end_cleanly_and_a_write_under_way_is_finished(
    tmp_path: Path, sockets: contextlib.ExitStack, more: tuple[str, ...]
) -> None:
    body = json.dumps({"metadata": {"name": "late"}}).encode()
    with Served(tmp_path / "data", *RELAXED, *more) as server:
        peers = Peers(server, sockets)
        watch = peers.http1(f"GET {CONFIGMAPS}?watch=1&resourceVersion=0")
        until(watch, b"\r\n\r\n")
        watch2 = peers.http2(f"{CONFIGMAPS}?watch=1&resourceVersion=0")
        frames = watch2.frames()
        assert any(frame[0] == HEADERS for frame in frames)
        writer = peers.http1(
            f"POST {CONFIGMAPS}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Expect: 100-continue",
        )
        until(writer, b"100 Continue\r\n\r\n")
        idle = peers.http1("GET /livez")
        until(idle, b"\r\n\r\nok")

        server.process.send_signal(signal.SIGTERM)
        assert rest(watch).endswith(b"0\r\n\r\n")
        left = list(frames)
        assert (DATA, END_STREAM, 1, b"") in left
        assert [frame[3][4:] for frame in left if frame[0] == GOAWAY] == [bytes(4)]  # NO_ERROR
        assert not [frame for frame in left if frame[0] == RST_STREAM]
        assert rest(idle) == b""
        with pytest.raises(OSError, match=r"."):
            while True:  # a worker that has no connection of ours may hear of the end after the others
                peers.tls()
        writer.sendall(body)
        answer = rest(writer)
        assert answer.startswith(b"HTTP/1.1 201 ") and b"connection: close" in answer
        assert ended(server) == (0, "")
    with Served(tmp_path / "data", *RELAXED, *more) as server:
        assert server.ask(f"GET {CONFIGMAPS}/late")[0] == 200


@alone_and_with_workers
def test_no_peer_can_hold_up_the_end(tmp_path: Path, sockets: contextlib.ExitStack, more: tuple[str, ...]) -> None:
    with Served(tmp_path / "data", *RELAXED, *more, "--shutdown-grace", "1s") as server:
        peers = Peers(server, sockets)
        filler = {"metadata": {"name": "big"}, "data": {"k": "v" * 1_000_000}}
        assert server.ask(f"POST {CONFIGMAPS}", filler)[0] == 201
        stalled = [peers.http1(f"GET {CONFIGMAPS}" + tail) for tail in ("", "?watch=1", "/big")]
        pipelined = peers.http1(f"GET {CONFIGMAPS}/big", body=b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        stalled2 = peers.http2(f"{CONFIGMAPS}/big")
        half_open = [peers.plain() for _ in range(3)]
        half_open[1].sendall(b"\x16\x03\x01\x02\x00")
        half_open[2].sendall(b"GET / HTTP")
        slow_body = peers.http1(
            f"POST {CONFIGMAPS}", "Content-Length: 1000", "Content-Type: application/json", body=b"{"
        )
        slow_head = peers.http1("GET /livez", "X: y")
        slow_head.sendall(b"GET /livez HTTP/1.1\r\n")
        until(peers.http1("GET /livez"), b"ok")  # whatever was sent before has arrived as well

        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == (0, "")
        assert rest(slow_body) == b""
        assert [stalled, pipelined, stalled2, half_open]


def test_readyz_fails_first_and_a_second_signal_ends_at_once(tmp_path: Path, sockets: contextlib.ExitStack) -> None:
    with Served(tmp_path / "data", *RELAXED, "--shutdown-delay-duration", "1h", "--shutdown-grace", "1h") as server:
        watch = Peers(server, sockets).http1(f"GET {CONFIGMAPS}?watch=1")
        until(watch, b"\r\n\r\n")
        assert server.ask("GET /readyz") == (200, "ok")
        server.process.send_signal(signal.SIGTERM)
        while True:
            status, text = server.ask("GET /readyz")
            if status != 200:
                break
        assert (status, "[-]shutdown failed" in text) == (500, True)
        assert server.ask("GET /livez") == (200, "ok")
        assert server.ask(f"POST {CONFIGMAPS}", {"metadata": {"name": "a"}})[0] == 201
        assert b'"name":"a"' in until(watch, b'"name":"a"')
        server.process.send_signal(signal.SIGTERM)
        assert ended(server)[0] == -signal.SIGTERM


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_delay_ends_by_itself(tmp_path: Path, how: signal.Signals) -> None:
    with Served(tmp_path / "data", *RELAXED, "--shutdown-delay-duration", "100ms") as server:
        server.process.send_signal(how)
        assert ended(server) == (0, "")
