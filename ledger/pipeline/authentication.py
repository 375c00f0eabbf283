"""Authentication: who is asking. On success the credentials go no further than here."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ledger.apimachinery import status
from ledger.apimachinery.http import Handler, Headers, Request, Response
from ledger.auth.api import Authenticate, Unauthenticated
from ledger.auth.pending import Pending, settled

_log = logging.getLogger(__name__)
_CREDENTIALS = frozenset({"authorization", "x-remote-user", "x-remote-uid", "x-remote-group"})


def with_authentication(handler: Handler, authenticate: Authenticate, audiences: Sequence[str] = ()) -> Handler:
    """Sets `request.user`; raises StatusError 401 when nobody vouches for the credentials, or somebody refuses them.

    `audiences` are the names this server answers to: a token made for others is no good here. Follows
    WithAuthentication in k8s.io/apiserver.
    """
    own = frozenset(audiences)

    async def authenticated(request: Request) -> Response:
        try:
            try:
                found = authenticate(request)
            except Pending:
                found = await settled(lambda: authenticate(request))
        except Unauthenticated as why:
            _log.info("unable to authenticate the request: %s (audit id %s)", why, request.audit_id)
            raise status.unauthorized() from None
        if found is None or (own and found.audiences and own.isdisjoint(found.audiences)):
            raise status.unauthorized()
        request.headers = request.headers.known(_without_credentials)
        request.user = found.user
        return await handler(request)

    return authenticated


def _without_credentials(headers: Headers) -> Headers:
    """Also without those by which a front proxy says who asks: nothing behind this filter may believe them."""
    return headers.without(lambda name: name in _CREDENTIALS or name.startswith("x-remote-extra-"))
