"""The grammar of HTTP/1.1 messages (RFC 9112), strict: what two readers could understand differently is refused.

Pure: bytes in, values out. Refused on purpose although some servers take them: both content-length and
transfer-encoding, a repeated content-length, bare LF, folded lines, white space before a colon, a repeated host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
TARGET = re.compile(r"[\x21-\x7e\x80-\xff]+").fullmatch  # bytes beyond ASCII are common, and understood as if escaped
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
ESCAPED = {code: f"%{code:02X}" for code in range(0x80, 0x100)}
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})").search
HOST = re.compile(r"[0-9A-Za-z.\-_~%!$&'()*+,;=:\[\]]*").fullmatch
DIGITS = re.compile(r"[0-9]{1,18}").fullmatch
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?").fullmatch
BARE_LF = re.compile(rb"(?<!\r)\n").search

TARGET_BYTES_MAX = 256 * 1024
PATH_BYTES_MAX = 32 * 1024
FIELDS_MAX = 10_000  # of one header
CHUNK_LINE_BYTES_MAX = 1024  # a chunk's size with its extensions
TRAILER_BYTES_MAX = 8 * 1024
LINES_MAX = 2048  # request lines remembered, as clients ask for the same again and again
LINE_BYTES_MAX = 512  # of one of them


class Malformed(Exception):
    """The peer broke the protocol: answered with this status where an answer is possible, then disconnected."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True, slots=True)
class Fields:
    """A block of header fields and what it says about the message around it."""

    pairs: list[tuple[str, str]]  # names in lower case
    content_length: int = 0
    chunked: bool = False
    keep_alive: bool = True
    expects_continue: bool = False

    @property
    def has_body(self) -> bool:
        return self.chunked or self.content_length > 0


@dataclass(frozen=True, slots=True)
class RequestLine:
    method: str
    path: str  # percent-encoded as sent
    query: str
    minor: int  # HTTP/1.minor
    authority: str = ""  # of an absolute target; it overrides Host


def parse_request_line(line: bytes) -> RequestLine:
    """Raises Malformed. Takes origin-form and absolute-form targets and "*"; this is no proxy, so not CONNECT's."""
    return _remembered_line(line) if len(line) <= LINE_BYTES_MAX else _request_line(line)


def _request_line(line: bytes) -> RequestLine:
    parts = line.decode("latin-1").split(" ")
    if len(parts) != 3 or not TOKEN(parts[0]):
        raise Malformed(400, "malformed request line")
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        well_formed = re.fullmatch(r"HTTP/([0-9])\.[0-9]", version)
        if not well_formed or well_formed[1] != "1":  # a minor version we do not know yet speaks 1.1 as well
            raise Malformed(505 if well_formed else 400, "unsupported protocol version")
    if not TARGET(target):
        raise Malformed(400, "malformed request target")
    authority = ""
    if not target.startswith("/") and target != "*":
        scheme, _, rest = target.partition("://")
        if scheme.lower() not in ("http", "https"):
            raise Malformed(400, "malformed request target")
        slash = re.search(r"[/?]", rest)
        authority, target = (rest[: slash.start()], rest[slash.start() :]) if slash else (rest, "/")
        if not authority or not HOST(authority):
            raise Malformed(400, "malformed request target")
        if target[0] == "?":
            target = "/" + target
    path, query = split_target(target)
    return RequestLine(method, path, query, 0 if version == "HTTP/1.0" else 1, authority)


def split_target(target: str) -> tuple[str, str]:
    """(path, query), ASCII alone. Raises Malformed for a broken escape in the path; a query may be anything.

    Go's net/http takes a megabyte of both; we decode them while others wait, so there is a limit of its own.
    """
    if len(target) > TARGET_BYTES_MAX:
        raise Malformed(414, "the request target is too long")
    if not target.isascii():
        target = target.translate(ESCAPED)
    path, _, query = target.partition("?")
    if len(path) > PATH_BYTES_MAX:
        raise Malformed(414, "the path is too long")
    if "%" in path and BROKEN_ESCAPE(path):
        raise Malformed(400, "malformed escape in the path")
    return path, query


_remembered_line = lru_cache(LINES_MAX)(_request_line)


