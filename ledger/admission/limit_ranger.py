"""LimitRanger: a namespace's LimitRanges give containers their defaults, and bound containers, pods and claims.

Follows plugin/pkg/admission/limitranger in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, refuse
from ledger.admission.pod_resources import Amounts, container_amounts, parsed, pod_amounts
from ledger.apimachinery.quantity import Quantity
from ledger.apimachinery.resource import GroupResource, Object
from ledger.projections.api import View

LIMIT_RANGES = GroupResource("", "limitranges")
CLAIMS = GroupResource("", "persistentvolumeclaims")
ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger:
    name = "LimitRanger"
    resources = frozenset({PODS, CLAIMS})

    def handles(self, attributes: Attributes) -> bool:
        resource, operation = attributes.definition.group_resource, attributes.operation
        if resource == PODS:
            through = operation == "UPDATE" and attributes.subresource == "resize"
            allowed = through or (operation == "CREATE" and not attributes.subresource)
        else:
            allowed = resource == CLAIMS and operation in ("CREATE", "UPDATE") and not attributes.subresource
        return allowed and "deletionTimestamp" not in (attributes.old or {}).get("metadata", {})

    def admit(self, attributes: Attributes, view: View) -> None:
        """Defaults for the containers of a new pod."""
        if attributes.definition.group_resource != PODS:
            return
        assert attributes.object is not None
        for limit_range in _ranges(attributes, view):
            _fill(attributes.object, limit_range)

    def validate(self, attributes: Attributes, view: View) -> None:
        """Raises StatusError 403 for the first range that is not kept."""
        assert attributes.object is not None
        check = _pod_findings if attributes.definition.group_resource == PODS else _claim_findings
        for limit_range in _ranges(attributes, view):
            found = list(dict.fromkeys(check(attributes.object, limit_range)))
            if found:
                raise refuse(attributes, found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _ranges(attributes: Attributes, view: View) -> list[Object]:
    return [orjson.loads(stored.body) for stored in view.scan(LIMIT_RANGES, attributes.namespace)]


def _fill(pod: Object, limit_range: Object) -> None:
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for limit in limit_range["spec"].get("limits") or ():
        if limit.get("type") == "Container":
            requests |= limit.get("defaultRequest") or {}
            limits |= limit.get("default") or {}
    told: list[str] = []
    for where, called in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(where) or ():
            resources: dict[str, Any] = container.setdefault("resources", {})
            for kind, one, defaults in (("requests", "request", requests), ("limits", "limit", limits)):
                missing = {name: text for name, text in defaults.items() if name not in (resources.get(kind) or {})}
                if missing:
                    resources[kind] = {**(resources.get(kind) or {}), **missing}
                    told.append(f"{', '.join(sorted(missing))} {one} for {called} {container['name']}")
    if told:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}"}


def _pod_findings(pod: Object, limit_range: Object) -> Iterator[str]:
    spec = pod["spec"]
    for limit in limit_range["spec"].get("limits") or ():
        if limit.get("type") == "Container":
            for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
                requests, limits = container_amounts(container, "requests"), container_amounts(container, "limits")
                yield from _bounds(limit, requests, limits)
        elif limit.get("type") == "Pod":
            requests = pod_amounts(spec, "requests", overhead=False)
            yield from _bounds(limit, requests, pod_amounts(spec, "limits", overhead=False))


def _claim_findings(claim: Object, limit_range: Object) -> Iterator[str]:
    requests = parsed((claim["spec"].get("resources") or {}).get("requests"))
    for limit in limit_range["spec"].get("limits") or ():
        if limit.get("type") == "PersistentVolumeClaim":
            for name, bound in parsed(limit.get("min")).items():
                yield from _minimum(limit["type"], name, bound, requests, {})
            for name, bound in parsed(limit.get("max")).items():
                about = f"maximum {name} usage per {limit['type']} is {bound}"
                if name not in requests:
                    yield f"{about}.  No request is specified"
                elif requests[name] > bound:
                    yield f"{about}, but request is {requests[name]}"


def _bounds(limit: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    kind = limit["type"]
    for name, bound in sorted(parsed(limit.get("min")).items()):
        yield from _minimum(kind, name, bound, requests, limits)
    for name, bound in sorted(parsed(limit.get("max")).items()):
        about = f"maximum {name} usage per {kind} is {bound}"
        if name not in limits:
            yield f"{about}.  No limit is specified"
        elif limits[name] > bound:
            yield f"{about}, but limit is {limits[name]}"
        elif name in requests and requests[name] > bound:
            yield f"{about}, but request is {requests[name]}"
    for name, bound in sorted(parsed(limit.get("maxLimitRequestRatio")).items()):
        about = f"{name} max limit to request ratio per {kind} is {bound}"
        if not requests.get(name):
            yield f"{about}, but no request is specified or request is 0"
        elif not limits.get(name):
            yield f"{about}, but no limit is specified or limit is 0"
        else:
            ratio = limits[name].as_float() / requests[name].as_float()
            if ratio > bound.as_float():
                yield f"{about}, but provided ratio is {ratio:f}"


def _minimum(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> Iterator[str]:
    about = f"minimum {name} usage per {kind} is {bound}"
    if name not in requests:
        yield f"{about}.  No request is specified"
    elif requests[name] < bound:
        yield f"{about}, but request is {requests[name]}"
    elif name in limits and limits[name] < bound:
        yield f"{about}, but limit is {limits[name]}"
