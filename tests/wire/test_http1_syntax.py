from __future__ import annotations

import pytest

from ledger.wire.http1_syntax import ChunkedBody, Malformed, parse_fields, parse_request_line

HOST = b"host: a"


@pytest.mark.parametrize(
    "line, expected",
    [
        (b"GET / HTTP/1.1",                      ("GET", "/", "", 1, "")),
        (b"GET /a%2f?b=c?d HTTP/1.0",            ("GET", "/a%2f", "b=c?d", 0, "")),
        (b"get / HTTP/1.1",                      ("get", "/", "", 1, "")),
        (b"GET // HTTP/1.1",                     ("GET", "//", "", 1, "")),
        (b"GET https://h:1/p?q HTTP/1.1",        ("GET", "/p", "q", 1, "h:1")),
        (b"GET HTTP://h HTTP/1.1",               ("GET", "/", "", 1, "h")),
        (b"GET  / HTTP/1.1",                     400),
        (b"GET / HTTP/1.1 ",                     400),
        (b" GET / HTTP/1.1",                     400),
        (b"GET /a b HTTP/1.1",                   400),
        (b"GET\t/\tHTTP/1.1",                    400),
        (b"GET /\x00 HTTP/1.1",                  400),
        (b"GET /\xc3\xa9?\xe9 HTTP/1.1",         ("GET", "/%C3%A9", "%E9", 1, "")),
        (b"GET /%zz HTTP/1.1",                   400),
        (b"GET /% HTTP/1.1",                     400),
        (b"GET /%4 HTTP/1.1",                    400),
        (b"GET /%00%2F?%zz HTTP/1.1",            ("GET", "/%00%2F", "%zz", 1, "")),
        (b"G(T / HTTP/1.1",                      400),
        (b"G\xc9T / HTTP/1.1",                   400),
        (b"OPTIONS * HTTP/1.1",                  ("OPTIONS", "*", "", 1, "")),
        (b"GET ** HTTP/1.1",                     400),
        (b"GET / HTTP/1.2",                      ("GET", "/", "", 1, "")),
        (b"CONNECT h:443 HTTP/1.1",              400),
        (b"GET ftp://h/ HTTP/1.1",               400),
        (b"GET http:///p HTTP/1.1",              400),
        (b"GET http://u@h/p HTTP/1.1",           400),
        (b"GET /",                               400),
        (b"",                                    400),
        (b"GET / http/1.1",                      400),
        (b"GET / HTTP/1.10",                     400),
        (b"GET / HTTP/2.0",                      505),
        (b"GET / HTTP/0.9",                      505),
    ],
)  # fmt: skip
def test_request_line(line: bytes, expected: tuple[str, str, str, int, str] | int) -> None:
    if isinstance(expected, int):
        with pytest.raises(Malformed) as refused:
            parse_request_line(line)
        assert refused.value.status == expected
    else:
        parsed = parse_request_line(line)
        assert (parsed.method, parsed.path, parsed.query, parsed.minor, parsed.authority) == expected


