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
STATUS_LINES = {status: f"HTTP/1.1 {status} {phrase}\r\n" for status, phrase in PHRASES.items()}

TEXT_PLAIN = ("content-type", "text/plain; charset=utf-8")
# The framing of a message is the wire's own business, whatever a handler believes.
OWN_HEADERS = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"})

_date = (0, "")


def date_value() -> str:
    """Now, as an IMF-fixdate; made once a second."""
    global _date  # noqa: PLW0603
    second = int(time())
    if second != _date[0]:
        _date = (second, format_date_time(second))
    return _date[1]


def http1_head(
    status: int, headers: Iterable[tuple[str, str]], *, length: int | None, chunked: bool, connection: str
) -> bytes:
    """Status line to empty line. `connection` is "", "close" or "keep-alive"; `length` None says nothing of it."""
    parts = [STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
    for name, value in headers:
        if name.lower() not in OWN_HEADERS:
            parts.append(f"{name}: {value}\r\n")
    lines = len(parts)
    head = "".join(parts)
    if head.count("\n") != lines or head.count("\r") != lines or "\0" in head:
        head = "".join(part[:-2].translate(_CONTROLS) + "\r\n" for part in parts)
    if length is not None:
        head += f"content-length: {length}\r\n"
    if chunked:
        head += "transfer-encoding: chunked\r\n"
    if connection:
        head += f"connection: {connection}\r\n"
    return f"{head}date: {date_value()}\r\n\r\n".encode(errors="replace")  # a lone surrogate from some JSON string


# As Go does: a line break in a value must not begin a header of its own.
_CONTROLS = str.maketrans({"\r": " ", "\n": " ", "\0": " "})


def http1_switch(headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of a 101, which hands the connection over to the protocol that `upgrade` among the headers names."""
    protocol = next((value for name, value in headers if name.lower() == "upgrade"), "")
    head = http1_head(101, headers, length=None, chunked=False, connection="Upgrade")
    return b"%b\r\nupgrade: %b\r\n\r\n" % (head[:-4], protocol.translate(_CONTROLS).encode("latin-1", "replace"))


def http2_headers(status: int, headers: Iterable[tuple[str, str]], length: int | None) -> list[tuple[bytes, bytes]]:
    fields = [(b":status", b"%d" % status)]
    for name, value in headers:
        name = name.lower()
        if name not in OWN_HEADERS:
            if "\n" in value or "\r" in value or "\0" in value:
                value = value.translate(_CONTROLS)
            fields.append((name.encode(), value.strip(" \t").encode(errors="replace")))
    if length is not None:
        fields.append((b"content-length", b"%d" % length))
    fields.append((b"date", date_value().encode()))
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
