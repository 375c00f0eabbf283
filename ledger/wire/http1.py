"""One HTTP/1.1 connection, served by one task.

A small request costs one `receive`, one call of the handler and one `send`: no task, no timer, no channel. Only a
response that streams gets a second task, which notices that the client has left.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from ledger.apimachinery.http import Duplex, Headers, PeerGone, Request, Response, Shared, Write
from ledger.apimachinery.status import StatusError, bad_request
from ledger.wire import answers
from ledger.wire.connection import Connection, Wire, body_cut_short, body_too_large, body_too_slow, log
from ledger.wire.http1_syntax import BARE_LF, ChunkedBody, Fields, Malformed, RequestLine, parse_fields
from ledger.wire.http1_syntax import parse_request_line as parse_line
from ledger.wire.stream import Disconnected, PlainStream

PREFACE_LINE = b"PRI * HTTP/2.0\r\n\r\n"  # a client that knows that we speak HTTP/2 (RFC 9113, section 3.3)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
REMEMBERED_BYTES_MAX = 4096  # of a block of header fields, kept while a connection is idle
LARGE_CHUNK_BYTES = 64 * 1024  # from here on a copy costs more than sending the frame by itself
PIPELINED_BYTES_MAX = 64 * 1024  # read ahead while a response streams
LEADING_BYTES_MAX = 4  # of empty lines before a request; more is no mistake of an old client
LARGE_HEAD_BYTES = 128 * 1024


async def no_body() -> bytes:
    return b""


class Http1:
    """The state of one connection between its requests."""

    __slots__ = ("block", "buffer", "connection", "fields", "headers", "minor", "served", "stream", "wire")

    def __init__(self, wire: Wire, connection: Connection) -> None:
        self.wire = wire
        self.connection = connection
        self.stream = connection.stream
        self.buffer = bytearray()  # received, not yet understood
        self.served = 0
        # Clients send the same header fields again and again: the last block is parsed once.
        self.block, self.minor, self.fields, self.headers = b"", -1, Fields([]), Headers()

    async def run(self) -> bytes:
        """Serves until the connection is done. Not empty: what came instead of HTTP/1.1, an HTTP/2 preface."""
        try:
            while True:
                head = await self._next_head()
                if head is None:
                    return b""
                if not self.served and head + b"\r\n\r\n" == PREFACE_LINE:
                    return PREFACE_LINE + bytes(self.buffer)
                if not await self._serve(*self._parse(head)):
                    return b""
                self.served += 1
        except Malformed as malformed:
            await self._refuse(malformed)
            return b""
        finally:
            self.wire.large_heads.discard(self.connection)

    async def _next_head(self) -> bytes | None:
        """Request line and fields without the empty line; None when the connection is to end."""
        buffer, connection, config = self.buffer, self.connection, self.wire.config
        scanned, skipped, begun = 0, 0, bool(buffer)
        connection.expire_in(config.head_timeout_s if begun else config.idle_timeout_s)
        connection.on_drain = self._drain_between_requests
        if not begun and not self.wire.draining:
            data = await self.stream.receive()
            # Mostly one head and nothing else: it need not go through the buffer.
            end = len(data) - 4
            if 0 < end <= config.head_bytes_max and data.find(b"\r\n\r\n") == end and data[:2] != b"\r\n":
                connection.deadline = math.inf
                connection.on_drain = _finish_request
                return data[:end]
            if not data:
                return None
            begun = True
            connection.expire_in(config.head_timeout_s)
            buffer += data
        while True:
            while buffer[:2] == b"\r\n" and skipped < LEADING_BYTES_MAX:  # some clients end a body with a line too many
                del buffer[:2]
                skipped += 2
            end = buffer.find(b"\r\n\r\n", max(0, scanned - 3))
            if end >= 0:
                break
            if BARE_LF(buffer, max(0, scanned - 1)):
                raise Malformed(400, "bare line feed")
            if len(buffer) > LARGE_HEAD_BYTES:
                self._take_large_head()
            if self.wire.draining and not buffer:
                return None
            scanned = len(buffer)
            data = await self.stream.receive()
            if not data:
                return None
            if not begun:  # only once: a request does not get more time by coming in pieces
                begun = True
                connection.expire_in(config.head_timeout_s)
            buffer += data
        if end > config.head_bytes_max:
            raise Malformed(431, "request header too large")
        self.wire.large_heads.discard(connection)
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        connection.deadline = math.inf
        connection.on_drain = _finish_request
        return head

    def _take_large_head(self) -> None:
        """A megabyte is allowed, but not to ten thousand connections at once."""
        config, large = self.wire.config, self.wire.large_heads
        if self.connection not in large and len(large) < config.large_heads_max:
            large.add(self.connection)
        if len(self.buffer) > config.head_bytes_max or self.connection not in large:
            raise Malformed(431, "request header too large")

    def _drain_between_requests(self) -> None:
        if not self.buffer:
            self.connection.scope.cancel()

    def _parse(self, head: bytes) -> tuple[RequestLine, Fields, Headers]:
        first, _, block = head.partition(b"\r\n")
        line = parse_line(first)
        if block == self.block and line.minor == self.minor:
            return line, self.fields, self.headers
        fields = parse_fields(block, line.minor)
        headers = Headers(fields.pairs)
        if len(block) <= REMEMBERED_BYTES_MAX:
            self.block, self.minor, self.fields, self.headers = block, line.minor, fields, headers
        return line, fields, headers

    async def _serve(self, line: RequestLine, fields: Fields, headers: Headers) -> bool:
        """Answers one request. True when the connection can take another one."""
        body = Body(self, fields) if fields.has_body else None
        if line.authority:
            headers = Headers([("host", line.authority), *headers.without("host".__eq__)])
        request = Request(
            line.method,
            line.path,
            line.query,
            headers,
            body.read if body else no_body,
            client=self.connection.client,
            http_version="1.1" if line.minor else "1.0",
            peer_certificate=self.connection.certificate,
            peer_signer=self.connection.signer,
            scheme=self.connection.scheme,
            peer_certificate_error=self.connection.certificate_error,
            read_piece=body.read_piece if body else None,
        )
        response = await self.wire.answer(request)
        if body is None and response.stream is None and response.tunnel is None and response.release is None:
            keep = fields.keep_alive and not self.wire.draining
            await self.stream.send(self._whole(line, response, keep))
            if not keep and self.buffer:
                await self._linger()
            return keep
        try:
            return await self._answer(line, fields, body, response)
        finally:
            self.stream.stall_timeout_s = self.wire.config.stall_timeout_s
            if response.release is not None:
                response.release()

    async def _answer(self, line: RequestLine, fields: Fields, body: Body | None, response: Response) -> bool:
        if response.tunnel is not None:
            await self._tunnel(response, response.tunnel)
            return False
        keep = fields.keep_alive and not self.wire.draining and (body is None or body.can_be_discarded())
        if response.stream is not None and not answers.has_no_body(line.method, response.status):
            keep = await StreamedResponse(self, line, response, keep).run() and keep
        else:
            await self.stream.send(self._whole(line, response, keep))
        if body is not None and not body.complete:
            if keep:
                return await body.discard()
            await self._linger()
        elif not keep and self.buffer:
            await self._linger()
        return keep

    async def _tunnel(self, response: Response, tunnel: Callable[[Duplex], Awaitable[None]]) -> None:
        """Hands the connection over for good; a drain ends it, as the other side could stay for hours."""
        self.connection.on_drain = self.connection.scope.cancel
        if self.wire.draining:
            return
        self.stream.stall_timeout_s = self.wire.config.passed_on_stall_timeout_s
        await self.stream.send(answers.http1_switch(response.headers))
        await tunnel(Tunnel(self.stream, bytes(self.buffer)))

    def _whole(self, line: RequestLine, response: Response, keep: bool) -> bytes:
        bare = answers.has_no_body(line.method, response.status)
        return answers.http1_head(
            response.status,
            response.headers,
            length=answers.length_of(response, line.method) if bare else len(response.body),
            chunked=False,
            connection="" if keep and line.minor else connection_option(keep, line.minor),
            body=b"" if bare else response.body,
        )

    async def _refuse(self, malformed: Malformed) -> None:
        """What follows on this connection cannot be understood any more: answer and close."""
        line = RequestLine("GET", "/", "", 1)
        await self.stream.send(self._whole(line, answers.plain(malformed.status, malformed.why), keep=False))
        await self._linger()

    async def _linger(self) -> None:
        """Ends our side and discards what still comes: closing at once could destroy the answer on its way (RST)."""
        config = self.wire.config
        self.stream.end_sending()
        discarded = 0
        with trio.move_on_after(config.linger_s):
            while discarded < config.body_bytes_max + config.discard_bytes_max:
                data = await self.stream.receive()
                if not data:
                    return
                discarded += len(data)


def _finish_request() -> None:
    """A drain lets a request that has begun come to its end: `_serve` then closes."""


def connection_option(keep: bool, minor: int) -> str:
    if not keep:
        return "close"
    return "" if minor else "keep-alive"


class Tunnel:
    """The connection after a 101, with what came right behind the request's head."""

    __slots__ = ("early", "stream")

    def __init__(self, stream: PlainStream, early: bytes) -> None:
        self.stream, self.early = stream, early

    async def receive(self) -> bytes:
        if self.early:
            early, self.early = self.early, b""
            return early
        return await self.stream.receive()

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)


