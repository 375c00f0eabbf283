"""Paths of what the log does not tell of an object, as a Change carries them.

("status", "metadata.annotations")    these, and all below them
("*",)                                all but its identity: name, namespace, and what is told of uid and creation
(EXISTENCE, ...)                      a request may have deleted it, or not
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.log.event import EXISTENCE

Doubts = tuple[str, ...]
ALL: Doubts = ("*",)

# What a write through a subresource can alter; the others can alter all.
_ALTERED_BY: dict[str, Doubts] = {
    "status": ("metadata", "status"),
    "approval": ("metadata", "status"),
    "scale": ("metadata", "spec.replicas"),
    "finalize": ("metadata", "spec.finalizers"),
    "binding": ("metadata", "spec.nodeName", "status.conditions"),
}


# Clients that tell by their name (fieldManager) what alone they write: k8s.io/kubectl/pkg/cmd/label and annotate.
_ALTERED_BY_MANAGER: dict[str, Doubts] = {
    "kubectl-label": ("metadata.labels",),
    "kubectl-annotate": ("metadata.annotations",),
}


def altered_by(subresource: str, uri: str = "") -> Doubts:
    """What a write of which no body is in the log can have altered."""
    if subresource:
        return _ALTERED_BY.get(subresource, ALL)
    return next((fields for name, fields in _ALTERED_BY_MANAGER.items() if f"fieldManager={name}" in uri), ALL)


def in_doubt(doubts: Doubts, path: str) -> bool:
    """Whether one of them is the path, lies below it, or holds it."""
    return any(one == "*" or _holds(one, path) or _holds(path, one) for one in doubts)


def both(first: Iterable[str], second: Iterable[str]) -> Doubts:
    """All of both, without those that another holds. A later write proves that the object exists."""
    found = {*first, *second} - {EXISTENCE}
    if "*" in found:
        return ALL
    return tuple(sorted(one for one in found if not any(_holds(other, one) for other in found - {one})))


def without(doubts: Doubts, told: Iterable[str]) -> Doubts:
    """Those that are left when these paths are told."""
    told = tuple(told)
    return tuple(one for one in doubts if one != EXISTENCE and not any(_holds(path, one) for path in told))


def _holds(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith(outer + ".")
