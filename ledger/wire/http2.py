"""One HTTP/2 connection over the `h2` library: one task reads, one sends, and every stream has a task.

All frames go to one queue of bytes that the sender empties with one `send`, so answers that are ready together leave
together. The queue is bounded twice: writers wait while it is full, and so does the reader, because control frames are
answered by control frames. A peer that takes nothing for `stall_timeout_s` is disconnected; nobody else notices.

A client is trusted with no more than it pays for: resets, pings, settings, window updates and tiny frames draw on an
allowance that refills with time and with what we send; and a stream counts as open until its handler has really ended,
however early it was reset.
"""

from __future__ import annotations

import math
from collections import deque

import h2.config
import h2.connection
import h2.events
import h2.settings
import trio
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from ledger.wire import answers, http2_frames
from ledger.wire.config import WireConfig
from ledger.wire.connection import Connection, Wire, log
from ledger.wire.http2_frames import Frames
from ledger.wire.http2_stream import Stream
from ledger.wire.http2_syntax import BadStreamRequest, HeadReader, MalformedStream
from ledger.wire.stream import Disconnected

LAST_WORDS_S = 1.0  # for the GOAWAY that explains why we leave
TINY_DATA_BYTES = 64  # a DATA frame below this costs us more than it carries
BYTES_PER_ALLOWANCE = 512  # what we must have sent for one more window update to be plausible
# Handlers of reset streams may still be ending when the next streams open; more than this is an attack.
HANDLERS_PER_STREAM = 2
IDLE_TASKS_MAX = 64  # that wait for a connection's next stream
IDLE_TASKS_KEPT = 2  # when there was none for a while
REST_S = 2.0  # the while
NUISANCES = (
    h2.events.PingReceived,
    h2.events.PingAckReceived,
    h2.events.SettingsAcknowledged,
    h2.events.PriorityUpdated,
    h2.events.UnknownFrameReceived,
)


