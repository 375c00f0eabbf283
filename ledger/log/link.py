"""What a worker process and the writer tell each other, over a socket that the writer made before it started the worker.

    worker -> writer    ["up"]               it listens
                        ["events", [row...]] the next events of its reads, as its journal has them
                        ["hurry"]            somebody waits until they are committed
    writer -> worker    ["committed", n]     something was committed; the worker's first n events are in the log
                        ["drain"]            end in order

Each is a CBOR array behind its length (4 bytes BE). Both sides trust each other: it is one program.
"""

from __future__ import annotations

from typing import Any

import trio
from cbor2 import dumps, loads

READ_BYTES = 1 << 18
Message = list[Any]


class Link:
    """One end. One task receives."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._sending = trio.Lock()

    async def send(self, message: Message) -> None:
        """Raises trio.BrokenResourceError when the other side is gone."""
        packed = dumps(message)
        async with self._sending:
            await self._stream.send_all(len(packed).to_bytes(4, "big") + packed)

    async def receive(self) -> Message | None:
        """The next message; None at the end, also where the other side was killed in the middle of one."""
        while len(self._buffer) < 4 or len(self._buffer) < 4 + int.from_bytes(self._buffer[:4], "big"):
            try:
                data = await self._stream.receive_some(READ_BYTES)
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            self._buffer += data
        end = 4 + int.from_bytes(self._buffer[:4], "big")
        message: Message = loads(bytes(self._buffer[4:end]))
        del self._buffer[:end]
        return message
