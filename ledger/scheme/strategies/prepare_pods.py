"""Pods: phase, quality of service, label keys of affinity, pod-level resources, and what each subresource may touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from ledger.apimachinery import quantity
from ledger.apimachinery.quantity import Quantity
from ledger.apimachinery.resource import Object
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import every, get, restore

Amounts = Mapping[str, Quantity]
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_METADATA_KEPT = (
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
)


def create(obj: Object, context: Context) -> None:
    """podStrategy.PrepareForCreate of pkg/registry/core/pod."""
    obj["status"] = {"phase": "Pending"}
    if get(obj, "spec.schedulingGates"):
        message = "Scheduling is blocked due to non-empty scheduling gates"
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": context.now,
        }
        obj["status"]["conditions"] = [condition | {"reason": "SchedulingGated", "message": message}]
    _add_label_keys(obj)
    _apparmor_from_annotations(obj, context)
    _complete_pod_resources(obj["spec"])
    obj["status"]["qosClass"] = qos_class(obj["spec"])


def update(obj: Object, old: Object, context: Context) -> None:
    if get(obj, "spec.resources") is None and get(old, "spec.resources") is not None:
        obj["spec"]["resources"] = deepcopy(old["spec"]["resources"])  # a client that does not know the field


def update_status(obj: Object, old: Object, context: Context) -> None:
    obj["metadata"].pop("deletionTimestamp", None)
    restore(obj["metadata"], old["metadata"], "ownerReferences")
    status, before = obj.setdefault("status", {}), old.get("status", {})
    for key in ("qosClass", "resourceClaimStatuses", "extendedResourceClaimStatus", "observedGeneration"):
        if not status.get(key) and before.get(key) and not (key == "resourceClaimStatuses" and status.get(key) == []):
            status[key] = deepcopy(before[key])
    old_generations: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        old_generations.setdefault(condition.get("type", ""), []).append(condition.get("observedGeneration", 0))
    for condition in status.get("conditions") or ():
        of_type = old_generations.get(condition.get("type", ""))
        generation = of_type.pop(0) if of_type else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def update_ephemeral_containers(obj: Object, old: Object, context: Context) -> None:
    containers = obj["spec"].get("ephemeralContainers")
    _only_from(old, obj)
    if containers is None:
        obj["spec"].pop("ephemeralContainers", None)
    else:
        obj["spec"]["ephemeralContainers"] = containers


def resize(obj: Object, old: Object, context: Context) -> None:
    """Only resources and resize policies change; another set of containers is left for validation to refuse."""
    new = {key: obj["spec"].get(key) or [] for key in ("containers", "initContainers")}
    if all(len(new[key]) == len(old["spec"].get(key) or []) for key in new):
        resources = obj["spec"].get("resources")
        _only_from(old, obj)
        if resources is None:
            obj["spec"].pop("resources", None)
        else:
            obj["spec"]["resources"] = resources
        for key, containers in new.items():
            if containers:
                obj["spec"][key] = _resized(containers, old["spec"][key])
    update(obj, old, context)
    if get(obj, "spec.resources") is not None:
        _complete_pod_resources(obj["spec"])


def _resized(new: list[dict[str, Any]], old: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if any(one.get("name") != before.get("name") for one, before in zip(new, old, strict=True)):
        return new
    merged = deepcopy(old)
    for one, into in zip(new, merged, strict=True):
        for key in ("resources", "resizePolicy"):
            if key in one:
                into[key] = one[key]
            else:
                into.pop(key, None)
    return merged


def _only_from(old: Object, obj: Object) -> None:
    obj["spec"] = deepcopy(old["spec"])
    restore(obj, old, "status")
    for key in _METADATA_KEPT:
        restore(obj["metadata"], old["metadata"], key)


def _add_label_keys(obj: Object) -> None:
    """matchLabelKeys and mismatchLabelKeys become expressions with the pod's own labels."""
    labels = get(obj, "metadata.labels", {})
    kinds = ("podAffinity", "podAntiAffinity")
    preferred = "preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm"
    required = "requiredDuringSchedulingIgnoredDuringExecution[]"
    terms = [
        term for kind in kinds for path in (preferred, required) for term in every(obj, f"spec.affinity.{kind}.{path}")
    ]
    for term in [*terms, *every(obj, "spec.topologySpreadConstraints[]")]:
        selector = term.get("labelSelector")
        if selector is None:
            continue
        for keys, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
            added = [
                {"key": key, "operator": operator, "values": [labels[key]]}
                for key in term.get(keys) or ()
                if key in labels
            ]
            if added:
                selector["matchExpressions"] = [*(selector.get("matchExpressions") or []), *added]


