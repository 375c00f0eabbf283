"""A connection after its upgrade to WebSocket, as messages."""

from __future__ import annotations

from collections import deque

import trio

from ledger.apimachinery.http import Duplex, PeerGone
from ledger.apimachinery.websocket import (
    BINARY,
    CLOSE,
    NORMAL,
    PING,
    PONG,
    BadFrame,
    Decoder,
    Message,
    close_frame,
    frame,
)


class WebSocket:
    """One task receives; any may send."""

    def __init__(self, connection: Duplex) -> None:
        self._connection = connection
        self._decoder = Decoder()
        self._waiting: deque[Message] = deque()
        self._sending = trio.Lock()

    async def receive(self) -> bytes | None:
        """The next message's data; None when the client has closed, or broken the protocol. Raises PeerGone."""
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                if message.kind == CLOSE:
                    return None
                if message.kind == PING:
                    await self._send(frame(PONG, message.data))
                elif message.kind != PONG:
                    return message.data
            data = await self._connection.receive()
            if not data:
                return None
            try:
                self._waiting.extend(self._decoder.feed(data))
            except BadFrame as bad:
                await self._send(close_frame(bad.code))
                return None

    async def send(self, data: bytes, kind: int = BINARY) -> None:
        await self._send(frame(kind, data))

    async def close(self, code: int = NORMAL) -> None:
        """Says goodbye; a client that is gone already needs none."""
        try:
            await self._send(close_frame(code))
        except PeerGone:
            return

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            await self._connection.send(data)
