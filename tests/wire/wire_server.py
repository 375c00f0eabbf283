"""A real listener on a loopback port, and clients that send exactly the bytes a test says."""

from __future__ import annotations

import datetime
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from trio.testing import MockClock

from ledger.apimachinery.http import Handler, Request, Response, Write
from ledger.apimachinery.status import StatusError
from ledger.wire.config import WireConfig
from ledger.wire.listener import serve

GOAWAY = 7  # the frame's type
LONG_S = 120  # of virtual time: a test that waits for ever fails instead


def run(test: Callable[[], Awaitable[None]], *, virtual_time: bool = False) -> None:
    """Runs a test. With virtual time, waiting costs nothing: the clock jumps whenever everybody waits."""

    async def bounded() -> None:
        with trio.fail_after(LONG_S):
            await test()

    trio.run(bounded, clock=MockClock(autojump_threshold=0.01) if virtual_time else None)


@dataclass
class Server:
    config: WireConfig
    address: tuple[str, int]
    nursery: trio.Nursery
    stopped: trio.Event = field(default_factory=trio.Event)

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self.address)

    @asynccontextmanager
    async def http1(self) -> AsyncIterator[Http1Client]:
        stream = await self.connect()
        async with stream:
            yield Http1Client(stream)

    @asynccontextmanager
    async def http2(self, **settings: Any) -> AsyncIterator[Http2Client]:
        stream = await self.connect()
        async with stream:
            client = Http2Client(stream, **settings)
            await client.flush()
            yield client

    async def assert_alive(self) -> None:
        """The question after every attack: is somebody else still served?"""
        async with self.http1() as client:
            assert (await client.get("/")).status == 200
        async with self.http2() as client:
            assert (await client.get("/")).status == 200


@asynccontextmanager
async def serving(handler: Handler | None = None, **limits: Any) -> AsyncIterator[Server]:
    """A listener until the end of the block; then it is cancelled, whatever still runs."""
    config = WireConfig(**limits)
    async with trio.open_nursery() as nursery:

        async def listen(*, task_status: trio.TaskStatus[Server]) -> None:
            async with trio.open_nursery() as inner:
                addresses = await inner.start(serve_with, config, handler or echo)
                host, _, port = addresses[0].rpartition(":")
                server = Server(config, (host, int(port)), nursery)
                task_status.started(server)
            server.stopped.set()

        yield await nursery.start(listen)
        nursery.cancel_scope.cancel()


async def serve_with(config: WireConfig, handler: Handler, *, task_status: trio.TaskStatus[list[str]]) -> None:
    await serve(config, handler, task_status=task_status)


async def echo(request: Request) -> Response:
    """Answers with what it was asked; a path can ask for other behaviour."""
    try:
        body = b"" if request.raw_path == "/early" else await request.read_body()
    except StatusError as error:
        return Response(error.code, [], error.message.encode())
    if request.raw_path == "/early":
        return Response(401, [], b"Unauthorized")
    if request.raw_path == "/big":
        return Response(200, [], bytes(1_000_000))
    if request.raw_path == "/raises":
        raise ValueError("a bug in a handler")
    if request.raw_path == "/status":
        return Response(int(request.query), [("x-one", "1")], b"not to be seen")
    if request.raw_path in ("/stream", "/stream-raises"):
        return Response(200, [], stream=three_chunks if request.raw_path == "/stream" else one_chunk_and_a_bug)
    line = f"{request.method} {request.raw_path}?{request.query} {body.decode('latin-1')}"
    return Response(200, [("content-type", "text/plain")], line.encode("latin-1"))


async def three_chunks(write: Write) -> None:
    for chunk in (b"one ", b"two ", b"three"):
        await write(chunk)


async def one_chunk_and_a_bug(write: Write) -> None:
    await write(b"one ")
    raise ValueError("a bug in a stream")


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame, as wrong as the test wants it."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream_id) + payload


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    reset: int | None = None  # HTTP/2 error code
    complete: bool = True


class Http1Client:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def get(self, path: str, method: str = "GET") -> Answer:
        await self.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return await self.answer(head_only=method == "HEAD")

    async def answer(self, *, head_only: bool = False) -> Answer:
        head = (await self._until(b"\r\n\r\n")).decode().split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        answer = Answer(status, headers, b"")
        if head_only or status in (204, 304) or status < 200:
            return answer
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self._until(b"\r\n"), 16):
                answer.body += (await self._exactly(size + 2))[:-2]
            assert await self._until(b"\r\n") == b"\r\n"
        elif "content-length" in headers:
            answer.body = await self._exactly(int(headers["content-length"]))
        else:
            answer.body = await self.rest()
        return answer

    async def rest(self) -> bytes:
        """Everything until the server closes; a reset counts as closing."""
        data, self.buffer = self.buffer, b""
        try:
            while more := await self.stream.receive_some():
                data += more
        except trio.BrokenResourceError:
            return data
        return data

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            await self._receive()
        end = self.buffer.index(mark) + len(mark)
        taken, self.buffer = self.buffer[:end], self.buffer[end:]
        return taken

    async def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            await self._receive()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    async def _receive(self) -> None:
        data = await self.stream.receive_some()
        if not data:
            raise EOFError(self.buffer)
        self.buffer += data


