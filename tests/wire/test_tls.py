from __future__ import annotations

import http.client
import shutil
import ssl
from contextlib import suppress

import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.apimachinery.http import Request, Response
from ledger.wire.config import WireConfig
from ledger.wire.listener import serve
from tests.wire.wire_server import Certificates, Http1Client, Http2Client, Server, run, serving


async def who(request: Request) -> Response:
    """Which certificate the server saw: its first bytes, or why it was not accepted."""
    seen = request.peer_certificate_error or (request.peer_certificate or b"none").hex()
    return Response(200, [], f"{request.scheme} {request.http_version} {seen}".encode())


async def tls_connect(server: Server, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    stream = trio.SSLStream(await server.connect(), context, server_hostname="localhost", https_compatible=True)
    await stream.do_handshake()
    return stream


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
@pytest.mark.parametrize("client", ["", "client", "stranger", "expired"])
def test_a_client_certificate_is_an_identity_only_when_our_ca_signed_it(
    certificates: Certificates, client: str, protocol: str
) -> None:
    seen = {
        "": b"none".hex(),
        "client": certificates.client.public_bytes(Encoding.DER).hex(),
        "stranger": "x509: certificate signed by unknown authority",
        "expired": "x509: certificate has expired or is not yet valid",
    }[client]

    async def test() -> None:
        async with serving(who, **certificates.config()) as server:
            stream = await tls_connect(server, certificates.context(client, protocol))
            async with stream:
                assert stream.selected_alpn_protocol() == protocol
                speaking = Http1Client(stream) if protocol == "http/1.1" else Http2Client(stream)
                for _ in range(2):
                    answer = await speaking.get("/")
                    version = "1.1" if protocol == "http/1.1" else "2"
                    assert answer.body.decode() == f"https {version} {seen}"

    run(test)


def test_a_verdict_is_not_carried_from_one_connection_to_the_next(certificates: Certificates) -> None:
    async def test() -> None:
        async with serving(who, **certificates.config()) as server:
            context = certificates.context("stranger", "http/1.1")
            session = None
            for _ in range(2):
                stream = await tls_connect(server, context)
                body = (await Http1Client(stream).get("/")).body
                assert b"unknown authority" in body
                session = stream.session if session is None else session
                await trio.aclose_forcefully(stream)

    run(test)


def test_the_standard_library_is_served(certificates: Certificates) -> None:
    def ask(port: int) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection("localhost", port, context=certificates.context("client"))
        for _ in range(3):
            connection.request("POST", "/a", body=b"x" * 100_000)
            response = connection.getresponse()
            body = response.read()
        connection.close()
        return response.status, body[:6]

    async def test() -> None:
        async with serving(**certificates.config(), bind=["localhost:0"]) as server:
            assert await trio.to_thread.run_sync(ask, server.address[1]) == (200, b"POST /")

    run(test)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http2", "--tls-max=1.2"])
def test_curl_is_served(certificates: Certificates, version: str) -> None:
    async def curl(server: Server, path: str, *options: str) -> bytes:
        url = f"https://localhost:{server.address[1]}{path}"
        ca = certificates.files("ca")[0]
        options = tuple(option for option in (version.replace("=", " ")).split()) + options
        done = await trio.run_process(
            ["curl", "-s", "--cacert", ca, *options, "-w", " %{http_code}", url], capture_stdout=True, check=False
        )
        return done.stdout

    async def test() -> None:
        async with serving(**certificates.config()) as server:
            assert await curl(server, "/stream") == b"one two three 200"
            assert await curl(server, "/big") == bytes(1_000_000) + b" 200"
            large = "@" + certificates.files("ca")[0]
            assert (await curl(server, "/a", "--data-binary", large)).endswith(b"-----END CERTIFICATE-----\n 200")
            assert await curl(server, "/early", "-X", "POST", "-d", "x" * 100_000) == b"Unauthorized 401"

    run(test)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01" + bytes(500),
        b"\x00" * 100,
        b"\x16\x03\x03\x00\x01\x00",
        b"",
    ],
)
def test_what_is_not_tls_ends_its_own_connection(certificates: Certificates, garbage: bytes) -> None:
    async def test() -> None:
        async with serving(who, **certificates.config()) as server:
            stream = await server.connect()
            await stream.send_all(garbage)
            with suppress(trio.BrokenResourceError):
                await stream.send_eof()
            answer = await Http1Client(stream).rest()
            if garbage.startswith(b"GET"):
                assert answer.endswith(b"Client sent an HTTP request to an HTTPS server.\n")
            await trio.aclose_forcefully(stream)
            async with await tls_connect(server, certificates.context()) as tls:
                assert (await Http1Client(tls).get("/")).status == 200

    run(test)


def test_a_handshake_that_does_not_come_is_not_waited_for(certificates: Certificates) -> None:
    async def test() -> None:
        async with serving(who, **certificates.config(), handshake_timeout_s=10) as server:
            stream = await server.connect()
            begun = trio.current_time()
            assert await Http1Client(stream).rest() == b""
            assert 10 <= trio.current_time() - begun < 15

    run(test, virtual_time=True)


def test_old_tls_is_refused(certificates: Certificates) -> None:
    async def test() -> None:
        async with serving(who, **certificates.config()) as server:
            context = certificates.context()
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
                await tls_connect(server, context)

    run(test)


@pytest.mark.parametrize(
    "wrong, path, complaint",
    [
        ("certificate_file", "/nowhere/file.pem", "No such file or directory: '/nowhere/file.pem'"),
        ("key_file",         "/nowhere/file.pem", "No such file or directory: '/nowhere/file.pem'"),
        ("client_ca_file",   "/nowhere/file.pem", "No such file or directory: '/nowhere/file.pem'"),
        ("certificate_file", __file__,            "test_tls.py is not a PEM certificate"),
        ("key_file",         __file__,            "test_tls.py is not the PEM key of "),
        ("key_file",         "client.key",        "client.key is not the PEM key of "),
        ("client_ca_file",   __file__,            "test_tls.py holds no PEM certificates"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named(certificates: Certificates, wrong: str, path: str, complaint: str) -> None:
    async def test() -> None:
        files = certificates.config() | {wrong: str(certificates.folder / path)}
        with pytest.raises(OSError, match=complaint):
            await serve(WireConfig(**files), who)  # type: ignore[arg-type]

    run(test)


def test_a_busy_address_is_an_error_before_anything_is_served() -> None:
    async def test() -> None:
        async with serving(who) as server:
            with pytest.raises(OSError, match="Address already in use"):
                await serve(WireConfig(bind=[f"127.0.0.1:{server.address[1]}"]), who)

    run(test)
