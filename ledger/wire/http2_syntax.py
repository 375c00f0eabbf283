"""Which header blocks are a request (RFC 9113, section 8), and which are refused on their stream alone.

The h2 library would end the whole connection for some of these, and let others through; so its own check is off.
Pure: header fields in, values out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from ledger.apimachinery.http import Headers
from ledger.wire.http1_syntax import DIGITS, HOST, TARGET, TOKEN, VALUE, Malformed, split_target

PSEUDO_HEADERS = frozenset({":method", ":scheme", ":authority", ":path", ":protocol"})
# Connection-specific fields make an HTTP/2 message malformed (section 8.2.2).
FORBIDDEN = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
REMEMBERED_MAX = 64  # header fields
REMEMBERED_BYTES_MAX = 2048  # of one of them, or of a whole block

Pair = tuple[str, str]
NO_HEADERS = Headers()


class MalformedStream(Exception):
    """A stream error: RST_STREAM with PROTOCOL_ERROR."""


class BadStreamRequest(Exception):
    """A well-formed message that no handler should see: answered with this status."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestHead:
    method: str
    path: str  # percent-encoded as sent
    query: str
    headers: Headers
    content_length: int  # -1: not announced
    expects_continue: bool


class HeadReader:
    """Turns header blocks into requests; remembers the last block and the fields it has seen, for clients repeat them."""

    __slots__ = ("last", "last_head", "last_headers", "remembered")

    def __init__(self) -> None:
        self.remembered: dict[tuple[bytes, bytes], Pair] = {}
        self.last: list[tuple[bytes, bytes]] = []
        self.last_head: RequestHead | None = None
        self.last_headers = NO_HEADERS  # the same for other paths, as a rule

    def read(self, fields: list[tuple[bytes, bytes]]) -> RequestHead:
        """Not to be changed. Raises MalformedStream or BadStreamRequest."""
        if self.last_head is not None and fields == self.last:
            return self.last_head
        head = self._read(fields)
        small = sum(map(len, chain.from_iterable(fields))) <= REMEMBERED_BYTES_MAX
        self.last, self.last_head = (fields, head) if small else ([], None)
        self.last_headers = head.headers if small else NO_HEADERS
        return head

    def _read(self, fields: list[tuple[bytes, bytes]]) -> RequestHead:
        pseudo: dict[str, str] = {}
        pairs: list[Pair] = []
        length = -1
        expects = False
        host = ""
        remembered = self.remembered
        for field in fields:
            pair = remembered.get(field) or self._check(field)
            name, value = pair
            if name[0] == ":":
                if pairs or name in pseudo:
                    raise MalformedStream(f"misplaced {name}")
                pseudo[name] = value
                continue
            pairs.append(pair)
            if name == "host":
                host = value
            elif name == "content-length":
                if length >= 0 or not DIGITS(value):
                    raise MalformedStream("malformed content-length")
                length = int(value)
            elif name == "expect":
                expects = value.lower() == "100-continue"
        return self._request_head(pseudo, pairs, length, host, expects)

    def _check(self, field: tuple[bytes, bytes]) -> Pair:
        name, value = field[0].decode("latin-1"), field[1].decode("latin-1")
        if name[:1] == ":":
            if name not in PSEUDO_HEADERS:
                raise MalformedStream("unknown pseudo-header")
        elif not TOKEN(name) or name != name.lower() or name in FORBIDDEN or (name == "te" and value != "trailers"):
            raise MalformedStream("malformed or forbidden header")
        if not VALUE(value) or value != value.strip(" \t"):
            raise MalformedStream("malformed header value")
        if len(name) + len(value) <= REMEMBERED_BYTES_MAX:
            if len(self.remembered) >= REMEMBERED_MAX:
                self.remembered.clear()
            self.remembered[(bytes(field[0]), bytes(field[1]))] = (name, value)
        return name, value

    def _request_head(
        self, pseudo: dict[str, str], pairs: list[Pair], length: int, host: str, expects: bool
    ) -> RequestHead:
        method, target, authority = pseudo.get(":method", ""), pseudo.get(":path", ""), pseudo.get(":authority", "")
        if method == "CONNECT" or ":protocol" in pseudo:
            raise BadStreamRequest("CONNECT is not supported")
        if ":method" not in pseudo or not pseudo.get(":scheme") or not target:
            raise MalformedStream("missing pseudo-header")
        if not TOKEN(method) or not TARGET(target) or (target[0] != "/" and target != "*"):
            raise BadStreamRequest("malformed method or path")
        if not HOST(authority) or not HOST(host):
            raise BadStreamRequest("malformed authority")
        if authority:
            pairs = [("host", authority), *[pair for pair in pairs if pair[0] != "host"]]
        try:
            path, query = split_target(target)
        except Malformed as malformed:
            raise BadStreamRequest(malformed.why, malformed.status) from None
        headers = self.last_headers if self.last_headers.pairs == tuple(pairs) else Headers(pairs)
        return RequestHead(method, path, query, headers, length, expects)
