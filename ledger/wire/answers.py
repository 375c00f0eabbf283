"""Response heads as bytes, shared by both loops."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from time import time
from wsgiref.handlers import format_date_time

from ledger.apimachinery.http import Response

PHRASES = {status.value: status.phrase for status in HTTPStatus}
# The texts of Go's net/http: "Content Too Large" is newer than the clients that compare.
PHRASES |= {413: "Request Entity Too Large", 414: "Request URI Too Long", 416: "Requested Range Not Satisfiable"}
PHRASES |= {422: "Unprocessable Entity"}
STATUS_LINES = {status: f"HTTP/1.1 {status} {phrase}\r\n".encode() for status, phrase in PHRASES.items()}

TEXT_PLAIN = ("content-type", "text/plain; charset=utf-8")
# The framing of a message is the wire's own business, whatever a handler believes.
OWN_HEADERS = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"})

REMEMBERED_MAX = 1024  # blocks of fields
REMEMBERED_BYTES_MAX = 1024  # of one of them
NEVER_TWICE = "audit-id"  # the field whose value no other answer has; it comes first

_date = (0, b"")


def date_value() -> bytes:
    """Now, as an IMF-fixdate; made once a second."""
    global _date  # noqa: PLW0603
    second = int(time())
    if second != _date[0]:
        _date = (second, format_date_time(second).encode())
    return _date[1]


def http1_head(
    status: int,
    headers: Iterable[tuple[str, str]],
    *,
    length: int | None,
    chunked: bool,
    connection: str,
    body: bytes = b"",
) -> bytes:
    """Status line to empty line, and the body where it is at hand.

    `connection` is "", "close" or "keep-alive"; `length` None says nothing of it.
    """
    own, fields = b"", tuple(headers)
    if fields and fields[0][0] == NEVER_TWICE:
        own, fields = _line(*fields[0]), fields[1:]
    status_line = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    parts = [status_line, own, _blocks.get(fields) or _block(fields)]
    if length is not None:
        parts.append(b"content-length: %d\r\n" % length)
    if chunked:
        parts.append(b"transfer-encoding: chunked\r\n")
    if connection:
        parts.append(b"connection: %b\r\n" % connection.encode())
    parts.append(b"date: %b\r\n\r\n" % date_value())
    parts.append(body)
    return b"".join(parts)


def _block(fields: tuple[tuple[str, str], ...]) -> bytes:
    """The fields that nearly all answers have in common with another one."""
    block = b"".join([_line(*each) for each in fields])
    if len(block) <= REMEMBERED_BYTES_MAX:
        if len(_blocks) >= REMEMBERED_MAX:
            _blocks.clear()
        _blocks[fields] = block
    return block


def _line(name: str, value: str) -> bytes:
    """The line of a field; empty where the field is the wire's own."""
    field = field_of(name, value)
    return b"%b: %b\r\n" % field if field is not None else b""


def field_of(name: str, value: str) -> tuple[bytes, bytes] | None:
    """A field as it is sent; None where it is the wire's own. As Go does: a line break must not begin another field."""
    name = name.lower()
    if name in OWN_HEADERS:
        return None
    if not value.isprintable():
        value = value.translate(_CONTROLS)
    value = value.strip(" \t")
    if not name.isprintable():
        name = name.translate(_CONTROLS)
    return name.encode(errors="replace"), value.encode(errors="replace")  # of a lone surrogate


_CONTROLS = str.maketrans({"\r": " ", "\n": " ", "\0": " "})
_blocks: dict[tuple[tuple[str, str], ...], bytes] = {}


def http1_switch(headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of a 101, which hands the connection over to the protocol that `upgrade` among the headers names."""
    protocol = next((value for name, value in headers if name.lower() == "upgrade"), "")
    head = http1_head(101, headers, length=None, chunked=False, connection="Upgrade")
    return b"%b\r\nupgrade: %b\r\n\r\n" % (head[:-4], protocol.translate(_CONTROLS).encode("latin-1", "replace"))


def http2_headers(status: int, headers: Iterable[tuple[str, str]], length: int | None) -> list[tuple[bytes, bytes]]:
    fields = [(b":status", b"%d" % status)]
    for each in headers:
        field = field_of(*each)
        if field is not None:
            fields.append(field)
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    fields.append((b"date", date_value()))
    return fields


def has_no_body(method: str, status: int) -> bool:
    """Whether a message ends with its header (RFC 9110, section 6.4.1)."""
    return method == "HEAD" or status in (204, 304)


def length_of(response: Response, method: str) -> int | None:
    """The content-length to announce; None for a stream that does not know it, and where the status forbids one."""
    if response.status in (204, 304):
        return None
    return response.length if response.stream is not None else len(response.body)


def plain(status: int, text: str) -> Response:
    """What a peer is told that never got as far as a handler; `status text` as Go prints it."""
    return Response(status, [TEXT_PLAIN], f"{status} {PHRASES.get(status, '')}: {text}".encode())


def internal_error() -> Response:
    """A handler raised: it must not, but then the client is told and the connection stays in step."""
    return plain(500, "the handler failed")
