"""What a pod asks for as a whole, from its containers, init containers, sidecars, overhead and pod-level resources.

Follows k8s.io/component-helpers/resource, without what only a kubelet's status adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.apimachinery.quantity import Quantity, parse
from ledger.apimachinery.resource import Object

Amounts = dict[str, Quantity]
ZERO = parse("0")


def parsed(amounts: Mapping[str, Any] | None) -> Amounts:
    return {name: parse(str(text)) for name, text in (amounts or {}).items()}


def added(one: Amounts, other: Amounts) -> Amounts:
    result = dict(one)
    for name, amount in other.items():
        result[name] = result[name] + amount if name in result else amount
    return result


def largest(one: Amounts, other: Amounts) -> Amounts:
    result = dict(one)
    for name, amount in other.items():
        if name not in result or result[name] < amount:
            result[name] = amount
    return result


def pod_amounts(spec: Object, which: str, *, overhead: bool = True) -> Amounts:
    """`which`: "requests" or "limits". A pod needs what its containers need together, or what its starting needs."""
    total: Amounts = {}
    for container in spec.get("containers") or ():
        total = added(total, container_amounts(container, which))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        amounts = container_amounts(container, which)
        if container.get("restartPolicy") == "Always":
            total, sidecars = added(total, amounts), added(sidecars, amounts)
            starting = largest(starting, sidecars)
        else:
            starting = largest(starting, added(amounts, sidecars))
    total = largest(total, starting)
    own = parsed((spec.get("resources") or {}).get(which))
    total |= {name: amount for name, amount in own.items() if is_pod_level(name)}
    if overhead:
        for name, amount in parsed(spec.get("overhead")).items():
            if which == "requests":
                total = added(total, {name: amount})
            elif total.get(name):
                total[name] = total[name] + amount
    return total


def container_amounts(container: Object, which: str) -> Amounts:
    return parsed((container.get("resources") or {}).get(which))


def is_pod_level(name: str) -> bool:
    """Whether a resource may be given for the pod as a whole."""
    return name in ("cpu", "memory") or name.startswith("hugepages-")


def has_pod_level(spec: Object) -> bool:
    resources = spec.get("resources") or {}
    names: Iterable[str] = [*(resources.get("requests") or ()), *(resources.get("limits") or ())]
    return any(is_pod_level(name) for name in names)
