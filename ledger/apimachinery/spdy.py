"""SPDY/3.1 frames, as far as Kubernetes' streams use them: opening streams, data, their ends. Pure.

Header blocks are compressed with one zlib stream for each direction of a connection, primed with the dictionary of the
SPDY/3 draft. Nobody here uses flow control: kubelets and kubectl do not either.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
DATA = 0
FIN = 1  # flag: the sender says no more on this stream
FRAME_BYTES_MAX = 16 * 1024 * 1024 + 8
VERSION = 3

_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer
retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status
200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal "
    "Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, "
    "Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)
_LISTED = [word.replace("_", " ").encode() for word in _WORDS.split()]
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word for word in _LISTED) + _TAIL.encode()


class Frame(NamedTuple):
    """`kind` is DATA or a control frame's; `stream` is 0 where the frame is about the connection."""

    kind: int
    stream: int
    flags: int
    data: bytes  # of DATA and PING
    headers: Mapping[str, str] = {}

    @property
    def ends(self) -> bool:
        return bool(self.flags & FIN)


class BadFrame(Exception):
    """The peer does not speak SPDY/3.1."""


class Encoder:
    """Makes the frames of one side of a connection."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def syn_stream(self, stream: int, headers: Mapping[str, str]) -> bytes:
        return _control(SYN_STREAM, 0, struct.pack(">IIH", stream, 0, 0) + self._block(headers))

    def syn_reply(self, stream: int, headers: Mapping[str, str]) -> bytes:
        return _control(SYN_REPLY, 0, struct.pack(">I", stream) + self._block(headers))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        parts = [struct.pack(">I", len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode("latin-1"), value.encode("latin-1")):
                parts += [struct.pack(">I", len(text)), text]
        return self._deflate.compress(b"".join(parts)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def data_frame(stream: int, data: bytes, *, end: bool = False) -> bytes:
    return struct.pack(">II", stream, (FIN if end else 0) << 24 | len(data)) + data


def rst_stream(stream: int, status: int) -> bytes:
    return _control(RST_STREAM, 0, struct.pack(">II", stream, status))


def ping(data: bytes) -> bytes:
    return _control(PING, 0, data)


def goaway() -> bytes:
    return _control(GOAWAY, 0, struct.pack(">II", 0, 0))


def _control(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8000 | VERSION, kind, flags << 24 | len(payload)) + payload


class Decoder:
    """Takes what the other side sends apart, however it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete. Raises BadFrame."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from(">II", self._buffer)
            flags, size = second >> 24, second & 0xFFFFFF
            if len(self._buffer) < 8 + size:
                return
            payload = bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            if first >> 31:
                if first >> 16 & 0x7FFF != VERSION:
                    raise BadFrame("another version of SPDY")
                yield self._control(first & 0xFFFF, flags, payload)
            else:
                yield Frame(DATA, first, flags, payload)

    def _control(self, kind: int, flags: int, payload: bytes) -> Frame:
        try:
            if kind in (SETTINGS, PING, GOAWAY):
                return Frame(kind, 0, flags, payload)
            stream = struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF
            blocks = {SYN_STREAM: 10, SYN_REPLY: 4, HEADERS: 4}
            headers = self._headers(payload[blocks[kind] :]) if kind in blocks else {}
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise BadFrame(str(error)) from None
        return Frame(kind, stream, flags, b"", headers)

    def _headers(self, block: bytes) -> dict[str, str]:
        text = self._inflate.decompress(block, FRAME_BYTES_MAX)
        (count,) = struct.unpack_from(">I", text)
        position, found = 4, {}
        for _ in range(count):
            pair = []
            for _ in range(2):
                (size,) = struct.unpack_from(">I", text, position)
                pair.append(text[position + 4 : position + 4 + size].decode("latin-1"))
                position += 4 + size
            found[pair[0]] = pair[1]
        return found
