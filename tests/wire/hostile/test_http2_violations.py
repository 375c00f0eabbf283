"""What RFC 9113 forbids, after the list of cases that h2spec checks: each is refused with the error it names."""

from __future__ import annotations

import pytest
import trio

from tests.wire.wire_server import frame, run, serving

NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION = range(10)
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
GET = b"\x82\x84\x86"  # :method GET, :path /, :scheme http
POST = b"\x83\x04\x05/body\x86"
REQUEST = frame(HEADERS, END_HEADERS | END_STREAM, 1, GET)
OPEN = frame(HEADERS, END_HEADERS, 1, POST)
OPEN_5 = frame(HEADERS, END_HEADERS, 1, POST + b"\x0f\x0d\x015")  # content-length: 5


@pytest.mark.parametrize(
    "section, frames, errors",
    [
        ("4.2 frame above SETTINGS_MAX_FRAME_SIZE",  OPEN + frame(DATA, 0, 1, bytes(16385)),                 {SIZE}),
        ("4.2 the same, before the frame is here",   OPEN + frame(DATA, 0, 1, bytes(16385))[:9],             {SIZE}),
        ("4.3 broken compression",                   frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff"),          {COMPRESSION}),
        ("4.3 index beyond the table",               frame(HEADERS, 5, 1, b"\xfe"),                          {COMPRESSION}),
        ("5.1 DATA on an idle stream",               frame(DATA, 0, 1, b"x"),                                {PROTOCOL}),
        ("5.1 RST_STREAM on an idle stream",         frame(RST_STREAM, 0, 1, bytes(4)),                      {PROTOCOL}),
        ("5.1 WINDOW_UPDATE on an idle stream",      frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),                {PROTOCOL}),
        ("5.1 DATA after END_STREAM",                REQUEST + frame(DATA, 0, 1, b"x"),                      {CLOSED}),
        ("5.1 HEADERS after END_STREAM",             REQUEST + REQUEST,                                      {CLOSED, PROTOCOL}),
        ("5.1.1 even stream",                        frame(HEADERS, 5, 2, GET),                              {PROTOCOL}),
        ("5.1.1 stream below the last",              frame(HEADERS, 5, 5, GET) + frame(HEADERS, 5, 3, GET),  {PROTOCOL}),
        ("6.1 DATA on stream 0",                     frame(DATA, 0, 0, b"x"),                                {PROTOCOL}),
        ("6.1 padding beyond the frame",             OPEN + frame(DATA, PADDED, 1, b"\xffabc"),              {PROTOCOL}),
        ("6.2 HEADERS on stream 0",                  frame(HEADERS, 5, 0, GET),                              {PROTOCOL}),
        ("6.2 HEADERS without an end, then DATA",    frame(HEADERS, 0, 1, GET) + frame(DATA, 0, 1, b"x"),    {PROTOCOL}),
        ("6.3 PRIORITY on stream 0",                 frame(PRIORITY, 0, 0, bytes(5)),                        {PROTOCOL}),
        ("6.3 PRIORITY of another length",           frame(PRIORITY, 0, 1, bytes(4)),                        {SIZE}),
        ("6.4 RST_STREAM on stream 0",               frame(RST_STREAM, 0, 0, bytes(4)),                      {PROTOCOL}),
        ("6.4 RST_STREAM of another length",         OPEN + frame(RST_STREAM, 0, 1, bytes(3)),               {SIZE}),
        ("6.5 SETTINGS on a stream",                 frame(SETTINGS, 0, 1),                                  {PROTOCOL}),
        ("6.5 SETTINGS ACK with settings",           frame(SETTINGS, 1, 0, b"\0\3\0\0\0\1"),                 {SIZE}),
        ("6.5 SETTINGS of another length",           frame(SETTINGS, 0, 0, bytes(5)),                        {SIZE}),
        ("6.5.2 ENABLE_PUSH = 2",                    frame(SETTINGS, 0, 0, b"\0\2\0\0\0\2"),                 {PROTOCOL}),
        ("6.5.2 INITIAL_WINDOW_SIZE = 2^31",         frame(SETTINGS, 0, 0, b"\0\4\x80\0\0\0"),               {FLOW}),
        ("6.5.2 MAX_FRAME_SIZE = 16383",             frame(SETTINGS, 0, 0, b"\0\5\0\0\x3f\xff"),             {PROTOCOL}),
        ("6.6 PUSH_PROMISE from a client",           OPEN + frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + GET),    {PROTOCOL}),
        ("6.7 PING on a stream",                     frame(PING, 0, 1, bytes(8)),                            {PROTOCOL}),
        ("6.7 PING of another length",               frame(PING, 0, 0, bytes(6)),                            {SIZE}),
        ("6.8 GOAWAY on a stream",                   frame(GOAWAY, 0, 1, bytes(8)),                          {PROTOCOL}),
        ("6.9 no increment on the connection",       frame(WINDOW_UPDATE, 0, 0, bytes(4)),                   {PROTOCOL}),
        ("6.9 no increment on a stream",             OPEN + frame(WINDOW_UPDATE, 0, 1, bytes(4)),            {PROTOCOL}),
        ("6.9 WINDOW_UPDATE of another length",      frame(WINDOW_UPDATE, 0, 0, bytes(3)),                   {SIZE}),
        ("6.9.1 window of the connection too large", frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),        {FLOW}),
        ("6.9.1 window of a stream too large",       OPEN + frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"), {FLOW}),
        ("6.10 CONTINUATION without HEADERS",        frame(CONTINUATION, 4, 1, GET),                         {PROTOCOL}),
        ("6.10 CONTINUATION of another stream",      frame(HEADERS, 0, 1, GET) + frame(CONTINUATION, 4, 3),  {PROTOCOL}),
        ("8.1 second HEADERS without END_STREAM",    OPEN + frame(HEADERS, END_HEADERS, 1, POST),            {PROTOCOL}),
        ("8.1.1 less body than announced",           OPEN_5 + frame(DATA, END_STREAM, 1, b"x"),              {PROTOCOL}),
        ("8.1.1 more body than announced",           OPEN_5 + frame(DATA, END_STREAM, 1, bytes(9)),          {PROTOCOL}),
    ],
)  # fmt: skip
def test_violation(section: str, frames: bytes, errors: set[int]) -> None:
    async def test() -> None:
        async with serving() as server:
            stream = await server.connect()
            await stream.send_all(PREFACE + frames)
            assert await first_error(stream) in errors, section
            await trio.aclose_forcefully(stream)
            await server.assert_alive()

    run(test)


async def first_error(stream: trio.SocketStream) -> int | None:
    """The code of the first RST_STREAM or GOAWAY; None when the server closed without one."""
    data = b""
    while True:
        while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
            kind, payload = data[3], data[9 : 9 + int.from_bytes(data[:3], "big")]
            if kind == RST_STREAM:
                return int.from_bytes(payload[:4], "big")
            if kind == GOAWAY:
                return int.from_bytes(payload[4:8], "big")
            data = data[9 + len(payload) :]
        with trio.move_on_after(5) as silent:
            more = await stream.receive_some()
        if silent.cancelled_caught or not more:
            return None
        data += more
