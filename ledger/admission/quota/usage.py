"""What one object uses of which quota resources, one Evaluator a resource; objects are counted where there is no other.

Follows pkg/quota/v1/evaluator/core in k8s.io/kubernetes and k8s.io/apiserver/pkg/quota/v1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ledger.admission.pod_resources import Amounts, added, parsed, pod_amounts
from ledger.admission.quota.scopes import claim_in_scope, never_in_scope, pod_in_scope
from ledger.apimachinery.quantity import of
from ledger.apimachinery.resource import GroupResource, Object
from ledger.apimachinery.times import parse_rfc3339

ONE, NONE = of(1), of(0)
# Counted under a name of their own, from before there was count/*.
ALIASES = ("configmaps", "resourcequotas", "replicationcontrollers", "secrets")
COMPUTE = ("cpu", "memory", "ephemeral-storage")
POD_NAMES = frozenset([*COMPUTE, *(f"{kind}.{name}" for kind in ("requests", "limits") for name in COMPUTE), "pods"])
CLAIM_NAMES = ("persistentvolumeclaims", "requests.storage")
BY_CLASS = ".storageclass.storage.k8s.io/"
IGNORED = frozenset({"bindings", "componentstatuses", "events", "localsubjectaccessreviews"})

Scope = Mapping[str, Any]  # v1.ScopedResourceSelectorRequirement


@dataclass(frozen=True, slots=True)
class Evaluator:
    """How objects of one resource are measured."""

    usage: Callable[[Object, int], Amounts]  # of an object, at a time in microseconds since 1970
    measures: Callable[[str], bool]  # whether a quota resource is about these objects
    in_scope: Callable[[Scope, Object], bool] = never_in_scope
    on_update: bool = False  # what is used may change with an update

    def names(self, hard: Collection[str]) -> list[str]:
        return sorted(name for name in hard if self.measures(name))


@lru_cache(maxsize=1024)
def evaluator_of(resource: GroupResource) -> Evaluator | None:
    """None: nothing is ever counted."""
    if resource.resource in IGNORED:
        return None
    if resource.group == "" and resource.resource in _OWN:
        return _OWN[resource.resource]
    names = {f"count/{resource}"}
    if resource.group == "" and resource.resource in ALIASES:
        names.add(resource.resource)
    return Evaluator(lambda obj, now: dict.fromkeys(names, ONE), names.__contains__)


def scopes_of(quota: Object) -> list[Scope]:
    spec = quota["spec"]
    named: list[Scope] = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    return [*named, *((spec.get("scopeSelector") or {}).get("matchExpressions") or ())]


def within(evaluator: Evaluator, quota: Object, obj: Object) -> bool:
    """Whether the object is in all of a quota's scopes."""
    return all(evaluator.in_scope(scope, obj) for scope in scopes_of(quota))


def _pod_usage(pod: Object, now: int) -> Amounts:
    """Every stored pod counts; compute is used by those that have not ended and whose grace period is not over."""
    result: Amounts = {"count/pods": ONE}
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return result
    metadata, spec = pod["metadata"], pod["spec"]
    if "deletionTimestamp" in metadata and "deletionGracePeriodSeconds" in metadata:
        grace = metadata["deletionGracePeriodSeconds"] * 1_000_000
        if now > parse_rfc3339(metadata["deletionTimestamp"]) + grace:
            return result
    return result | compute_usage(pod_amounts(spec, "requests"), pod_amounts(spec, "limits"))


def compute_usage(requests: Amounts, limits: Amounts) -> Amounts:
    """Requests and limits under the names that quotas give them."""
    result: Amounts = {"pods": ONE}
    for name in COMPUTE:
        if name in requests:
            result[name] = result[f"requests.{name}"] = requests[name]
        if name in limits:
            result[f"limits.{name}"] = limits[name]
    for name, amount in requests.items():
        if name.startswith("hugepages-"):
            result[name] = result[f"requests.{name}"] = amount
        elif _is_extended(name):
            result[f"requests.{name}"] = amount
    return result


def _is_extended(name: str) -> bool:
    """A resource of somebody else's domain: example.com/gpu."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def _pod_measures(name: str) -> bool:
    if name in POD_NAMES or name == "count/pods" or name.startswith(("hugepages-", "requests.hugepages-")):
        return True
    return name.startswith("requests.") and "/" in name and BY_CLASS not in name and "kubernetes.io/" not in name


def _service_usage(service: Object, now: int) -> Amounts:
    spec = service["spec"]
    kind, ports = spec.get("type"), spec.get("ports") or []
    node_ports = 0
    if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)):
        node_ports = len(ports)
    elif kind == "LoadBalancer":
        node_ports = sum(1 for port in ports if port.get("nodePort"))
    balancers = ONE if kind == "LoadBalancer" else NONE
    return {
        "count/services": ONE,
        "services": ONE,
        "services.loadbalancers": balancers,
        "services.nodeports": of(node_ports),
    }


def _claim_usage(claim: Object, now: int) -> Amounts:
    metadata, spec = claim["metadata"], claim["spec"]
    annotations = metadata.get("annotations") or {}
    storage_class = annotations.get("volume.beta.kubernetes.io/storage-class") or spec.get("storageClassName") or ""
    result: Amounts = {"persistentvolumeclaims": ONE, "count/persistentvolumeclaims": ONE}
    wanted = parsed((spec.get("resources") or {}).get("requests")).get("storage")
    if wanted is not None:
        allocated = parsed((claim.get("status") or {}).get("allocatedResources")).get("storage")
        if allocated is not None and allocated > wanted:
            wanted = allocated
        result["requests.storage"] = wanted.rounded_up(0)
    if storage_class:
        named = {f"{storage_class}{BY_CLASS}{name}": result[name] for name in CLAIM_NAMES if name in result}
        result = added(result, named)
    return result


def _claim_measures(name: str) -> bool:
    if name in CLAIM_NAMES or name == "count/persistentvolumeclaims":
        return True
    return name.endswith(tuple(f"{BY_CLASS}{one}" for one in CLAIM_NAMES))


_SERVICE_NAMES = ("count/services", "services", "services.nodeports", "services.loadbalancers")
_OWN = {
    "pods": Evaluator(_pod_usage, _pod_measures, pod_in_scope),
    "services": Evaluator(_service_usage, _SERVICE_NAMES.__contains__, on_update=True),
    "persistentvolumeclaims": Evaluator(_claim_usage, _claim_measures, claim_in_scope, on_update=True),
}
