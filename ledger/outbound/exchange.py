"""One request to a peer and its answer, both as they come: nothing is kept but what is on its way."""

from __future__ import annotations

import select

import h11
import trio

from ledger.apimachinery.http import PeerGone
from ledger.outbound.caller import Body, Caller, Headers, Stale
from ledger.outbound.dialing import Peer, Stream, abort
from ledger.outbound.refusal import CallFailed, CannotBeSent

HEAD_BYTES_MAX = 1024 * 1024
READ_BYTES = 64 * 1024
LAST_SEND_S = 10.0  # a piece of the body that is being sent when the answer comes


class Exchange:
    """An answer whose body may still be on its way. Names of `headers` are in lower case."""

    def __init__(self, caller: Caller, peer: Peer, stream: Stream) -> None:
        self.peer = peer
        self.status = 0
        self.headers: Headers = []
        self._caller, self._stream = caller, stream
        self._http = h11.Connection(h11.CLIENT, HEAD_BYTES_MAX)
        self._over = self._closed = False
        self._early = b""  # came behind the head of a 101
        self._begun = False  # something of the answer has arrived
        self._asked = trio.Event()  # for the body

    @property
    def length(self) -> int | None:
        """Bytes of the body, where the head tells."""
        given = self.header("content-length")
        return int(given) if given.isdigit() and not self.header("transfer-encoding") else None

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    async def read(self) -> bytes:
        """The next piece of the body; b"" at its end. Raises PeerGone when it is cut short."""
        while not self._over:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                self._over = True
            elif isinstance(event, h11.ConnectionClosed):
                raise PeerGone("unexpected EOF")
        return b""

    async def read_all(self, bytes_max: int) -> bytes:
        """What is left of the body, at most so many bytes; more is left unread."""
        body = bytearray()
        while len(body) < bytes_max and (piece := await self.read()):
            body += piece
        return bytes(body[:bytes_max])

    def close(self) -> None:
        """Keeps the connection if all was read, ends it otherwise. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._http.trailing_data[0]:
                raise h11.LocalProtocolError("more came than the answer")
            self._http.start_next_cycle()
        except h11.LocalProtocolError:
            abort(self._stream)
            return
        kept = Exchange(self._caller, self.peer, self._stream)
        kept._http = self._http
        self._caller._keep(kept)

    def is_quiet(self) -> bool:
        """Whether it is open and nothing came that was not asked for, to be taken for the answer to the next request."""
        transport = self._stream.transport_stream if isinstance(self._stream, trio.SSLStream) else self._stream
        descriptor = transport.socket.fileno()
        if descriptor < 0:  # closed meanwhile
            return False
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return not poll.poll(0) and not self._http.trailing_data[0]

    def abort(self) -> None:
        self._closed = True
        abort(self._stream)

    # After a 101, the connection itself.

    async def receive(self) -> bytes:
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            return bytes(await self._stream.receive_some(READ_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise PeerGone from None

    async def send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise PeerGone from None

    async def _started(self, method: str, target: str, headers: Headers, body: Body | bytes | None) -> Exchange:
        """Itself once the head of the answer is there. Raises CallFailed, Stale."""
        framing: Headers = []
        if isinstance(body, bytes):
            framing = [("Content-Length", str(len(body)))]
        elif body is not None:
            framing = [
                ("Transfer-Encoding", "chunked") if body.length is None else ("Content-Length", str(body.length))
            ]
            if body.when_asked:
                framing.append(("Expect", "100-continue"))
        elif method in ("POST", "PUT", "PATCH"):
            framing = [("Content-Length", "0")]
        try:
            latin = [
                (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
                for name, value in (*headers, *framing)
            ]
            request = h11.Request(method=method, target=target, headers=latin)
            data = self._http.send(request)
        except h11.LocalProtocolError as error:
            raise CannotBeSent(f"net/http: invalid request: {error}") from None
        if body is None:
            await self._send(data, h11.EndOfMessage())
            await self._receive_head()
        elif isinstance(body, bytes):
            await self._send((data or b"") + (self._http.send(h11.Data(data=body)) or b""), h11.EndOfMessage())
            await self._receive_head()
        else:
            await self._exchange_with_body(data or b"", body)
        return self

    async def _exchange_with_body(self, head: bytes, body: Body) -> None:
        """Sends while it waits for the answer, which may come before all was sent: then the rest is not."""
        failures: list[Exception] = []
        answered, reading = False, trio.CancelScope()

        async def pump() -> None:
            nonlocal reading
            try:
                await self._send(head, None)
                if body.when_asked and not answered:
                    with reading:
                        await self._asked.wait()
                while not answered:
                    reading = trio.CancelScope()  # a send must not be cut: that would end the connection
                    with reading:
                        piece = await body.read()
                    if reading.cancelled_caught:
                        return
                    await self._send(None, h11.Data(data=piece) if piece else h11.EndOfMessage())
                    if not piece:
                        return
            except (CallFailed, Stale):
                return  # a peer that does not listen may have answered: whoever waits for the head will see
            except Exception as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump)
            try:
                await self._receive_head()
            except (CallFailed, Stale) as error:
                failures.append(error)
                nursery.cancel_scope.cancel()
            answered = True
            reading.cancel()
            nursery.cancel_scope.deadline = trio.current_time() + LAST_SEND_S
        if failures:
            raise failures[0]

    async def _send(self, head: bytes | None, event: h11.Data | h11.EndOfMessage | None) -> None:
        try:
            data = (head or b"") + ((self._http.send(event) or b"") if event is not None else b"")
        except h11.LocalProtocolError as error:
            raise CallFailed(f"net/http: request failed: {error}") from None
        try:
            if data:
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            reset = isinstance(error.__cause__, ConnectionResetError | BrokenPipeError)
            raise Stale("write: connection reset by peer" if reset else "EOF") from None

    async def _receive_head(self) -> None:
        while True:
            try:
                event = await self._next_event()
            except PeerGone as gone:
                raise (CallFailed if self._begun else Stale)(str(gone)) from None
            if isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse) and event.status_code == 101
            ):
                break
            if isinstance(event, h11.InformationalResponse) and event.status_code == 100:
                self._asked.set()
            if isinstance(event, h11.ConnectionClosed):
                raise Stale("EOF")
        self.status = event.status_code
        self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
        if self.status == 101:
            self._early = self._http.trailing_data[0]

    async def _next_event(self) -> object:
        """The next event of the answer. Raises PeerGone, with Go's text."""
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                if "closed connection" in str(error) or "ConnectionClosed" in str(error):
                    raise PeerGone("unexpected EOF" if self._begun else "EOF") from None
                text = f"net/http: HTTP/1.x transport connection broken: malformed HTTP response: {error}"
                raise PeerGone(text) from None
            if event is not h11.NEED_DATA:
                return event
            try:
                data = await self._stream.receive_some(READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                reset = isinstance(error.__cause__, ConnectionResetError)
                raise PeerGone("read: connection reset by peer" if reset else "EOF") from None
            self._begun = self._begun or bool(data)
            self._http.receive_data(bytes(data))
