"""exec and attach over WebSocket (v5.channel.k8s.io) for a kubelet that only knows SPDY.

Follows streamtranslator.go and websocket.go in k8s.io/apiserver/pkg/util/proxy, and remotecommand in client-go. The client
is answered before the kubelet is asked; what goes wrong then comes on the error channel.

    channel  0 stdin   1 stdout   2 stderr   3 error (a Status, at the end)   4 resize   255 "close" + channel
    SPDY     a stream each, opened in the order error, stdin, stdout, stderr, resize
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import trio

from ledger.apimachinery import json_codec, spdy
from ledger.apimachinery.http import Duplex, PeerGone, Request, Response
from ledger.apimachinery.status import StatusError, internal_error
from ledger.apimachinery.websocket import acceptance, is_websocket, protocols_of
from ledger.handlers.forwarding import REFUSAL_BYTES_MAX, Quiet
from ledger.handlers.websockets import WebSocket
from ledger.outbound.caller import Caller
from ledger.outbound.dialing import Peer
from ledger.outbound.refusal import CallFailed

if TYPE_CHECKING:
    from ledger.outbound.exchange import Exchange

V5 = "v5.channel.k8s.io"
UNDERSTOOD = (V5, "v4.channel.k8s.io")  # by a kubelet: both end with a Status
OFFERED = (*UNDERSTOOD, "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
NAMES = {ERROR: "error", STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", RESIZE: "resize"}  # in order of opening
OPENING_S = 30.0
ERROR_BYTES_MAX = 1024 * 1024


def wants_v5(request: Request) -> bool:
    """Whether a client speaks the WebSocket protocol that old kubelets do not."""
    return is_websocket(request.headers) and V5 in protocols_of(request.headers)


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command runs, and which of its streams are wanted."""

    peer: Peer
    target: str  # path and query
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    def channels(self) -> list[int]:
        wanted = {STDIN: self.stdin, STDOUT: self.stdout, STDERR: self.stderr and not self.tty, RESIZE: self.tty}
        return [one for one in NAMES if wanted.get(one, True)]


def translated(caller: Caller, request: Request, command: Command) -> Response:
    """The 101 whose tunnel translates."""

    async def tunnel(connection: Duplex) -> None:
        client = WebSocket(connection)
        await client.send(bytes((STDOUT if command.stdout else STDERR if command.stderr else ERROR,)))
        status = await _run(caller, client, command)
        await client.send(bytes((ERROR,)) + json_codec.dumps(status))
        await client.close()

    return Response(101, acceptance(request.headers, V5), tunnel=tunnel)


async def _run(caller: Caller, client: WebSocket, command: Command) -> dict[str, Any]:
    """The Status at the end. Raises PeerGone when the client leaves."""
    try:
        exchange = await _asked(caller, command)
    except StatusError as error:
        return _shown(error)
    try:
        return _shown(await Translation(client, exchange, command).run())
    finally:
        exchange.abort()


async def _asked(caller: Caller, command: Command) -> Exchange:
    """The connection to the kubelet, after its upgrade. Raises StatusError."""
    headers = [
        ("Host", command.peer.authority),
        ("User-Agent", "Go-http-client/1.1"),
        ("Connection", "Upgrade"),
        ("Upgrade", "SPDY/3.1"),
        *(("X-Stream-Protocol-Version", one) for one in OFFERED),
    ]
    try:
        exchange = await caller.ask(command.peer, "POST", command.target, headers)
    except CallFailed as failed:
        url = f"https://{command.peer.authority}{command.target}"
        raise internal_error(f'error sending request: Post "{url}": {failed}') from None
    if exchange.status == 101 and exchange.header("x-stream-protocol-version") in UNDERSTOOD:
        return exchange
    try:
        if exchange.status == 101:
            raise internal_error(
                f"unable to upgrade connection: {exchange.header('x-stream-protocol-version')} is too old"
            )
        said = (await exchange.read_all(REFUSAL_BYTES_MAX)).decode(errors="replace")
    except PeerGone:
        raise internal_error("unable to upgrade connection: unable to read error from server response") from None
    finally:
        exchange.abort()
    raise _told(said) or internal_error(f"unable to upgrade connection: {said.strip()}")


def _told(said: str) -> StatusError | None:
    """The Status that a kubelet refuses with; the message alone counts, as upstream."""
    try:
        found = orjson.loads(said)
    except orjson.JSONDecodeError:
        return None
    if isinstance(found, dict) and found.get("kind") == "Status" and found.get("message"):
        return internal_error(f"unable to upgrade connection: {found['message']}")
    return None


