"""Requests as few clients send them, byte for byte, with the answers of kube-apiserver 1.37.2.

`test_odd_requests` holds `ledger serve` to them; `tools/differential/odd.py` asks a running kube-apiserver again. Where
we answer otherwise on purpose, `ours` says how and `why` why. A line of `{auth}` is the admin's token.
"""

# ruff: noqa: E501 - a request and its answer are one line of the table

from __future__ import annotations

import json
import re
import socket
import ssl
from dataclasses import dataclass

CONFIGMAPS = b"/api/v1/namespaces/default/configmaps"
OBJECT = b'{"metadata":{"name":"odd"}}'
DRY = b"POST " + CONFIGMAPS + b"?dryRun=All HTTP/1.1"
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
NOT_FOUND = "the server could not find the requested resource"
NO_PAGE = "404 page not found\n"
NOT_ALLOWED = "the server does not allow this method on the requested resource"
SILENCE_S = 10
READ_ON_S = 0.3  # for what may follow an answer


@dataclass(frozen=True, slots=True)
class Odd:
    """A request and what it is answered: status, and what the message or the body begins with ("*": does not matter)."""

    name: str
    data: bytes
    status: int
    text: str = "*"
    closes: bool = False  # the answer says connection: close
    ours: tuple[int, str] | None = None
    why: str = ""


def get(path: bytes, *headers: bytes) -> bytes:
    return request(b"GET " + path + b" HTTP/1.1", *headers)


def request(line: bytes, *headers: bytes, host: bool = True, auth: bool = True, body: bytes = b"") -> bytes:
    first = [b"Host: a"] if host else []
    if auth:
        first.append(b"{auth}")
    return b"\r\n".join((line, *first, *headers, b"", b"")) + body


def post(*headers: bytes, body: bytes, line: bytes = DRY) -> bytes:
    return request(line, JSON, *headers, body=body)