class Http2:
    """The state of one connection."""

    __slots__ = (
        "allowance", "allowance_at", "connection", "frames", "h2", "handed", "heads", "idle", "in_flight", "leaving",
        "nursery", "out", "room", "something", "stream", "streams", "windowless", "wire",
    )  # fmt: skip

    def __init__(self, wire: Wire, connection: Connection) -> None:
        self.wire = wire
        self.connection = connection
        self.stream = connection.stream
        self.h2 = _server_side(wire.config)
        self.h2.incoming_buffer = self.frames = Frames(wire.config.header_list_bytes_max)
        self.heads = HeadReader()
        self.streams: dict[int, Stream] = {}  # whose handler runs, also when the peer has reset it
        self.idle: list[trio.lowlevel.Task] = []  # that wait for a stream to serve
        self.handed: deque[Stream | None] = deque()  # to the tasks just woken, in their order; None: end
        self.windowless: set[Stream] = set()  # those that wait for more window
        self.out = bytearray()  # frames not yet given to the socket
        self.in_flight = 0  # bytes of the send under way
        self.something = trio.Event()  # `out` is not empty
        self.room = trio.lowlevel.ParkingLot()  # who waits for `out` to be sent
        self.leaving = False  # GOAWAY was sent
        self.allowance = float(wire.config.nuisance_max)
        self.allowance_at = trio.current_time()

    async def run(self, first: bytes = b"") -> None:
        """Serves until the peer leaves, breaks the protocol, idles too long, or the server has drained."""
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(max(self.wire.config.connection_window_bytes - 65535, 1))
        self.collect()
        self.connection.on_drain = self._drain
        try:
            async with trio.open_nursery() as self.nursery:
                self.nursery.start_soon(self._send_loop)
                if self.wire.draining:
                    self._drain()
                await self._read_loop(first)
                for stream in tuple(self.streams.values()):
                    stream.drop()
                with trio.move_on_after(LAST_WORDS_S):
                    await self._flushed()
                self.nursery.cancel_scope.cancel()
        except* Disconnected as gone:
            log.debug("%s: %s", self.connection.client, gone.exceptions[0])

    # -- receiving

    async def _read_loop(self, data: bytes) -> None:
        """Returns when there is nothing more to hear on this connection, or nothing we want to hear."""
        while True:
            if data and not self._take(data):
                return
            await self._wait_for_room_to_answer()
            while self.frames.more:
                await trio.lowlevel.checkpoint()  # a flood of small frames must not keep the others waiting
                if not self._take(b""):
                    return
                await self._wait_for_room_to_answer()
            if not self.streams:
                if self.leaving:
                    return
                self._has_no_stream()
            if len(data) > 4096:
                await trio.lowlevel.checkpoint()  # a peer that always has more must not keep the others waiting
            data = await self.stream.receive()
            if not data:
                return

    def _take(self, data: bytes) -> bool:
        """Acts on the frames in `data`; False when they end the connection."""
        try:
            events = self.h2.receive_data(data)
            for event in events:
                self._on_event(event)
        except ProtocolError as error:
            log.debug("%s: %s", self.connection.client, error)
            self.collect()
            return False
        if self.frames.charges or self.h2.charges:
            self.allowance -= self.frames.charges + self.h2.charges
            self.frames.charges = self.h2.charges = 0
        if self.allowance < 0:
            log.debug("%s: too many control frames", self.connection.client)
            self.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
        self.collect()
        return self.allowance >= 0 and not any(isinstance(event, h2.events.ConnectionTerminated) for event in events)

    def _on_event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._open(event)
        elif isinstance(event, h2.events.DataReceived):
            self._on_data(event)
        elif isinstance(event, h2.events.StreamEnded):
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                stream.end_of_body()
        elif isinstance(event, h2.events.StreamReset):
            self._charge()
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                stream.drop()
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self._charge()
            self._on_window(getattr(event, "stream_id", 0) or 0)
        elif isinstance(event, NUISANCES):
            self._charge()

    def _open(self, event: h2.events.RequestReceived) -> None:
        stream_id, finished = event.stream_id, event.stream_ended is not None
        assert stream_id is not None and event.headers is not None
        if self.leaving or len(self.streams) >= HANDLERS_PER_STREAM * self.wire.config.streams_max:
            self._charge()
            self.reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        try:
            head = self.heads.read(event.headers)  # type: ignore[arg-type]  # bytes, as header_encoding says
        except MalformedStream as malformed:
            log.debug("%s: stream %d: %s", self.connection.client, stream_id, malformed)
            self._charge()
            self.reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        except BadStreamRequest as bad:
            self._charge()
            self._answer_bad_request(stream_id, bad)
            if not finished:
                self.reset(stream_id, ErrorCodes.NO_ERROR)
            return
        stream = self.streams[stream_id] = Stream(self, stream_id, head, finished)
        self.connection.deadline = math.inf
        if self.idle:
            self.handed.append(stream)
            trio.lowlevel.reschedule(self.idle.pop())
        else:
            self.nursery.start_soon(self._work, stream)

    async def _work(self, stream: Stream | None) -> None:
        """Serves a stream, then others, all under one scope until one of them is cancelled.

        To begin a task takes longer than to wake one, and a scope of its own is a tenth of what a small request costs.
        """
        while stream is not None:
            with trio.CancelScope() as scope:
                while stream is not None and not scope.cancel_called:
                    served, stream = stream, None
                    await served.serve(scope)
                    if not scope.cancel_called:
                        stream = await self._next_stream()
            if scope.cancel_called:
                stream = await self._next_stream()

    async def _next_stream(self) -> Stream | None:
        """Waits among the idle tasks; None: there are enough of them."""
        if len(self.idle) >= IDLE_TASKS_MAX:
            return None
        task = trio.lowlevel.current_task()

        def give_up(_: object) -> trio.lowlevel.Abort:
            self.idle.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        self.idle.append(task)
        await trio.lowlevel.wait_task_rescheduled(give_up)
        return self.handed.popleft()

    def _has_no_stream(self) -> None:
        """For how long, until something is done about it."""
        self.connection.on_deadline = self._rest
        self.connection.expire_in(min(REST_S, self.wire.config.idle_timeout_s))

    def _rest(self) -> None:
        """No stream came for a while: most of the tasks that wait for one may go.

        Not at once: a client that asks for several things together will do so again, and each task had to begin anew.
        """
        self.connection.on_deadline = self._idle_too_long
        self.connection.expire_in(max(0.0, self.wire.config.idle_timeout_s - REST_S))
        while len(self.idle) > IDLE_TASKS_KEPT:
            self.handed.append(None)
            trio.lowlevel.reschedule(self.idle.pop())

    def _answer_bad_request(self, stream_id: int, bad: BadStreamRequest) -> None:
        response = answers.plain(bad.status, str(bad))
        try:
            self.h2.send_headers(stream_id, answers.http2_headers(bad.status, response.headers, 0), end_stream=True)
        except ProtocolError as error:
            log.debug("%s: stream %d: %s", self.connection.client, stream_id, error)

    def _on_data(self, event: h2.events.DataReceived) -> None:
        stream_id, data, length = event.stream_id, event.data or b"", event.flow_controlled_length or 0
        assert stream_id is not None
        if len(data) < TINY_DATA_BYTES and event.stream_ended is None:
            self._charge()
        stream = self.streams.get(stream_id)
        if stream is None or stream.gone:
            self.credit(stream_id, length)  # nobody will read it, but the connection's window must not shrink
        else:
            stream.received(data, length)

    def _on_window(self, stream_id: int) -> None:
        """More room for one stream, or with 0 for all of them."""
        if stream_id:
            stream = self.streams.get(stream_id)
            if stream is not None:
                stream.wake()
            return
        for stream in tuple(self.windowless):
            stream.wake()

    def _charge(self) -> None:
        """Draws on the allowance for a frame that costs us more than the peer."""
        now = trio.current_time()
        most = self.wire.config.nuisance_max
        self.allowance = min(most, self.allowance + (now - self.allowance_at) * most / 10) - 1
        self.allowance_at = now

    # -- sending

    async def _send_loop(self) -> None:
        while True:
            await self.something.wait()
            self.something = trio.Event()
            if not self.out:
                continue
            data, self.out = self.out, bytearray()
            self.in_flight = len(data)
            await self.stream.send(data)
            self.in_flight = 0
            self.room.unpark_all()

    def collect(self) -> None:
        """Moves what h2 has made into the queue; call it after anything that makes frames."""
        data = self.h2.data_to_send()
        if data:
            self.out += data
            if self.in_flight or len(self.streams) > 1 or not self._sent_at_once():
                self.something.set()

    def _sent_at_once(self) -> bool:
        """Saves waking the sender when nobody else is about to add to the queue."""
        try:
            del self.out[: self.stream.try_send(self.out)]
        except Disconnected:
            return False  # the sender will find out, and end the connection
        self.room.unpark_all()
        return not self.out

    @property
    def has_room(self) -> bool:
        return self.in_flight + len(self.out) <= self.wire.config.output_bytes_max

    async def wait_for_room(self) -> None:
        """Returns at once unless the peer is slower than we are."""
        while not self.has_room:
            await self.room.park()

    async def _wait_for_room_to_answer(self) -> None:
        """For the reader, whom the writers must not keep waiting: they stop at half of what stops it.

        A peer whose window updates are not read may stop reading in turn, as Go's does, and then nobody goes on.
        """
        while self.in_flight + len(self.out) > 2 * self.wire.config.output_bytes_max:
            await self.room.park()

    async def _flushed(self) -> None:
        """Returns when everything queued is with the kernel."""
        while self.out or self.in_flight:
            await self.room.park()

    def sent(self, body_bytes: int) -> None:
        """Some of a response's body was made into frames: it will be answered by window updates."""
        self.collect()
        self.allowance = min(self.wire.config.nuisance_max, self.allowance + body_bytes / BYTES_PER_ALLOWANCE)

    def credit(self, stream_id: int, flow_controlled_bytes: int) -> None:
        """Gives the peer back the window of body bytes that need no more memory."""
        if flow_controlled_bytes:
            try:
                self.h2.acknowledge_received_data(flow_controlled_bytes, stream_id)
            except ProtocolError as error:
                log.debug("%s: no credit for stream %d: %s", self.connection.client, stream_id, error)

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        try:
            self.h2.reset_stream(stream_id, code)
        except ProtocolError as error:
            log.debug("%s: stream %d is closed already: %s", self.connection.client, stream_id, error)

    # -- ending

    def forget(self, stream: Stream) -> None:
        """The handler of this stream has ended."""
        self.streams.pop(stream.id, None)
        self.collect()
        if not self.streams:
            self._has_no_stream()
            if self.leaving:
                self.nursery.start_soon(self._leave)

    def _drain(self) -> None:
        """Says GOAWAY and goes once the streams that have begun are done.

        The frame is made by hand: h2's close_connection allows nothing to be sent after it.
        """
        self.leaving = True
        goaway = GoAwayFrame(0, last_stream_id=self.h2.highest_inbound_stream_id, error_code=ErrorCodes.NO_ERROR)
        self.out += goaway.serialize()
        self.something.set()
        for stream in tuple(self.streams.values()):
            stream.drain()
        if not self.streams:
            self.nursery.start_soon(self._leave)

    def _idle_too_long(self) -> None:
        """Tells the peer before closing, so that it does not send a request into the void."""
        if self.leaving:
            self.connection.scope.cancel()
        else:
            self.connection.expire_in(LAST_WORDS_S)
            self._drain()

    async def _leave(self) -> None:
        await self._flushed()
        self.nursery.cancel_scope.cancel()


def _server_side(config: WireConfig) -> http2_frames.Connection:
    """h2 without its checks of header blocks: `http2_syntax` makes them stream errors, as they should be."""
    connection = http2_frames.Connection(
        h2.config.H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        ),
        config.header_list_bytes_max,
    )
    codes = h2.settings.SettingCodes
    connection.local_settings = h2.settings.Settings(
        client=False,
        initial_values={
            codes.MAX_CONCURRENT_STREAMS: config.streams_max,
            codes.MAX_HEADER_LIST_SIZE: config.header_list_bytes_max,
            codes.INITIAL_WINDOW_SIZE: config.stream_window_bytes,
        },
    )
    return connection