def parse_fields(block: bytes, minor: int) -> Fields:
    """The lines between the request line and the empty line, without the last CRLF. Raises Malformed."""
    pairs: list[tuple[str, str]] = []
    length = -1
    hosts = 0
    chunked = expects = False
    keep_alive = minor == 1
    if block.count(b"\r\n") >= FIELDS_MAX:
        raise Malformed(431, "too many header fields")
    for line in block.decode("latin-1").split("\r\n") if block else ():
        name, colon, value = line.partition(":")
        if not colon or not TOKEN(name):
            raise Malformed(400, "malformed header line")
        name, value = name.lower(), value.strip(" \t")
        if not VALUE(value):
            raise Malformed(400, "malformed header value")
        pairs.append((name, value))
        if name == "content-length":
            if length >= 0 or not DIGITS(value):
                raise Malformed(400, "malformed content-length")
            length = int(value)
        elif name == "transfer-encoding":
            if chunked or minor == 0:
                raise Malformed(400, "malformed transfer-encoding")
            if value.lower() != "chunked":
                raise Malformed(501, "unsupported transfer-encoding")
            chunked = True
        elif name == "connection":
            options = [option.strip(" \t") for option in value.lower().split(",")]
            keep_alive = (keep_alive or "keep-alive" in options) and "close" not in options
        elif name == "host":
            hosts += 1
            if not HOST(value):
                raise Malformed(400, "malformed Host header")
        elif name == "expect":
            if value.lower() != "100-continue":
                raise Malformed(417, "unknown expectation")
            expects = minor == 1
    if hosts > 1 or (minor == 1 and not hosts):
        raise Malformed(400, "too many Host headers" if hosts else "missing required Host header")
    if chunked and length >= 0:
        raise Malformed(400, "both content-length and transfer-encoding")
    return Fields(pairs, max(length, 0), chunked, keep_alive, expects)


class ChunkedBody:
    """Takes a chunked body apart, however it arrives."""

    __slots__ = ("body", "complete", "in_trailer", "left", "size_max", "trailer_bytes")

    def __init__(self, size_max: int) -> None:
        self.size_max = size_max
        self.body = bytearray()
        self.complete = False
        self.left = 0  # bytes of the current chunk still to come, with its CRLF
        self.in_trailer = False
        self.trailer_bytes = 0

    @property
    def too_large(self) -> bool:
        return len(self.body) > self.size_max

    def feed(self, buffer: bytearray) -> None:
        """Consumes what it can from the front of `buffer`. Raises Malformed; stops early when too_large."""
        while buffer and not self.complete and not self.too_large:
            if self.left:
                if not self._take_chunk(buffer):
                    return
            elif self.in_trailer:
                if not self._take_trailer_line(buffer):
                    return
            elif not self._take_size_line(buffer):
                return

    def _take_size_line(self, buffer: bytearray) -> bool:
        line = _take_line(buffer, CHUNK_LINE_BYTES_MAX, "chunk size")
        if line is None:
            return False
        size = CHUNK_SIZE(line)
        if not size:
            raise Malformed(400, "malformed chunk size")
        length = int(size[1], 16)
        if length:
            self.left = length + 2
        else:
            self.in_trailer = True
        return True

    def _take_chunk(self, buffer: bytearray) -> bool:
        """Appends what is there of the chunk; its CRLF is taken whole."""
        here = min(self.left - 2, len(buffer))
        if here > 0:
            self.body += buffer[:here]
            del buffer[:here]
            self.left -= here
        if self.left > 2 or len(buffer) < 2:
            if self.left == 2 and buffer and buffer[:1] != b"\r":
                raise Malformed(400, "malformed chunk")
            return False
        if buffer[:2] != b"\r\n":
            raise Malformed(400, "malformed chunk")
        del buffer[:2]
        self.left = 0
        return True

    def _take_trailer_line(self, buffer: bytearray) -> bool:
        """Trailer fields are checked and dropped: nothing in Kubernetes uses them."""
        before = len(buffer)
        line = _take_line(buffer, TRAILER_BYTES_MAX - self.trailer_bytes, "trailer")
        if line is None:
            return False
        self.trailer_bytes += before - len(buffer)
        if not line:
            self.complete = True
            return True
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not TOKEN(name) or not VALUE(value):
            raise Malformed(400, "malformed trailer")
        return True


def _take_line(buffer: bytearray, bytes_max: int, what: str) -> bytes | None:
    end = buffer.find(b"\r\n", 0, bytes_max)
    if end < 0:
        if len(buffer) >= bytes_max or BARE_LF(buffer, 0, bytes_max):
            raise Malformed(400, f"malformed {what}")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line
