"""port-forward over WebSocket for a kubelet that only knows SPDY: the client's SPDY comes in WebSocket messages.

Follows streamtunnel.go in k8s.io/apiserver/pkg/util/proxy: the kubelet is asked for the upgrade first, and only then the
client answered, so that a refusal still is an HTTP answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ledger.apimachinery.http import Duplex, PeerGone, Request, Response
from ledger.apimachinery.websocket import acceptance, is_websocket, protocols_of
from ledger.handlers.forwarding import Quiet, forwarded_for, not_switched, plain_error
from ledger.handlers.websockets import WebSocket
from ledger.outbound.caller import Caller
from ledger.outbound.dialing import Peer
from ledger.outbound.refusal import CallFailed

if TYPE_CHECKING:
    from ledger.outbound.exchange import Exchange

PREFIX = "SPDY/3.1+"
_REPLACED = frozenset({
    "host", "sec-websocket-protocol", "sec-websocket-key", "sec-websocket-version", "upgrade", "content-length",
    "transfer-encoding", "x-stream-protocol-version", "x-forwarded-for",
})  # fmt: skip


def tunnelled_protocols(request: Request) -> list[str]:
    """The SPDY protocols that a client would speak inside a WebSocket."""
    if not is_websocket(request.headers):
        return []
    offered = protocols_of(request.headers)
    return [one.removeprefix(PREFIX) for one in offered if one.startswith(PREFIX) and one.endswith(".k8s.io")]


async def tunnelled(caller: Caller, request: Request, peer: Peer, target: str) -> Response:
    """The 101, or the kubelet's refusal. Raises StatusError when it cannot be asked."""
    kept = [(name, value) for name, value in request.headers if name not in _REPLACED]
    protocols = [("X-Stream-Protocol-Version", one) for one in tunnelled_protocols(request)]
    headers = [("Host", request.headers.get("host")), *kept, ("Upgrade", "SPDY/3.1"), *protocols]
    headers += forwarded_for(request.headers, request.client)
    try:
        exchange = await caller.ask(peer, "POST", target, headers)
    except CallFailed as failed:
        raise plain_error(f"error dialing backend: {failed}") from None
    if exchange.status != 101:
        return await not_switched(exchange)
    spoken = exchange.header("x-stream-protocol-version")
    accepted = acceptance(request.headers, PREFIX + spoken if spoken else "")
    return Response(101, accepted, tunnel=lambda client: _join(client, exchange), release=exchange.abort)


async def _join(connection: Duplex, kubelet: Exchange) -> None:
    """Carries bytes both ways until one side ends, or nothing has moved for long."""
    client, quiet = WebSocket(connection), Quiet()

    async def inward() -> None:
        try:
            while (data := await client.receive()) is not None:
                quiet.moved()
                await kubelet.send(data)
        except PeerGone:
            pass  # the other side is told by ending it as well
        nursery.cancel_scope.cancel()

    async def outward() -> None:
        try:
            while data := await quiet.receive(kubelet.receive):
                await client.send(data)
            await client.close()
        except PeerGone:
            pass
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(inward)
        nursery.start_soon(outward)
