"""Authorization: whether the user, impersonated or not, may do what the request asks for."""

from __future__ import annotations

from ledger.apimachinery.http import Handler, Request, Response
from ledger.auth.api import DECISION, REASON, Authorize, forbidden


def with_authorization(handler: Handler, authorize: Authorize) -> Handler:
    """Raises StatusError 403 unless allowed; either way the event says why (WithAuthorization in k8s.io/apiserver)."""

    async def authorized(request: Request) -> Response:
        assert request.user is not None and request.info is not None
        decision = authorize(request.user, request.info)
        request.annotations[DECISION] = "allow" if decision.allowed else "forbid"
        request.annotations[REASON] = decision.reason
        if not decision.allowed:
            request.response_headers.append(("x-content-type-options", "nosniff"))
            raise forbidden(request.user, request.info, decision.reason)
        return await handler(request)

    return authorized
