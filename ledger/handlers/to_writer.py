"""Requests that a worker process passes on to the writer, as they came, over a Unix socket that only they can reach.

The writer authenticates, decides and records such a request like any other. What only the worker can know of the client,
its address and the certificate that TLS verified, goes along in headers that no client can set: `PassOn` drops them.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import trio

from ledger.apimachinery.http import Handler, Headers, PeerGone, Request, Response, Write
from ledger.apimachinery.status import StatusError, bad_request
from ledger.handlers.forwarding import is_upgrade, join
from ledger.outbound.caller import Body, Caller
from ledger.outbound.dialing import Peer
from ledger.outbound.exchange import Exchange
from ledger.outbound.refusal import CallFailed, CannotBeSent, NotSent

PREFIX = "x-ledger-"
CLIENT, VERSION, CERTIFICATE, SIGNER, CERTIFICATE_ERROR = (
    f"{PREFIX}{name}" for name in ("client", "http-version", "certificate", "signer", "certificate-error")
)
ENDLESS, PASSED_ON = f"{PREFIX}endless", f"{PREFIX}passed-on"  # of an answer: see Response
WHOLE_BODY_BYTES = 16 * 1024  # a body up to here is read before anybody knows who sends it
WHOLE_ANSWER_BYTES = 256 * 1024
WRITER_GONE_S = 5.0  # when it has ended, so does this process, long before, and no answer is better than a guess
FRAMING = frozenset({"connection", "keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"})
OWN = FRAMING | {"content-length", "date"}
Pairs = list[tuple[str, str]]


class PassOn:
    """A Handler: the writer's answer. `unsent` answers for requests that never reached it, and records them.

    It raises what lies in `request.scratch["failure"]`, behind all filters.
    """

    def __init__(self, caller: Caller, writer: Peer, unsent: Handler) -> None:
        self.caller, self.writer, self.unsent = caller, writer, unsent

    async def __call__(self, request: Request) -> Response:
        try:
            body = await _body(request)
        except BaseException as failure:  # of a client that went away as well: that leaves an event, too
            request.scratch["failure"] = failure
            return await self.unsent(request)
        target = f"{request.raw_path}?{request.query}" if request.query else request.raw_path
        try:
            exchange = await self.caller.ask(self.writer, request.method, target, told_headers(request), body)
        except CannotBeSent as failed:
            request.scratch["failure"] = bad_request(str(failed))
            return await self.unsent(request)
        except NotSent as failed:
            await trio.sleep(WRITER_GONE_S)
            request.scratch["failure"] = writer_gone(str(failed))
            return await self.unsent(request)
        except CallFailed as failed:
            await trio.sleep(WRITER_GONE_S)
            raise writer_gone(str(failed)) from None
        try:
            return await _answer(exchange, request)
        except BaseException:
            exchange.abort()
            raise


def writer_gone(why: str) -> StatusError:
    """What became of the request is not known: the writer may have carried it out before it ended."""
    return StatusError(503, "ServiceUnavailable", f"the process that writes the log is gone: {why}")


async def _body(request: Request) -> Body | bytes | None:
    """What is sent along: whole if it is small, else as it comes once the writer asks for it, which judges it then."""
    if request.read_piece is None:
        return None
    given = request.headers.get("content-length")
    length = int(given) if given.isdigit() else None
    if length is not None and length <= WHOLE_BODY_BYTES and "expect" not in request.headers:
        return await request.read_body()
    return Body(request.read_piece, length, when_asked=True)


def told_headers(request: Request) -> Pairs:
    dropped = {"host", "content-length", "expect"} | (frozenset() if is_upgrade(request) else FRAMING)
    kept = [pair for pair in request.headers if pair[0] not in dropped and not pair[0].startswith(PREFIX)]
    told = [("host", request.headers.get("host")), *kept, (VERSION, request.http_version)]
    if request.client:
        told.append((CLIENT, request.client))
    if request.peer_certificate is not None:
        told.append((CERTIFICATE, base64.b64encode(request.peer_certificate).decode()))
    if request.peer_signer is not None:
        told.append((SIGNER, base64.b64encode(request.peer_signer).decode()))
    if request.peer_certificate_error:
        told.append((CERTIFICATE_ERROR, base64.b64encode(request.peer_certificate_error.encode()).decode()))
    return told


def with_what_workers_tell(handler: Handler) -> Handler:
    """The writer's side: only for a socket that workers alone can reach."""

    async def received(request: Request) -> Response:
        told = {name: value for name, value in request.headers if name.startswith(PREFIX)}
        request.headers = Headers([pair for pair in request.headers if pair[0] not in told])
        request.scheme, request.client = "https", told.get(CLIENT, "")
        request.http_version = told.get(VERSION, request.http_version)
        request.peer_certificate = _decoded(told.get(CERTIFICATE))
        request.peer_signer = _decoded(told.get(SIGNER))
        request.peer_certificate_error = (_decoded(told.get(CERTIFICATE_ERROR)) or b"").decode()
        response = await handler(request)
        marks = [(ENDLESS, response.endless), (PASSED_ON, response.passed_on)]
        response.headers = [pair for pair in response.headers if not pair[0].lower().startswith(PREFIX)]
        response.headers += [(name, "1") for name, holds in marks if holds]
        return response

    return received


def _decoded(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


async def _answer(exchange: Exchange, request: Request) -> Response:
    if exchange.status == 101:
        return Response(101, exchange.headers, tunnel=lambda client: join(client, exchange), release=exchange.abort)
    headers = [pair for pair in exchange.headers if pair[0] not in OWN and not pair[0].startswith(PREFIX)]
    response = Response(exchange.status, headers, length=exchange.length, release=exchange.close)
    if request.method == "HEAD" or exchange.status in (204, 304):
        await exchange.read()  # there is nothing, but now the connection knows
    elif response.length is not None and response.length <= WHOLE_ANSWER_BYTES:
        return await _whole(exchange, response)
    response.stream = _copier(exchange)
    response.endless, response.passed_on = bool(exchange.header(ENDLESS)), bool(exchange.header(PASSED_ON))
    return response


async def _whole(exchange: Exchange, response: Response) -> Response:
    """The answer with its body; one that breaks off does so for the client as well."""
    body = bytearray()
    try:
        while piece := await exchange.read():
            body += piece
    except PeerGone as gone:
        broken = gone

        async def break_off(write: Write) -> None:
            await write(bytes(body))
            raise broken

        response.stream = break_off
    else:
        response.body = bytes(body)
    return response


def _copier(exchange: Exchange) -> Callable[[Write], Awaitable[None]]:
    """No limit on how long nothing comes: the writer has its own, and ends the answer when that is over."""

    async def copy(write: Write) -> None:
        while piece := await exchange.read():
            await write(piece)

    return copy
