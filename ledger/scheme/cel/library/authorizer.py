"""`authorizer.group('apps').resource('deployments').namespace('a').check('get').allowed()`.

Follows library/authz.go of k8s.io/apiserver. Who decides comes with the Authorizer: rooms above make it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ledger.apimachinery.http import RequestInfo, User
from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain
from ledger.scheme.cel.functions import overload
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type

Ask = Callable[[User, RequestInfo], Any]  # answers (allowed, reason, ...)
_PREFIX = "kubernetes.authorization"
AUTHORIZER, RESOURCE_CHECK = Type(f"{_PREFIX}.Authorizer"), Type(f"{_PREFIX}.ResourceCheck")


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Who is asked, and about whom."""

    ask: Ask
    user: User

    cel_type = AUTHORIZER


@dataclass(frozen=True, slots=True)
class PathCheck:
    authorizer: Authorizer
    path: str

    cel_type = Type(f"{_PREFIX}.PathCheck")


@dataclass(frozen=True, slots=True)
class GroupCheck:
    authorizer: Authorizer
    group: str

    cel_type = Type(f"{_PREFIX}.GroupCheck")


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    authorizer: Authorizer
    asked: RequestInfo  # all but the verb

    cel_type = RESOURCE_CHECK


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    reason: str

    cel_type = Type(f"{_PREFIX}.Decision")


def path(authorizer: Authorizer, text: str) -> PathCheck:
    if not text:
        raise CelError("path must not be empty")
    return PathCheck(authorizer, text)


def service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if is_dns1123_subdomain(name):
        raise CelError("Invalid service account name")
    if is_dns1123_label(namespace):
        raise CelError("Invalid service account namespace")
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return Authorizer(authorizer.ask, User(f"system:serviceaccount:{namespace}:{name}", groups=groups))


def resource(check: GroupCheck, name: str) -> ResourceCheck:
    if not name:
        raise CelError("resource must not be empty")
    return ResourceCheck(check.authorizer, RequestInfo(True, "", "", group=check.group, version="*", resource=name))


def subresource(check: ResourceCheck, name: str) -> ResourceCheck:
    return ResourceCheck(check.authorizer, replace(check.asked, subresource=name))


def namespace(check: ResourceCheck, name: str) -> ResourceCheck:
    return ResourceCheck(check.authorizer, replace(check.asked, namespace=name))


def named(check: ResourceCheck, name: str) -> ResourceCheck:
    return ResourceCheck(check.authorizer, replace(check.asked, name=name))


def check_path(check: PathCheck, verb: str) -> Verdict:
    decision = check.authorizer.ask(check.authorizer.user, RequestInfo(False, check.path, verb))
    return Verdict(*decision[:2])


def check_resource(check: ResourceCheck, verb: str) -> Verdict:
    decision = check.authorizer.ask(check.authorizer.user, replace(check.asked, verb=verb))
    return Verdict(*decision[:2])


_A, _P, _G, _R, _D = (
    f"{_PREFIX}.{name}" for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
)
OVERLOADS = [
    overload(f"{_A}.path(string): {_P}", path),
    overload(f"{_A}.group(string): {_G}", GroupCheck),
    overload(f"{_A}.serviceAccount(string, string): {_A}", service_account),
    overload(f"{_G}.resource(string): {_R}", resource),
    overload(f"{_R}.subresource(string): {_R}", subresource),
    overload(f"{_R}.namespace(string): {_R}", namespace),
    overload(f"{_R}.name(string): {_R}", named),
    # Rules of RBAC know no selectors, so these do not narrow what is asked.
    overload(f"{_R}.fieldSelector(string): {_R}", lambda check, selector: check),
    overload(f"{_R}.labelSelector(string): {_R}", lambda check, selector: check),
    overload(f"{_P}.check(string): {_D}", check_path),
    overload(f"{_R}.check(string): {_D}", check_resource),
    overload(f"{_D}.errored(): bool", lambda verdict: False),
    overload(f"{_D}.error(): string", lambda verdict: ""),
    overload(f"{_D}.allowed(): bool", lambda verdict: verdict.allowed),
    overload(f"{_D}.reason(): string", lambda verdict: verdict.reason),
]
