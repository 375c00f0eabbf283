"""Impersonation: a request may speak for somebody else, if its user may impersonate them.

Kubernetes knows five ways to allow that, tried in this order (constrained impersonation, on by default since 1.36):

    way              speaks for               the user needs (on the request)              and (on the other user)
    associated-node  the node its pod runs on impersonate-on:associated-node:VERB          impersonate:associated-node
    arbitrary-node   a node                   impersonate-on:arbitrary-node:VERB           impersonate:arbitrary-node
    serviceaccount   a service account        impersonate-on:serviceaccount:VERB           impersonate:serviceaccount
    user-info        anybody else             impersonate-on:user-info:VERB                impersonate:user-info
    legacy           anybody                  nothing                                      impersonate

The first way that allows it wins. When none does, the refusal is that of the way that worked for this user last time,
or else of the first that applies. Follows k8s.io/apiserver/pkg/endpoints/filters/impersonation, without its caches of
decisions: RBAC answers from memory here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import unquote

from ledger.apimachinery import status
from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import Handler, Headers, Request, RequestInfo, Response, User
from ledger.apimachinery.status import StatusError
from ledger.auth.api import (
    ANONYMOUS,
    AUTHENTICATED,
    SUPERUSERS,
    UNAUTHENTICATED,
    Authorize,
    forbidden,
    resource_attributes,
)
from ledger.auth.pending import settled
from ledger.auth.usernames import node_of, service_account_groups, split_service_account

_EXTRA = "impersonate-extra-"
_WANTED = frozenset({"impersonate-user", "impersonate-uid", "impersonate-group"})
_NODE_NAME = "authentication.kubernetes.io/node-name"
_AUTHENTICATION_GROUP = "authentication.k8s.io"
_MANY = 4  # from so many values on, one question about "*" is asked first
_REMEMBERED_MAX = 10_000
_EXTRA_KEY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


def with_impersonation(handler: Handler, authorize: Authorize) -> Handler:
    """Makes `request.user` the impersonated one. Raises StatusError 403 when that is refused, 400 without a name."""
    last_way: dict[str, str] = {}  # of a user name

    async def impersonating(request: Request) -> Response:
        assert request.user is not None and request.info is not None
        try:
            wanted = request.headers.known(_wanted)
            if wanted is not None:
                request.headers = request.headers.known(_without_wanted)
                asked = _Asked(authorize, request.user, request.info, wanted)
                request.user = await settled(partial(asked.allowed_user, last_way))
        except StatusError:
            request.response_headers.append(("x-content-type-options", "nosniff"))
            raise
        return await handler(request)

    return impersonating


def _wanted(headers: Headers) -> User | None:
    """Whom the Impersonate-* headers name."""
    if not any(header.startswith("impersonate-") for header, _ in headers):
        return None
    name, uid = headers.get("impersonate-user"), headers.get("impersonate-uid")
    groups = tuple(headers.get_all("impersonate-group"))
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in headers:
        if header.startswith(_EXTRA):
            key = _unescaped(header.removeprefix(_EXTRA))
            extra[key] = (*extra.get(key, ()), value)
    wanted = User(name, uid, groups, extra)
    if not name:
        if uid or groups or extra:
            raise status.bad_request(f"requested {_go_syntax(wanted)} without impersonating a user name")
        return None
    return wanted


def _without_wanted(headers: Headers) -> Headers:
    """So that nobody behind this filter treats them apart."""
    return headers.without(lambda name: name in _WANTED or name.startswith(_EXTRA))


def _unescaped(key: str) -> str:
    malformed = re.search(r"%(?![0-9a-fA-F]{2})", key)
    return key if malformed else unquote(key)


def _go_syntax(user: User) -> str:
    """The user as Go's %#v prints it: upstream's message does."""
    groups = f"[]string{{{', '.join(map(quoted, user.groups))}}}" if user.groups else "[]string(nil)"
    extra = "map[string][]string(nil)"
    if user.extra:
        items = (
            f"{quoted(key)}:[]string{{{', '.join(map(quoted, values))}}}" for key, values in sorted(user.extra.items())
        )
        extra = f"map[string][]string{{{', '.join(items)}}}"
    return f"&user.DefaultInfo{{Name:{quoted(user.name)}, UID:{quoted(user.uid)}, Groups:{groups}, Extra:{extra}}}"


@dataclass(slots=True)
class _Asked:
    """One question: may `requestor` do `info` as `wanted`?"""

    authorize: Authorize
    requestor: User
    info: RequestInfo
    wanted: User
    node: str = field(init=False)
    service_account: tuple[str, str] | None = field(init=False)

    def __post_init__(self) -> None:
        self.node = node_of(self.wanted.name)
        self.service_account = split_service_account(self.wanted.name)

    def allowed_user(self, last_way: dict[str, str]) -> User:
        refusal: StatusError | None = None
        for way in self._ways(last_way.get(self.requestor.name, "")):
            try:
                user = self._check_legacy() if way == "legacy" else self._check_constrained(way)
            except StatusError as error:
                refusal = refusal or error
                continue
            if len(last_way) >= _REMEMBERED_MAX:
                last_way.clear()
            last_way[self.requestor.name] = way
            return user
        assert refusal is not None, "legacy applies to everybody"
        raise refusal

    def _ways(self, first: str) -> list[str]:
        name_alone = not (self.wanted.uid or self.wanted.groups or self.wanted.extra)
        applies = {
            "associated-node": name_alone and bool(self.node) and self._runs_on_wanted_node(),
            "arbitrary-node": name_alone and bool(self.node),
            "serviceaccount": name_alone and self.service_account is not None,
            "user-info": not self.node and self.service_account is None,
            "legacy": True,
        }
        return sorted((way for way, does in applies.items() if does), key=lambda way: way != first)

    def _runs_on_wanted_node(self) -> bool:
        nodes = self.requestor.extra.get(_NODE_NAME, ())
        return split_service_account(self.requestor.name) is not None and tuple(nodes) == (self.node,)

    def _check_legacy(self) -> User:
        groups = self.wanted.groups
        question = resource_attributes("impersonate", "", "users", self.wanted.name, version="v1")
        if self.service_account is not None:
            namespace, name = self.service_account
            question = replace(question, resource="serviceaccounts", namespace=namespace, name=name)
            groups = groups or service_account_groups(namespace)
        self._require(question)
        self._require_uid("impersonate")
        for group in self.wanted.groups:
            self._require(resource_attributes("impersonate", "", "groups", group, version="v1"))
        self._require_extra("impersonate")
        return _completed(replace(self.wanted, groups=groups))

    def _check_constrained(self, way: str) -> User:
        self._require(replace(self.info, verb=f"impersonate-on:{way}:{self.info.verb}"))
        verb = f"impersonate:{way}"
        groups = self.wanted.groups
        question = resource_attributes(verb, _AUTHENTICATION_GROUP, "users", self.wanted.name, version="v1")
        if self.node:
            # An associated node is checked already; the permission is for whichever node the pod runs on.
            name = "*" if way == "associated-node" else self.node
            question, groups = replace(question, resource="nodes", name=name), ("system:nodes",)
        elif self.service_account is not None:
            namespace, name = self.service_account
            question = replace(question, resource="serviceaccounts", namespace=namespace, name=name)
            groups = service_account_groups(namespace)
        self._require(question)
        self._require_uid(verb)
        self._require_groups(verb)
        self._require_sane_extra(verb)
        if not (self._many_extra() and self._allows_all_extra(verb)):
            self._require_extra(verb)
        return _completed(replace(self.wanted, groups=groups))

    def _require(self, question: RequestInfo) -> None:
        decision = self.authorize(self.requestor, question)
        if not decision.allowed:
            raise forbidden(self.requestor, question, decision.reason)

    def _require_uid(self, verb: str) -> None:
        if self.wanted.uid:
            self._require(resource_attributes(verb, _AUTHENTICATION_GROUP, "uids", self.wanted.uid, version="v1"))

    def _require_groups(self, verb: str) -> None:
        question = resource_attributes(verb, _AUTHENTICATION_GROUP, "groups", version="v1")
        groups = self.wanted.groups
        if "" in groups:
            raise forbidden(self.requestor, question, "impersonating the empty string group is not allowed")
        if SUPERUSERS in groups:
            question = replace(question, name=SUPERUSERS)
            raise forbidden(self.requestor, question, "impersonating the system:masters group is not allowed")
        if len(groups) >= _MANY and self.authorize(self.requestor, replace(question, name="*")).allowed:
            return
        for group in groups:
            self._require(replace(question, name=group))

    def _require_extra(self, verb: str) -> None:
        question = resource_attributes(verb, _AUTHENTICATION_GROUP, "userextras", version="v1")
        for key, values in self.wanted.extra.items():
            for value in values:
                self._require(replace(question, subresource=key, name=value))

    def _require_sane_extra(self, verb: str) -> None:
        """What the legacy way lets through and the others do not."""
        for key, values in self.wanted.extra.items():
            why = ""
            if not key:
                why = "impersonating the empty string key in extra is not allowed"
            elif not _EXTRA_KEY.fullmatch(key):
                why = (
                    f"impersonating an invalid key in extra is not allowed: extra.key: Invalid value: {quoted(key)}: "
                    'must be a domain-prefixed path (such as "acme.io/foo")'
                )
            elif key != key.lower():
                why = f"impersonating a non-lowercase key in extra is not allowed: {quoted(key)}"
            elif "" in values:
                why = "impersonating the empty string value in extra is not allowed"
            if why:
                question = resource_attributes(verb, _AUTHENTICATION_GROUP, "userextras", version="v1")
                raise forbidden(self.requestor, question, why)

    def _many_extra(self) -> bool:
        extra = self.wanted.extra
        return len(extra) >= _MANY or sum(len(values) for values in extra.values()) >= _MANY

    def _allows_all_extra(self, verb: str) -> bool:
        question = resource_attributes(verb, _AUTHENTICATION_GROUP, "userextras", "*", subresource="*", version="v1")
        return self.authorize(self.requestor, question).allowed


def _completed(user: User) -> User:
    """With the group that everybody is in: either authenticated or not."""
    if user.name == ANONYMOUS:
        group = UNAUTHENTICATED
    elif UNAUTHENTICATED in user.groups:
        return user
    else:
        group = AUTHENTICATED
    return user if group in user.groups else replace(user, groups=(*user.groups, group))