class Body:
    """The body of one request, read when the handler asks for it: whole, or piece by piece."""

    __slots__ = ("awaits_continue", "chunks", "complete", "failure", "fields", "http1", "left", "taken", "untold")

    def __init__(self, http1: Http1, fields: Fields) -> None:
        self.http1 = http1
        self.fields = fields
        self.chunks = ChunkedBody(http1.wire.config.body_bytes_max)
        self.complete = False
        self.awaits_continue = fields.expects_continue
        self.taken = b""
        self.untold = True  # no piece was asked for yet
        self.left = fields.content_length  # bytes still to come, where that is known
        self.failure: StatusError | None = None

    async def read_piece(self) -> bytes:
        """The next part of the body as it arrives; b"" at its end. StatusError 400, 408."""
        if self.untold:
            self.untold = False
            if self.complete:  # somebody has read it whole
                return self.taken
            self.chunks.size_max = sys.maxsize
        try:
            while not self.complete:
                if piece := self._take_piece():
                    return piece
                if not self.complete:
                    await self._receive_piece()
        except Disconnected:
            raise body_cut_short() from None
        except Malformed as malformed:
            raise bad_request(malformed.why) from None
        return b""

    async def _receive_piece(self) -> None:
        http1 = self.http1
        if self.awaits_continue and not http1.buffer:
            await http1.stream.send(CONTINUE)
        self.awaits_continue = False
        with trio.move_on_after(http1.wire.config.piece_timeout_s) as slow:
            data = await http1.stream.receive()
        if slow.cancelled_caught:
            raise body_too_slow()
        if not data:
            raise body_cut_short()
        http1.buffer += data

    def _take_piece(self) -> bytes:
        """What has arrived, moved out of the connection's buffer."""
        buffer = self.http1.buffer
        if self.fields.chunked:
            self.chunks.feed(buffer)
            piece = bytes(self.chunks.body)
            self.chunks.body.clear()
            self.complete = self.chunks.complete
        else:
            piece = bytes(buffer[: self.left])
            del buffer[: len(piece)]
            self.left -= len(piece)
            self.complete = not self.left
        return piece

    async def read(self) -> bytes:
        """The whole body. Raises StatusError: 413, 408 when it comes too slowly, 400 when it is cut short."""
        if self.failure is not None:
            raise self.failure
        if not self.complete:
            try:
                await self._read()
            except StatusError as failure:
                self.failure = failure
                raise
        return self.taken

    async def _read(self) -> None:
        config = self.http1.wire.config
        if self.fields.content_length > config.body_bytes_max:
            raise body_too_large(config.body_bytes_max)
        try:
            if self._take():
                return
            with trio.move_on_after(config.body_timeout_s) as slow:
                await self._receive_rest()
        except Disconnected:
            raise body_cut_short() from None
        except Malformed as malformed:
            raise bad_request(malformed.why) from None
        if slow.cancelled_caught:
            raise body_too_slow()

    async def _receive_rest(self) -> None:
        http1 = self.http1
        if self.awaits_continue and not http1.buffer:
            await http1.stream.send(CONTINUE)
        self.awaits_continue = False
        while not self._take():
            data = await http1.stream.receive()
            if not data:
                raise body_cut_short()
            http1.buffer += data
            await trio.lowlevel.checkpoint()

    def _take(self) -> bool:
        """Moves what has arrived out of the connection's buffer; True once that is everything."""
        buffer = self.http1.buffer
        if self.fields.chunked:
            self.chunks.feed(buffer)
            if self.chunks.too_large:
                raise body_too_large(self.http1.wire.config.body_bytes_max)
            if not self.chunks.complete:
                return False
            self.taken = bytes(self.chunks.body)
        else:
            length = self.fields.content_length
            if len(buffer) < length:
                return False
            self.taken = bytes(buffer[:length])
            del buffer[:length]
        self.complete = True
        return True

    def can_be_discarded(self) -> bool:
        """Whether the connection survives an answer that came before the body was read."""
        if self.complete:
            return True
        if self.failure is not None or self.fields.chunked or self.awaits_continue:
            return False
        return self.left <= self.http1.wire.config.discard_bytes_max

    async def discard(self) -> bool:
        """Reads past what the handler did not want. False when the client does not send it."""
        with trio.move_on_after(self.http1.wire.config.linger_s):
            left = self.left
            buffer = self.http1.buffer
            while len(buffer) < left:
                left -= len(buffer)
                buffer.clear()
                data = await self.http1.stream.receive()
                if not data:
                    return False
                buffer += data
            del buffer[:left]
            return True
        return False


