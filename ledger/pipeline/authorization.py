"""Authorization: whether the user, impersonated or not, may do what the request asks for."""

from __future__ import annotations

from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import Handler, Request, Response
from ledger.auth.api import DECISION, REASON, Authorize, forbidden
from ledger.auth.pending import Pending, settled


def with_authorization(handler: Handler, authorize: Authorize) -> Handler:
    """Raises StatusError 403 unless allowed; either way the event says why (WithAuthorization in k8s.io/apiserver)."""

    async def authorized(request: Request) -> Response:
        assert request.user is not None and request.info is not None
        user, info = request.user, request.info
        try:
            decision = authorize(user, info)
        except Pending:
            decision = await settled(lambda: authorize(user, info))
        request.annotations[DECISION] = "allow" if decision.allowed else "forbid"
        request.annotations[REASON] = decision.reason
        if decision.error and not decision.allowed:
            request.annotations[REASON] = "internal error"
            return _internal_error(request, decision.error)
        if not decision.allowed:
            request.response_headers.append(("x-content-type-options", "nosniff"))
            raise forbidden(user, info, decision.reason)
        return await handler(request)

    return authorized


def _internal_error(request: Request, why: str) -> Response:
    """Plain text, as responsewriters.InternalError of k8s.io/apiserver gives it."""
    uri = f"{request.raw_path}?{request.query}" if request.query else request.raw_path
    text = f"Internal Server Error: {quoted(uri)}: {why}\n"
    headers = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")]
    return Response(500, headers, text.encode())
