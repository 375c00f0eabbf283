"""Stopping: what has begun ends well, what waits ends now, and nobody can hold the server up."""

from __future__ import annotations

import pytest
import trio

from ledger.apimachinery.http import Request, Response, Write
from tests.wire.wire_server import run, serving


class Slow:
    """A handler whose requests have begun when `begun` is set and end when `release` is."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.release = trio.Event()

    async def __call__(self, request: Request) -> Response:
        if request.raw_path == "/watch":
            return Response(200, [], stream=self.watch, endless=True)
        if request.raw_path == "/list":
            return Response(200, [], stream=self.list)
        self.begun.set()
        await self.release.wait()
        return Response(200, [], b"done")

    async def watch(self, write: Write) -> None:
        await write(b"event")
        self.begun.set()
        await trio.sleep_forever()

    async def list(self, write: Write) -> None:
        await write(b"[1,")
        self.begun.set()
        await self.release.wait()
        await write(b"2]")


@pytest.mark.parametrize("path, body", [("/get", b"done"), ("/watch", b"event"), ("/list", b"[1,2]")])
def test_http_1_ends_what_has_begun(path: str, body: bytes) -> None:
    async def test() -> None:
        handler = Slow()
        async with serving(handler) as server, server.http1() as client, server.http1() as idle:
            await client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await handler.begun.wait()
            server.config.drain.set()
            assert await idle.rest() == b""
            with pytest.raises(OSError, match=r"."):
                await server.connect()
            handler.release.set()
            assert (await client.answer()).body == body
            assert await client.rest() == b""
            await server.stopped.wait()

    run(test)


@pytest.mark.parametrize("path, body", [("/get", b"done"), ("/watch", b"event"), ("/list", b"[1,2]")])
def test_http_2_ends_what_has_begun_and_says_goaway(path: str, body: bytes) -> None:
    async def test() -> None:
        handler = Slow()
        async with serving(handler) as server, server.http2() as client, server.http2() as idle:
            await idle.receive()  # the server's SETTINGS: it knows that this is HTTP/2
            stream_id = await client.ask("GET", path)
            await handler.begun.wait()
            server.config.drain.set()
            while not idle.closed:
                await idle.receive()
            assert idle.goaway == 0
            handler.release.set()
            answer = await client.answer(stream_id)
            assert (answer.body, answer.reset) == (body, None)
            while not client.closed:
                await client.receive()
            assert client.goaway == 0
            await server.stopped.wait()

    run(test)


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_a_peer_that_reads_nothing_cannot_hold_up_the_end(protocol: str) -> None:
    async def flood(write: Write) -> None:
        while True:
            await write(bytes(100_000))

    async def handler(request: Request) -> Response:
        return Response(200, [], stream=flood, endless=True)

    async def test() -> None:
        async with serving(handler, grace_s=5, stall_timeout_s=1000) as server:
            stream = await server.connect()
            if protocol == "http1":
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            else:
                async with server.http2() as other:
                    assert other
                await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS_WITH_A_HUGE_WINDOW + GET)
            await trio.testing.wait_all_tasks_blocked(0.05)
            begun = trio.current_time()
            server.config.drain.set()
            await server.stopped.wait()
            assert trio.current_time() - begun <= 6

    run(test, virtual_time=True)


# SETTINGS_INITIAL_WINDOW_SIZE = 2^31 - 1, and as much for the connection.
SETTINGS_WITH_A_HUGE_WINDOW = (
    b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\x00\x00\x00"
)
# HEADERS of stream 1 with END_STREAM and END_HEADERS: GET / over http.
GET = b"\x00\x00\x03\x01\x05\x00\x00\x00\x01\x82\x84\x86"
