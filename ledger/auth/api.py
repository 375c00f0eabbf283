"""What authenticators and authorizers promise, and how a refusal reads.

An authenticator answers `Authenticated` (these credentials are good), `None` (there are none of my sort) or raises
`Unauthenticated` (they are mine, and bad). An authorizer answers a `Decision`; what it decides about is a RequestInfo,
whether it came from a URL or was made up to ask a question ("may she impersonate bob?").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from ledger.apimachinery import status
from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import Request, RequestInfo, User
from ledger.apimachinery.resource import GroupResource
from ledger.apimachinery.status import StatusError

SUPERUSERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
DECISION, REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"  # annotations of an event


class Unauthenticated(Exception):
    """Credentials were shown and are not good. The text goes into TokenReviews and the server's log, never to the
    client that showed them: it sees 401 and nothing more."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who the credentials speak for, and the audiences they are meant for (empty: the credential names none)."""

    user: User
    audiences: tuple[str, ...] = ()


def in_everybody(found: Authenticated) -> Authenticated:
    """Whoever has credentials is in system:authenticated."""
    user = found.user
    if user.name == ANONYMOUS or AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups:
        return found
    return replace(found, user=replace(user, groups=(*user.groups, AUTHENTICATED)))


class Decision(NamedTuple):
    """`reason` says which rule allowed it, or what went wrong on the way to a refusal; often empty."""

    allowed: bool
    reason: str = ""
    denied: bool = False  # nobody else is to be asked
    error: str = ""  # why there is no decision


Authenticate = Callable[[Request], Authenticated | None]
AuthenticateToken = Callable[[str, tuple[str, ...]], Authenticated | None]  # token, audiences that may accept it
Authorize = Callable[[User, RequestInfo], Decision]


def resource_attributes(
    verb: str,
    group: str,
    resource: str,
    name: str = "",
    *,
    namespace: str = "",
    subresource: str = "",
    version: str = "",
) -> RequestInfo:
    """A question about a resource that no URL asked."""
    return RequestInfo(
        is_resource=True,
        path="",
        verb=verb,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
    )


def forbidden(user: User, attributes: RequestInfo, reason: str) -> StatusError:
    """403 as responsewriters.ForbiddenStatusError words it: what `user` may not do, then the authorizer's reason."""
    text = _sanitized(_refusal(user, attributes))
    if reason:
        text = f"{text}: {reason}"
    return status.forbidden(GroupResource(attributes.group, attributes.resource), attributes.name, text)


def _refusal(user: User, attributes: RequestInfo) -> str:
    who = f"User {quoted(user.name)} cannot {attributes.verb}"
    if not attributes.is_resource:
        return f"{who} path {quoted(attributes.path)}"
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    what = f"{who} resource {quoted(resource)} in API group {quoted(attributes.group)}"
    if attributes.namespace:
        return f"{what} in the namespace {quoted(attributes.namespace)}"
    return f"{what} at the cluster scope"


def _sanitized(text: str) -> str:
    """Upstream keeps refusals from looking like HTML, as they repeat what the client sent."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
