"""Webhooks that misbehave on the wire: each costs its own request an error, in bounded time and memory."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from ledger.auth.certificates import ensure_credentials
from ledger.outbound.caller import Caller
from ledger.outbound.client import Client, Timeout
from ledger.outbound.endpoint import Endpoint
from ledger.outbound.refusal import CallFailed

Stream = trio.SSLStream[trio.SocketStream]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LIMIT = 1 << 20


async def trickle(stream: Stream) -> None:
    """A byte of the body now and then, for ever."""
    await stream.send_all(HEAD + b"content-length: 1000000\r\n\r\n")
    while True:
        await stream.send_all(b" ")
        await trio.sleep(0.01)


async def flood(stream: Stream) -> None:
    await stream.send_all(HEAD + b"content-length: 100000000000\r\n\r\n")
    while True:
        await stream.send_all(b"x" * 65536)


async def endless_head(stream: Stream) -> None:
    await stream.send_all(HEAD)
    while True:
        await stream.send_all(b"x-more: " + b"y" * 65536 + b"\r\n")


async def cut_short(stream: Stream) -> None:
    await stream.send_all(HEAD + b"content-length: 10\r\n\r\nhalf")


async def no_http(stream: Stream) -> None:
    await stream.send_all(b"220 mail.example.com ESMTP\r\n")


async def two_lengths(stream: Stream) -> None:
    await stream.send_all(HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc")


async def bad_chunk(stream: Stream) -> None:
    await stream.send_all(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")


async def silent(stream: Stream) -> None:
    await trio.sleep_forever()


CASES: list[tuple[Callable[[Stream], Awaitable[None]], str]] = [
    (trickle, "context deadline exceeded"),
    (silent, "context deadline exceeded"),
    (flood, "response body too large"),
    (endless_head, "malformed HTTP response"),
    (cut_short, "unexpected EOF"),
    (no_http, "EOF"),
    (two_lengths, "malformed HTTP response"),
    (bad_chunk, "malformed HTTP response"),
]


@pytest.mark.parametrize("behave, why", CASES, ids=[one.__name__ for one, _ in CASES])
def test_what_comes_of_it(behave: Callable[[Stream], Awaitable[None]], why: str, tmp_path: Path) -> None:
    made = ensure_credentials(tmp_path, names=["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.serving.certificate, made.serving.key)

    async def serve(tcp: trio.SocketStream) -> None:
        stream = trio.SSLStream(tcp, context, server_side=True, https_compatible=True)
        try:
            await stream.receive_some()
            await behave(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has had enough, as it should
        finally:
            await trio.aclose_forcefully(tcp)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, serve, 0)
            port = listeners[0].socket.getsockname()[1]
            caller = Caller()
            endpoint = Endpoint("https://hook/", "127.0.0.1", port, "/", made.ca.certificate.read_bytes())
            client = Client(caller, lambda _: ("127.0.0.1", port))
            with pytest.raises(CallFailed) as failed:
                await client.post(endpoint, b"{}", Timeout(0.3 if "deadline" in why else 30), LIMIT)
            assert why in str(failed.value)
            assert not caller._idle, "a connection in this state is not used again"
            nursery.cancel_scope.cancel()

    trio.run(main)
