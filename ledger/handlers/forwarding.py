"""A request passed on to another server, and its answer passed back: plain, streaming, or as a tunnel after an upgrade.

Follows UpgradeAwareHandler and Transport in k8s.io/apimachinery/pkg/util/proxy, and Go's httputil.ReverseProxy. Nothing
is collected on the way but the pages whose links must be turned. When one side of a tunnel ends, so does the other.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

import trio

from ledger.apimachinery import gopaths
from ledger.apimachinery.http import Duplex, Headers, PeerGone, Request, Response, Write
from ledger.apimachinery.status import StatusError, bad_request
from ledger.outbound.caller import Body, Caller
from ledger.outbound.dialing import Peer
from ledger.outbound.refusal import CallFailed
from ledger.outbound.services import unavailable

if TYPE_CHECKING:
    from ledger.outbound.exchange import Exchange

IDLE_S = 4 * 3600.0  # a tunnel or stream in which nothing moves, as the kubelet's --streaming-connection-idle-timeout
PAGE_BYTES_MAX = 16 * 1024 * 1024  # of HTML whose links are rewritten; a longer page stays as it is
REFUSAL_BYTES_MAX = 1024 * 1024
REFUSAL_S = 10.0
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
CORS = frozenset({
    "access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
    "access-control-allow-origin",
})  # fmt: skip
NO_REDIRECTS = b"the backend attempted to redirect this request, which is not permitted"
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a request is passed on to."""

    peer: Peer
    path: str  # decoded
    query: str  # as it is sent
    host: str = ""  # the Host header; empty: what the client sent
    named: bool = (
        False  # an extension server: told its own address, which stands in the links of its pages; no redirects
    )
    wrap: bool = True  # turn links and redirects, drop CORS headers; what is not wrapped must be an upgrade
    method: str = ""  # empty: the client's
    no_answer: Callable[[str], StatusError] = lambda why: unavailable(f"error trying to reach service: {why}")


def plain_error(message: str) -> StatusError:
    """What upstream makes of an error that is no Status."""
    return StatusError(500, "", message)


def is_upgrade(request: Request) -> bool:
    """Whether the client wants to speak another protocol (httpstream.IsUpgradeRequest). HTTP/2 knows no upgrades."""
    options = request.headers.get_all("connection")
    return request.http_version != "2" and any("upgrade" in one.lower() for one in options)


async def forward(caller: Caller, request: Request, backend: Backend) -> Response:
    """The other server's answer. Raises StatusError when there is none."""
    if is_upgrade(request):
        return await _upgrade(caller, request, backend)
    if not backend.wrap:
        raise bad_request("Upgrade request required")
    assert request.info is not None
    if not backend.path and request.method in ("GET", "HEAD"):
        query = f"?{request.query}" if request.query else ""
        return Response(301, [("location", f"{gopaths.escaped(request.info.path)}/{query}")])
    links = Links.between(request, backend)
    headers = [("Host", backend.host or request.headers.get("host")), *_end_to_end(request.headers, request.client)]
    headers += links.forwarded_headers()
    if "trailers" in request.headers.get("te"):
        headers.append(("Te", "trailers"))
    body = None
    if request.read_piece is not None:
        given = request.headers.get("content-length")
        body = Body(request.read_piece, int(given) if given else None)
    method = backend.method or request.method
    try:
        exchange = await caller.ask(backend.peer, method, _target(backend), headers, body)
    except CallFailed as failed:
        raise backend.no_answer(str(failed)) from None
    try:
        return await _passed_back(exchange, request, links)
    except BaseException:
        exchange.abort()
        raise


def _target(backend: Backend) -> str:
    path = gopaths.escaped(backend.path) or "/"
    return f"{path}?{backend.query}" if backend.query else path


def _end_to_end(headers: Headers, client: str) -> Pairs:
    """What is meant for the other server, and whom it is from."""
    named = {option.strip().lower() for value in headers.get_all("connection") for option in value.split(",")}
    dropped = HOP_BY_HOP | named | {"host", "content-length", "x-forwarded-for", "expect"}
    return [(name, value) for name, value in headers if name not in dropped] + forwarded_for(headers, client)


