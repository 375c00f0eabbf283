"""Resource quotas and limit ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.apimachinery.names import (
    is_qualified_name,
)
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import (
    amounts,
    container_resource_name,
    is_overcommit_allowed,
    is_quota_name,
    quota_resource_name,
    resource_name,
    resource_value,
)

_POD_SCOPES = ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity")
_SCOPES = (*_POD_SCOPES, "BestEffort", "VolumeAttributesClass")
_EXISTS_SCOPES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_POD_COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})


def resource_quota(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _quota_spec(found, obj.get("spec") or {})
    _quota_status(found, obj.get("status") or {})
    return found


def resource_quota_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _quota_spec(found, obj.get("spec") or {})
    scopes = get(obj, "spec.scopes")
    if set(scopes or ()) != set(get(old, "spec.scopes", [])):
        found.invalid("spec.scopes", scopes, "field is immutable")
    return found


def resource_quota_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    if not obj["metadata"].get("resourceVersion"):
        found.required("resourceVersion")
    _quota_status(found, obj.get("status") or {})
    return found


def _quota_status(found: Findings, status: Mapping[str, Any]) -> None:
    for key in ("hard", "used"):
        _quota_amounts(found, f"status.{key}", status.get(key))


def _quota_amounts(found: Findings, path: str, values: Mapping[str, Any] | None) -> None:
    for name, value in amounts(values).items():
        quota_resource_name(found, f"{path}[{name}]", name)
        resource_value(found, f"{path}[{name}]", name, value)


def _quota_spec(found: Findings, spec: Mapping[str, Any]) -> None:
    _quota_amounts(found, "spec.hard", spec.get("hard"))
    scopes, hard = spec.get("scopes") or [], sorted(spec.get("hard") or ())
    for scope in scopes:
        if scope not in _SCOPES:
            found.invalid("spec.scopes", scopes, "unsupported scope")
        for name in hard:
            if is_quota_name(name) and not _scope_covers(scope, name):
                found.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    _conflicting_scopes(found, "spec.scopes", set(scopes), scopes)
    if spec.get("scopeSelector") is not None:
        _scope_selector(found, "spec.scopeSelector.matchExpressions", spec, hard)


def _scope_covers(scope: str, name: str) -> bool:
    if scope in _POD_SCOPES:
        return name == "pods" or name in _POD_COMPUTE
    if scope == "BestEffort":
        return name == "pods"
    return scope != "VolumeAttributesClass" or name in ("persistentvolumeclaims", "requests.storage")


def _conflicting_scopes(found: Findings, path: str, scopes: set[str], shown: Any) -> None:
    for one, other in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if {one, other} <= scopes:
            found.invalid(path, shown, "conflicting scopes")


def _scope_selector(found: Findings, path: str, spec: Mapping[str, Any], hard: list[str]) -> None:
    selector = spec["scopeSelector"]
    ones = selector.get("matchExpressions") or []
    for one in ones:
        scope, operator, values = one.get("scopeName", ""), one.get("operator", ""), one.get("values") or []
        if scope not in _SCOPES:
            found.invalid(f"{path}.scopeName", scope, "unsupported scope")
        for name in hard:
            if is_quota_name(name) and not _scope_covers(scope, name):
                found.invalid(path, go_value("core.ScopeSelector", selector), "unsupported scope applied to resource")
        if scope in _EXISTS_SCOPES and operator != "Exists":
            text = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            found.invalid(f"{path}.operator", operator, text)
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                found.required(f"{path}.values", text)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                found.invalid(f"{path}.values", values, text)
        else:
            found.invalid(f"{path}.operator", operator, "not a valid selector operator")
    _conflicting_scopes(found, path, {one.get("scopeName", "") for one in ones}, spec.get("scopes"))


def limit_range(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    kinds: set[str] = set()
    for at, item in enumerate(get(obj, "spec.limits", [])):
        here, kind = f"spec.limits[{at}]", item.get("type", "")
        before = len(found)
        found.check(f"{here}.type", kind, is_qualified_name)
        if len(found) == before and "/" not in kind and kind not in ("Pod", "Container", "PersistentVolumeClaim"):
            found.invalid(f"{here}.type", kind, "must be a standard limit type or fully qualified")
        if kind in kinds:
            found.duplicate(f"{here}.type", kind)
        kinds.add(kind)
        _limit_item(found, here, kind, item)
    return found


def limit_range_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return limit_range(definition, obj, context)


def _limit_item(found: Findings, path: str, kind: str, item: Mapping[str, Any]) -> None:
    keys = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"]
    if kind == "Pod":
        for key in ("default", "defaultRequest"):
            keys.remove(key)
    check = container_resource_name if kind in ("Pod", "Container") else resource_name
    values = {}
    for key in keys:
        values[key] = amounts(item.get(key))
        for name in values[key]:
            check(found, f"{path}.{key}[{name}]", name)
        if key == "min" and kind == "Pod":
            for other in ("default", "defaultRequest"):
                if item.get(other):
                    found.forbidden(f"{path}.{other}", "may not be specified when `type` is 'Pod'")
        if (
            key == "defaultRequest"
            and kind == "PersistentVolumeClaim"
            and not any("storage" in values[one] for one in ("min", "max"))
        ):
            text = "either minimum or maximum storage value is required, but neither was provided"
            found.required(f"{path}.limits", text)
    for name in sorted({name for of_key in values.values() for name in of_key}):
        _limit_amounts(found, path, name, {key: of_key[name] for key, of_key in values.items() if name in of_key})


# (field of the finding, smaller, its name, larger, its name, which of them is shown)
_LIMIT_ORDER = (
    ("min", "min", "min value", "max", "max value", "min"),
    ("defaultRequest", "min", "min value", "defaultRequest", "default request value", "defaultRequest"),
    ("defaultRequest", "defaultRequest", "default request value", "max", "max value", "defaultRequest"),
    ("defaultRequest", "defaultRequest", "default request value", "default", "default limit value", "defaultRequest"),
    ("default", "min", "min value", "default", "default value", "min"),
    ("default", "default", "default value", "max", "max value", "max"),
)


def _limit_amounts(found: Findings, path: str, name: str, values: Mapping[str, Any]) -> None:
    for key, low, low_name, high, high_name, shown in _LIMIT_ORDER:
        if low in values and high in values and values[low] > values[high]:
            text = f"{low_name} {values[low]} is greater than {high_name} {values[high]}"
            found.invalid(f"{path}.{key}[{name}]", str(values[shown]), text)
    ratio, at = values.get("maxLimitRequestRatio"), f"{path}.maxLimitRequestRatio[{name}]"
    if ratio is not None:
        if ratio.value(-3) < 1000:
            found.invalid(at, str(ratio), f"ratio {ratio} is less than 1")
        if "min" in values and "max" in values and values["min"]:
            limit = values["max"].value(-3) / values["min"].value(-3)
            if ratio.value(-3) / 1000 > limit:
                found.invalid(at, str(ratio), f"ratio {ratio} is greater than max/min = {limit:f}")
    default, request = values.get("default"), values.get("defaultRequest")
    if default is not None and request is not None and default != request and not is_overcommit_allowed(name):
        text = f"default value {default} must equal to defaultRequest value {request} in {name}"
        found.invalid(f"{path}.defaultRequest[{name}]", str(request), text)
