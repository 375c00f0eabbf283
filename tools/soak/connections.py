"""Thousands of connections that do nothing, or little: `tools/run python tools/soak/connections.py --connections 10000`.

Starts `ledger serve`, measures the latency of a client that GETs over one kept connection, opens the connections, and
measures again while they are there. Prints memory per connection and both latencies; ends with status 1 when a connection
was refused, the p99 more than doubled, or the server did not give the memory's use back.

    --kind idle        a request each, then silence (TLS, HTTP/1.1)
    --kind http2       the same over HTTP/2: preface, SETTINGS, one request
    --kind handshake   TCP connections that never begin their TLS handshake
    --kind loris       a request header each, a byte a second, never finished
    --kind head        the first 100 KB of a header each
    --kind all         one after the other

The connections last until the server closes them (90 s idle, 10 s without a handshake, 32 s without a whole header), so
the run is bounded. Needs `ulimit -n` above twice their number.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h2.connection

SERVE = [sys.executable, "-c", "import sys; from ledger.cli.main import main; sys.exit(main())", "serve"]
REPOSITORY = Path(__file__).resolve().parents[2]
MEASURED = 1000  # GETs of one measurement
MEASUREMENTS = 3  # the best p99 counts: what other processes do to it is not the question
WORSE_AT_MOST = 2.0
SLACK_MS = 2.0  # below which a doubling is noise
HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


class Server:
    def __init__(self, directory: Path) -> None:
        data = directory / "data"
        command = [*SERVE, "--data-dir", str(data), "--secure-port", "0", "--controllers", "none"]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        greeting = [self.process.stdout.readline() for _ in range(3)]
        self.port = int(greeting[0].split()[2].rpartition(":")[2])
        self.context = ssl.create_default_context(cafile=str(data / "pki" / "ca.crt"))
        self.context.load_cert_chain(data / "pki" / "admin.crt", data / "pki" / "admin.key")
        self.strangers = ssl.create_default_context(cafile=str(data / "pki" / "ca.crt"))

    def resident_kib(self) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def open_sockets(self) -> int:
        folder = Path(f"/proc/{self.process.pid}/fd")
        with contextlib.suppress(OSError):
            return sum(str(each.readlink()).startswith("socket:") for each in folder.iterdir())
        return 0

    def best_ms(self) -> list[float]:
        return min((self.latencies_ms() for _ in range(MEASUREMENTS)), key=lambda taken: percentile(taken, 99))

    def latencies_ms(self) -> list[float]:
        """Of GETs one after the other over one connection, sorted."""
        client = http.client.HTTPSConnection("localhost", self.port, context=self.context)
        taken = []
        for _ in range(MEASURED):
            begun = time.perf_counter()
            client.request("GET", "/api/v1/namespaces/default")
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200
            taken.append((time.perf_counter() - begun) * 1000)
        client.close()
        return sorted(taken)


def secured(server: Server, raw: socket.socket, protocol: str) -> ssl.SSLSocket:
    context = server.strangers
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(raw, server_hostname="localhost")


def idle(server: Server, raw: socket.socket) -> socket.socket:
    stream = secured(server, raw, "http/1.1")
    stream.sendall(HEAD + b"\r\n")
    assert stream.recv(4096).startswith(b"HTTP/1.1 200")
    return stream


def http2(server: Server, raw: socket.socket) -> socket.socket:
    stream = secured(server, raw, "h2")
    client = h2.connection.H2Connection()
    client.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/livez")]
    client.send_headers(1, fields, end_stream=True)
    stream.sendall(client.data_to_send())
    assert stream.recv(4096)
    return stream


def handshake(_server: Server, raw: socket.socket) -> socket.socket:
    return raw


def loris(server: Server, raw: socket.socket) -> socket.socket:
    stream = secured(server, raw, "http/1.1")
    stream.sendall(HEAD[:20])
    return stream


def head(server: Server, raw: socket.socket) -> socket.socket:
    stream = secured(server, raw, "http/1.1")
    stream.sendall(HEAD + b"X: " + b"a" * 100_000)
    return stream


KINDS: dict[str, Callable[[Server, socket.socket], socket.socket]] = {
    "idle": idle, "http2": http2, "handshake": handshake, "loris": loris, "head": head,
}  # fmt: skip


SILENCE_S = 180.0  # on a machine that is busy with other things
REFRESH_AFTER_S = 60.0  # so that a slow machine has them all at once, whatever the idle timeout
REFRESH = {"idle": HEAD + b"\r\n", "http2": b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)}  # a request, a PING


def soak(server: Server, kind: str, count: int) -> bool:
    """One kind of connection; whether all was well."""
    server.latencies_ms()  # what is imported and cached once is not the question either
    before, resident = server.best_ms(), server.resident_kib()
    opened: list[socket.socket] = []
    begun = refreshed = time.monotonic()
    for _ in range(count):
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=SILENCE_S)
        opened.append(KINDS[kind](server, raw))
        if kind in REFRESH and time.monotonic() - refreshed > REFRESH_AFTER_S:
            refreshed = time.monotonic()
            for each in opened:
                each.sendall(REFRESH[kind])
            for each in opened:
                assert each.recv(4096)
    opening_s = time.monotonic() - begun
    if kind == "loris":
        drip(opened)
    wait_for(lambda: server.open_sockets() >= count, 30)
    sockets, grown = server.open_sockets(), server.resident_kib() - resident
    during = server.best_ms()
    for each in opened:
        each.close()
    left = wait_for(lambda: server.open_sockets() < sockets // 100 + 20, 120)
    after = server.best_ms()
    p99s = [percentile(taken, 99) for taken in (before, during, after)]
    calm = p99s[1] <= max(WORSE_AT_MOST * p99s[0], p99s[0] + SLACK_MS)
    print(
        f"{kind}: {count} connections in {opening_s:.0f} s, {sockets} open at the server, {grown / count:.1f} KiB each;"
        f" p50 {percentile(before, 50):.2f} / {percentile(during, 50):.2f} ms,"
        f" p99 {p99s[0]:.2f} before, {p99s[1]:.2f} during, {p99s[2]:.2f} ms after"
        f"{'' if calm else '  TOO SLOW'}{'' if left else '  NOT CLOSED'}",
        flush=True,
    )
    return calm and left


def drip(opened: list[socket.socket], seconds: int = 5) -> None:
    """A byte on each connection a second; those that are closed have had their time."""
    for _ in range(seconds):
        begun = time.monotonic()
        for each in opened:
            with contextlib.suppress(OSError):
                each.send(b"a")
        time.sleep(max(0.0, 1 - (time.monotonic() - begun)))


def wait_for(holds: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.2)
    return False


def percentile(taken: list[float], percent: int) -> float:
    return taken[min(len(taken) - 1, len(taken) * percent // 100)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Holds many connections against a server and measures what they cost.")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--kind", choices=(*KINDS, "all"), default="all")
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < given.connections + 200:
        sys.exit(f"ulimit -n is {hard}: too few for {given.connections} connections")
    with tempfile.TemporaryDirectory() as directory:
        kinds = KINDS if given.kind == "all" else [given.kind]
        well = [run(Path(directory) / kind, kind, given.connections) for kind in kinds]
    sys.exit(0 if all(well) else 1)


def run(directory: Path, kind: str, count: int) -> bool:
    """On a server of its own, so that memory another kind has given back does not count."""
    directory.mkdir()
    server = Server(directory)
    try:
        return soak(server, kind, count)
    finally:
        server.process.terminate()
        server.process.wait(SILENCE_S)


if __name__ == "__main__":
    main()
