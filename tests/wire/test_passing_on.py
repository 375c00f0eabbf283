"""Requests that are passed on instead of read: bodies piece by piece, and connections handed over after a 101."""

from __future__ import annotations

import trio

from ledger.apimachinery.http import Duplex, Request, Response, Write
from ledger.apimachinery.status import StatusError
from tests.wire.wire_server import run, serving

UPGRADE = b"GET /tunnel HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
PIECE_BYTES = 1_000_000


async def pieces(request: Request) -> Response:
    """Answers with the sizes of all pieces, or with why there are no more."""
    total, count = 0, 0
    try:
        while request.read_piece is not None and (piece := await request.read_piece()):
            total, count = total + len(piece), count + 1
    except StatusError as error:
        return Response(error.code, [], error.message.encode())
    return Response(200, [], f"{total} bytes, {'many' if count > 1 else count}".encode())


async def shouting(connection: Duplex) -> None:
    while data := await connection.receive():
        await connection.send(data.upper())


async def tunnels(_request: Request) -> Response:
    return Response(101, [("upgrade", "echo"), ("x-more", "1")], tunnel=shouting)


def test_a_body_comes_in_pieces_whatever_its_length() -> None:
    async def main() -> None:
        async with serving(pieces, body_bytes_max=10) as server, server.http1() as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % PIECE_BYTES)
            await client.send(bytes(PIECE_BYTES))
            assert (await client.answer()).body == b"1000000 bytes, many"
            await client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.send(b"3\r\nabc\r\n" + b"20\r\n" + bytes(32) + b"\r\n0\r\n\r\n")
            assert (await client.answer()).body.startswith(b"35 bytes")
            assert (await client.get("/")).body == b"0 bytes, 0", "the connection is still in step"
            async with server.http2() as h2:
                stream = await h2.ask("POST", "/", bytes(10_000))
                assert (await h2.answer(stream)).body.startswith(b"10000 bytes")
                assert (await h2.get("/")).body == b"0 bytes, 0"

    run(main)


def test_a_body_that_stops_coming_is_cut_off() -> None:
    async def main() -> None:
        async with serving(pieces, piece_timeout_s=5) as server:
            async with server.http1() as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc")
                assert (await client.answer()).status == 408
            async with server.http1() as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")
                assert (await client.answer()).status == 400

    run(main, virtual_time=True)


def test_a_client_is_told_to_go_on_before_the_first_piece() -> None:
    async def main() -> None:
        async with serving(pieces) as server, server.http1() as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert (await client.answer()).status == 100
            await client.send(b"ok")
            assert (await client.answer()).body == b"2 bytes, 1"

    run(main)


def test_after_a_101_the_connection_is_the_handlers() -> None:
    async def main() -> None:
        async with serving(tunnels) as server, server.http1() as client:
            await client.send(UPGRADE + b"early ")
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"], answer.headers["upgrade"]) == (101, "upgrade", "echo")
            assert answer.headers["x-more"] == "1" and "content-length" not in answer.headers
            await client.send(b"and \x00\xff late")
            assert await client._exactly(len(b"early and \x00\xff late")) == b"EARLY AND \x00\xff LATE"
            await server.http1().__aenter__()  # others are served meanwhile
            assert isinstance(client.stream, trio.SocketStream)
            await client.stream.send_eof()
            assert await client.rest() == b""

    run(main)


def test_a_stream_that_knows_its_length_says_so() -> None:
    async def handler(_request: Request) -> Response:
        async def stream(write: Write) -> None:
            await write(b"12")
            await write(b"345")

        return Response(200, [], stream=stream, length=5)

    async def main() -> None:
        async with serving(handler) as server, server.http1() as client, server.http2() as h2:
            for method in ("GET", "HEAD", "GET"):
                await client.send(f"{method} / HTTP/1.1\r\nHost: test\r\n\r\n".encode())
                answer = await client.answer(head_only=method == "HEAD")
                assert answer.headers["content-length"] == "5" and "transfer-encoding" not in answer.headers
                assert answer.body == (b"" if method == "HEAD" else b"12345")
            answer = await h2.get("/")
            assert (answer.headers["content-length"], answer.body) == ("5", b"12345")

    run(main)


def test_a_stream_may_end_before_it_began() -> None:
    async def handler(request: Request) -> Response:
        async def stream(write: Write) -> None:
            return

        return Response(200, [], stream=stream, length=0 if request.raw_path == "/known" else None)

    async def main() -> None:
        async with serving(handler) as server, server.http1() as client:
            for path in ("/known", "/", "/known"):
                assert (await client.get(path)).status == 200

    run(main)


def test_a_drain_ends_tunnels() -> None:
    async def main() -> None:
        async with serving(tunnels) as server, server.http1() as client:
            await client.send(UPGRADE)
            await client.answer()
            server.config.drain.set()
            assert await client.rest() == b""
            await server.stopped.wait()

    run(main, virtual_time=True)


def test_what_an_answer_holds_is_released_even_when_nobody_takes_it() -> None:
    released: list[str] = []

    async def handler(request: Request) -> Response:
        async def stream(write: object) -> None:
            await trio.sleep_forever()

        return Response(200, [], stream=stream, passed_on=True, release=lambda: released.append(request.raw_path))

    async def main() -> None:
        async with serving(handler) as server:
            async with server.http1() as client:
                assert (await client.get("/head", "HEAD")).status == 200
            async with server.http1() as client:
                await client.send(b"GET /left HTTP/1.1\r\nHost: test\r\n\r\n")
            async with server.http2() as h2:
                await h2.ask("GET", "/reset")
                await h2.receive()
            while len(released) < 3:
                await trio.lowlevel.checkpoint()
        assert sorted(released) == ["/head", "/left", "/reset"]

    run(main)
