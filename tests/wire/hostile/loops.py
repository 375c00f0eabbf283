"""Conversations fed to both connection loops without sockets.

What must hold for every input: nothing but Disconnected leaves the loops, nothing is logged as an error, the loop ends
once the peer has ended, and what is sent is made of whole messages and frames.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import trio

from ledger.apimachinery.http import Request, Response, Write
from ledger.apimachinery.status import StatusError
from ledger.wire.config import WireConfig
from ledger.wire.connection import Connection, Wire
from ledger.wire.http1 import Http1
from ledger.wire.http2 import Http2
from ledger.wire.stream import Disconnected, PlainStream
from tests.wire.hostile.conversations import (
    HTTP1_SEEDS,
    HTTP1_WORDS,
    HTTP2_WORDS,
    http1_by_lines,
    http2_by_frames,
    http2_seeds,
    mutated,
    pieces,
)

LIMITS = {
    "body_bytes_max": 2000,
    "head_bytes_max": 4000,
    "header_list_bytes_max": 4000,
    "discard_bytes_max": 1000,
    "output_bytes_max": 20_000,
}
STUCK_AFTER_S = 10
PREFACE_BYTES = 24
SEEDS2 = http2_seeds()


class Finding(Exception):
    """An input that something is wrong with."""


async def http1(rng: random.Random) -> None:
    data = http1_by_lines(rng) if rng.random() < 0.5 else mutated(rng, HTTP1_SEEDS, HTTP1_WORDS, 0)
    if rng.random() < 0.3:
        data = mutated(rng, [data], HTTP1_WORDS, 0)
    await converse(rng, data, h2=False)


async def http2(rng: random.Random) -> None:
    data = http2_by_frames(rng, SEEDS2) if rng.random() < 0.5 else mutated(rng, SEEDS2, HTTP2_WORDS, PREFACE_BYTES)
    if rng.random() < 0.2:
        data = mutated(rng, [data], HTTP2_WORDS, PREFACE_BYTES)
    await converse(rng, data, h2=True)


async def converse(rng: random.Random, data: bytes, *, h2: bool) -> None:
    """Runs one conversation. Raises Finding."""
    scripted = ScriptedStream(pieces(rng, data), rng.choice((0, 1000, 10**9, 10**9)))
    wire = Wire(WireConfig(**LIMITS), handler)  # type: ignore[arg-type]
    connection = Connection(scripted, "client", "https")
    try:
        with trio.fail_after(STUCK_AFTER_S), connection.scope:
            rest = b"" if h2 else await Http1(wire, connection).run()
            if rest or h2:
                before = len(scripted.sent)
                await Http2(wire, connection).run(rest)
                check_http2_frames(bytes(scripted.sent[before:]))
                return
    except Disconnected:
        return
    except trio.TooSlowError:
        raise Finding("does not end") from None
    except Finding:
        raise
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