BAD = "400 Bad Request"
STRICT = "two readers could understand it differently"
WHILE_OTHERS_WAIT = "we work on it while others wait"
ODD = [
    Odd("absolute target",             get(b"http://other/livez"), 200, "ok"),
    Odd("absolute target with a user", get(b"http://u@other/livez"), 200, "ok", ours=(400, BAD), why="user information in a target is for phishing"),
    Odd("absolute target, no path",    get(b"http://other"), 404, NO_PAGE, ours=(200, "*"), why="an empty path is / (RFC 9110, section 4.2.3)"),
    Odd("OPTIONS of the server",       request(b"OPTIONS * HTTP/1.1"), 200, ""),
    Odd("OPTIONS of the server, by nobody", request(b"OPTIONS * HTTP/1.1", auth=False), 200, ""),
    Odd("GET of *",                    get(b"*"), 404, NO_PAGE),
    Odd("OPTIONS of a path",           request(b"OPTIONS /api HTTP/1.1"), 405, NOT_ALLOWED),
    Odd("TRACE",                       request(b"TRACE /api HTTP/1.1"), 405, NOT_ALLOWED),
    Odd("CONNECT",                     request(b"CONNECT h:443 HTTP/1.1"), 404, NO_PAGE, ours=(400, BAD), why="this is no proxy"),
    Odd("CONNECT of a path",           request(b"CONNECT /api HTTP/1.1"), 405, NOT_ALLOWED),
    Odd("method in lower case",        request(b"get /version HTTP/1.1"), 405, NOT_ALLOWED),
    Odd("unknown method",              request(b"FOO /api/v1/namespaces/default HTTP/1.1"), 405, NOT_ALLOWED),
    Odd("no method at all",            request(b"G(T /version HTTP/1.1"), 400, BAD, closes=True),
    Odd("HEAD of a document",          request(b"HEAD /version HTTP/1.1"), 405, ""),
    Odd("HEAD of an object",           request(b"HEAD /api/v1/namespaces/default HTTP/1.1"), 405, ""),
    Odd("HTTP/1.0",                    request(b"GET /livez HTTP/1.0", host=False), 200, "ok"),
    Odd("HTTP/1.2",                    request(b"GET /livez HTTP/1.2"), 200, "ok"),
    Odd("HTTP/2.0 in a request line",  request(b"GET /livez HTTP/2.0"), 505, "505 HTTP Version Not Supported: unsupported protocol version", closes=True),
    Odd("no host",                     request(b"GET /livez HTTP/1.1", host=False), 400, "400 Bad Request: missing required Host header", closes=True),
    Odd("two hosts",                   get(b"/livez", b"Host: b"), 400, BAD, closes=True),
    Odd("a host that is none",         request(b"GET /livez HTTP/1.1", b"Host: a/b", host=False), 400, "400 Bad Request: malformed Host header", closes=True),
    Odd("no version",                  b"GET /livez\r\n\r\n", 400, BAD, closes=True),
    Odd("two spaces",                  request(b"GET  /livez HTTP/1.1"), 400, BAD, closes=True),
    Odd("space in the path",           get(b"/live z"), 400, BAD, closes=True),
    Odd("line feeds alone",            b"GET /livez HTTP/1.1\nHost: a\n{auth}\n\n", 200, "ok", ours=(400, BAD), why=STRICT),
    Odd("a line too many before",      b"\r\n" + get(b"/livez"), 400, BAD, ours=(200, "ok"), why="RFC 9112, section 2.2"),
    Odd("no slash",                    get(b"livez"), 400, BAD, closes=True),
    Odd("%2F in a name",               get(CONFIGMAPS + b"/a%2Fb"), 404, NOT_FOUND),
    Odd("%2F for a slash",             get(b"/api%2Fv1/namespaces/nope"), 404, 'namespaces "nope" not found'),
    Odd("an escape for a letter",      get(b"/api/v1/namespaces/n%6Fpe"), 404, 'namespaces "nope" not found'),
    Odd("%00 in a name",               get(CONFIGMAPS + b"/a%00b"), 404, 'configmaps "a\\x00b" not found'),
    Odd("%0A in a name",               get(CONFIGMAPS + b"/a%0Ab"), 404, 'configmaps "a\\nb" not found'),
    Odd("%C3%A9 in a name",            get(CONFIGMAPS + b"/a%C3%A9b"), 404, 'configmaps "aéb" not found'),
    Odd("raw UTF-8 in a name",         get(CONFIGMAPS + "/aéb".encode()), 404, 'configmaps "aéb" not found'),
    Odd("quotes in a name",            get(CONFIGMAPS + b'/a"b'), 404, 'configmaps "a\\"b" not found'),
    Odd("%25 in a name",               get(CONFIGMAPS + b"/a%25b"), 400, "Name parameter invalid: \"a%b\": may not contain '%'"),
    Odd("+ in a name",                 get(CONFIGMAPS + b"/a+b"), 404, 'configmaps "a+b" not found'),
    Odd("broken escape in a path",     get(CONFIGMAPS + b"/a%zz"), 400, BAD, closes=True),
    Odd("broken escape in a query",    get(CONFIGMAPS + b"?limit=%zz&fieldSelector=metadata.name=none"), 200),
    Odd("semicolon in a query",        get(CONFIGMAPS + b"?limit=x;y=z"), 200),
    Odd("fragment",                    get(b"/livez#a"), 404, NO_PAGE),
    Odd("control in a path",           get(b"/live\x01z"), 400, BAD, closes=True),
    Odd("backslash",                   get(b"/api\\v1"), 404, NO_PAGE),
    Odd("two slashes first",           get(b"//livez"), 404, NO_PAGE),
    Odd("two slashes within",          get(b"/api/v1//namespaces"), 404, NOT_FOUND),
    Odd("slash behind an object",      get(b"/api/v1/namespaces/nope/"), 404, 'namespaces "nope" not found'),
    Odd("dots",                        get(b"/api/../livez"), 404, NOT_FOUND),
    Odd("escaped dots",                get(b"/api/%2e%2e/livez"), 404, NOT_FOUND),
    Odd("a query of 200 KB",           get(b"/livez?" + b"a" * 200_000), 200, "ok"),
    Odd("a query of 500 KB",           get(b"/livez?" + b"a" * 500_000), 200, "ok", ours=(414, "414 Request URI Too Long"), why=WHILE_OTHERS_WAIT),
    Odd("a path of 100 KB",            get(CONFIGMAPS + b"/" + b"a" * 100_000), 404, ours=(414, "414 Request URI Too Long"), why=WHILE_OTHERS_WAIT),
    Odd("10,000 parameters",           get(CONFIGMAPS + b"?limit=x" + b"&a=1" * 9_999), 400, "strconv.ParseInt"),
    Odd("10,001 parameters",           get(CONFIGMAPS + b"?limit=x" + b"&a=1" * 10_000), 200),
    Odd("a query of 1.2 MB",           get(b"/livez?" + b"a" * 1_200_000), 431, "431 Request Header Fields Too Large", closes=True),
    Odd("a header of 1 MB",            get(b"/livez", b"X: " + b"a" * 1_000_000), 200, "ok"),
    Odd("a header of 1.1 MB",          get(b"/livez", b"X: " + b"a" * 1_100_000), 431, "431 Request Header Fields Too Large", closes=True),
    Odd("5,000 header fields",         get(b"/livez", *[b"X: y"] * 5_000), 200, "ok"),
    Odd("20,000 header fields",        get(b"/livez", *[b"X: y"] * 20_000), 200, "ok", ours=(431, "431 Request Header"), why=WHILE_OTHERS_WAIT),
    Odd("space before a colon",        get(b"/livez", b"X : y"), 400, BAD, closes=True),
    Odd("folded header",               get(b"/livez", b"X: y", b" z"), 200, "ok", ours=(400, BAD), why=STRICT),
    Odd("no colon",                    get(b"/livez", b"nothing"), 400, BAD, closes=True),
    Odd("nameless header",             get(b"/livez", b": x"), 400, BAD, closes=True),
    Odd("NUL in a header",             get(b"/livez", b"X: \0"), 400, BAD, closes=True),
    Odd("Latin-1 in a header",         get(b"/livez", b"X: \xe9"), 200, "ok"),
    Odd("length and chunks",           post(b"Content-Length: 5", CHUNKED, body=b"1b\r\n" + OBJECT + b"\r\n0\r\n\r\n"), 201, ours=(400, BAD), why=STRICT),
    Odd("two equal lengths",           post(b"Content-Length: 27", b"Content-Length: 27", body=OBJECT), 201, ours=(400, BAD), why=STRICT),
    Odd("two lengths",                 post(b"Content-Length: 5", b"Content-Length: 6", body=OBJECT), 400, BAD, closes=True),
    Odd("a length with a sign",        post(b"Content-Length: +27", body=OBJECT), 400, BAD, closes=True),
    Odd("unknown coding",              post(b"Transfer-Encoding: gzip", body=b""), 501, "*", closes=True),
    Odd("unknown coding, chunked",     post(b"Transfer-Encoding: gzip, chunked", body=b""), 501, "*", closes=True),
    Odd("chunk extensions, a trailer", post(CHUNKED, body=b"1b;a=b\r\n" + OBJECT + b"\r\n0;x\r\nT: 1\r\n\r\n"), 201),
    Odd("a chunk size that is none",   post(CHUNKED, body=b"zz\r\n"), 500, "invalid byte in chunk length", closes=True, ours=(400, "malformed chunk size"), why="the fault is the client's"),
    Odd("a chunk line with LF alone",  post(CHUNKED, body=b"1b\n" + OBJECT + b"\n0\n\n"), 500, "chunked line ends with bare LF", closes=True, ours=(400, "malformed chunk size"), why="the fault is the client's"),
    Odd("unknown expectation",         post(b"Expect: foo", b"Content-Length: 0", body=b""), 417, "*", closes=True),
    Odd("100-continue, 401",           request(b"POST " + CONFIGMAPS + b" HTTP/1.1", b"Authorization: Bearer no", b"Expect: 100-continue", b"Content-Length: 5", auth=False), 401, "Unauthorized", closes=True),
    Odd("401 before a large body",     request(b"POST " + CONFIGMAPS + b" HTTP/1.1", b"Authorization: Bearer no", b"Content-Length: 300000", auth=False, body=b"x" * 300_000), 401, "Unauthorized", closes=True),
    Odd("401 before a small body",     request(b"POST " + CONFIGMAPS + b" HTTP/1.1", b"Authorization: Bearer no", b"Content-Length: 3000", auth=False, body=b"x" * 3000), 401, "Unauthorized"),
    Odd("a body of 3 MiB",             post(b"Content-Length: 3145728", body=OBJECT + b" " * (3145728 - 27)), 201),
    Odd("a body above 3 MiB",          post(b"Content-Length: 3145729", body=b" " * 3145729), 413, "Request entity too large: limit is 3145728"),
    Odd("a chunked body above 3 MiB",  post(CHUNKED, body=b"300001\r\n" + b" " * 0x300001 + b"\r\n0\r\n\r\n"), 413, "Request entity too large: limit is 3145728"),
    Odd("no body",                     post(b"Content-Length: 0", body=b""), 400, "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
    Odd("a body nobody asked for",     get(b"/livez", b"Content-Length: 5") + b"hello", 200, "ok"),
    Odd("an upgrade nobody offers",    get(b"/livez", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), 200, "ok"),
]  # fmt: skip


def ask(port: int, token: str, odd: Odd) -> tuple[int, str, bool]:
    """(status, message of a Status or body, whether the answer ends the connection)."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=SILENCE_S)) as stream:
        stream.sendall(odd.data.replace(b"{auth}", b"Authorization: Bearer " + token.encode()))
        return parse(read_answer(stream))


def read_answer(stream: ssl.SSLSocket) -> bytes:
    data = b""
    while not is_whole(data):
        more = stream.recv(65536)
        if not more:
            break
        data += more
    return data


def is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if not end or head.startswith(b"HTTP/1.1 100"):
        return False
    if re.search(rb"(?i)\r\ntransfer-encoding: chunked", head):
        return body.endswith(b"0\r\n\r\n")
    return length is not None and (len(body) >= int(length[1]) or not body)


def parse(data: bytes) -> tuple[int, str, bool]:
    head, _, body = data.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    text = body.decode("utf-8", "replace")
    if text.startswith('{"kind":"Status"'):
        text = json.loads(text)["message"]
    return int(head.split(b" ")[1]), text, bool(re.search(rb"(?i)\r\nconnection: close", head))


def as_expected(seen: tuple[int, str, bool], status: int, text: str, closes: bool) -> bool:
    return (
        seen[0] == status
        and (text == "*" or seen[1] == text or (text != "" and seen[1].startswith(text)))
        and (seen[2] or not closes)
    )
