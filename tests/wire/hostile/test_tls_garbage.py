"""What is sent on a TLS connection after its handshake and is no TLS, or the end of it. (Before: `test_tls`.)"""

from __future__ import annotations

import pytest
import trio

from ledger.apimachinery.http import Request, Response
from tests.wire.test_tls import tls_connect
from tests.wire.wire_server import Certificates, Http1Client, Server, echo, run, serving

RECORD = b"\x17\x03\x03"  # application data


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        bytes(20_000),
        b"\xff" * 20_000,
        RECORD + b"\x00\x20" + bytes(32),  # a record whose authentication fails
        RECORD + b"\xff\xff" + bytes(65_535),  # a record that is too long
        RECORD + b"\x00\x00",  # one without content
        b"\x15\x03\x03\x00\x02\x02\x28",  # an alert that is not encrypted
        b"\x14\x03\x03\x00\x01\x01" * 100,  # change_cipher_spec
        b"\x16\x03\x03\x00\x04\x00\x00\x00\x00",  # HelloRequest
    ],
)
def test_garbage_between_records_ends_its_own_connection(
    certificates: Certificates, garbage: bytes, protocol: str
) -> None:
    async def test() -> None:
        async with serving(**certificates.config()) as server:
            stream = await tls_connect(server, certificates.context("", protocol))
            raw = stream.transport_stream
            try:
                await raw.send_all(garbage)
                while await raw.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            await raw.aclose()
            await assert_alive(server, certificates)

    run(test)


async def assert_alive(server: Server, certificates: Certificates) -> None:
    async with await tls_connect(server, certificates.context("", "http/1.1")) as stream:
        assert (await Http1Client(stream).get("/")).status == 200


@pytest.mark.parametrize("begun", [b"", RECORD + b"\x00\x20" + bytes(31)])
def test_silence_in_the_middle_of_a_record_is_silence(certificates: Certificates, begun: bytes) -> None:
    async def test() -> None:
        async with serving(idle_timeout_s=90, **certificates.config()) as server:
            stream = await tls_connect(server, certificates.context("", "http/1.1"))
            raw = stream.transport_stream
            await raw.send_all(begun)
            while await raw.receive_some():
                pass
            assert 90 <= trio.current_time() < 95

    run(test, virtual_time=True)


def test_a_client_that_ends_its_side_of_tls_still_gets_its_answer(certificates: Certificates) -> None:
    release = trio.Event()

    async def handler(request: Request) -> Response:
        if request.raw_path == "/late":
            await release.wait()
        return await echo(request)

    async def test() -> None:
        async with serving(handler, **certificates.config()) as server:
            stream = await tls_connect(server, certificates.context("", "http/1.1"))
            await stream.send_all(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
            await stream.transport_stream.send_eof()  # type: ignore[attr-defined]
            await trio.testing.wait_all_tasks_blocked(0.01)
            release.set()
            assert (await Http1Client(stream).answer()).body == b"GET /late? "
            await assert_alive(server, certificates)

    run(test)
