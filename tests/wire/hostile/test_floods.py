"""Peers that send much of what is cheap for them. Each connection is ended before it costs the others anything."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
import trio

from ledger.apimachinery.http import Request, Response
from tests.wire.wire_server import Http2Client, echo, frame, run, serving

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
GET = b"\x82\x84\x86"  # :method GET, :path /, :scheme http
POST = b"\x83\x84\x86"
ENHANCE_YOUR_CALM = 11


def rapid_reset() -> Iterator[bytes]:
    for number in range(100_000):
        stream_id = 2 * number + 1
        cancel = frame(RST_STREAM, 0, stream_id, struct.pack(">I", 8))
        yield frame(HEADERS, END_HEADERS | END_STREAM, stream_id, GET) + cancel


def malformed_requests() -> Iterator[bytes]:
    """Each makes the server reset the stream, so that the peer need not."""
    for number in range(100_000):
        yield frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, b"\x82")


def of_one_stream(flood: bytes) -> Iterator[bytes]:
    yield frame(HEADERS, END_HEADERS, 1, POST)
    for _ in range(100_000):
        yield flood


def continuations() -> Iterator[bytes]:
    yield frame(HEADERS, 0, 1, GET)
    for _ in range(100_000):
        yield frame(CONTINUATION, 0, 1, b"")


def header_bomb() -> Iterator[bytes]:
    """One large field in the compression table, referred to again and again."""
    large = b"\x40\x01x\x7f\x81\x1e" + b"y" * 4000
    yield frame(HEADERS, END_HEADERS | END_STREAM, 1, GET + large + b"\xbe" * 10_000)


def endless_block() -> Iterator[bytes]:
    """A header block that is refused by its size as sent, long before it could be decoded."""
    yield frame(HEADERS, 0, 1, GET)
    for _ in range(60):
        yield frame(CONTINUATION, 0, 1, b"\xbe" * 16384)


def large_blocks() -> Iterator[bytes]:
    """Requests that are allowed, each with 100 KB of header to decode: five at once are fine, no more."""
    value = b"\x00\x01x\x7f\x81\x7d" + b"y" * 16128
    for number in range(10_000):
        stream_id = 2 * number + 1
        yield frame(HEADERS, END_STREAM, stream_id, GET + value)
        yield frame(CONTINUATION, 0, stream_id, value) * 5
        yield frame(CONTINUATION, END_HEADERS, stream_id)


def made_you_reset() -> Iterator[bytes]:
    """Each stream's window is blown up, so that the server resets it while its handler runs (CVE-2025-8671)."""
    for number in range(100_000):
        stream_id = 2 * number + 1
        yield frame(HEADERS, END_HEADERS, stream_id, POST) + frame(WINDOW_UPDATE, 0, stream_id, b"\x7f\xff\xff\xff")


def of_a_closed_stream(flood: bytes) -> Iterator[bytes]:
    """What is sent on a stream that was reset: it changes nothing, but somebody has to find that out."""
    yield frame(HEADERS, END_HEADERS, 1, POST) + frame(RST_STREAM, 0, 1, bytes(4))
    for _ in range(100_000):
        yield flood


def trailer_bomb() -> Iterator[bytes]:
    large = b"\x40\x01x\x7f\x81\x1e" + b"y" * 4000
    yield frame(HEADERS, END_HEADERS, 1, POST) + frame(DATA, 0, 1, bytes(100))
    yield frame(HEADERS, END_HEADERS | END_STREAM, 1, large + b"\xbe" * 10_000)


def table_updates() -> Iterator[bytes]:
    """Header blocks of nothing but changes to the size of the compression table: COMPRESSION_ERROR."""
    for number in range(10_000):
        yield frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, b"\x20" * 16_000)


