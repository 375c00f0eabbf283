"""Asks webhooks: a POST of JSON to an endpoint, and the whole answer.

Connections are kept apart by the address they go to: a service whose pod was replaced gets a new connection, never an
answer from the old pod. Nothing here holds a lock or reads the store while it waits. Redirects are answers like any
other: they are not followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import trio

from ledger.apimachinery.http import PeerGone
from ledger.outbound.caller import Caller, Headers
from ledger.outbound.dialing import Peer, Tls
from ledger.outbound.endpoint import Endpoint, ServicePort
from ledger.outbound.refusal import CallFailed
from ledger.outbound.services import Address

BODY_BYTES_MAX = 16 << 20
USER_AGENT = "ledger"
TIMED_OUT = "context deadline exceeded"

Resolve = Callable[[ServicePort], Address]  # raises CallFailed


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    content_type: str
    body: bytes


class Timeout(NamedTuple):
    """How long a call may take, and what its last words are."""

    seconds: float
    words: str = TIMED_OUT
    told_s: int | None = None  # what the peer is told; None: what is left of the request's own time, if that is less


class Client:
    """`resolve` finds where a service is at this moment."""

    def __init__(self, caller: Caller, resolve: Resolve) -> None:
        self._caller, self._resolve = caller, resolve

    async def post(self, endpoint: Endpoint, body: bytes, timeout: Timeout, bytes_max: int = BODY_BYTES_MAX) -> Answer:
        """The answer, of whatever status. Raises CallFailed with the whole text upstream tells."""
        left = min(timeout.seconds, trio.current_effective_deadline() - trio.current_time())
        query = f"?timeout={ceil(max(left, 0)) if timeout.told_s is None else timeout.told_s}s"
        try:
            with trio.fail_after(timeout.seconds):
                return await self._post(endpoint, endpoint.path + query, body, bytes_max)
        except trio.TooSlowError:
            why = timeout.words
        except (CallFailed, PeerGone) as failed:
            why = str(failed)
        raise CallFailed(f'Post "{endpoint.url}{query}": {why}')

    async def _post(self, endpoint: Endpoint, target: str, body: bytes, bytes_max: int) -> Answer:
        host, port = (endpoint.host, endpoint.port) if endpoint.service is None else self._resolve(endpoint.service)
        tls = Tls(endpoint.host, endpoint.ca, endpoint.verify, endpoint.certificate_file, endpoint.key_file)
        exchange = await self._caller.ask(Peer(host, port, tls), "POST", target, _headers(endpoint), body)
        try:
            content = await exchange.read_all(bytes_max + 1)
        finally:
            exchange.close()
        if len(content) > bytes_max:
            raise CallFailed(f"http: response body too large: more than {bytes_max} bytes")
        return Answer(exchange.status, exchange.header("content-type"), content)


def _headers(endpoint: Endpoint) -> Headers:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    headers = [
        ("Host", host if endpoint.port == 443 and endpoint.service is None else f"{host}:{endpoint.port}"),
        ("User-Agent", USER_AGENT),
        ("Accept", "application/json, */*"),
        ("Content-Type", "application/json"),
    ]
    if endpoint.token:
        headers.append(("Authorization", f"Bearer {endpoint.token}"))
    return headers
