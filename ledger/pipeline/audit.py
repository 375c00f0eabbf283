"""Audit: from here on the event knows who authenticated, whoever they go on to impersonate.

Kubernetes opens the audit event here, which is why its log knows nothing of a 429. Here the recorder in front of the
chain opens and closes the event; what is left for this filter is the one thing that is known only now.
"""

from __future__ import annotations

from ledger.apimachinery.http import Handler, Request, Response


def with_audit(handler: Handler) -> Handler:
    async def audited(request: Request) -> Response:
        request.real_user = request.user
        return await handler(request)

    return audited
