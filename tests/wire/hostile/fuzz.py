"""Random damage to valid conversations, fed to both connection loops without sockets.

What must hold for every input: nothing but Disconnected leaves the loops, nothing is logged as an error, the loop ends
once the peer has ended, and what is sent is made of whole messages and frames. Input number `n` of a seed is
always the same bytes in the same pieces, so that a finding is (seed, n). `tools/fuzz` runs this for as long as one likes.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import sys
import time
from collections.abc import Iterator

import h2.connection
import trio

from ledger.apimachinery.http import Request, Response, Write
from ledger.apimachinery.status import StatusError
from ledger.wire.config import WireConfig
from ledger.wire.connection import Connection, Wire
from ledger.wire.http1 import Http1
from ledger.wire.http2 import Http2
from ledger.wire.stream import Disconnected, PlainStream
from tests.wire.wire_server import frame

LIMITS = {"body_bytes_max": 2000, "head_bytes_max": 4000, "discard_bytes_max": 1000, "output_bytes_max": 20_000}
STUCK_AFTER_S = 10

HTTP1_SEEDS = [
    b"GET /api/v1/pods?limit=500&watch=1 HTTP/1.1\r\nHost: a:6443\r\nUser-Agent: kubectl\r\nAccept: */*\r\n\r\n" * 2,
    b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world"
    b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PUT /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\nExpect: 100-continue\r\n\r\n" + b"x" * 500,
    b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n" + b"x" * 500 + b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://host/stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /watch HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
]  # fmt: skip
HTTP1_WORDS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\xff", b"\xc3\xa9", b"0\r\n\r\n", b"HTTP/1.1", b"HTTP/1.0",
    b"Content-Length: 5\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"-1",
    b"Host: b\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"fffffffff\r\n", b"GET / HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"x" * 5000,
]  # fmt: skip
HTTP2_WORDS = [
    bytes(9),
    b"\xff" * 9,
    frame(0, 1, 1),  # DATA
    frame(1, 5, 99, b"\x82\x84\x86"),  # HEADERS
    frame(1, 5, 101, b"\x82"),
    frame(2, 0, 1, b"\x00\x00\x00\x01\x10"),  # PRIORITY on itself
    frame(3, 0, 1, b"\x00\x00\x00\x08"),  # RST_STREAM
    frame(4, 0, 0),  # SETTINGS
    frame(4, 1, 0),
    frame(4, 0, 0, b"\x00\x04\x00\x00\x00\x00"),
    frame(4, 0, 0, b"\x00\x05\x00\x00\x00\x01"),
    frame(5, 4, 1, b"\x00\x00\x00\x02"),  # PUSH_PROMISE
    frame(6, 0, 0, bytes(8)),  # PING
    frame(7, 0, 0, bytes(8)),  # GOAWAY
    frame(8, 0, 0, b"\x7f\xff\xff\xff"),  # WINDOW_UPDATE
    frame(8, 0, 1, bytes(4)),
    frame(9, 4, 1),  # CONTINUATION
    frame(0xFA, 0, 1, b"unknown"),
]


def http2_seeds() -> list[bytes]:
    """Conversations of a real client: several requests, bodies, a reset, a ping, a window, a trailer."""
    seeds = []
    for path, body in (
        (b"/", b""),
        (b"/body", b"hello" * 50),
        (b"/early", b"x" * 800),
        (b"/stream", b""),
        (b"/watch", b""),
    ):
        client = h2.connection.H2Connection()
        client.initiate_connection()
        for stream_id in (1, 3, 5):
            fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", path)]
            client.send_headers(stream_id, [*fields, (b"user-agent", b"fuzz")], end_stream=not body)
            if body:
                client.send_data(stream_id, body[:10])
                client.send_data(stream_id, body[10:], end_stream=stream_id != 3)
        if body:
            client.send_headers(3, [(b"x-sum", b"1")], end_stream=True)
        client.ping(b"12345678")
        client.increment_flow_control_window(5000, 5)
        client.reset_stream(5, 8)
        seeds.append(client.data_to_send())
    return seeds


def mutated(rng: random.Random, seeds: list[bytes], words: list[bytes], keep: int) -> bytes:
    """One to six changes to a seed, none before `keep` bytes in nine cases of ten."""
    data = bytearray(rng.choice(seeds))
    start = keep if rng.random() < 0.9 else 0
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(min(start, len(data)), len(data))
        upto = min(len(data), at + rng.choice((1, 1, 2, 4, 9, 30, 200)))
        change = rng.randrange(7)
        if change == 0:
            data[at:upto] = b""
        elif change == 1:
            data[at:at] = rng.choice(words)
        elif change == 2:
            data[at:upto] = bytes(rng.randrange(256) for _ in range(upto - at))
        elif change == 3:
            data[at:at] = data[at:upto] * rng.choice((1, 2, 50))
        elif change == 4 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif change == 5:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other)) :]
        elif change == 6:
            del data[at:]
    return bytes(data)


def pieces(rng: random.Random, data: bytes) -> Iterator[bytes]:
    size = rng.choice((1, 3, 17, 100, 10_000))
    while data:
        cut = rng.randint(1, size) if size > 1 and len(data) < 3000 else max(size, 50)
        yield data[:cut]
        data = data[cut:]


class ScriptedStream(PlainStream):
    """Receives what the script says, then the end; keeps what is sent."""

    def __init__(self, script: Iterator[bytes], stop_reading_at: int) -> None:
        self.closed = False
        self.turns = 0
        self.script = script
        self.sent = bytearray()
        self.stop_reading_at = stop_reading_at

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return next(self.script, b"")

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if len(self.sent) > self.stop_reading_at:
            raise Disconnected("the peer has gone")
        self.sent += data

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        """Takes all, half or nothing, by turns."""
        if len(self.sent) > self.stop_reading_at:
            raise Disconnected("the peer has gone")
        self.turns += 1
        size = len(data) * (self.turns % 3) // 2
        self.sent += data[:size]
        return size

    def end_sending(self) -> None:
        return

    def close(self) -> None:
        self.closed = True


async def handler(request: Request) -> Response:
    """Every way to answer: early, with a body, as a stream, as an endless one."""
    if request.raw_path == "/early":
        return Response(401, [], b"Unauthorized")
    try:
        body = await request.read_body()
    except StatusError as error:
        return Response(error.code, [], error.message.encode())
    if request.raw_path == "/stream":
        return Response(200, [], stream=stream)
    if request.raw_path == "/watch":
        return Response(200, [], stream=watch, endless=True)
    return Response(200, [("content-type", "text/plain")], f"{request.method} {len(body)}".encode())


async def stream(write: Write) -> None:
    for _ in range(3):
        await write(b"chunk")


async def watch(write: Write) -> None:
    await write(b"event")
    await trio.sleep_forever()


class Finding(Exception):
    """An input that something is wrong with."""


class ErrorRecorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


async def converse(protocol: str, seed: int, number: int) -> None:
    """Runs one input. Raises Finding."""
    rng = random.Random(f"{protocol} {seed} {number}")
    if protocol == "h1":
        data = mutated(rng, HTTP1_SEEDS, HTTP1_WORDS, 0)
    else:
        data = mutated(rng, SEEDS2, HTTP2_WORDS, 24)
    scripted = ScriptedStream(pieces(rng, data), rng.choice((0, 1000, 10**9, 10**9)))
    wire = Wire(WireConfig(**LIMITS), handler)  # type: ignore[arg-type]
    connection = Connection(scripted, "client", "https")
    try:
        with trio.fail_after(STUCK_AFTER_S), connection.scope:
            rest = await Http1(wire, connection).run() if protocol == "h1" else b""
            if rest or protocol == "h2":
                before = len(scripted.sent)
                await Http2(wire, connection).run(rest)
                check_http2_frames(bytes(scripted.sent[before:]))
                return
    except Disconnected:
        return
    except trio.TooSlowError:
        raise Finding("does not end") from None
    except Exception as error:
        raise Finding(f"raises {error!r}") from error
    if scripted.stop_reading_at == 10**9:
        check_http1_answers(bytes(scripted.sent))


def check_http2_frames(sent: bytes) -> None:
    """Whole frames of known kinds and sane sizes, up to where the peer stopped reading."""
    while len(sent) >= 9:
        size, kind = int.from_bytes(sent[:3], "big"), sent[3]
        if kind > 9 or size > 16384:
            raise Finding(f"malformed frame: {sent[:20]!r}")
        sent = sent[9 + size :]


ANSWER_HEAD = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [^\r\n]*\r\n((?:[a-z-]+: [^\r\n]*\r\n)*)\r\n")


def check_http1_answers(sent: bytes) -> None:
    """Every answer is whole. One to HEAD announces a body it does not carry: the next head, or the end, may follow."""
    at = 0
    while at < len(sent):
        head = ANSWER_HEAD.match(sent, at)
        if head is None:
            raise Finding(f"malformed answer: {sent[at : at + 100]!r}")
        at = head.end()
        length = re.search(rb"content-length: (\d+)", head[2])
        if length and not (ANSWER_HEAD.match(sent, at) or at == len(sent)):
            at += int(length[1])
            if at > len(sent):
                raise Finding("an answer is cut short")
        if length is None and b"transfer-encoding" not in head[2] and b"connection: close" in head[2]:
            return  # HTTP/1.0: the stream ends with the connection
        if b"transfer-encoding: chunked" in head[2] and not ANSWER_HEAD.match(sent, at):
            end = sent.find(b"0\r\n\r\n", at)
            at = end + 5 if end >= 0 else len(sent)


async def fuzz(seed: int, numbers: range, protocols: tuple[str, ...] = ("h1", "h2"), *, show: bool = False) -> None:
    """Runs the inputs `numbers` of a seed. Raises Finding, with what is needed to see it again."""
    errors = ErrorRecorder()
    logging.getLogger("ledger.wire").addHandler(errors)
    begun = time.monotonic()
    for done, number in enumerate(numbers, 1):
        for protocol in protocols:
            try:
                await converse(protocol, seed, number)
                if errors.records:
                    raise Finding("logged as an error:\n" + "\n".join(errors.records))
            except Finding as finding:
                again = f"tools/fuzz --protocol {protocol} --seed {seed} --first {number} --count 1"
                raise Finding(f"{finding}\nagain: {again}") from finding.__cause__
        if show and done % 10_000 == 0:
            print(f"{done} inputs, {done / (time.monotonic() - begun):.0f}/s", file=sys.stderr)


SEEDS2 = http2_seeds()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tools/fuzz", description="Feeds damaged conversations to the connection loops."
    )
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, default=100_000, help="inputs per protocol")
    parser.add_argument("--protocol", choices=("h1", "h2", "both"), default="both")
    given = parser.parse_args()
    seed = int(time.time()) if given.seed is None else given.seed
    protocols = ("h1", "h2") if given.protocol == "both" else (given.protocol,)
    print(f"seed {seed}, inputs {given.first} to {given.first + given.count - 1}, {', '.join(protocols)}")
    try:
        trio.run(lambda: fuzz(seed, range(given.first, given.first + given.count), protocols, show=True))
    except Finding as finding:
        sys.exit(f"found: {finding}")
    print("nothing found")


if __name__ == "__main__":
    main()