def _apparmor_from_annotations(obj: Object, context: Context) -> None:
    """Annotations of old turn into securityContext.appArmorProfile, with a warning."""
    if get(obj, "spec.os.name") == "windows":
        return
    annotations = get(obj, "metadata.annotations", {})
    pod_profile = get(obj, "spec.securityContext.appArmorProfile")
    for containers in ("initContainers", "containers", "ephemeralContainers"):
        for container in every(obj, f"spec.{containers}[]"):
            key = _APPARMOR + container.get("name", "")
            if key not in annotations or get(container, "securityContext.appArmorProfile") is not None:
                continue
            profile = app_armor_profile(annotations[key])
            if profile is None or profile != pod_profile:
                text = 'deprecated since v1.30; use the "appArmorProfile" field instead'
                context.warnings.append(f"metadata.annotations[{key}]: {text}")
            if profile is not None and profile != pod_profile:
                container["securityContext"] = (container.get("securityContext") or {}) | {"appArmorProfile": profile}


def app_armor_profile(annotation: str) -> dict[str, str] | None:
    if annotation in ("unconfined", "runtime/default"):
        return {"type": "Unconfined" if annotation == "unconfined" else "RuntimeDefault"}
    name = annotation.removeprefix("localhost/")
    if name != annotation and name and name == name.strip() and len(name.encode()) <= 4095:
        return {"type": "Localhost", "localhostProfile": name}
    return None


def qos_class(spec: dict[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort (ComputePodQOS of pkg/apis/core/helper/qos)."""
    resources = spec.get("resources") or {}
    if any(map(_pod_level, [*(resources.get("requests") or {}), *(resources.get("limits") or {})])):
        return _qos_of(resources)
    classes = {
        _qos_of(container.get("resources") or {})
        for key in ("initContainers", "containers")
        for container in spec.get(key) or ()
    }
    return "BestEffort" if not classes else classes.pop() if len(classes) == 1 else "Burstable"


def _qos_of(resources: dict[str, Any]) -> str:
    requests, limits = _amounts(resources, "requests"), _amounts(resources, "limits")
    classes = set()
    for name in ("cpu", "memory"):
        request, limit = requests.get(name), limits.get(name)
        if not request and not limit:
            classes.add("BestEffort")
        else:
            classes.add("Guaranteed" if request == limit else "Burstable")
    return classes.pop() if len(classes) == 1 else "Burstable"


def _pod_level(name: str) -> bool:
    return name in ("cpu", "memory") or name.startswith("hugepages-")


def _amounts(resources: Mapping[str, Any], key: str) -> dict[str, Quantity]:
    return {name: quantity.parse(str(text)) for name, text in (resources.get(key) or {}).items()}


def _complete_pod_resources(spec: dict[str, Any]) -> None:
    """Pod-level requests and limits that follow from those of the containers (DefaultPodLevelResources)."""
    resources = spec.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    if not requests and not limits:
        return
    for name, amount in aggregate(spec, "limits").items():
        if name.startswith("hugepages-") and name not in requests:
            limits.setdefault(name, str(amount))
    for name, amount in aggregate(spec, "requests").items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, str(amount))
    for name, text in limits.items():
        if _pod_level(name):
            requests.setdefault(name, text)
    _complete_limits(spec, requests, limits)
    if requests:
        resources["requests"] = requests
    if limits:
        resources["limits"] = limits


def _complete_limits(spec: dict[str, Any], requests: dict[str, str], limits: dict[str, str]) -> None:
    """A resource every container limits gets the sum as the pod's limit, at least the pod's request."""
    everyone = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for name, text in requests.items():
        if not _pod_level(name) or name in limits:
            continue
        if all(name in (get(one, "resources.limits") or {}) for one in everyone):
            summed = aggregate(spec, "limits").get(name)
            if summed is not None:
                limits[name] = str(max(summed, quantity.parse(str(text))))


def aggregate(spec: Mapping[str, Any], key: str) -> dict[str, Quantity]:
    """What all containers together need: the sum of those that stay, or the largest of those that start before."""
    total: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        _merge(total, _amounts(container.get("resources") or {}, key), _plus)
    sidecars: dict[str, Quantity] = {}
    starting: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container.get("resources") or {}, key)
        if container.get("restartPolicy") == "Always":
            _merge(total, amounts, _plus)
            _merge(sidecars, amounts, _plus)
            amounts = dict(sidecars)
        else:
            _merge(amounts, sidecars, _plus)
        _merge(starting, amounts, max)
    _merge(total, starting, max)
    return total


def _plus(left: Quantity, right: Quantity) -> Quantity:
    return left + right


def _merge(into: dict[str, Quantity], amounts: Amounts, joined: Callable[[Quantity, Quantity], Quantity]) -> None:
    for name, amount in amounts.items():
        into[name] = joined(into[name], amount) if name in into else amount


def containers_of(spec: Mapping[str, Any]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(field, index, container) of init, plain and ephemeral containers."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for at, container in enumerate(spec.get(key) or ()):
            yield key, at, container
