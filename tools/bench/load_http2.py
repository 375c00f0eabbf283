"""The load generator's HTTP/2: one connection, `connections` requests under way on streams of their own.

client-go does so as well: it carries everything one process asks over a single connection. Request heads are compressed
with HPACK's dynamic table as Go's client compresses them; of answers only the frame heads are read, and the first byte of
a header block, which is the status (RFC 7541, appendix A: 0x88 is 200).
"""

from __future__ import annotations

import ssl
import struct
import time
from select import select
from typing import Any

from hpack import Encoder
from load import Asked, Tally, connect, pieces, requests

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
INITIAL_WINDOW_SIZE = 4
WINDOW_BYTES = 1 << 30
STATUS_200 = 0x88
FRAME_HEAD = struct.Struct(">HBBBI")  # length in 16 + 8 bits, type, flags, stream


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return FRAME_HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


class Http2Connection:
    """Frames in and out; a stream's answer is over at END_STREAM."""

    def __init__(self, spec: dict[str, Any], context: ssl.SSLContext, tally: Tally) -> None:
        context.set_alpn_protocols(["h2"])
        self.socket = connect(spec, context)
        self.authorization = ("authorization", f"Bearer {spec['token']}")
        self.encoder = Encoder()
        self.tally = tally
        self.received = bytearray()
        self.next_stream = 1
        self.under_way: dict[int, tuple[float, int]] = {}  # stream: when it was asked, body bytes so far
        self.status: dict[int, int] = {}
        window = struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW_BYTES)
        self.out = PREFACE + frame(SETTINGS, 0, 0, window) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW_BYTES))

    def ask(self, asked: Asked) -> None:
        fields = [
            (":authority", "localhost"), (":method", asked.method), (":path", asked.path), (":scheme", "https"),
            ("accept", "application/json"), self.authorization, ("user-agent", "bench"),
        ]  # fmt: skip
        if asked.body:
            fields += [("content-type", asked.media_type), ("content-length", str(len(asked.body)))]
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        block = self.encoder.encode(fields, huffman=True)
        self.out += frame(HEADERS, END_HEADERS | (0 if asked.body else END_STREAM), stream, block)
        if asked.body:
            self.out += frame(DATA, END_STREAM, stream, asked.body)
        self.under_way[stream] = (time.perf_counter(), 0)

    def flush(self) -> None:
        while self.out:
            try:
                self.out = self.out[self.socket.send(self.out) :]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select([self.socket], [self.socket], [])

    def receive(self) -> int:
        """Takes in what came; how many answers ended."""
        if not self.socket.pending():
            select([self.socket], [], [], 60)
        for piece in pieces(self.socket):
            self.received += piece
        ended, at, received = 0, 0, self.received
        while len(received) - at >= FRAME_HEAD.size:
            high, low, kind, flags, stream = FRAME_HEAD.unpack_from(received, at)
            length = high << 8 | low
            if len(received) - at < FRAME_HEAD.size + length:
                break
            at += FRAME_HEAD.size
            ended += self.take(kind, flags, stream, received[at : at + length])
            at += length
        del received[:at]
        return ended

    def take(self, kind: int, flags: int, stream: int, payload: bytearray) -> bool:
        if kind == SETTINGS and not flags & ACK:
            self.out += frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.out += frame(PING, ACK, 0, bytes(payload))
        elif kind == GOAWAY:
            raise ConnectionError(f"the server sent GOAWAY: {bytes(payload)!r}")
        elif kind == RST_STREAM:
            return self.finish(stream, 599)
        elif kind in (HEADERS, DATA):
            began, body_bytes = self.under_way[stream]
            if kind == HEADERS:
                self.status.setdefault(stream, 200 if STATUS_200 in payload[:2] else 500)
            else:
                self.under_way[stream] = (began, body_bytes + len(payload))
            if flags & END_STREAM:
                return self.finish(stream, self.status.pop(stream))
        return False

    def finish(self, stream: int, status: int) -> bool:
        began, body_bytes = self.under_way.pop(stream)
        self.tally.note(status, time.perf_counter() - began, body_bytes)
        return True


def multiplexed(spec: dict[str, Any], context: ssl.SSLContext) -> dict[str, Any]:
    """A new request for each answer, for `seconds` or until `count` were asked; only answers with 200 are good."""
    tally, next_request = Tally(), requests(spec)
    connection = Http2Connection(spec, context, tally)
    limit, asked = spec.get("count") or 1 << 60, 0
    start, cpu = time.perf_counter(), time.process_time()
    deadline = start + (spec.get("seconds") or 1e9)
    wanted = min(spec["connections"], limit)
    credit = 0
    while wanted or connection.under_way:
        for _ in range(wanted):
            connection.ask(next_request())
        asked += wanted
        connection.flush()
        ended = connection.receive()
        wanted = min(ended, limit - asked) if time.perf_counter() < deadline else 0
        if tally.body_bytes - credit > WINDOW_BYTES // 2:  # the connection's window is refilled by halves
            connection.out += frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", tally.body_bytes - credit))
            credit = tally.body_bytes
    return tally.result(time.perf_counter() - start, time.process_time() - cpu)
