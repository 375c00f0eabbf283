"""Joins the authenticators: front proxy, client certificate, bearer token, and nobody in particular.

    credentials                    outcome
    none                           system:anonymous, when allowed
    a front proxy's certificate    the user that its headers name
    a good certificate             its user, whatever token comes with it
    a good token                   its user
    a bad token or certificate     401, never anonymous: a typo must not look like a missing permission
    Basic, an empty bearer, ...    as none: not ours to judge

Follows pkg/kubeapiserver/authenticator/config.go in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.apimachinery.http import Headers, Request, User
from ledger.auth.api import (
    ANONYMOUS,
    UNAUTHENTICATED,
    Authenticate,
    Authenticated,
    AuthenticateToken,
    Unauthenticated,
    in_everybody,
)
from ledger.auth.front_proxy import FrontProxy, front_proxy_authenticator
from ledger.auth.x509 import authenticate_certificate

_NOBODY = Authenticated(User(ANONYMOUS, groups=(UNAUTHENTICATED,)))
_SPACE_WARNING = "the provided Authorization header contains extra space before the bearer token, and is ignored"


def request_authenticator(
    tokens: Sequence[AuthenticateToken],
    *,
    audiences: tuple[str, ...] = (),
    anonymous: bool = True,
    front_proxy: FrontProxy | None = None,
    client_signers: frozenset[bytes] | None = None,
) -> Authenticate:
    """What the Authentication filter asks; `audiences` are the server's own.

    `client_signers`: the CAs (DER) whose certificates are a client's identity; None: all that TLS verifies against.
    """
    authenticate_token = token_authenticator(tokens)
    authenticate_proxied = front_proxy_authenticator(front_proxy) if front_proxy else None

    def authenticate(request: Request) -> Authenticated | None:
        refusals: list[str] = []
        try:
            if authenticate_proxied is not None and (found := authenticate_proxied(request)) is not None:
                return in_everybody(found)
        except Unauthenticated as refusal:
            refusals.append(str(refusal))
        try:
            found = authenticate_certificate(request, client_signers)
            if found is not None:
                return found
        except Unauthenticated as refusal:
            refusals.append(str(refusal))
        token, spaced = request.headers.known(_bearer)
        if spaced:
            request.warnings.append(_SPACE_WARNING)
        if token:
            try:
                return authenticate_token(token, audiences)
            except Unauthenticated as refusal:
                refusals.append(str(refusal))
        if refusals:
            raise Unauthenticated(joined(refusals))
        return _NOBODY if anonymous else None

    return authenticate


def token_authenticator(tokens: Sequence[AuthenticateToken]) -> AuthenticateToken:
    """The first authenticator that knows a token decides. Never None: raises Unauthenticated when nobody knows it."""

    def authenticate(token: str, audiences: tuple[str, ...]) -> Authenticated:
        refusals: list[str] = []
        for one in tokens:
            try:
                found = one(token, audiences)
            except Unauthenticated as refusal:
                refusals.append(str(refusal))
                continue
            if found is not None:
                return in_everybody(found)
        raise Unauthenticated(joined(refusals) if refusals else "invalid bearer token")

    return authenticate


def joined(texts: Sequence[str]) -> str:
    """Several errors as Go's aggregate prints them: one as it is, more as "[a, b]", doubles once."""
    distinct = list(dict.fromkeys(texts))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"


def _bearer(headers: Headers) -> tuple[str, bool]:
    """The token of the Authorization header, "" when there is none, or another scheme's; whether a space came before it."""
    scheme, *rest = headers.get("authorization").strip().split(" ", 2)
    if not rest or scheme.lower() != "bearer":
        return "", False
    return rest[0], not rest[0] and len(rest) > 1
