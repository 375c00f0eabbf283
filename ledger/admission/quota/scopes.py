"""Which objects a scoped quota is about (podMatchesScopeFunc and pvcMatchesScopeFunc in k8s.io/kubernetes)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.strategies.prepare_pods import qos_class

Scope = Mapping[str, Any]


def never_in_scope(scope: Scope, obj: Object) -> bool:
    return False


def pod_in_scope(scope: Scope, pod: Object) -> bool:
    spec = pod["spec"]
    match scope["scopeName"]:
        case "Terminating":
            return is_bounded(pod)
        case "NotTerminating":
            return not is_bounded(pod)
        case "BestEffort":
            return qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return qos_class(spec) != "BestEffort"
        case "PriorityClass":
            name = spec.get("priorityClassName")
            return _selected(scope, [name] if name else [])
        case "CrossNamespacePodAffinity":
            return _reaches_other_namespaces(spec.get("affinity") or {})
    return False


def claim_in_scope(scope: Scope, claim: Object) -> bool:
    if scope["scopeName"] != "VolumeAttributesClass":
        return False
    status = claim.get("status") or {}
    names = {
        claim["spec"].get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return _selected(scope, [name for name in names if name])


def is_bounded(pod: Object) -> bool:
    """Whether the pod may run only so long: what the Terminating scope means."""
    deadline = pod["spec"].get("activeDeadlineSeconds")
    return deadline is not None and deadline >= 0


def _selected(scope: Scope, names: list[str]) -> bool:
    values = scope.get("values") or ()
    match scope["operator"]:
        case "Exists":
            return bool(names)
        case "DoesNotExist":
            return not names
        case "In":
            return any(name in values for name in names)
        case "NotIn":
            return not names or any(name not in values for name in names)
    return False


def _reaches_other_namespaces(affinity: Mapping[str, Any]) -> bool:
    return any(
        term.get("namespaces") or term.get("namespaceSelector") is not None
        for kind in ("podAffinity", "podAntiAffinity")
        for term in _terms(affinity.get(kind) or {})
    )


def _terms(affinity: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield from affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    for weighted in affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
        yield weighted.get("podAffinityTerm") or {}
