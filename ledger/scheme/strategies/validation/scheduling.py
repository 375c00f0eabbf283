"""PriorityClasses and RuntimeClasses."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.names import is_dns1123_label
from ledger.apimachinery.objectmeta import validate_labels
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.validation.affinity import tolerations
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import requirements

_HIGHEST = 1_000_000_000
_SYSTEM = {"system-node-critical": 2 * _HIGHEST + 1000, "system-cluster-critical": 2 * _HIGHEST}


def priority_class(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, name, value = meta_findings(definition, obj), obj["metadata"].get("name", ""), obj.get("value", 0)
    if name.startswith("system-"):
        error = _system_error(name, value, obj.get("globalDefault", False))
        if error:
            text = "priority class names with 'system-' prefix are reserved for system use only. error: "
            found.forbidden("metadata.name", text + error)
    elif value > _HIGHEST:
        found.forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST}")
    policy = obj.get("preemptionPolicy")
    if policy is not None:
        found.one_of_required("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))
    return found


def _system_error(name: str, value: int, default: bool) -> str:
    if name not in _SYSTEM:
        return f"{name} is not a known system priority class"
    if value != _SYSTEM[name]:
        return f"value of {name} PriorityClass must be {_SYSTEM[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if default else ""


def priority_class_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    if obj.get("value", 0) != old.get("value", 0):
        found.forbidden("value", "may not be changed in an update.")
    found.immutable("preemptionPolicy", obj.get("preemptionPolicy"), old.get("preemptionPolicy"))
    return found


def runtime_class(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, scheduling, handler = meta_findings(definition, obj), obj.get("scheduling"), Findings()
    handler.name("handler", obj.get("handler", ""), is_dns1123_label)
    found.unless_declared(handler)
    if obj.get("overhead") is not None:
        requirements(found, "overhead", {"limits": obj["overhead"].get("podFixed")})
    if scheduling is not None:
        found += validate_labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
        _unique_tolerations(found, "scheduling.tolerations", scheduling.get("tolerations") or [])
    return found


def _unique_tolerations(found: Findings, path: str, ones: list[dict[str, Any]]) -> None:
    tolerations(found, path, ones)
    seen = set()
    for at, one in enumerate(ones):
        key = tuple(one.get(name, "") for name in ("key", "operator", "value", "effect"))
        if key in seen:
            found.duplicate(f"{path}[{at}]", go_value("core.Toleration", one))
        seen.add(key)


def runtime_class_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = runtime_class(definition, obj, context)
    found += meta_update_findings(definition, obj, old)
    return found
