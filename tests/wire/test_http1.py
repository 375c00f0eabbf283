from __future__ import annotations

import pytest
import trio

from ledger.apimachinery.http import Headers, Request, Response, Write
from tests.wire.wire_server import Http1Client, echo, run, serving


def test_a_connection_serves_many_requests_and_pipelined_ones_in_order() -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client:
            for number in range(3):
                assert (await client.get(f"/{number}")).body == b"GET /%d? " % number
            await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(50)))
            for number in range(50):
                assert (await client.answer()).body == b"GET /%d? " % number

    run(test)


@pytest.mark.parametrize("pieces", [1, 7, 1000])
@pytest.mark.parametrize(
    "request_bytes, expected",
    [
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", b"POST /a? hello"),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
         b"POST /a? hello"),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
         b"POST /a? hello"),
        (b"GET /a%2Fb%20c?x=%20&y HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /a%2Fb%20c?x=%20&y "),
        (b"GET http://other:80/a?b HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /a?b "),
        (b"GET http://other?b HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /?b "),
        (b"\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /a? "),
        (b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"GET /a? "),
    ],
)  # fmt: skip
def test_a_request_is_understood_however_it_is_cut(request_bytes: bytes, expected: bytes, pieces: int) -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client:
            for start in range(0, len(request_bytes), pieces):
                await client.send(request_bytes[start : start + pieces])
                await trio.testing.wait_all_tasks_blocked()
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, expected)
            assert (await client.get("/next")).status == 200

    run(test)


@pytest.mark.parametrize(
    "path, method, status, body, length",
    [
        ("/a",              "HEAD", 200, b"",               "9"),
        ("/stream",         "HEAD", 200, b"",               None),
        ("/stream",         "GET",  200, b"one two three",  None),
        ("/status?204",     "GET",  204, b"",               None),
        ("/status?304",     "GET",  304, b"",               None),
        ("/status?422",     "GET",  422, b"not to be seen", "14"),
        ("/status?599",     "GET",  599, b"not to be seen", "14"),
        ("/raises",         "GET",  500, b"500 Internal Server Error: the handler failed", "45"),
        ("/big",            "GET",  200, bytes(1_000_000),  "1000000"),
    ],
)  # fmt: skip
def test_answers_are_framed_so_that_the_next_one_is_found(
    path: str, method: str, status: int, body: bytes, length: str | None
) -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client:
            answer = await client.get(path, method)
            assert (answer.status, answer.body, answer.headers.get("content-length")) == (status, body, length)
            assert "date" in answer.headers
            assert (await client.get("/next")).body == b"GET /next? "

    run(test)


def test_options_of_the_server_as_a_whole_are_answered_without_the_handler() -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as one, server.http2() as two:
            for client in (one, two):
                answer = await client.get("*", "OPTIONS")
                assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
                assert (await client.get("*")).body == b"GET *? "

    run(test)


def test_a_http_1_0_client_gets_a_stream_that_ends_with_the_connection() -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client:
            await client.send(b"GET /stream HTTP/1.0\r\n\r\n")
            answer = await client.answer()
            assert answer.body == b"one two three"
            assert answer.headers["connection"] == "close"

    run(test)


