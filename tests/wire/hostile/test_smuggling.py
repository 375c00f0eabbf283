"""Requests that two readers understand differently. None may be answered as more than the sender can have meant.

Each attack carries `GET /smuggled` where some proxy would see a body, or hides it from one. It must not reach a handler,
and the connection must end, since nobody can say what follows.
"""

from __future__ import annotations

import pytest
import trio

from ledger.apimachinery.http import Request, Response
from tests.wire.wire_server import echo, run, serving

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"


@pytest.mark.parametrize(
    "name, attack",
    [
        ("CL.TE",                        HEAD + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n" + END + SMUGGLED),
        ("TE.CL",                        HEAD + CHUNKED + b"Content-Length: 4\r\n\r\n" + END + SMUGGLED),
        ("CL.0",                         HEAD + b"Content-Length: 0\r\nContent-Length: 34\r\n\r\n" + SMUGGLED),
        ("CL, CL",                       HEAD + b"Content-Length: 0, 34\r\n\r\n" + SMUGGLED),
        ("CL with a sign",               HEAD + b"Content-Length: +0\r\n\r\n" + SMUGGLED),
        ("CL in hexadecimal",            HEAD + b"Content-Length: 0x0\r\n\r\n" + SMUGGLED),
        ("CL with a space before",       HEAD + b"Content-Length : 34\r\n\r\n" + SMUGGLED),
        ("CL with a tab in its name",    HEAD + b"Content-Length\t: 34\r\n\r\n" + SMUGGLED),
        ("CL with a vertical tab",       HEAD + b"Content-Length: \x0b34\r\n\r\n" + SMUGGLED),
        ("CL with a NUL",                HEAD + b"Content-Length: 34\0\r\n\r\n" + SMUGGLED),
        ("CL behind a folded line",      HEAD + b"X: y\r\n Content-Length: 34\r\n\r\n" + SMUGGLED),
        ("CL behind a bare LF",          HEAD + b"X: y\nContent-Length: 34\r\n\r\n" + SMUGGLED),
        ("CL behind a bare CR",          HEAD + b"X: y\rContent-Length: 34\r\n\r\n" + SMUGGLED),
        ("TE with a space before",       HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + END + SMUGGLED),
        ("TE of another name",           HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + END + SMUGGLED),
        ("TE with identity",             HEAD + b"Transfer-Encoding: identity\r\n\r\n" + END + SMUGGLED),
        ("TE chunked, identity",         HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + END + SMUGGLED),
        ("TE twice",                     HEAD + CHUNKED + CHUNKED + b"\r\n" + END + SMUGGLED),
        ("TE twice, one unknown",        HEAD + CHUNKED + b"Transfer-Encoding: cow\r\n\r\n" + END + SMUGGLED),
        ("TE with a vertical tab",       HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + END + SMUGGLED),
        ("TE in quotes",                 HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n' + END + SMUGGLED),
        ("TE in HTTP/1.0",               b"POST / HTTP/1.0\r\nHost: a\r\n" + CHUNKED + b"\r\n" + END + SMUGGLED),
        ("chunk size with a sign",       HEAD + CHUNKED + b"\r\n+0\r\n\r\n" + SMUGGLED),
        ("chunk size with 0x",           HEAD + CHUNKED + b"\r\n0x0\r\n\r\n" + SMUGGLED),
        ("chunk size with a space",      HEAD + CHUNKED + b"\r\n 0\r\n\r\n" + SMUGGLED),
        ("chunk size beyond 64 bits",    HEAD + CHUNKED + b"\r\n10000000000000000\r\n\r\n" + SMUGGLED),
        ("chunk line with bare LF",      HEAD + CHUNKED + b"\r\n0\n\r\n" + SMUGGLED),
        ("chunk extension with bare LF", HEAD + CHUNKED + b"\r\n2;\nxx\r\n4c\r\n0\r\n\r\n" + SMUGGLED),
        ("chunk longer than its size",   HEAD + CHUNKED + b"\r\n1\r\nab\r\n" + END + SMUGGLED),
        ("chunk that ends with two CR",  HEAD + CHUNKED + b"\r\n1\r\na\r\r\n" + END + SMUGGLED),
        ("trailer with bare LF",         HEAD + CHUNKED + b"\r\n0\r\nX: y\n\r\n\r\n" + SMUGGLED),
        ("two hosts",                    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + SMUGGLED),
        ("request line with a tab",      b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED),
        ("request line with a bare CR",  b"GET /\rHTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED),
        ("no name",                      b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n" + SMUGGLED),
        ("a body that is cut short",     HEAD + b"Content-Length: 100\r\n\r\n" + SMUGGLED),
    ],
)  # fmt: skip
def test_smuggling(name: str, attack: bytes) -> None:
    paths: list[str] = []

    async def handler(request: Request) -> Response:
        paths.append(request.raw_path)
        return await echo(request)

    async def test() -> None:
        async with serving(handler) as server:
            async with server.http1() as client:
                await client.send(attack)
                await client.stream.send_eof()  # type: ignore[attr-defined]
                answer = await client.rest()
                assert answer.count(b"HTTP/1.1 ") == 1 and b"connection: close" in answer, name
                assert answer[9:12] in (b"400", b"501"), name
            assert "/smuggled" not in paths
            await server.assert_alive()

    run(test)


@pytest.mark.parametrize("attack", [b"\r\n" * 500_000, (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") * 300_000])
def test_a_flood_on_one_http_1_connection_leaves_the_others_their_turn(attack: bytes) -> None:
    """Empty lines end their connection; requests whose answers nobody takes wait, and their client with them."""

    async def test() -> None:
        async with serving(stall_timeout_s=5) as server, server.http1() as client, trio.open_nursery() as nursery:

            async def send() -> None:
                try:
                    await client.send(attack)
                except trio.BrokenResourceError:
                    return

            nursery.start_soon(send)
            for _ in range(5):
                await server.assert_alive()
            nursery.cancel_scope.cancel()

    run(test)