class Translation:
    """One command's streams, between a client's channels and a kubelet's streams."""

    def __init__(self, client: WebSocket, kubelet: Exchange, command: Command) -> None:
        self._client, self._kubelet = client, kubelet
        self._encoder, self._decoder = spdy.Encoder(), spdy.Decoder()
        self._sending = trio.Lock()
        self._streams = {channel: 2 * place + 1 for place, channel in enumerate(command.channels())}
        self._channels = {stream: channel for channel, stream in self._streams.items()}
        self._unanswered = set(self._channels)  # streams the kubelet has not agreed to
        self._open = {self._streams[one] for one in (STDOUT, STDERR, ERROR) if one in self._streams}
        self._error = bytearray()
        self._ready = trio.Event()  # the kubelet has agreed to all streams

    async def run(self) -> StatusError | None:
        """How the command ended: None is success. Raises PeerGone when the client leaves."""
        ended: list[StatusError | None] = []
        left: list[PeerGone] = []
        quiet = Quiet()

        async def from_kubelet() -> None:
            try:
                ended.append(await self._from_kubelet(quiet))
            except (PeerGone, spdy.BadFrame) as gone:
                ended.append(internal_error(str(gone) or "unexpected EOF"))
            nursery.cancel_scope.cancel()

        async def from_client() -> None:
            try:
                await self._from_client()
            except PeerGone as gone:
                left.append(gone)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(from_kubelet)
            nursery.start_soon(from_client)
        if not ended:
            raise left[0] if left else PeerGone("the client has closed")
        return ended[0]

    async def _from_kubelet(self, quiet: Quiet) -> StatusError | None:
        opening = [
            self._encoder.syn_stream(stream, {"streamtype": NAMES[one]}) for one, stream in self._streams.items()
        ]
        await self._send(b"".join(opening))
        while self._open:
            data = await quiet.receive(self._kubelet.receive)
            if not data:
                raise PeerGone("unexpected EOF")
            for frame in self._decoder.feed(data):
                await self._on(frame)
        return outcome(bytes(self._error))

    async def _on(self, frame: spdy.Frame) -> None:
        channel = self._channels.get(frame.stream)
        if frame.kind == spdy.PING:
            await self._send(spdy.ping(frame.data))
        elif frame.kind == spdy.GOAWAY:
            raise PeerGone("the kubelet goes away")
        elif frame.kind == spdy.SYN_STREAM:
            await self._send(spdy.rst_stream(frame.stream, 3))  # nobody here takes streams
        elif frame.kind == spdy.SYN_REPLY:
            self._unanswered.discard(frame.stream)
            if not self._unanswered:
                self._ready.set()
        elif frame.kind == spdy.DATA and frame.data:
            if channel == ERROR:
                self._error += frame.data[: ERROR_BYTES_MAX - len(self._error)]
            elif channel in (STDOUT, STDERR):
                await self._client.send(bytes((channel,)) + frame.data)
        if frame.ends or frame.kind == spdy.RST_STREAM:
            self._open.discard(frame.stream)

    async def _from_client(self) -> None:
        """Carries stdin and sizes until the client closes."""
        with trio.move_on_after(OPENING_S):
            await self._ready.wait()
        while (message := await self._client.receive()) is not None:
            if not message:
                continue
            channel, data = message[0], message[1:]
            if channel == CLOSE and data and data[0] in self._streams:
                await self._send(spdy.data_frame(self._streams[data[0]], b"", end=True))
            elif channel in (STDIN, RESIZE) and channel in self._streams and data:
                await self._send(spdy.data_frame(self._streams[channel], data))

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            await self._kubelet.send(data)


def outcome(told: bytes) -> StatusError | None:
    """What the Status on the error stream means (errorDecoderV4 in client-go); None: success, also of silence."""
    if not told:
        return None
    try:
        status = orjson.loads(told)
        assert isinstance(status, dict)
    except (orjson.JSONDecodeError, AssertionError):
        return internal_error(f"error stream protocol error: {told.decode(errors='replace')}")
    if status.get("status") == "Success":
        return None
    if status.get("reason") != "NonZeroExitCode":
        return internal_error(status.get("message") or "error stream protocol error: unknown error")
    causes = (status.get("details") or {}).get("causes") or []
    code = next((one.get("message") for one in causes if one.get("reason") == "ExitCode"), "")
    message = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    return StatusError(0, "NonZeroExitCode", message, {"causes": [{"reason": "ExitCode", "message": code}]})


def _shown(error: StatusError | None) -> dict[str, Any]:
    """The Status as it stands on the error channel: without kind, and without a code where there is none."""
    if error is None:
        return {"metadata": {}, "status": "Success"}
    status = error.status()
    return {key: value for key, value in status.items() if key not in ("kind", "apiVersion") and value != 0}
