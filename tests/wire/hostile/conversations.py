"""What the fuzzer sends: valid conversations, damaged with knowledge of their structure or without.

Half of the inputs are changed as what they are (header lines, chunks, frames, header blocks), the other half as bytes,
many as both. All randomness comes from the `rng` given.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import h2.connection
import hpack

from tests.wire.wire_server import frame

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
            data[at:] = other[rng.randint(0, len(other)) :]
        elif change == 6:
            del data[at:]
    return bytes(data)


def pieces(rng: random.Random, data: bytes) -> Iterator[bytes]:
    size = rng.choice((1, 3, 17, 100, 10_000))
    while data:
        cut = rng.randint(1, size) if size > 1 and len(data) < 3000 else max(size, 50)
        yield data[:cut]
        data = data[cut:]


# --- HTTP/1.1 by lines -----------------------------------------------------------------------------------------------
HEADER_LINES = [
    b"Content-Length: 0", b"Content-Length: 11", b"content-length:11", b"Content-Length : 11", b"Content-Length: +11",
    b"Content-Length: 1_1", b"Content-Length: 11, 11", b"Transfer-Encoding: chunked", b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: \x0bchunked", b" folded: 1", b"\tfolded", b"Host: b", b"Host:", b"X: \x00", b"X: a\rb",
    b"Connection: close", b"Connection: keep-alive, close", b"Connection: upgrade, HTTP2-Settings", b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Expect: 100-continue", b"Expect: 200", b"Trailer: Content-Length",
    b"TE: trailers", b": x", b"noColon", b"X-Large: " + b"a" * 3900, b"\xef\xbb\xbfHost: a", b"Range: bytes=0-1",
]  # fmt: skip
TARGETS = [
    b"/", b"*", b"/%2e%2e/%2f", b"/%00", b"/%", b"/%zz", b"http://a", b"http://a@b/", b"//a//b", b"/a#b", b"?", b"/\xff",
    b"/body", b"/early", b"/stream", b"/watch", b"a:443", b"/" + b"a" * 3990,
]  # fmt: skip
CHUNKS = [
    b"0\r\n\r\n", b"5\r\nhello\r\n", b"05;ext\r\nhello\r\n", b"5 \r\nhello\r\n", b"0x5\r\nhello\r\n", b"-5\r\nhello\r\n",
    b"5\nhello\n", b"5\r\nhelloXX", b"ffffffff\r\n", b"fffffffffffffffff\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\n X: y\r\n\r\n",
    b"7d0\r\n" + b"x" * 2000 + b"\r\n", b"5;" + b"e" * 1020 + b"\r\nhello\r\n", b"0\r\n" + b"X: y\r\n" * 1500,
]  # fmt: skip
METHODS = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"TRACE",
    b"PRI",
    b"get",
    b"G\xc9T",
    b"",
]


def http1_by_lines(rng: random.Random) -> bytes:
    """One to three requests put together from valid and invalid lines."""
    return b"".join(_request(rng) for _ in range(rng.randint(1, 3)))


def _request(rng: random.Random) -> bytes:
    target = rng.choice(TARGETS) if rng.random() < 0.3 else rng.choice((b"/", b"/body", b"/early", b"/stream"))
    method = rng.choice(METHODS) if rng.random() < 0.3 else rng.choice((b"GET", b"POST", b"PUT"))
    version = (
        rng.choice((b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"")) if rng.random() < 0.1 else b"HTTP/1.1"
    )
    lines = [b"Host: a"] if rng.random() < 0.95 else []
    lines += rng.sample(HEADER_LINES, rng.choice((0, 0, 1, 1, 2, 4)))
    body = b""
    form = rng.randrange(4)
    if form == 1:
        body = bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 11, 300, 2001))))
        lines.append(b"Content-Length: %d" % max(0, len(body) + rng.choice((0, 0, 0, 0, -1, 1, 700))))
    elif form == 2:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(rng.choice(CHUNKS[:2] if rng.random() < 0.6 else CHUNKS) for _ in range(rng.randint(0, 5)))
        body += b"0\r\n\r\n" if rng.random() < 0.8 else b""
    rng.shuffle(lines)
    end = b"\r\n" if rng.random() < 0.97 else rng.choice((b"\n", b"\r", b"\r\r\n"))
    return end.join([method + b" " + target + b" " + version, *lines, b"", b""]) + body


# --- HTTP/2 by frames ------------------------------------------------------------------------------------------------
Frame = tuple[int, int, int, bytes]  # type, flags, stream, payload
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FIELDS = [
    (b":method", b"GET"), (b":method", b"POST"), (b":method", b"CONNECT"), (b":path", b"/body"), (b":path", b"/stream"),
    (b":path", b""), (b":path", b"*"), (b":path", b"/\xff"), (b":scheme", b"https"), (b":authority", b"a"), (b":status", b"200"),
    (b":protocol", b"websocket"), (b"host", b"a"), (b"host", b"b"), (b"Upper", b"1"), (b"te", b"trailers"), (b"te", b"gzip"),
    (b"connection", b"close"), (b"transfer-encoding", b"chunked"), (b"content-length", b"10"), (b"content-length", b"-1"),
    (b"expect", b"100-continue"), (b"", b""), (b"x", b"a\r\nb"), (b"x", b"\x00"), (b"x", b" y "), (b"x" * 300, b"y"),
    (b"x", b"y" * 3000), (b"cookie", b"a=b"), (b"\xff", b"1"),
]  # fmt: skip
GOOD = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"a")]
PATHS = (b"/", b"/body", b"/early", b"/stream", b"/watch")


def split_frames(data: bytes) -> list[Frame]:
    """The frames of a conversation behind its preface."""
    frames = []
    at = len(PREFACE)
    while at + 9 <= len(data):
        upto = at + 9 + int.from_bytes(data[at : at + 3], "big")
        frames.append((data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big"), data[at + 9 : upto]))
        at = upto
    return frames


def http2_by_frames(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A conversation whose frames are moved, doubled, dropped, relabelled, resized, or replaced by others."""
    frames = split_frames(rng.choice(seeds))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(frames) + 1)
        if at == len(frames) or rng.random() < 0.4:
            frames[at:at] = rng.choice(MAKERS)(rng)
        else:
            frames[at : at + 1] = _changed(rng, frames, at)
    return PREFACE + b"".join(frame(*one) for one in frames)


