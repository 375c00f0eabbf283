"""get of pods/NAME/log: what the kubelet has, as it comes."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import trio

from ledger.apimachinery import field as fields
from ledger.apimachinery.field import FieldError
from ledger.apimachinery.http import Duplex, PeerGone, Request, Response, Write
from ledger.apimachinery.resource import GroupResource
from ledger.apimachinery.status import StatusError, bad_request, internal_error, invalid
from ledger.apimachinery.websocket import BINARY, TEXT, acceptance, chosen, is_websocket, protocols_of
from ledger.handlers.api import Api
from ledger.handlers.containers import container_of
from ledger.handlers.forwarding import plain_error
from ledger.handlers.kubelets import Outside
from ledger.handlers.resources import Verb
from ledger.handlers.websockets import WebSocket
from ledger.outbound.refusal import CallFailed
from ledger.registry.options import Query, boolean, integer, query_of, text
from ledger.registry.registry import Call

if TYPE_CHECKING:
    from ledger.outbound.exchange import Exchange

NEGATIVE = "must be greater than or equal to 0"
TOO_SMALL = "must be greater than 0"
REFUSAL_BYTES_MAX = 50_000  # of a kubelet's error
WEBSOCKET_PROTOCOLS = ("binary.k8s.io", "base64.binary.k8s.io")
LOGS = GroupResource("", "pods/log")


def pod_log(outside: Outside) -> Verb:
    """204 for a pod that no node has yet."""

    async def log(_api: Api, call: Call) -> Response:
        query = query_of(call.request)
        _check(call.name, query)
        revision = call.request.scratch.get("revision")
        pod = outside.cluster.pod(call.namespace, call.name, revision)
        container = container_of(pod, text(query, "container"))
        node = pod["spec"].get("nodeName", "")
        if not node:
            return Response(204)
        outside.check(call.request)
        kubelet = outside.kubelet(node, verify=not boolean(query, "insecureSkipTLSVerifyBackend"))
        path = f"/containerLogs/{call.namespace}/{call.name}/{container}"
        asked = urlencode(sorted(_parameters(query).items()))
        target = f"{path}?{asked}" if asked else path
        headers = [("Host", kubelet.peer.authority), ("User-Agent", "Go-http-client/1.1")]
        try:
            exchange = await outside.caller.ask(kubelet.peer, "GET", target, headers)
        except CallFailed as failed:
            raise plain_error(f'Get "https://{kubelet.peer.authority}{target}": {failed}') from None
        return await _answer(call.request, exchange, call.name, f"https://{kubelet.peer.authority}{target}")

    return log


async def _answer(request: Request, exchange: Exchange, name: str, url: str) -> Response:
    try:
        if exchange.header("location") and exchange.status in (301, 302, 303, 307, 308):
            raise plain_error(f'Get "{exchange.header("location")}": redirects forbidden')
        if not 200 <= exchange.status <= 206:
            raise await _refused(exchange, name)
    except BaseException:
        exchange.abort()
        raise

    if is_websocket(request.headers):
        return _over_websocket(request, exchange)

    async def stream(write: Write) -> None:
        while piece := await exchange.read():
            await write(piece)

    follows = bool(boolean(query_of(request), "follow"))
    headers = [("content-type", "text/plain")]
    return Response(200, headers, stream=stream, endless=follows, passed_on=True, release=exchange.close)


def _over_websocket(request: Request, exchange: Exchange) -> Response:
    """An empty message, then a message for each piece (wsstream.Reader in k8s.io/streaming)."""
    protocol = chosen(protocols_of(request.headers) or [""], ("", *WEBSOCKET_PROTOCOLS))
    if protocol is None:
        exchange.abort()
        return Response(403, [])
    in_text = protocol == WEBSOCKET_PROTOCOLS[1]

    async def tunnel(connection: Duplex) -> None:
        client = WebSocket(connection)

        async def send(piece: bytes) -> None:
            await client.send(b64encode(piece) if in_text else piece, TEXT if in_text else BINARY)

        async def until_closed() -> None:
            while await client.receive() is not None:
                pass  # a client has nothing to say here
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_closed)
            await send(b"")
            while piece := await exchange.read():
                await send(piece)
            await client.close()
            nursery.cancel_scope.cancel()

    return Response(101, acceptance(request.headers, protocol), tunnel=tunnel, release=exchange.abort)


async def _refused(exchange: Exchange, name: str) -> StatusError:
    """The kubelet's refusal as a Status (GenericHttpResponseChecker in k8s.io/apiserver)."""
    try:
        said = (await exchange.read_all(REFUSAL_BYTES_MAX)).decode(errors="replace")
    except PeerGone as gone:
        return internal_error(str(gone))
    if exchange.status == 500:
        return internal_error(said)
    if exchange.status == 400:
        return bad_request(said)
    return server_response(exchange.status, LOGS, name, said)


def server_response(code: int, resource: GroupResource, name: str, said: str) -> StatusError:
    """An answer that is no Status, made one (NewGenericServerResponse in k8s.io/apimachinery)."""
    reason, message = _RESPONSES.get(code, ("", ""))
    if code in (403, 406, 415):
        message = said
    elif not message and code >= 500:
        reason, message = (
            "InternalError",
            f"an error on the server ({fields.quoted(said)}) has prevented the request from succeeding",
        )
    elif not message:
        message = f"the server responded with the status code {code} but did not return more information"
    if resource.resource:
        message = (
            f"{message} ( {resource} {name})" if name else f"{message} ( {resource})"
        )  # before it a verb: none here
    details = {"name": name, "kind": resource.resource}
    return StatusError(code, reason, message, {key: value for key, value in details.items() if value})


_RESPONSES = {
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", ""),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", ""),
    409: ("Conflict", "the server reported a conflict"),
    415: ("UnsupportedMediaType", ""),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
}


def _parameters(query: Query) -> dict[str, str]:
    """What the kubelet is asked: the same options, in its spelling (LogLocation in k8s.io/kubernetes)."""
    asked = {name: "true" for name in ("follow", "previous", "timestamps") if boolean(query, name)}
    for name in ("sinceSeconds", "tailLines", "limitBytes"):
        value = integer(query, name)
        if value is not None:
            asked[name] = str(value)
    if since := text(query, "sinceTime"):
        asked["sinceTime"] = _seconds(since)
    return asked


def _seconds(moment: str) -> str:
    """A time to the second. StatusError 400."""
    try:
        parsed = datetime.fromisoformat(moment)
        assert parsed.tzinfo is not None
    except (ValueError, AssertionError):
        raise bad_request(
            f'parsing time {fields.quoted(moment)} as "2006-01-02T15:04:05Z07:00": cannot parse {fields.quoted(moment)} as "2006"'
        ) from None
    return parsed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check(name: str, query: Query) -> None:
    """ValidatePodLogOptions in k8s.io/kubernetes."""
    errors: list[FieldError] = []
    if query.get("stream"):
        errors.append(fields.forbidden("stream", "may not be specified"))
    tail, limit, since = (integer(query, one) for one in ("tailLines", "limitBytes", "sinceSeconds"))
    if tail is not None and tail < 0:
        errors.append(fields.invalid("tailLines", tail, NEGATIVE))
    if limit is not None and limit < 1:
        errors.append(fields.invalid("limitBytes", limit, TOO_SMALL))
    if since is not None and text(query, "sinceTime"):
        errors.append(fields.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif since is not None and since < 1:
        errors.append(fields.invalid("sinceSeconds", since, TOO_SMALL))
    if errors:
        raise invalid("", "PodLogOptions", name, errors)
