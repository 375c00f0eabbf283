"""Requests and responses as every room above sees them; `wire` makes the one and sends the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Headers:
    """Header fields in order of arrival; names are lower case, a name may recur.

    Never changed: requests with the same fields on a connection share them, and what was found out about them.
    """

    __slots__ = ("_first", "_known", "pairs")

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._first = dict(self.pairs[::-1])
        self._known: dict[Callable[[Headers], Any], Any] = {}

    def get(self, name: str, default: str = "") -> str:
        """The first value of this name."""
        return self._first.get(name, default)

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def known(self, find: Callable[[Headers], T]) -> T:
        """What `find` makes of these fields, and of nothing else; it is asked once. Not for functions made anew."""
        try:
            found: T = self._known[find]
        except KeyError:
            found = self._known[find] = find(self)
        return found

    def without(self, dropped: Callable[[str], bool]) -> Headers:
        """The fields but those whose names are `dropped`; themselves where there are none."""
        kept = [pair for pair in self.pairs if not dropped(pair[0])]
        return self if len(kept) == len(self.pairs) else Headers(kept)

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


@dataclass(frozen=True, slots=True)
class User:
    """Who a request speaks for (user.Info in k8s.io/apiserver)."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a request asks for, from its method and path alone (RequestInfo in k8s.io/apiserver)."""

    is_resource: bool
    path: str  # decoded path without the query and without an /at/MOMENT prefix
    verb: str  # Kubernetes verb for resources ("list", "deletecollection"), lower-case HTTP method otherwise
    api_prefix: str = ""  # "api", "apis"
    group: str = ""
    version: str = ""
    namespace: str = ""  # empty: cluster-scoped, or all namespaces
    resource: str = ""
    subresource: str = ""
    name: str = ""  # empty: the collection
    parts: tuple[str, ...] = ()  # path segments after the version and namespace, for proxies
    moment: str = ""  # what followed /at/, as given; empty: now


@dataclass(slots=True)
class Request:
    """One HTTP request on its way through the chain. Filters fill in what they find out."""

    method: str
    raw_path: str  # as sent, percent-encoded, without the query
    query: str  # as sent, without "?"
    headers: Headers
    read_body: Callable[
        [], Awaitable[bytes]
    ]  # the whole body; repeated calls give the same bytes; raises StatusError 413
    client: str = ""  # address of the peer, without the port
    http_version: str = "1.1"
    peer_certificate: bytes | None = None  # DER, already verified by TLS against the client CAs; None without one
    peer_signer: bytes | None = None  # DER of the CA certificate that its chain ends at
    scheme: str = "https"
    peer_certificate_error: str = ""  # why the client's certificate was not accepted (kube-apiserver answers 401)
    # For who passes the body on instead of reading it: its next part as it arrives, b"" at its end, without a limit on
    # the whole; cancelling a call loses nothing. Raises StatusError 400, 408. None: the request has no body.
    read_piece: Callable[[], Awaitable[bytes]] | None = None

    # Filled in by the chain.
    audit_id: str = ""
    received: int = 0  # microseconds since 1970
    info: RequestInfo | None = None
    user: User | None = None  # the effective user, after impersonation
    real_user: User | None = None  # who authenticated; None until then
    annotations: dict[str, str] = field(default_factory=dict)  # of the audit event
    warnings: list[str] = field(default_factory=list)  # become Warning: 299 headers
    response_headers: list[tuple[str, str]] = field(default_factory=list)  # put on whatever answers in the end
    recorded: bool = False  # its event is already in the log, together with the change it made
    body: bytes = b""  # what read_body gave, once somebody called it
    object_ref: tuple[str, str, str] | None = None  # (namespace, name, uid) learnt by the handler, for the event
    scratch: dict[str, Any] = field(default_factory=dict)  # parsed query and the like, so that it is parsed once


class Shared:
    """A chunk that many peers are sent. `framed`: what the wire made of it for those who take it chunked."""

    __slots__ = ("data", "framed")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.framed = b""


class Write(Protocol):
    """How a stream sends its chunks."""

    async def __call__(self, chunk: bytes | memoryview, /) -> None:
        """Sends a chunk and waits for the peer's window. An empty one only waits for what is still on its way."""
        ...

    def push(self, chunk: Shared, /) -> bool:
        """Takes a chunk without waiting. False: the peer does not have all of it yet, so wait before the next one.

        Never raises; that the peer is gone is told by the next wait.
        """
        ...


class PeerGone(Exception):
    """Whoever is at the other end of a connection is gone: nothing more can be sent or received."""


class Duplex(Protocol):
    """The bytes of a connection that no longer speaks HTTP. One task may receive while another sends."""

    async def receive(self) -> bytes:
        """What has arrived; b"" at the end. Raises PeerGone."""
        ...

    async def send(self, data: bytes) -> None:
        """Everything, in order. Raises PeerGone."""
        ...


@dataclass(slots=True)
class Response:
    """An answer: a whole body, a stream, or a tunnel.

    `stream` is called with a `write` that sends one chunk and waits for the peer's window; it returns when the answer
    is complete. `tunnel`, only with status 101 over HTTP/1.1, is given the connection after the head was sent. Both are
    cancelled when the peer goes away. Either may raise PeerGone: the answer then ends as a broken one.
    """

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)  # without content-length, date, connection
    body: bytes = b""
    stream: Callable[[Write], Awaitable[None]] | None = None
    endless: bool = False  # a watch or the like: ends when the client leaves, or cleanly when the server drains
    length: int | None = None  # of a stream that knows it; None: it ends when it ends
    passed_on: bool = False  # another server's stream, that may be silent for long: a client's half-close ends it
    tunnel: Callable[[Duplex], Awaitable[None]] | None = None
    release: Callable[[], None] | None = None  # called once the answer is over, whether or not any of it was sent


Handler = Callable[[Request], Awaitable[Response]]