def forwarded_for(headers: Headers, client: str) -> Pairs:
    return [("X-Forwarded-For", ", ".join([*headers.get_all("x-forwarded-for"), client]))] if client else []


async def _passed_back(exchange: Exchange, request: Request, links: Links) -> Response:
    if links.backend.named and 300 <= exchange.status < 400 and exchange.header("location"):
        exchange.abort()  # a server that is trusted with identities must not send them elsewhere
        return Response(502, [("content-type", "text/plain; charset=utf-8")], NO_REDIRECTS)
    headers = [pair for pair in exchange.headers if pair[0] not in HOP_BY_HOP | CORS | {"content-length"}]
    response = Response(exchange.status, headers, length=exchange.length, passed_on=True, release=exchange.close)
    response.endless = request.info is not None and request.info.verb == "watch"
    if request.method == "HEAD" or exchange.status in (204, 304):
        await exchange.read()  # there is nothing, but now the connection knows
    if exchange.header("location"):
        response.headers = [(name, links.turned(value) if name == "location" else value) for name, value in headers]
    elif exchange.header("content-type").split(";")[0].strip() == "text/html" and request.method != "HEAD":
        page = await _turned_page(exchange, links)
        if page is not None:
            response.body, response.length = page, None
            return response
    response.stream = _copier(exchange)
    return response