class Http2Client:
    """The h2 library as client, with its own checks off so that it sends what a test wants."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self.h2.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.ended: set[int] = set()
        self.continued: set[int] = set()
        self.pongs: list[bytes] = []
        self.goaway: int | None = None
        self.closed = False
        self.unparsed = b""
        self.reading_window = True  # give the window back as data arrives

    async def flush(self) -> None:
        await self.stream.send_all(self.h2.data_to_send())

    async def get(self, path: str, method: str = "GET") -> Answer:
        return await self.answer(await self.ask(method, path))

    async def ask(self, method: str, path: str, body: bytes | None = None, *extra: tuple[str, str]) -> int:
        """Sends a request and returns its stream."""
        stream_id = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path), *extra]
        self.h2.send_headers(stream_id, fields, end_stream=body is None)
        if body is not None:
            self.h2.send_data(stream_id, body, end_stream=True)
        await self.flush()
        return stream_id

    async def headers(self, *fields: tuple[bytes, bytes], end: bool = True) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, list(fields), end_stream=end)
        await self.flush()
        return stream_id

    async def answer(self, stream_id: int) -> Answer:
        """Waits until the stream has ended or was reset, or the connection is over (then `complete` is False)."""
        while stream_id not in self.ended and not self.closed:
            await self.receive()
        answer = self.answers.get(stream_id) or Answer(0, {}, b"")
        answer.complete = stream_id in self.ended
        return answer

    async def receive(self) -> None:
        try:
            data = await self.stream.receive_some()
        except trio.BrokenResourceError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(self._without_goaway(data)):
            self._on(event)
        try:
            await self.flush()
        except trio.BrokenResourceError:
            self.closed = True

    def _without_goaway(self, data: bytes) -> bytes:
        """Whole frames but GOAWAY, which is noted here: h2 as a client forgets all its streams on one."""
        self.unparsed += data
        frames = b""
        while len(self.unparsed) >= 9:
            size = 9 + int.from_bytes(self.unparsed[:3], "big")
            if len(self.unparsed) < size:
                break
            frame, self.unparsed = self.unparsed[:size], self.unparsed[size:]
            if frame[3] == GOAWAY:
                self.goaway = int.from_bytes(frame[13:17], "big")
            else:
                frames += frame
        return frames

    def _on(self, event: h2.events.Event) -> None:
        stream_id = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ResponseReceived):
            headers = {name.decode(): value.decode() for name, value in event.headers}
            self.answers[stream_id] = Answer(int(headers.pop(":status")), headers, b"")
        elif isinstance(event, h2.events.InformationalResponseReceived):
            self.continued.add(stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self.answers[stream_id].body += event.data
            if self.reading_window:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs.append(event.ping_data)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.answers.setdefault(stream_id, Answer(0, {}, b"")).reset = int(event.error_code)
            self.ended.add(stream_id)


class Certificates:
    """A CA, a server certificate, a client certificate of that CA, and one of a stranger, as PEM files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = self.make("ca", ca=True)
        self.server = self.make("server", signer="ca", usage=ExtendedKeyUsageOID.SERVER_AUTH)
        self.client = self.make("client", signer="ca", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        self.expired = self.make("expired", signer="ca", usage=ExtendedKeyUsageOID.CLIENT_AUTH, days=-1)
        self.stranger = self.make("stranger", usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def config(self) -> dict[str, str]:
        """What WireConfig wants to know."""
        certificate, key = self.files("server")
        return {"certificate_file": certificate, "key_file": key, "client_ca_file": self.files("ca")[0]}

    def files(self, name: str) -> tuple[str, str]:
        return str(self.folder / f"{name}.crt"), str(self.folder / f"{name}.key")

    def context(self, client: str = "", *protocols: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.files("ca")[0])
        if client:
            context.load_cert_chain(*self.files(client))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def make(
        self,
        name: str,
        *,
        signer: str = "",
        ca: bool = False,
        usage: x509.ObjectIdentifier | None = None,
        days: int = 2,
        names: tuple[str, ...] = ("localhost",),
    ) -> x509.Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer, signing_key = subject, key
        if signer:
            issuer = x509.load_pem_x509_certificate(Path(self.files(signer)[0]).read_bytes()).subject
            loaded = serialization.load_pem_private_key(Path(self.files(signer)[1]).read_bytes(), None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            signing_key = loaded
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=3))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
        )
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(signing_key, hashes.SHA256())
        Path(self.files(name)[0]).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        Path(self.files(name)[1]).write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        return certificate
