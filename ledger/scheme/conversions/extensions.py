"""extensions/v1beta1 as it was up to Kubernetes 1.15 (workloads) and 1.21 (ingresses), stored as today's kinds.

Defaults were other ones then, so they are filled in before the object becomes one of today's. What today's kinds have
no field for is kept in annotations, under upstream's names where it has some, so that nothing is lost on the way back.
Follows k8s.io/kubernetes pkg/apis/{extensions/v1beta1,apps/v1}/{conversion,defaults}.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ledger.apimachinery.resource import Object
from ledger.scheme.conversions.steps import Steps, annotations_of, each, with_annotations, with_spec

ROLLBACK = "deprecated.deployment.rollback.rollbackTo"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
BACKENDS = "conversion.ledger/extensions-v1beta1-backends"  # old backends that say more or less than a service's name
_FOR_EVER = 2**31 - 1  # then the value for "no limit"


# --- workloads ------------------------------------------------------------------------------------------------------
def _labelled(obj: Object) -> Object:
    """Labels and the selector come from the pod template where the object has none."""
    spec = obj.get("spec") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels is None:
        return obj
    found = dict(obj)
    if not (obj.get("metadata") or {}).get("labels") and labels:
        found["metadata"] = {**(obj.get("metadata") or {}), "labels": dict(labels)}
    if spec.get("selector") is None:
        found["spec"] = {**spec, "selector": {"matchLabels": dict(labels)} if labels else {}}
    return found


def _defaulted(fields: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return fields | {name: value for name, value in defaults.items() if fields.get(name) is None}


def _rolling(strategy: dict[str, Any] | None, kind: str, surge: int) -> dict[str, Any]:
    found = _defaulted(strategy or {}, type=kind)
    if found["type"] == "RollingUpdate":
        found["rollingUpdate"] = _defaulted(found.get("rollingUpdate") or {}, maxUnavailable=1, maxSurge=surge)
    return found


def _deployment_spec(spec: dict[str, Any]) -> dict[str, Any]:
    found = _defaulted(spec, replicas=1, progressDeadlineSeconds=_FOR_EVER, revisionHistoryLimit=_FOR_EVER)
    return {**found, "strategy": _rolling(spec.get("strategy"), "RollingUpdate", 1)}


def _daemonset_spec(spec: dict[str, Any]) -> dict[str, Any]:
    found = _defaulted(spec, revisionHistoryLimit=10)
    return {**found, "updateStrategy": _rolling(spec.get("updateStrategy"), "OnDelete", 0)}


def _replicaset_spec(spec: dict[str, Any]) -> dict[str, Any]:
    return _defaulted(spec, replicas=1)


def _workload(
    default: Callable[[dict[str, Any]], dict[str, Any]],
    park: Callable[[Object], Object] = lambda obj: obj,
    unpark: Callable[[Object], Object] = lambda obj: obj,
) -> Steps:
    def to_stored(obj: Object) -> Object:
        return park(with_spec(_labelled(obj), default))

    return Steps(to_stored, unpark)


def _park_rollback(obj: Object) -> Object:
    spec = obj.get("spec") or {}
    if spec.get("rollbackTo") is None:
        return obj
    found = with_annotations(obj, annotations_of(obj) | {ROLLBACK: str(spec["rollbackTo"].get("revision", 0))})
    return {**found, "spec": {key: value for key, value in spec.items() if key != "rollbackTo"}}


def _unpark_rollback(obj: Object) -> Object:
    kept = annotations_of(obj)
    revision = _integer(kept.pop(ROLLBACK, None))
    if revision is None or "spec" not in obj:
        return obj
    # Go leaves a revision of 0 out: it stands for the last one.
    rollback = {"revision": revision} if revision else {}
    return {**with_annotations(obj, kept), "spec": {**obj["spec"], "rollbackTo": rollback}}


def _park_generation(obj: Object) -> Object:
    spec = obj.get("spec") or {}
    if "templateGeneration" not in spec:
        return obj
    found = with_annotations(obj, annotations_of(obj) | {TEMPLATE_GENERATION: str(spec["templateGeneration"])})
    return {**found, "spec": {key: value for key, value in spec.items() if key != "templateGeneration"}}


def _unpark_generation(obj: Object) -> Object:
    kept = annotations_of(obj)
    generation = _integer(kept.pop(TEMPLATE_GENERATION, None))
    if generation is None or "spec" not in obj:
        return obj
    return {**with_annotations(obj, kept), "spec": {**obj["spec"], "templateGeneration": generation}}


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


# --- ingresses ------------------------------------------------------------------------------------------------------
def _backend_to_v1(backend: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in backend.items() if key not in ("serviceName", "servicePort")}
    name, port = backend.get("serviceName", ""), backend.get("servicePort", 0)
    if name or port != 0:
        found["service"] = {"name": name, "port": {"name": port} if isinstance(port, str) else {"number": port}}
        if port in (0, ""):
            found["service"]["port"] = {}
    return found


def _backend_from_v1(backend: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in backend.items() if key != "service"}
    service = backend.get("service")
    if service is None:
        return found
    port = service.get("port") or {}
    return {"serviceName": service.get("name", ""), "servicePort": port.get("name") or port.get("number", 0), **found}


def _ingress_spec(spec: dict[str, Any], old: str, new: str, backend: Callable[[Any], Any]) -> dict[str, Any]:
    """The spec with every backend changed and the default backend under its other name."""
    found = {new if key == old else key: value for key, value in spec.items()}
    if isinstance(found.get(new), dict):
        found[new] = backend(found[new])

    def path(one: dict[str, Any]) -> dict[str, Any]:
        one = _defaulted(one, pathType="ImplementationSpecific") if new == "defaultBackend" else one
        return {**one, "backend": backend(one["backend"])} if isinstance(one.get("backend"), dict) else one

    def rule(one: dict[str, Any]) -> dict[str, Any]:
        http = one.get("http")
        return {**one, "http": {**http, "paths": each(http.get("paths"), path)}} if isinstance(http, dict) else one

    if "rules" in found:
        found["rules"] = each(found["rules"], rule)
    return found


def _ingress_to_v1(obj: Object) -> Object:
    """Backends that would come back different are kept beside what they became."""
    odd: list[Any] = []

    def backend(old: dict[str, Any]) -> dict[str, Any]:
        new = _backend_to_v1(old)
        if _backend_from_v1(new) != old:
            odd.append([new, old])
        return new

    found = with_spec(obj, lambda spec: _ingress_spec(spec, "backend", "defaultBackend", backend))
    return with_annotations(found, annotations_of(found) | {BACKENDS: orjson.dumps(odd).decode()}) if odd else found


def _ingress_from_v1(obj: Object) -> Object:
    kept = annotations_of(obj)
    try:
        odd = orjson.loads(kept.pop(BACKENDS, "[]"))
    except ValueError:
        odd = []

    def backend(new: dict[str, Any]) -> dict[str, Any]:
        return next((old for became, old in odd if became == new), None) or _backend_from_v1(new)

    found = with_spec(obj, lambda spec: _ingress_spec(spec, "defaultBackend", "backend", backend))
    return with_annotations(found, kept)


_GROUP, _VERSION = "extensions", "v1beta1"
STEPS = {
    (_GROUP, _VERSION, "Deployment"): _workload(_deployment_spec, _park_rollback, _unpark_rollback),
    (_GROUP, _VERSION, "DaemonSet"): _workload(_daemonset_spec, _park_generation, _unpark_generation),
    (_GROUP, _VERSION, "ReplicaSet"): _workload(_replicaset_spec),
    (_GROUP, _VERSION, "Ingress"): Steps(_ingress_to_v1, _ingress_from_v1),
}
