"""Requests to what an extension server serves: /apis/GROUP/VERSION/... of an APIService with a service behind it.

Follows handler_proxy.go in k8s.io/kube-aggregator: who may ask is decided here, for whom it is asked stands in headers;
what goes wrong on the way is told in plain text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

import trio

from ledger.apimachinery.http import Handler, Headers, Request, Response
from ledger.apimachinery.status import StatusError
from ledger.handlers.forwarding import Backend, forward, is_upgrade
from ledger.handlers.paths import plain_text
from ledger.registry.api_services import ApiService, ApiServices
from ledger.registry.extensions import Extensions, identity, without_identity

DISCOVERY_TIMEOUT_S = 5.0
UNAVAILABLE = "service unavailable"


def with_aggregation(handler: Handler, aggregation: Aggregation) -> Handler:
    """Passes on what extension servers serve; the rest is the handler's."""

    async def served(request: Request) -> Response:
        server = aggregation.server_of(request)
        return await (handler(request) if server is None else aggregation(request, server))

    return served


def unless_passed_on(known: Callable[[Request], bool], aggregation: Aggregation) -> Callable[[Request], bool]:
    """What is `known` of requests that are answered here, and False of all others."""

    def here(request: Request) -> bool:
        return known(request) and aggregation.server_of(request) is None

    return here


class Aggregation:
    """Passes requests on. `closed`: a ledger that is only read reaches nobody."""

    def __init__(self, services: ApiServices, extensions: Extensions, closed: bool = False) -> None:
        self.services, self.extensions, self.closed = services, extensions, closed

    def server_of(self, request: Request) -> ApiService | None:
        """Whom a request is for; None: it is answered here, as is everything about the past."""
        info = request.info
        if self.closed or info is None or info.moment or not self.services.remote:
            return None
        return self.services.of_path(info.path)

    async def __call__(self, request: Request, service: ApiService) -> Response:
        if not service.available:
            return plain_text(503, UNAVAILABLE)
        return await self.passed_on(request, service)

    async def passed_on(self, request: Request, service: ApiService) -> Response:
        """The answer of a server whose APIService may be unavailable."""
        info = request.info
        assert info is not None and request.user is not None
        try:
            peer = self.extensions.peer(service)
        except (StatusError, ValueError):
            return plain_text(503, UNAVAILABLE)
        headers = without_identity((name, value) for name, value in request.headers if name != "audit-id")
        headers += [(name.lower(), value) for name, value in identity(request.user)]
        headers.append(("audit-id", request.audit_id))
        asking = replace(request, headers=Headers(headers))
        query = urlencode(sorted(parse_qsl(request.query, keep_blank_values=True), key=lambda pair: pair[0]))
        backend = Backend(peer, info.path, query, host=peer.authority, named=True)
        is_discovery = not info.is_resource and info.path.strip("/").count("/") == 2
        try:
            with trio.fail_after(DISCOVERY_TIMEOUT_S if is_discovery and not is_upgrade(request) else float("inf")):
                return await forward(self.extensions.caller, asking, backend)
        except StatusError as error:
            return plain_text(503, error.message)
        except trio.TooSlowError:
            return plain_text(503, "error trying to reach service: context deadline exceeded")