def _framed(chunk: Shared) -> bytes:
    chunk.framed = b"%x\r\n%b\r\n" % (len(chunk.data), chunk.data)
    return chunk.framed


class StreamedResponse:
    """A response whose stream writes it, while a second task listens whether the client is still there."""

    __slots__ = ("chunked", "ending", "framed", "head", "http1", "response", "scope", "unsent", "waiting", "writing")

    def __init__(self, http1: Http1, line: RequestLine, response: Response, keep: bool) -> None:
        self.http1 = http1
        self.response = response
        self.chunked = line.minor == 1 and response.length is None
        self.framed = self.chunked or response.length is not None  # its end can be told from the connection's
        self.head = answers.http1_head(
            response.status,
            response.headers,
            length=response.length,
            chunked=self.chunked,
            connection=connection_option(keep and self.framed, line.minor),
        )
        self.scope = trio.CancelScope()
        self.waiting = trio.lowlevel.ParkingLot()  # for the end of a send
        self.writing = False  # a send has begun and not finished
        self.unsent = b""  # of what was pushed
        self.ending = False  # the server drains: stop at the next boundary between chunks

    async def run(self) -> bool:
        """True when the response ended where its stream wanted it to, and the connection is still in step."""
        assert self.response.stream is not None
        config = self.http1.wire.config
        stall_s = config.passed_on_stall_timeout_s if self.response.passed_on else config.stall_timeout_s
        self.http1.stream.stall_timeout_s = stall_s
        self.http1.connection.on_drain = self._drain
        if self.http1.wire.draining:
            self._drain()
        complete = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            with self.scope:
                complete = await self._run_stream(self.response.stream)
            nursery.cancel_scope.cancel()
        if self.writing or self.unsent:  # cut in the middle of a chunk: nothing can follow it
            return False
        if complete or self.ending:
            await self.http1.stream.send(self.head + (b"0\r\n\r\n" if self.chunked else b""))
        return complete and self.framed

    async def _run_stream(self, stream: Callable[[Write], Awaitable[None]]) -> bool:
        try:
            await stream(self)
        except PeerGone:
            return False
        except Exception:
            log.exception("a response's stream failed")
            return False
        return True

    async def __call__(self, chunk: bytes | memoryview) -> None:
        """Sends one chunk, after what was pushed and has not gone out yet."""
        if not chunk:
            if self.unsent:
                await self._send()
        elif not self.chunked:
            await self._send(chunk)
        elif len(chunk) < LARGE_CHUNK_BYTES:
            await self._send(b"".join((b"%x\r\n" % len(chunk), chunk, b"\r\n")))
        else:
            await self._send(b"%x\r\n" % len(chunk), chunk, b"\r\n")
        if self.ending:
            self.scope.cancel()

    def push(self, chunk: Shared) -> bool:
        framed = chunk.data
        if self.chunked:
            framed = chunk.framed or _framed(chunk)
        sent = 0
        if not (self.unsent or self.writing or self.head):
            with suppress(Disconnected):  # whoever sends the rest will find out
                sent = self.http1.stream.try_send(framed)
            if sent == len(framed):
                return True
        self.unsent += framed[sent:]
        return False

    async def _send(self, *framed: bytes | memoryview) -> None:
        """Sends, after the head where it was not sent yet. One at a time: the first two may come from two tasks."""
        await trio.lowlevel.checkpoint_if_cancelled()  # a stream that ended at once: the head is not the listener's
        while self.writing:
            await self.waiting.park()
        head, self.head = self.head + self.unsent, b""
        self.unsent = b""
        self.writing = True
        if head:
            await self.http1.stream.send(head + framed[0] if framed else head)
            framed = framed[1:]
        for each in framed:
            await self.http1.stream.send(each)
        self.writing = False
        self.waiting.unpark()

    async def _listen(self) -> None:
        """Sends the head when the stream has nothing to say yet, then waits for the client to leave."""
        http1 = self.http1
        try:
            if self.head:
                await self._send(b"")
            while len(http1.buffer) < PIPELINED_BYTES_MAX:
                data = await http1.stream.receive()
                if not data:
                    # Half-closed: a response with an end is still delivered, one without would never stop.
                    if self.response.endless or self.response.passed_on:
                        self.scope.cancel()
                    return
                http1.buffer += data
        except Disconnected:
            self.scope.cancel()

    def _drain(self) -> None:
        if self.response.endless:
            self.ending = True
            if not (self.writing or self.unsent):
                self.scope.cancel()