@pytest.mark.parametrize(
    "lines, minor, expected",
    [
        # (content_length, chunked, keep_alive, expects_continue)
        ([HOST],                                                        1, (0, False, True, False)),
        ([],                                                            0, (0, False, False, False)),
        ([b"Connection: Keep-Alive"],                                   0, (0, False, True, False)),
        ([HOST, b"Connection: keep-alive, CLOSE"],                      1, (0, False, False, False)),
        ([HOST, b"Content-Length: 007"],                                1, (7, False, True, False)),
        ([HOST, b"Transfer-Encoding: Chunked", b"Expect: 100-Continue"], 1, (0, True, True, True)),
        ([HOST, b"X:", b"Y: \t a b \t"],                                1, (0, False, True, False)),
        ([HOST, b"X: \xe9"],                                            1, (0, False, True, False)),
        ([],                                                            1, 400),
        ([HOST, HOST],                                                  1, 400),
        ([b"Host: a/b"],                                                1, 400),
        ([b"Host: a b"],                                                1, 400),
        ([HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked"],   1, 400),
        ([HOST, b"Content-Length: 5", b"Content-Length: 5"],            1, 400),
        ([HOST, b"Content-Length: 5, 5"],                               1, 400),
        ([HOST, b"Content-Length: +5"],                                 1, 400),
        ([HOST, b"Content-Length: -1"],                                 1, 400),
        ([HOST, b"Content-Length: 0x5"],                                1, 400),
        ([HOST, b"Content-Length: 5 5"],                                1, 400),
        ([HOST, b"Content-Length:"],                                    1, 400),
        ([HOST, b"Content-Length: 9999999999999999999"],                1, 400),
        ([HOST, "Content-Length: ٥".encode()],                          1, 400),
        ([HOST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 1, 400),
        ([HOST, b"Transfer-Encoding: gzip, chunked"],                   1, 501),
        ([HOST, b"Transfer-Encoding: identity"],                        1, 501),
        ([HOST, b"Transfer-Encoding: chunked;x"],                       1, 501),
        ([HOST, b"Transfer-Encoding: \x0bchunked"],                     1, 400),
        ([b"Transfer-Encoding: chunked"],                               0, 400),
        ([HOST, b"X : a"],                                              1, 400),
        ([HOST, b" X: a"],                                              1, 400),
        ([HOST, b"X: a", b" folded"],                                   1, 400),
        ([HOST, b"X: a", b"\tfolded"],                                  1, 400),
        ([HOST, b": a"],                                                1, 400),
        ([HOST, b"no colon"],                                           1, 400),
        ([HOST, b"X: a\nY: b"],                                         1, 400),
        ([HOST, b"X: a\rY: b"],                                         1, 400),
        ([HOST, b"X: a\0b"],                                            1, 400),
        ([HOST, b"X\xe9: a"],                                           1, 400),
        ([HOST, b""],                                                   1, 400),
        ([HOST, b"Expect: 200-ok"],                                     1, 417),
    ],
)  # fmt: skip
def test_header_fields(lines: list[bytes], minor: int, expected: tuple[int, bool, bool, bool] | int) -> None:
    if isinstance(expected, int):
        with pytest.raises(Malformed) as refused:
            parse_fields(b"\r\n".join(lines), minor)
        assert refused.value.status == expected
    else:
        fields = parse_fields(b"\r\n".join(lines), minor)
        assert (fields.content_length, fields.chunked, fields.keep_alive, fields.expects_continue) == expected


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "sent, body",
    [
        (b"0\r\n\r\n",                                    b""),
        (b"5\r\nhello\r\n0\r\n\r\n",                      b"hello"),
        (b"A;name=\"v\"\r\n0123456789\r\n000\r\n\r\n",    b"0123456789"),
        (b"1\r\n\r\r\n1\r\n\n\r\n0\r\nX: y\r\n\r\n",      b"\r\n"),
        (b"5\nhello\n0\n\n",                              None),
        (b"5\r\nhello0\r\n\r\n",                          None),
        (b"5\r\nhello\n0\r\n\r\n",                        None),
        (b"-1\r\n",                                       None),
        (b"0x5\r\nhello\r\n",                             None),
        (b" 5\r\nhello\r\n",                              None),
        (b"\r\n",                                         None),
        (b"5_0\r\n",                                      None),
        (b"100000000\r\n",                                None),
        (b"5;" + b"x" * 2000 + b"\r\n",                   None),
        (b"0\r\n" + b"X: y\r\n" * 3000 + b"\r\n",         None),
        (b"0\r\nX : y\r\n\r\n",                           None),
        (b"0\r\n folded\r\n\r\n",                         None),
        (b"0\r\nX: a\nY: b\r\n\r\n",                      None),
    ],
)  # fmt: skip
def test_chunked_body(sent: bytes, body: bytes | None, piece: int) -> None:
    chunks, buffer = ChunkedBody(1000), bytearray()

    def feed_all() -> None:
        for start in range(0, len(sent), piece):
            buffer.extend(sent[start : start + piece])
            chunks.feed(buffer)

    if body is None:
        with pytest.raises(Malformed):
            feed_all()
            assert chunks.complete, "accepted, or not refused"
    else:
        feed_all()
        assert (chunks.complete, bytes(chunks.body), bytes(buffer)) == (True, body, b"")


def test_a_chunked_body_keeps_no_more_than_its_limit() -> None:
    chunks = ChunkedBody(1000)
    buffer = bytearray(b"ffffffff\r\n" + bytes(500))
    chunks.feed(buffer)
    assert not chunks.too_large
    buffer += bytes(600)
    chunks.feed(buffer)
    assert chunks.too_large