@pytest.mark.parametrize(
    "flood, goaway",
    [
        (rapid_reset(),                                                  ENHANCE_YOUR_CALM),
        (malformed_requests(),                                           ENHANCE_YOUR_CALM),
        (of_one_stream(frame(PING, 0, 0, bytes(8))),                     ENHANCE_YOUR_CALM),
        (of_one_stream(frame(SETTINGS, 0, 0, b"\x00\x04\x00\x01\x00\x00")), ENHANCE_YOUR_CALM),
        (of_one_stream(frame(DATA, 0, 1)),                               ENHANCE_YOUR_CALM),
        (of_one_stream(frame(DATA, 0, 1, b"x")),                         ENHANCE_YOUR_CALM),
        (of_one_stream(frame(PRIORITY, 0, 1, b"\x00\x00\x00\x03\x00")),  ENHANCE_YOUR_CALM),
        (of_one_stream(frame(WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x01")), ENHANCE_YOUR_CALM),
        (of_one_stream(frame(0xFA, 0, 1, b"unknown")),                   ENHANCE_YOUR_CALM),
        (continuations(),                                                1),
        (header_bomb(),                                                  ENHANCE_YOUR_CALM),
        (made_you_reset(),                                               ENHANCE_YOUR_CALM),
        (of_a_closed_stream(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1")),     ENHANCE_YOUR_CALM),
        (of_a_closed_stream(frame(RST_STREAM, 0, 1, bytes(4))),          ENHANCE_YOUR_CALM),
        (of_one_stream(frame(PING, 1, 0, bytes(8))),                     ENHANCE_YOUR_CALM),
        (of_one_stream(frame(SETTINGS, 1, 0)),                           ENHANCE_YOUR_CALM),
        (trailer_bomb(),                                                 ENHANCE_YOUR_CALM),
        (endless_block(),                                                ENHANCE_YOUR_CALM),
        (large_blocks(),                                                 ENHANCE_YOUR_CALM),
        (table_updates(),                                                9),
    ],
)  # fmt: skip
def test_http_2_floods(flood: Iterator[bytes], goaway: int) -> None:
    async def test() -> None:
        async with serving() as server:
            stream = await server.connect()
            client = Http2Client(stream)

            async def send() -> None:
                try:
                    await stream.send_all(PREFACE)
                    for chunk in flood:
                        await stream.send_all(chunk)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                while not client.closed:
                    try:
                        data = await stream.receive_some()
                    except trio.BrokenResourceError:
                        break
                    client._without_goaway(data)
                    client.closed = not data
                nursery.cancel_scope.cancel()
            assert client.goaway in (goaway, None)  # None: the reset that follows was faster than the frame
            await trio.aclose_forcefully(stream)
            await server.assert_alive()

    run(test)


def test_a_peer_that_floods_and_reads_nothing_is_not_buffered() -> None:
    sizes: list[int] = []

    async def test() -> None:
        async with serving(nuisance_max=10**9, output_bytes_max=100_000, stall_timeout_s=5) as server:
            stream = await server.connect()
            await stream.send_all(PREFACE)
            with trio.move_on_after(60):
                try:
                    while True:
                        await stream.send_all(frame(PING, 0, 0, bytes(8)) * 1000)
                        sizes.append(1)
                except trio.BrokenResourceError:
                    pass
            assert trio.current_time() < 60
            await trio.aclose_forcefully(stream)
            await server.assert_alive()

    run(test, virtual_time=True)


@pytest.mark.parametrize(
    "head, status",
    [
        (b"GET /" + b"a" * 1_100_000,                                              b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"a" * 1_100_000,             b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 180_000 + b"\r\n",       b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",         b"200"),
        (b"GET / HTTP/1.1\nHost: a\n\n",                                         b"400"),
    ],
)  # fmt: skip
def test_http_1_heads_have_a_limit(head: bytes, status: bytes) -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client, trio.open_nursery() as nursery:

            async def send() -> None:
                try:
                    await client.send(head)
                    await client.stream.send_eof()  # type: ignore[attr-defined]
                except trio.BrokenResourceError:
                    return

            nursery.start_soon(send)
            assert (await client.rest()).startswith(b"HTTP/1.1 " + status)
            nursery.cancel_scope.cancel()
            await server.assert_alive()

    run(test)


def test_few_connections_at_a_time_may_send_a_large_head() -> None:
    begun = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000

    async def test() -> None:
        async with serving(large_heads_max=2) as server, trio.open_nursery() as nursery:
            async with server.http1() as first, server.http1() as second, server.http1() as third:
                for client in (first, second):
                    await client.send(begun)
                    await trio.testing.wait_all_tasks_blocked(0.01)
                nursery.start_soon(third.send, begun)
                assert (await third.answer()).status == 431
                await first.send(b"\r\n\r\n")
                assert (await first.answer()).status == 200
                async with server.http1() as fourth:  # the first has given its place back
                    await fourth.send(begun + b"\r\n\r\n")
                    assert (await fourth.answer()).status == 200
            await server.assert_alive()

    run(test)


def test_cancelled_handlers_that_take_their_time_count_against_their_connection() -> None:
    running = 0
    most = 0
    release = trio.Event()

    async def handler(request: Request) -> Response:
        nonlocal running, most
        if request.raw_path == "/":
            return await echo(request)
        running += 1
        most = max(most, running)
        try:
            with trio.CancelScope(shield=True):
                await release.wait()
        finally:
            running -= 1
        return Response(200)

    async def test() -> None:
        async with serving(handler, streams_max=10) as server, server.http2() as client:
            for _ in range(100):
                client.h2.reset_stream(await client.ask("GET", "/slow"))
            await client.flush()
            assert (await client.get("/slow")).reset == 7  # REFUSED_STREAM
            assert most == 20
            release.set()
            await server.assert_alive()

    run(test)
