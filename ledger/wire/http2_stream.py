"""One HTTP/2 stream: a request, its body as the handler reads it, and its response as the peer takes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from ledger.apimachinery.http import PeerGone, Request, Response, Shared
from ledger.apimachinery.status import StatusError
from ledger.wire import answers
from ledger.wire.connection import body_cut_short, body_too_large, body_too_slow, log
from ledger.wire.http2_headers import block_of
from ledger.wire.http2_syntax import RequestHead
from ledger.wire.stream import Disconnected

if TYPE_CHECKING:
    from ledger.wire.http2 import Http2

FRAME_BYTES_MAX = 64 * 1024  # of a response, for a peer that would take 16 MiB at once from our memory


class Stream:
    """Lives from the peer's HEADERS until its handler has ended, which may be after the peer has lost interest."""

    __slots__ = (
        "answered", "body",
        "changed",
        "conn",
        "continued",
        "ending",
        "endless",
        "failure",
        "finished",
        "gone",
        "head",
        "id",
        "passed_on",
        "scope",
        "sending",
        "uncredited",
        "unsent",
    )  # fmt: skip

    def __init__(self, conn: Http2, stream_id: int, head: RequestHead, finished: bool) -> None:
        self.conn = conn
        self.id = stream_id
        self.head = head
        self.scope: trio.CancelScope | None = None  # while it is being served
        self.body = bytearray()
        self.uncredited = 0  # flow-control bytes of `body` that the peer does not have back yet
        self.continued = False  # the peer was told to send its body
        self.failure: StatusError | None = None  # why the body could not be read
        self.finished = finished  # the peer sent END_STREAM
        self.gone = False  # reset, or the connection is over: nothing can be sent
        self.changed: trio.Event | None = None  # set when one of the above, or the window, changes
        self.answered = False  # END_STREAM was sent
        self.sending = False  # in the middle of one write
        self.unsent = b""  # of what was pushed
        self.endless = self.passed_on = False
        self.ending = False  # the server drains: an endless response stops after the current write

    def wake(self) -> None:
        if self.changed is not None:
            self.changed.set()

    async def _change(self) -> None:
        self.changed = trio.Event()
        await self.changed.wait()
        self.changed = None

    def received(self, data: bytes, flow_controlled_length: int) -> None:
        self.body += data
        self.uncredited += flow_controlled_length
        self.wake()

    def end_of_body(self) -> None:
        self.finished = True
        self.wake()

    def drop(self) -> None:
        """The peer no longer wants this stream: ends its handler."""
        self.gone = True
        self.wake()
        if self.scope is not None:
            self.scope.cancel()

    def drain(self) -> None:
        """Ends an endless response between two writes; anything else comes to its own end."""
        if self.endless:
            self.ending = True
            if not (self.sending or self.unsent) and self.scope is not None:
                self.scope.cancel()

    async def serve(self, scope: trio.CancelScope) -> None:
        """Runs the handler and sends its answer, under a scope that may have been around other streams before.

        Raises nothing but the cancellation of that scope, or of the connection.
        """
        self.scope = scope
        if self.gone:
            scope.cancel()  # it was reset before its turn came; its handler runs as far as it can without waiting
        connection = self.conn.connection
        request = Request(
            self.head.method,
            self.head.path,
            self.head.query,
            self.head.headers,
            self.read_body,
            client=connection.client,
            http_version="2",
            peer_certificate=connection.certificate,
            peer_signer=connection.signer,
            scheme=connection.scheme,
            peer_certificate_error=connection.certificate_error,
            read_piece=None if self.finished and not self.body else self.read_piece,
        )
        try:
            response = await self.conn.wire.answer(request)
            try:
                if not self.gone:
                    await self._answer(response)
            finally:
                if response.release is not None:
                    response.release()
            if self.answered and not (self.finished or self.gone):
                await self._discard_body()
        except (PeerGone, ProtocolError) as gone:
            log.debug("%s: stream %d: %s", connection.client, self.id, gone)
        except Exception:  # whatever it is, it must not reach the other streams
            log.exception("stream %d from %s failed", self.id, connection.client)
        finally:
            self._close()

    def _close(self) -> None:
        """Tells the peer when one of the two sides had not come to its end."""
        conn, self.scope = self.conn, None  # it will be around other streams
        if self.ending and not (self.gone or self.answered or self.sending):
            self._end()
        if not self.gone:
            conn.credit(self.id, self.uncredited)
            if not self.answered:
                conn.reset(self.id, ErrorCodes.INTERNAL_ERROR)
            elif not self.finished:
                conn.reset(self.id, ErrorCodes.NO_ERROR)  # answered early: do not send the rest
        conn.forget(self)

    def _end(self) -> None:
        try:
            self.conn.h2.end_stream(self.id)
            self.answered = True
        except ProtocolError as error:
            log.debug("%s: stream %d: %s", self.conn.connection.client, self.id, error)

    # -- the request's body

    async def read_body(self) -> bytes:
        """The whole body. Raises StatusError: 413, 408 when it comes too slowly, 400 when it is cut short."""
        if self.failure is not None:
            raise self.failure
        if not self.finished or self.uncredited:
            try:
                await self._read_body()
            except StatusError as failure:
                self.failure = failure
                raise
        return bytes(self.body)

    async def _read_body(self) -> None:
        config = self.conn.wire.config
        if self.head.content_length > config.body_bytes_max:
            raise body_too_large(config.body_bytes_max)
        if self.head.expects_continue and not self.body and not self.finished and not self.gone:
            self.conn.h2.send_headers(self.id, [(b":status", b"100")])
        with trio.move_on_after(config.body_timeout_s) as slow:
            while True:
                if len(self.body) > config.body_bytes_max:
                    raise body_too_large(config.body_bytes_max)
                if self.uncredited:
                    length, self.uncredited = self.uncredited, 0
                    self.conn.credit(self.id, length)
                self.conn.collect()
                if self.finished:
                    return
                if self.gone:
                    raise body_cut_short()
                await self._change()
        if slow.cancelled_caught:
            raise body_too_slow()

    async def read_piece(self) -> bytes:
        """The next part of the body as it arrives; b"" at its end. StatusError 400, 408."""
        if self.head.expects_continue and not (self.continued or self.body or self.finished or self.gone):
            self.conn.h2.send_headers(self.id, [(b":status", b"100")])
        self.continued = True
        with trio.move_on_after(self.conn.wire.config.piece_timeout_s) as slow:
            while not self.body:
                self.conn.collect()
                if self.finished:
                    return b""
                if self.gone:
                    raise body_cut_short()
                await self._change()
        if slow.cancelled_caught:
            raise body_too_slow()
        piece = bytes(self.body)
        self.body.clear()
        length, self.uncredited = self.uncredited, 0
        self.conn.credit(self.id, length)
        self.conn.collect()
        return piece

    async def _discard_body(self) -> None:
        """After an early answer: lets the peer notice it, for curl forgets an answer that a reset follows at once."""
        config = self.conn.wire.config
        left = config.discard_bytes_max
        with trio.move_on_after(config.linger_s):
            while not (self.finished or self.gone) and left > 0:
                self.body.clear()
                left -= self.uncredited
                length, self.uncredited = self.uncredited, 0
                self.conn.credit(self.id, length)
                self.conn.collect()
                await self._change()

    # -- the response

    async def _answer(self, response: Response) -> None:
        method = self.head.method
        bare = answers.has_no_body(method, response.status)
        streamed = response.stream is not None and not bare
        bare = bare or not (streamed or response.body)
        length = answers.length_of(response, method)
        if not (bare or streamed) and self.conn.has_room:
            block = block_of(response.status, response.headers, length)
            if self.conn.h2.respond(self.id, block, response.body):
                self.answered = True
                self.conn.sent(len(response.body))
                return
        headers = answers.http2_headers(response.status, response.headers, length)
        self.conn.h2.send_headers(self.id, headers, end_stream=bare)
        self.answered = bare
        if streamed:
            await self._answer_stream(response)
        elif not bare:
            await self._send(response.body, end=True)
            self.answered = True

    async def _answer_stream(self, response: Response) -> None:
        assert response.stream is not None
        self.conn.collect()
        self.endless, self.passed_on = response.endless, response.passed_on
        if self.conn.leaving:
            self.drain()
        try:
            await response.stream(self)
        except (PeerGone, ProtocolError):
            raise
        except Exception:
            log.exception("a response's stream failed")
            return
        self.conn.h2.end_stream(self.id)
        self.answered = True

    def push(self, chunk: Shared) -> bool:
        """Queues one chunk; the sender sends it together with those of the connection's other streams."""
        data, conn = chunk.data, self.conn
        if not (self.gone or self.unsent or self.sending) and conn.has_room:
            try:
                if conn.h2.go_on(self.id, data):
                    conn.sent(len(data))
                    return True
            except ProtocolError as closed:
                log.debug("%s: stream %d: %s", conn.connection.client, self.id, closed)
        self.unsent += data
        return False

    async def __call__(self, chunk: bytes | memoryview) -> None:
        """Queues one chunk; returns when the peer's window and our queue have taken it."""
        if self.unsent:
            chunk, self.unsent = self.unsent + chunk, b""
        if chunk:
            self.sending = True
            await self._send(chunk, end=False)
            self.conn.collect()
            self.sending = False
        if self.ending and self.scope is not None:
            self.scope.cancel()
        await trio.lowlevel.checkpoint_if_cancelled()  # a full queue is where a writer without end waits its turn

    async def _send(self, data: bytes | memoryview, *, end: bool) -> None:
        """Cuts `data` into frames as windows allow. Raises Disconnected when the peer does not take it in time."""
        h2 = self.conn.h2
        until = math.inf
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                await self.conn.wait_for_room()
                if self.gone:
                    raise Disconnected("the peer reset the stream")
                room = min(h2.local_flow_control_window(self.id), h2.max_outbound_frame_size)
                size = min(room, FRAME_BYTES_MAX, len(view) - sent)
                if size <= 0:
                    until = await self._wait_for_window(until)
                    continue
                upto = sent + size
                h2.send_data(self.id, bytes(view[sent:upto]), end_stream=end and upto == len(view))
                self.conn.sent(size)
                sent = upto

    async def _wait_for_window(self, until: float) -> float:
        """`until`, or where that is infinite the end of the time for these data, beginning now."""
        self.conn.collect()
        config = self.conn.wire.config
        stall_s = config.passed_on_stall_timeout_s if self.passed_on else config.stall_timeout_s
        now = trio.current_time()
        until = min(until, now + max(config.send_timeout_s, stall_s))
        self.conn.windowless.add(self)
        try:
            with trio.move_on_at(min(now + stall_s, until)) as stalled:
                await self._change()
        finally:
            self.conn.windowless.discard(self)
        if stalled.cancelled_caught:
            raise Disconnected("the peer gives too little window")
        return until
