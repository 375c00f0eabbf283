"""WebSocket frames (RFC 6455), the server's side: bytes in, messages out. Pure; no extensions."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.apimachinery.http import Headers

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL, PROTOCOL_ERROR, TOO_BIG = 1000, 1002, 1009
MESSAGE_BYTES_MAX = 32 * 1024 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Message(NamedTuple):
    """`kind` is TEXT, BINARY, CLOSE, PING or PONG."""

    kind: int
    data: bytes


class BadFrame(Exception):
    """The peer broke the protocol; `code` is the reason to close with."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def is_websocket(headers: Headers) -> bool:
    """Whether a request asks for one."""
    options = ",".join(headers.get_all("connection")).lower()
    return headers.get("upgrade").lower() == "websocket" and "upgrade" in options


def protocols_of(headers: Headers) -> list[str]:
    """The subprotocols a client offers, in its order."""
    given = ",".join(headers.get_all("sec-websocket-protocol"))
    return [one.strip() for one in given.split(",") if one.strip()]


def chosen(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first offered one that is supported; None when there is none."""
    return next((one for one in offered if one in supported), None)


def acceptance(headers: Headers, protocol: str) -> list[tuple[str, str]]:
    """The headers of the 101."""
    accepted = hashlib.sha1(headers.get("sec-websocket-key").encode("latin-1") + _GUID).digest()
    found = [("upgrade", "websocket"), ("sec-websocket-accept", base64.b64encode(accepted).decode())]
    return found + ([("sec-websocket-protocol", protocol)] if protocol else [])


def frame(kind: int, data: bytes) -> bytes:
    """One unfragmented frame, unmasked as a server's are."""
    size = len(data)
    if size < 126:
        head = bytes((0x80 | kind, size))
    elif size < 65536:
        head = struct.pack(">BBH", 0x80 | kind, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | kind, 127, size)
    return head + data


def close_frame(code: int) -> bytes:
    return frame(CLOSE, struct.pack(">H", code))


class Decoder:
    """Takes what a client sends apart, however it arrives."""

    def __init__(self, bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        self._kind = 0  # of the message whose fragments are being collected
        self._parts = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete. Raises BadFrame."""
        self._buffer += data
        while (found := self._next_frame()) is not None:
            final, kind, payload = found
            if kind >= CLOSE:
                yield Message(kind, payload)
                continue
            if (kind == CONTINUATION) != bool(self._kind):
                raise BadFrame(PROTOCOL_ERROR, "a fragment out of place")
            self._kind = self._kind or kind
            self._parts += payload
            if len(self._parts) > self._bytes_max:
                raise BadFrame(TOO_BIG, "the message is too big")
            if final:
                message = Message(self._kind, bytes(self._parts))
                self._kind = 0
                self._parts.clear()
                yield message

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        kind, size, start = first & 15, second & 127, 2
        if first & 0x70 or not second & 0x80 or kind not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise BadFrame(PROTOCOL_ERROR, "a malformed frame")
        if kind >= CLOSE and (size > 125 or not first & 0x80):
            raise BadFrame(PROTOCOL_ERROR, "a malformed control frame")
        if size > 125:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        if size > self._bytes_max:
            raise BadFrame(TOO_BIG, "the message is too big")
        end = start + 4 + size
        if len(buffer) < end:
            return None
        payload = _unmasked(bytes(buffer[start + 4 : end]), bytes(buffer[start : start + 4]))
        del buffer[:end]
        return bool(first & 0x80), kind, payload


def _unmasked(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    pad = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
