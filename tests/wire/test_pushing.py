"""Chunks pushed without waiting: taken at once or kept for the next wait, never torn, never out of order."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from ledger.apimachinery.http import Request, Response, Shared, Write
from ledger.wire.http1 import StreamedResponse
from tests.wire.wire_server import Certificates, Http1Client, Http2Client, run, serving

LARGE = 200_000


class Pusher:
    """Pushes numbered chunks until one is not sent whole, waits, and begins again."""

    def __init__(self, chunks: int, length: int) -> None:
        self.chunks = [Shared(b"%06d" % number * (length // 6)) for number in range(chunks)]
        self.waits = 0
        self.all = b"".join(chunk.data for chunk in self.chunks)

    async def __call__(self, request: Request) -> Response:
        return Response(200, [], stream=self.stream)

    async def stream(self, write: Write) -> None:
        await write(b"")
        for chunk in self.chunks:
            if not write.push(chunk):
                self.waits += 1
                await write(b"")


@pytest.mark.parametrize("chunks, length", [(1, 6), (50, 600), (30, LARGE)])
@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_what_is_pushed_comes_whole_and_in_order(protocol: str, chunks: int, length: int) -> None:
    async def test() -> None:
        pusher = Pusher(chunks, length)
        async with serving(pusher) as server:
            if protocol == "http1":
                async with server.http1() as client:
                    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    answer = await client.answer()
            else:
                async with server.http2() as client2:
                    answer = await client2.get("/")  # type: ignore[assignment]
            assert answer.body == pusher.all
            # A peer that reads little at a time, or whose window is small, makes the pusher wait.
            assert bool(pusher.waits > 1) == (length == LARGE)

    run(test)


@pytest.mark.parametrize("size", [LARGE, 3_000_000])
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_over_tls_too_when_the_peer_takes_part_of_a_send(certificates: Certificates, protocol: str, size: int) -> None:
    """TLS says of a send that it could not finish only that it goes on from there."""

    async def test() -> None:
        pusher = Pusher(8_000_000 // size, size)
        async with serving(pusher, **certificates.config()) as server:
            context = certificates.context("", protocol)
            stream = trio.SSLStream(await server.connect(), context, server_hostname="localhost", https_compatible=True)
            async with stream:
                speaking = Http1Client(stream) if protocol == "http/1.1" else Http2Client(stream)
                answer = await speaking.get("/")
                assert answer.body == pusher.all
                assert pusher.waits
                assert (await speaking.get("/")).body == pusher.all

    run(test)


def test_a_chunk_is_framed_once_for_all_who_take_it_chunked() -> None:
    chunk = Shared(b"hello")
    framed: list[bytes] = []

    async def stream(write: Write) -> None:
        await write(b"first ")
        assert isinstance(write, StreamedResponse)
        assert write.push(chunk)
        framed.append(chunk.framed)

    async def handler(request: Request) -> Response:
        return Response(200, [], stream=stream)

    async def test() -> None:
        async with serving(handler) as server:
            for _ in range(2):
                async with server.http1() as client:
                    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    assert (await client.answer()).body == b"first hello"
            async with server.http1() as client:
                await client.send(b"GET / HTTP/1.0\r\n\r\n")
                assert (await client.rest()).endswith(b"\r\n\r\nfirst hello")
        assert framed[0] is framed[1] is framed[2]

    run(test)


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_a_drain_lets_what_was_pushed_go_out(protocol: str) -> None:
    pushed = trio.Event()
    chunks = [Shared(b"%06d" % number * (LARGE // 6)) for number in range(60)]

    async def stream(write: Write) -> None:
        await write(b"")
        for chunk in chunks:
            if not write.push(chunk):
                pushed.set()
                await trio.testing.wait_all_tasks_blocked(0.01)  # the drain comes while something is unsent
                await write(b"")
                raise AssertionError("the drain ends this stream at the end of a chunk")

    async def handler(request: Request) -> Response:
        return Response(200, [], stream=stream, endless=True)

    async def test() -> None:
        async with serving(handler) as server:
            if protocol == "http1":
                async with server.http1() as client:
                    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    await pushed.wait()
                    server.config.drain.set()
                    body = (await client.answer()).body
            else:
                async with server.http2() as client2:
                    stream_id = await client2.ask("GET", "/")
                    await pushed.wait()
                    server.config.drain.set()
                    body = (await client2.answer(stream_id)).body
            assert body and len(body) % (LARGE // 6 * 6) == 0
            assert body == b"".join(chunk.data for chunk in chunks)[: len(body)]

    run(test, virtual_time=True)