def test_a_stream_that_fails_is_cut_and_not_ended() -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client:
            await client.send(b"GET /stream-raises HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.rest()).endswith(b"\r\n\r\n4\r\none \r\n")

    run(test)


def test_100_continue_is_sent_when_the_body_is_wanted_and_only_then() -> None:
    head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

    async def test() -> None:
        async with serving() as server:
            async with server.http1() as client:
                await client.send(head % b"/a")
                assert (await client.answer()).status == 100
                await client.send(b"hello")
                assert (await client.answer()).body == b"POST /a? hello"
            async with server.http1() as client:
                await client.send(head % b"/early")
                answer = await client.answer()
                assert (answer.status, answer.headers["connection"]) == (401, "close")
                assert await client.rest() == b""

    run(test)


@pytest.mark.parametrize(
    "head, body, status",
    [
        (b"Content-Length: 3145728",    bytes(3 * 1024 * 1024), 200),
        (b"Content-Length: 3145729",    b"",                    413),
        (b"Transfer-Encoding: chunked", b"300001\r\n" + bytes(0x300001) + b"\r\n0\r\n\r\n", 413),
        (b"Transfer-Encoding: chunked", b"x\r\n",               400),
        (b"Transfer-Encoding: chunked", b"3\r\nabcd\r\n",       400),
        (b"Content-Length: 5",          b"abc",                 400),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_answered(head: bytes, body: bytes, status: int) -> None:
    async def test() -> None:
        async with serving() as server:
            async with server.http1() as client, trio.open_nursery() as nursery:
                nursery.start_soon(send_and_end, client, b"POST /a HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n" + body)
                answer = await client.answer()
                assert answer.status == status
                if status == 413:
                    assert answer.body == b"Request entity too large: limit is 3145728"
            await server.assert_alive()

    run(test)


async def send_and_end(client: Http1Client, data: bytes) -> None:
    assert isinstance(client.stream, trio.SocketStream)
    try:
        await client.send(data)
        await client.stream.send_eof()
    except trio.BrokenResourceError:
        return  # the server has heard enough


def test_an_early_answer_keeps_the_connection_when_the_rest_is_small() -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client:
            await client.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(100000))
            assert (await client.answer()).status == 401
            assert (await client.get("/next")).status == 200

    run(test)


def test_an_early_answer_to_a_large_body_is_readable_and_then_the_connection_ends() -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client, trio.open_nursery() as nursery:
            head = b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n"
            nursery.start_soon(send_and_end, client, head + bytes(9_000_000))
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (401, "close")

    run(test)


def test_a_response_cannot_smuggle_a_header() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [("x-a", "1\r\nx-evil: 2"), ("content-length", "99"), ("connection", "upgrade")], b"ok")

    async def test() -> None:
        async with serving(handler) as server, server.http1() as client:
            answer = await client.get("/")
            assert (answer.headers["x-a"], answer.body) == ("1  x-evil: 2", b"ok")
            assert "x-evil" not in answer.headers

    run(test)


def test_headers_of_one_request_do_not_leak_into_the_next() -> None:
    async def handler(request: Request) -> Response:
        seen = request.headers.get("authorization")
        request.headers = Headers([*request.headers.without("authorization".__eq__), ("x-mine", "1")])
        return Response(200, [], f"{seen} {request.headers.get_all('x-mine')}".encode())

    async def test() -> None:
        async with serving(handler) as server, server.http1() as client:
            for _ in range(3):
                await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: t\r\n\r\n")
                assert (await client.answer()).body == b"t ['1']"

    run(test)


def test_what_was_found_out_about_one_header_is_not_believed_of_another() -> None:
    def authorization(headers: Headers) -> str:
        return headers.get("authorization")

    async def handler(request: Request) -> Response:
        found = request.headers.known(authorization)
        return Response(200, [], f"{found} {request.headers.get('host')} {await request.read_body()!r}".encode())

    asked = [
        (b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: t\r\n\r\n", b"t a b''"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: u\r\n\r\n", b"u a b''"),
        (b"GET http://b/ HTTP/1.1\r\nHost: a\r\nAuthorization: u\r\n\r\n", b"u b b''"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: u\r\n\r\n", b"u a b''"),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nAuthorization: u\r\nContent-Length: 4\r\n\r\nGET ", b"u a b'GET '"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: u\r\n\r\n", b"u a b''"),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", b" a b''"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: u\r\n\r\n", b"u a b''"),
    ]

    async def test() -> None:
        async with serving(handler) as server:
            for whole in (True, False):
                async with server.http1() as client:
                    for sent, expected in asked:
                        await client.send(sent if whole else sent[:20])
                        if not whole:
                            await trio.testing.wait_all_tasks_blocked()
                            await client.send(sent[20:])
                        assert (await client.answer()).body == expected
            async with server.http1() as client:
                await client.send(b"".join(sent for sent, _ in asked))
                assert [(await client.answer()).body for _ in asked] == [expected for _, expected in asked]

    run(test)


def test_an_endless_stream_sends_its_head_at_once_and_ends_when_the_client_leaves() -> None:
    left = trio.Event()

    async def watch(write: Write) -> None:
        try:
            await trio.sleep_forever()
        finally:
            left.set()

    async def handler(request: Request) -> Response:
        return Response(200, [], stream=watch, endless=True) if request.raw_path == "/watch" else await echo(request)

    async def test() -> None:
        async with serving(handler) as server:
            async with server.http1() as client:
                await client.send(b"GET /watch HTTP/1.1\r\nHost: a\r\n\r\n")
                assert b"200 OK" in await client.stream.receive_some()
            await left.wait()
            await server.assert_alive()

    run(test)


def test_a_client_that_half_closes_still_gets_its_answer() -> None:
    async def test() -> None:
        async with serving() as server, server.http1() as client:
            await send_and_end(client, b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.answer()).body == b"one two three"
            assert await client.rest() == b""

    run(test)