async def _turned_page(exchange: Exchange, links: Links) -> bytes | None:
    """The page with its links turned; None, and nothing read, where it cannot be."""
    encoding = exchange.header("content-encoding")
    if encoding not in ("", "gzip", "deflate") or (exchange.length or 0) > PAGE_BYTES_MAX:
        return None
    try:
        body = await exchange.read_all(PAGE_BYTES_MAX)
        if await exchange.read():
            raise plain_error("the page is too large to have its links rewritten")
        page = _decompressed(body, encoding).decode("utf-8", "surrogateescape")
    except (PeerGone, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise plain_error(f"error reading a page: {error}") from None
    from ledger.handlers.html_links import rewrite_links

    turned = rewrite_links(page, links.turned).encode("utf-8", "surrogateescape")
    if encoding == "gzip":
        return gzip.compress(turned, mtime=0)
    return _deflated(turned) if encoding else turned


def _decompressed(body: bytes, encoding: str) -> bytes:
    if not encoding:
        return body
    inflate = zlib.decompressobj(31 if encoding == "gzip" else -15)
    page = inflate.decompress(body, PAGE_BYTES_MAX)
    if inflate.unconsumed_tail:
        raise EOFError("it is too large")
    return page


def _deflated(body: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(body) + deflate.flush()


def _copier(exchange: Exchange) -> Callable[[Write], Awaitable[None]]:
    async def copy(write: Write) -> None:
        while True:
            with trio.move_on_after(IDLE_S) as idle:
                piece = await exchange.read()
            if idle.cancelled_caught:
                raise PeerGone("nothing came for too long")
            if not piece:
                return
            await write(piece)

    return copy


class Links:
    """How the addresses on the other server's pages become addresses behind the proxy.

    `prefix` is what stands in front of its paths here; `scheme` and `host` are put into absolute links where they are
    not empty.
    """

    def __init__(self, prefix: str, scheme: str, host: str, backend: Backend, client_host: str) -> None:
        self.prefix, self.scheme, self.host = prefix, scheme, host
        self.backend, self.client_host = backend, client_host

    @classmethod
    def between(cls, request: Request, backend: Backend) -> Links:
        assert request.info is not None
        path = request.info.path
        suffix = backend.path
        if path.endswith("/") and not suffix.endswith("/"):
            suffix += "/"
        prefix = path.removesuffix(suffix) if suffix else path
        host = backend.host or request.headers.get("host")
        if backend.named:
            return cls("", "https" if backend.peer.tls else "http", backend.peer.authority, backend, host)
        return cls(prefix, "", "", backend, host)

    def forwarded_headers(self) -> Pairs:
        path = self.backend.path or "/"
        uri = gopaths.join(self.prefix, gopaths.escaped(path)) + ("/" if path.endswith("/") else "")
        headers = [("X-Forwarded-Uri", uri)]
        headers += [("X-Forwarded-Host", self.host)] if self.host else []
        return headers + ([("X-Forwarded-Proto", self.scheme)] if self.scheme else [])

    def turned(self, link: str) -> str:
        """A link on a page of the other server; what leads elsewhere, or is relative, stays (rewriteURL)."""
        try:
            parts = urlsplit(link)
        except ValueError:
            return link
        elsewhere = parts.netloc and parts.netloc not in (self.backend.peer.authority, self.client_host)
        if elsewhere or not parts.path.startswith("/"):
            return link
        scheme, host = parts.scheme, parts.netloc
        if host != self.client_host or self.scheme or self.host:
            scheme, host = self.scheme, self.host
        path = unquote(parts.path)
        if not path.startswith(self.prefix):
            path = gopaths.join(self.prefix, path) + ("/" if path.endswith("/") else "")
        return urlunsplit((scheme, host, gopaths.escaped(path), parts.query, parts.fragment))


async def _upgrade(caller: Caller, request: Request, backend: Backend) -> Response:
    """Asks the other server to switch protocols; when it does, the two connections become one."""
    kept = [(name, value) for name, value in request.headers if name not in _REFRAMED]
    headers = [("Host", backend.host or request.headers.get("host")), *kept]
    headers += forwarded_for(request.headers, request.client)
    given = await request.read_body()
    method = backend.method or request.method
    try:
        exchange = await caller.ask(backend.peer, method, _target(backend), headers, whole(given) if given else None)
    except CallFailed as failed:
        raise plain_error(f"error dialing backend: {failed}") from None
    if exchange.status == 101:
        return Response(101, exchange.headers, tunnel=lambda client: join(client, exchange), release=exchange.abort)
    return await not_switched(exchange)


_REFRAMED = frozenset({"host", "content-length", "transfer-encoding", "trailer", "x-forwarded-for", "expect"})


def whole(body: bytes) -> Body:
    """A body that is there already."""
    pieces = [body]

    async def read() -> bytes:
        return pieces.pop() if pieces else b""

    return Body(read, len(body))


async def not_switched(exchange: Exchange) -> Response:
    """The refusal of a server that does not switch; its connection ends. StatusError where it neither switches nor refuses."""
    try:
        if exchange.status < 400:
            raise plain_error(f"invalid upgrade response: status code {exchange.status}")
        return await _refusal(exchange)
    finally:
        exchange.abort()


async def _refusal(exchange: Exchange) -> Response:
    headers = [pair for pair in exchange.headers if pair[0] not in HOP_BY_HOP | {"content-length"}]
    with trio.move_on_after(REFUSAL_S):
        try:
            return Response(exchange.status, headers, await exchange.read_all(REFUSAL_BYTES_MAX))
        except PeerGone:
            return Response(exchange.status, headers)
    return Response(exchange.status, headers)


class Quiet:
    """Notices when nothing has moved for `IDLE_S`, whichever way."""

    def __init__(self) -> None:
        self._last = trio.current_time()

    def moved(self) -> None:
        self._last = trio.current_time()

    async def receive(self, source: Callable[[], Awaitable[bytes]]) -> bytes:
        """What the source gives; b"" as well when nothing has moved for too long."""
        while trio.current_time() < self._last + IDLE_S:
            with trio.move_on_at(self._last + IDLE_S) as idle:
                data = await source()
            if not idle.cancelled_caught:
                self.moved()
                return data
        return b""


async def join(client: Duplex, server: Duplex) -> None:
    """Carries bytes both ways until one side ends, or nothing has moved for long."""
    quiet = Quiet()

    async def carry(source: Duplex, sink: Duplex) -> None:
        try:
            while data := await quiet.receive(source.receive):
                await sink.send(data)
        except PeerGone:
            pass  # the other side is told by ending it as well
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(carry, client, server)
        nursery.start_soon(carry, server, client)
