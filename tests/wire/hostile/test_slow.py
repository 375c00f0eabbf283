"""Peers that are slow on purpose. Each is given up after its limit, and nobody else waits for it."""

from __future__ import annotations

import pytest
import trio

from ledger.apimachinery.http import Request, Response, Write
from tests.wire.wire_server import echo, frame, run, serving

LIMITS = {"idle_timeout_s": 90, "head_timeout_s": 32, "body_timeout_s": 60, "stall_timeout_s": 30}
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = frame(4, 0, 0)
HEADERS = frame(1, 5, 1, b"\x82\x84\x86")
UNENDED = frame(1, 1, 1, b"\x82\x84\x86")  # a header block without its end


@pytest.mark.parametrize(
    "begins, drips, given_up_after_s, answer",
    [
        (b"",                               b"",         90, b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n",  b"",         32, b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n",  b"X: y\r\n", 32, b""),
        (b"G",                              b"E",        32, b""),
        (b"\r\n",                           b"",         32, b""),
        (b"\r\n\r\n",                       b"\r\n",     10, b"HTTP/1.1 400 "),
        (POST,                              b"",         60, b"HTTP/1.1 408 "),
        (POST,                              b"x",        60, b"HTTP/1.1 408 "),
        (PREFACE[:10],                      b"",         32, b""),
        (PREFACE,                           b"",         90, b"\x00\x00"),
        (PREFACE + SETTINGS,                b"",         90, b"\x00\x00"),
        (PREFACE + SETTINGS + HEADERS[:12], b"",         90, b"\x00\x00"),
        (PREFACE + SETTINGS + UNENDED,      b"",         90, b"\x00\x00"),
        (b"POST / HTTP/1.1\r\nHost: a\r\n" + CHUNKED, b"1\r\na\r\n", 60, b"HTTP/1.1 408 "),
    ],
)  # fmt: skip
def test_what_a_slow_sender_is_given(begins: bytes, drips: bytes, given_up_after_s: int, answer: bytes) -> None:
    async def test() -> None:
        async with serving(**LIMITS) as server, server.http1() as client, trio.open_nursery() as nursery:

            async def drip() -> None:
                while drips:
                    await trio.sleep(5)
                    try:
                        await client.send(drips)
                    except trio.BrokenResourceError:
                        return

            begun = trio.current_time()
            if begins:
                await client.send(begins)
            nursery.start_soon(drip)
            assert (await client.rest()).startswith(answer)
            assert given_up_after_s <= trio.current_time() - begun < given_up_after_s + 5
            nursery.cancel_scope.cancel()
            await server.assert_alive()

    run(test, virtual_time=True)


def test_a_body_that_does_not_come_over_http_2_is_answered() -> None:
    async def test() -> None:
        async with serving(**LIMITS) as server, server.http2() as client:
            post = ((b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/"))
            answer = await client.answer(await client.headers(*post, end=False))
            assert answer.status == 408
            assert 60 <= trio.current_time() < 65
            assert (await client.get("/same-connection")).status == 200

    run(test, virtual_time=True)


@pytest.mark.parametrize("protocol", ["http1", "http2"])
@pytest.mark.parametrize("path", ["/flood", "/big"])
def test_a_reader_that_takes_nothing_is_disconnected_and_its_handler_ends(protocol: str, path: str) -> None:
    ended = trio.Event()

    async def flood(write: Write) -> None:
        try:
            while True:
                await write(bytes(100_000))
        finally:
            ended.set()

    async def handler(request: Request) -> Response:
        if request.raw_path == "/flood":
            return Response(200, [], stream=flood)
        return Response(200, [], bytes(50_000_000)) if request.raw_path == "/big" else await echo(request)

    async def test() -> None:
        async with serving(handler, **LIMITS) as server:
            if protocol == "http1":
                stream = await server.connect()
                await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            else:
                async with server.http2() as client:
                    client.reading_window = False
                    stream_id = await client.ask("GET", path)
                    while client.h2.remote_flow_control_window(stream_id):
                        await client.receive()
                    answer = await client.answer(stream_id)  # reset once the window has been shut for too long
                    assert answer.reset == 2
            if path == "/flood":
                await ended.wait()
            assert trio.current_time() <= 40
            await server.assert_alive()

    run(test, virtual_time=True)


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_a_reader_that_takes_an_answer_by_drops_does_not_keep_it(protocol: str) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [], bytes(50_000_000)) if request.raw_path == "/big" else await echo(request)

    async def test() -> None:
        async with serving(handler, send_timeout_s=60, **LIMITS) as server:
            if protocol == "http1":
                async with server.http1() as client:
                    await client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
                    while trio.current_time() < 65:
                        await client.stream.receive_some(300_000)
                        await trio.sleep(10)
                    assert len(await client.rest()) < 40_000_000
            else:
                async with server.http2() as client2:
                    client2.reading_window = False
                    stream_id = await client2.ask("GET", "/big")
                    while stream_id not in client2.ended:
                        with trio.move_on_after(10):
                            await client2.receive()
                            continue
                        client2.h2.increment_flow_control_window(1, stream_id)
                        client2.h2.increment_flow_control_window(1)
                        await client2.flush()
                    assert client2.answers[stream_id].reset == 2
            assert 60 <= trio.current_time() <= 75
            await server.assert_alive()

    run(test, virtual_time=True)


def test_a_thousand_idle_connections_cost_others_nothing_and_are_closed_in_the_end() -> None:
    async def test() -> None:
        async with serving(**LIMITS) as server:
            idle = [await server.connect() for _ in range(1000)]
            await server.assert_alive()
            async with trio.open_nursery() as nursery:
                for stream in idle:
                    nursery.start_soon(stream.receive_some)
            for stream in idle:
                await stream.aclose()

    run(test, virtual_time=True)
