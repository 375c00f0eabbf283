"""Byte sequences that end a whole hypercorn process. Each is sent, then somebody else must still be served."""

from __future__ import annotations

import pytest

from tests.wire.wire_server import run, serving

GET = ((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/"))


def fields(**changed: bytes | None) -> list[tuple[bytes, bytes]]:
    """A good header block with pseudo-headers replaced, or left out where None."""
    given = {name: changed.get(name[1:].decode(), value) for name, value in GET}
    return [(name, value) for name, value in given.items() if value is not None]


@pytest.mark.parametrize(
    "block, refused_with",
    [
        (fields(path="/\xe9".encode("latin-1")),               200),
        (fields(path="/é".encode()),                           200),
        (fields(path=b"/\x80\xff\xfe"),                        200),
        (fields(path=b"/\x00"),                                "reset"),
        (fields(path=b"/\x7f"),                                "reset"),
        (fields(path=b"/%zz"),                                 400),
        (fields(path=b"/" + b"a" * 40_000),                    414),
        (fields(method="G\xc9T".encode("latin-1")),            400),
        (fields(method=b"CONNECT", path=None, scheme=None),    400),
        (fields(method=b"CONNECT"),                            400),
        (fields(path=b"*", method=b"OPTIONS"),                 200),
        (fields(path=b"no-slash"),                             400),
        (fields(authority=b"a b"),                             400),
        (fields(path=None),                                    "reset"),
        (fields(method=None),                                  "reset"),
        (fields(scheme=None),                                  "reset"),
        (fields(path=b""),                                     "reset"),
        ([*GET, (b":path", b"/again")],                        "reset"),
        ([*GET, (b":unknown", b"1")],                          "reset"),
        ([(b"x", b"1"), *GET],                                 "reset"),
        ([*GET, (b"X-Upper", b"1")],                           "reset"),
        ([*GET, (b"connection", b"close")],                    "reset"),
        ([*GET, (b"transfer-encoding", b"chunked")],           "reset"),
        ([*GET, (b"te", b"gzip")],                             "reset"),
        ([*GET, (b"", b"1")],                                  "reset"),
        ([*GET, (b"x", b"a\r\nb")],                            "reset"),
        ([*GET, (b"x", b"a\0b")],                              "reset"),
        ([*GET, (b"content-length", b"1"), (b"content-length", b"1")], "reset"),
    ],
)  # fmt: skip
def test_an_odd_header_block_concerns_its_stream_alone(
    block: list[tuple[bytes, bytes]], refused_with: int | str
) -> None:
    async def test() -> None:
        async with serving() as server, server.http2() as client:
            answer = await client.answer(await client.headers(*block))
            if refused_with == "reset":
                assert (answer.status, answer.reset) == (0, 1)  # PROTOCOL_ERROR
            else:
                assert answer.status == refused_with
            assert (await client.get("/same-connection")).status == 200
            await server.assert_alive()

    run(test)


def test_data_after_an_early_answer_is_harmless() -> None:
    async def test() -> None:
        async with serving() as server, server.http2() as client:
            post = fields(method=b"POST", path=b"/early")
            stream_id = await client.headers(*post, end=False)
            while stream_id not in client.ended:
                await client.receive()
            assert client.answers[stream_id].status == 401
            for _ in range(5):
                client.h2.send_data(stream_id, b"more")
                await client.flush()
            assert (await client.get("/same-connection")).status == 200
            await server.assert_alive()

    run(test)


def test_bytes_after_an_upgrade_request_are_the_next_request() -> None:
    upgrade = (
        b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    async def test() -> None:
        async with serving() as server:
            for more in (b"\x81", b"\x81\x05hello\r\n\r\n", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"):
                async with server.http1() as client:
                    await client.send(upgrade + more)
                    assert (await client.answer()).status == 200  # the upgrade is declined by ignoring it
                    await client.stream.send_eof()  # type: ignore[attr-defined]
                    await client.rest()
            await server.assert_alive()

    run(test)


@pytest.mark.parametrize(
    "attack",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x05\x00\x00\x00\x00\x00\x01hello",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        bytes(70_000),
        b"\xff" * 200_000,
    ],
)  # fmt: skip
def test_garbage_ends_its_own_connection(attack: bytes) -> None:
    async def test() -> None:
        async with serving() as server:
            async with server.http1() as client:
                await client.send(attack)
                await client.stream.send_eof()  # type: ignore[attr-defined]
                await client.rest()
            await server.assert_alive()

    run(test)
