"""Joins the authorizers: superusers first, then the configured one."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.apimachinery.http import RequestInfo, User
from ledger.auth.api import SUPERUSERS, Authorize, Decision

_YES, _NO = Decision(True), Decision(False)


def always_allow(user: User, asked: RequestInfo) -> Decision:
    return _YES


def always_deny(user: User, asked: RequestInfo) -> Decision:
    return Decision(False, "Everything is forbidden.")


def superusers(user: User, asked: RequestInfo) -> Decision:
    """system:masters may do everything, even with all roles deleted: it is the way back in."""
    return _YES if SUPERUSERS in user.groups else _NO


def union(authorizers: Sequence[tuple[str, Authorize]]) -> Authorize:
    """Decided by the first that allows or denies.

    Where nobody does, the refusal names the authorizers that had something to say, a line each.
    """

    def authorize(user: User, asked: RequestInfo) -> Decision:
        reasons, errors = [], []
        for name, one in authorizers:
            decision = one(user, asked)
            if decision.allowed or decision.denied:
                return decision
            if decision.reason:
                reasons.append(f"{name}: {decision.reason}")
            if decision.error:
                errors.append(decision.error)
        error = errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]" if errors else ""
        return Decision(False, "\n".join(reasons), error=error)

    return authorize


def authorizer(modes: Sequence[tuple[str, Authorize]]) -> Authorize:
    """The server's authorizer: [("rbac", rbac.authorize)] or [("alwaysallow", always_allow)] behind the superusers."""
    return union([("kubernetes.io/system-privileged-group", superusers), *modes])
