"""Names and amounts of compute resources: requests and limits, quotas, capacity."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ledger.apimachinery import quantity
from ledger.apimachinery.names import is_dns1123_label, is_qualified_name
from ledger.apimachinery.quantity import Quantity
from ledger.scheme.strategies.validation.findings import Findings

ZERO = Quantity()
_CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTED = frozenset(
    {"pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims"}
    | {"services.nodeports", "services.loadbalancers"}
)
_PREFIXED = frozenset(f"{way}.{name}" for way in ("requests", "limits") for name in _CONTAINER)
QUOTA = _CONTAINER | _PREFIXED | _COUNTED | {"requests.storage"}
STANDARD = QUOTA | {"storage"}

NameCheck = Callable[[Findings, str, str], None]


def amount(text: Any) -> Quantity:
    return quantity.parse(str(text))


def amounts(values: Mapping[str, Any] | None) -> dict[str, Quantity]:
    return {name: amount(text) for name, text in sorted((values or {}).items())}


def is_huge_pages(name: str) -> bool:
    return name.startswith("hugepages-")


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_overcommit_allowed(name: str) -> bool:
    return is_native(name) and not is_huge_pages(name)


def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith("requests.") and not is_qualified_name(f"requests.{name}")


def is_quota_huge_pages(name: str) -> bool:
    return name.startswith(("hugepages-", "requests.hugepages-"))


def is_quota_name(name: str) -> bool:
    return name in QUOTA or is_quota_huge_pages(name)


def is_pod_level(name: str) -> bool:
    return name in ("cpu", "memory") or is_huge_pages(name)


def resource_name(found: Findings, path: str, name: str) -> None:
    before = len(found)
    found.check(path, name, is_qualified_name)
    if len(found) == before and "/" not in name and name not in STANDARD and not is_quota_huge_pages(name):
        found.invalid(path, name, "must be a standard resource type or fully qualified")


def container_resource_name(found: Findings, path: str, name: str) -> None:
    resource_name(found, path, name)
    if "/" not in name:
        if name not in _CONTAINER and not is_huge_pages(name):
            found.invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        found.invalid(path, name, "doesn't follow extended resource name standard")


def pod_resource_name(found: Findings, path: str, name: str) -> None:
    before = len(found)
    resource_name(found, path, name)
    if len(found) == before and not is_pod_level(name):
        found.not_supported(path, name, ("cpu", "hugepages-", "memory"))


def quota_resource_name(found: Findings, path: str, name: str) -> None:
    resource_name(found, path, name)
    if "/" not in name and not is_quota_name(name):
        found.invalid(path, name, "must be a standard resource for quota")


def resource_value(found: Findings, path: str, name: str, value: Quantity) -> None:
    """Not negative, and whole where the resource is counted."""
    if value < ZERO:
        found.invalid(path, str(value), "must be greater than or equal to 0")
    if (name in _COUNTED or is_extended(name)) and value.value(-3) % 1000:
        found.invalid(path, str(value), "must be an integer")


def positive_value(found: Findings, path: str, value: Quantity) -> None:
    if value <= ZERO:
        found.invalid(path, str(value), "must be greater than zero")


def basic_resource(found: Findings, path: str, value: Quantity) -> None:
    if value.value() < 0:
        found.invalid(path, value.value(), "must be a valid resource quantity")


def requirements(
    found: Findings,
    path: str,
    resources: Mapping[str, Any] | None,
    claim_names: Collection[str] = (),
    check_name: NameCheck = container_resource_name,
    indivisible_pages: bool = False,
) -> None:
    """Requests and limits of a container or a pod (validateResourceRequirements)."""
    resources = resources or {}
    limits, requests = amounts(resources.get("limits")), amounts(resources.get("requests"))
    for name, value in limits.items():
        _one_amount(found, f"{path}.limits[{name}]", name, value, check_name)
        _huge_pages(found, f"{path}.limits[{name}]", name, value, indivisible_pages)
    for name, value in requests.items():
        _one_amount(found, f"{path}.requests[{name}]", name, value, check_name)
        limit = limits.get(name)
        if limit is not None:
            if value != limit and not is_overcommit_allowed(name):
                found.invalid(f"{path}.requests", str(value), f"must be equal to {name} limit of {limit}")
            elif value > limit:
                found.invalid(f"{path}.requests", str(value), f"must be less than or equal to {name} limit of {limit}")
        elif not is_overcommit_allowed(name):
            found.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        _huge_pages(found, f"{path}.requests[{name}]", name, value, indivisible_pages)
    names = {*limits, *requests}
    if any(map(is_huge_pages, names)) and not names & {"cpu", "memory"}:
        found.forbidden(path, "HugePages require cpu or memory")
    _claims(found, f"{path}.claims", resources.get("claims") or (), claim_names)


def _one_amount(found: Findings, path: str, name: str, value: Quantity, check_name: NameCheck) -> None:
    check_name(found, path, name)
    resource_value(found, path, name, value)


def _huge_pages(found: Findings, path: str, name: str, value: Quantity, indivisible: bool) -> None:
    if is_huge_pages(name) and not indivisible and not is_divisible(name, value):
        found.invalid(path, str(value), f"{value} is not positive integer multiple of {name}")


def is_divisible(name: str, value: Quantity) -> bool:
    """Whether so much can be had in pages of this size."""
    try:
        page = quantity.parse(name.removeprefix("hugepages-"))
    except quantity.QuantityError:
        return False
    return page > ZERO and page.value(-3) % 1000 == 0 and value.value() % page.value() == 0


def _claims(found: Findings, path: str, claims: Collection[Mapping[str, Any]], claim_names: Collection[str]) -> None:
    """The device claims of a container: each named once, whole or by request, and known to the pod."""
    seen: set[str] = set()
    for at, claim in enumerate(claims):
        here, name, request = f"{path}[{at}]", claim.get("name", ""), claim.get("request", "")
        if not name:
            found.required(here)
            continue
        if name in seen:
            found.duplicate(here, name)
        else:
            key = name
            if request:
                found.check(f"{here}.request", request, is_dns1123_label)
                key += f"/{request}"
            if key in seen:
                found.duplicate(here, key)
            elif not request:
                for other in seen:
                    if other.partition("/")[0] == name and "/" in other:
                        found.duplicate(here, name)
            seen.add(key)
        if name not in claim_names:
            known = f": {', '.join(sorted(claim_names))}" if claim_names else " which is empty"
            found.not_found(here, name, f"must be one of the names in pod.spec.resourceClaims{known}")