def _changed(rng: random.Random, frames: list[Frame], at: int) -> list[Frame]:
    kind, flags, stream, payload = frames[at]
    change = rng.randrange(8)
    if change == 0:
        return []
    if change == 1:
        return [frames[at]] * rng.choice((2, 2, 3, 70))
    if change == 2:
        flags ^= 1 << rng.randrange(8)
    elif change == 3:
        stream = rng.choice((0, 1, 2, 3, 5, 7, 99, 0x7FFFFFFF, 0x80000001))
    elif change == 4:
        kind = rng.randrange(12)
    elif change == 5:
        payload = payload[: rng.randrange(len(payload) + 1)]
    elif change == 6:
        payload += bytes(rng.choice((1, 4, 255, 16384)))
    else:
        cut = rng.randrange(len(payload) + 1)
        return [(kind, flags & ~4, stream, payload[:cut]), (9, flags & 4, stream, payload[cut:])]
    return [(kind, flags, stream, payload)]


def _stream(rng: random.Random) -> int:
    return rng.choice((1, 3, 5, 7, 9, 11, 13, 201))


def _headers(rng: random.Random) -> list[Frame]:
    fields = [*GOOD, (b":path", rng.choice(PATHS))]
    for _ in range(rng.choice((0, 0, 1, 2))):
        fields.insert(rng.randrange(len(fields) + 1), rng.choice(FIELDS))
    if rng.random() < 0.2:
        del fields[rng.randrange(len(fields))]
    return [(1, rng.choice((4, 5, 5, 5)), _stream(rng), literal_block(fields))]


def literal_block(fields: list[tuple[bytes, bytes]]) -> bytes:
    """A header block that relies on no table."""
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*one) for one in fields])


MAKERS: list[Callable[[random.Random], list[Frame]]] = [
    _headers,
    _headers,
    lambda rng: (
        [(0, rng.choice((0, 1, 8, 9)), _stream(rng), bytes(rng.choice((0, 1, 10, 500, 16384))))] * rng.randint(1, 3)
    ),
    lambda rng: [(3, 0, _stream(rng), rng.randrange(16).to_bytes(4, "big"))],
    lambda rng: [(4, 0, 0, rng.randrange(9).to_bytes(2, "big") + rng.choice(VALUES))],
    lambda rng: [(8, 0, rng.choice((0, _stream(rng))), rng.choice(VALUES))],
    lambda rng: [(2, 0, _stream(rng), rng.choice(VALUES) + b"\x10")],
    lambda rng: [(6, rng.randrange(2), 0, bytes(8))] * rng.choice((1, 100)),
    lambda rng: [(7, 0, 0, bytes(8) + b"bye")],
    lambda rng: [(rng.randrange(256), rng.randrange(256), _stream(rng), bytes(rng.randrange(30)))],
]
VALUES = [number.to_bytes(4, "big") for number in (0, 1, 100, 16384, 65535, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)]


# --- header blocks ---------------------------------------------------------------------------------------------------
def header_blocks(rng: random.Random) -> list[bytes]:
    """Blocks for one decoder, the first of them valid, so that damage meets a table that is filled."""
    encoder = hpack.Encoder()
    blocks = [encoder.encode(rng.sample(FIELDS, rng.randint(1, 8)), huffman=rng.random() < 0.7) for _ in range(3)]
    return [blocks[0], *(mutated(rng, blocks, BLOCK_WORDS, 0) for _ in range(2))]


BLOCK_WORDS = [
    b"\x82\x84\x86", b"\xbe", b"\xff", b"\xff\xff\xff\xff\x0f", b"\x20", b"\x3f\xe1\x1f", b"\x3f\xff\xff\x03", b"\x80", b"\x40",
    b"\x7f\x00", b"\x00\x01x\x01y", b"\x10\x81\xff\x81\xff", b"\x40\x01x\x7f\x81\x1e" + b"y" * 4000, b"\x82" * 500,
]  # fmt: skip
