"""What a worker passes on: two listeners with a Unix socket between them, as bytes on the client's side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from ledger.apimachinery.http import Duplex, Handler, Headers, PeerGone, Request, Response, Write
from ledger.apimachinery.status import StatusError
from ledger.handlers.to_writer import PREFIX, PassOn, told_headers, with_what_workers_tell
from ledger.outbound.caller import Caller
from ledger.outbound.dialing import Peer
from ledger.wire.config import WireConfig
from ledger.wire.listener import serve
from tests.wire.wire_server import Server, run, serving

LARGE = b"x" * 1_000_000
HEAD = b"POST / HTTP/1.1\r\nHost: test\r\n"


@dataclass
class Both:
    worker: Server
    answers: list[Response] = field(default_factory=list)  # of the worker's handler
    unsent: list[str] = field(default_factory=list)  # what was refused without the writer


@asynccontextmanager
async def passing_on(tmp_path: Path, handler: Handler) -> AsyncIterator[Both]:
    path = str(tmp_path / "writer")
    writer = WireConfig(bind=[f"unix:{path}"], body_bytes_max=len(LARGE) + 1)

    async def unsent(request: Request) -> Response:
        failure = request.scratch["failure"]
        both.unsent.append(str(failure))
        if not isinstance(failure, StatusError):
            raise failure
        return Response(failure.code, [], failure.message.encode())

    pass_on = PassOn(Caller(), Peer("", 0, socket=path), unsent)

    async def passed_on(request: Request) -> Response:
        response = await pass_on(request)
        both.answers.append(response)
        return response

    async with trio.open_nursery() as nursery, serving(passed_on, body_timeout_s=1) as worker:
        both = Both(worker)
        await nursery.start(lambda **k: serve(writer, with_what_workers_tell(handler), **k))
        yield both
        nursery.cancel_scope.cancel()


def case(test: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    def in_trio(tmp_path: Path) -> None:
        run(lambda: test(tmp_path))

    in_trio.__doc__ = test.__doc__
    return in_trio


async def sizes(request: Request) -> Response:
    body = await request.read_body()
    return Response(200, [("x-of", request.method)], f"{len(body)} bytes".encode())


async def refusing(_request: Request) -> Response:
    return Response(401, [], b"nobody knows you")


@case
async def test_bodies_of_any_size_reach_the_writer_on_one_connection(tmp_path: Path) -> None:
    async with passing_on(tmp_path, sizes) as both, both.worker.http1() as client:
        for body in (b"", b"small", b"y" * 20_000, LARGE, b"small"):
            await client.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, f"{len(body)} bytes".encode())
        await client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert (await client.answer()).body == b"3 bytes"
        async with both.worker.http2() as h2:
            assert (await h2.answer(await h2.ask("POST", "/", b"z" * 10_000))).body == b"10000 bytes"
    assert not both.unsent


@case
async def test_a_large_body_is_not_asked_for_when_the_writer_refuses(tmp_path: Path) -> None:
    async with passing_on(tmp_path, refusing) as both:
        async with both.worker.http1() as client:
            await client.send(HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            assert (await client.answer()).status == 401
        async with both.worker.http1() as client:
            await client.send(HEAD + b"Content-Length: 2000000\r\n\r\n")
            assert (await client.answer()).status == 401


@case
async def test_a_body_that_is_too_large_is_the_writers_to_refuse(tmp_path: Path) -> None:
    async with passing_on(tmp_path, sizes) as both, both.worker.http1() as client:
        await client.send(HEAD + b"Content-Length: 2000000\r\n\r\n" + LARGE)
        assert (await client.answer()).status == 500  # a StatusError that no filter here makes an answer of
    assert not both.unsent


@case
async def test_a_small_body_that_does_not_come_is_refused_here(tmp_path: Path) -> None:
    async with passing_on(tmp_path, sizes) as both, both.worker.http1() as client:
        await client.send(HEAD + b"Content-Length: 10\r\n\r\nabc")
        assert (await client.answer()).status == 408
        assert len(both.unsent) == 1


@case
async def test_what_an_answer_is_like_is_told(tmp_path: Path) -> None:
    async def streaming(request: Request) -> Response:
        async def stream(write: Write) -> None:
            await write(b"one")
            await write(b"two")
            if request.raw_path == "/broken":
                raise PeerGone

        more = {"endless": request.raw_path == "/watch", "passed_on": request.raw_path == "/log"}
        length = 6 if request.raw_path == "/length" else 9 if request.raw_path == "/broken" else None
        return Response(200, [(f"{PREFIX}forged", "1")], stream=stream, length=length, **more)

    async with passing_on(tmp_path, streaming) as both, both.worker.http1() as client:
        for path in ("/watch", "/log", "/length"):
            answer = await client.get(path)
            assert (answer.status, answer.body) == (200, b"onetwo")
            response = both.answers[-1]
            assert (response.endless, response.passed_on) == (path == "/watch", path == "/log")
            assert not [name for name, _ in response.headers if name.startswith(PREFIX)]
        await client.send(b"GET /broken HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (await client.stream.receive_some(65536)).endswith(b"onetwo")
        assert await client.stream.receive_some(65536) == b""


@case
async def test_a_connection_that_switches_protocols_goes_through(tmp_path: Path) -> None:
    async def echo(connection: Duplex) -> None:
        while data := await connection.receive():
            await connection.send(data.upper())

    async def tunnels(_request: Request) -> Response:
        return Response(101, [("upgrade", "echo")], tunnel=echo)

    async with passing_on(tmp_path, tunnels) as both, both.worker.http1() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
        seen = b""
        while b"EARLY" not in seen:
            seen += await client.stream.receive_some(65536)
        assert seen.startswith(b"HTTP/1.1 101 ")
        await client.send(b"late")
        assert await client.stream.receive_some(65536) == b"LATE"


@case
async def test_the_writer_sees_the_request_as_the_worker_did(tmp_path: Path) -> None:
    seen: list[Request] = []

    async def seeing(request: Request) -> Response:
        seen.append(request)
        return Response(200)

    async with passing_on(tmp_path, seeing) as both, both.worker.http1() as client:
        line = b"GET /a%20b/%2F?x=%31&y HTTP/1.1\r\nHost: test\r\nX-Text: caf\xe9\r\nX-Ledger-Client: 10.0.0.1\r\n"
        await client.send(line + b"Cookie: a=b\r\nTE: trailers\r\nConnection: keep-alive\r\n\r\n")
        assert (await client.answer()).status == 200
    (request,) = seen
    assert (request.raw_path, request.query, request.client) == ("/a%20b/%2F", "x=%31&y", "127.0.0.1")
    headers = dict(request.headers)
    assert headers == {"host": "test", "x-text": "caf\xe9", "cookie": "a=b", "te": "trailers"}


def test_a_certificate_is_told_and_told_back() -> None:
    async def no_body() -> bytes:
        return b""

    async def main() -> None:
        given = Request("GET", "/", "", Headers([(f"{PREFIX}signer", "AAAA")]), no_body)
        given.peer_certificate, given.peer_certificate_error = b"\x30der", "expired – long ago"
        given.http_version = "2"
        got = Request("GET", "/", "", Headers(told_headers(given)), no_body)
        seen: list[Request] = []

        async def seeing(request: Request) -> Response:
            seen.append(request)
            return Response(200)

        await with_what_workers_tell(seeing)(got)
        (request,) = seen
        assert (request.peer_certificate, request.peer_signer) == (b"\x30der", None)
        assert (request.peer_certificate_error, request.http_version) == ("expired – long ago", "2")

    trio.run(main)


@pytest.mark.parametrize("path", ["/nowhere/writer"])
def test_without_a_writer_there_is_no_answer_for_a_while_and_then_a_503(path: str) -> None:
    async def main() -> None:
        async def unsent(request: Request) -> Response:
            return Response(request.scratch["failure"].code)

        async with serving(PassOn(Caller(), Peer("", 0, socket=path), unsent)) as worker, worker.http1() as client:
            began = trio.current_time()
            assert (await client.get("/")).status == 503
            assert trio.current_time() >= began + 5

    run(main, virtual_time=True)
