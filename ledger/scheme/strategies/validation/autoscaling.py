"""HorizontalPodAutoscalers (as autoscaling/v2 has them) and the scale subresource."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_path_segment
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.declarative import validate_declared
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import ZERO, amount, container_resource_name

Spec = dict[str, Any]
_LONGEST_PERIOD, _LONGEST_WINDOW = 1800, 3600
# Each kind of metric: the key of its source, in the order they are looked at.
_SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def autoscaler(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _spec(found, obj["spec"], None)
    return found


def autoscaler_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _spec(found, obj["spec"], old["spec"])
    return found


def _spec(found: Findings, spec: Spec, old: Spec | None) -> None:
    """The bounds of minReplicas and maxReplicas alone have declared rules."""
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and most < least:
        found.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    _target(found, spec.get("scaleTargetRef") or {}, (old or {}).get("scaleTargetRef"))
    metrics = spec.get("metrics") or []
    any_version = any(
        _version_error(get(metric, "object.describedObject", {}), True)
        for metric in (old or {}).get("metrics") or ()
        if metric.get("type") == "Object" and metric.get("object") is not None
    )
    for at, metric in enumerate(metrics):
        _metric(found, f"spec.metrics[{at}]", metric, any_version)
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        found.forbidden("spec.metrics", text)
    for key in ("scaleUp", "scaleDown"):
        _scaling_rules(found, f"spec.behavior.{key}", get(spec, f"behavior.{key}"))


def _target(found: Findings, target: Spec, old: Spec | None) -> None:
    for key in ("kind", "name"):
        found.name(f"spec.scaleTargetRef.{key}", target.get(key, ""), is_path_segment)
    unchanged = old is not None and all(old.get(key, "") == target.get(key, "") for key in ("apiVersion", "kind"))
    if not unchanged:
        _api_version(found, "spec.scaleTargetRef", target, target.get("kind") == "ReplicationController")


def _version_error(reference: Spec, core_group: bool) -> str:
    version = reference.get("apiVersion", "")
    if version.count("/") > 1:
        return f"unexpected GroupVersion string: {version}"
    group = version.partition("/")[0] if "/" in version else ""
    return "" if group or core_group else "apiVersion must specify API group"


def _api_version(found: Findings, path: str, reference: Spec, core_group: bool) -> None:
    error = _version_error(reference, core_group)
    if error:
        found.invalid(f"{path}.apiVersion", reference.get("apiVersion", ""), error)


def _metric(found: Findings, path: str, metric: Spec, any_version: bool) -> None:
    kind, kinds = metric.get("type", ""), sorted(_SOURCES)
    if not kind:
        found.required(f"{path}.type", "must specify a metric source type")
    found.one_of(f"{path}.type", kind, kinds)
    present = [key for key in _SOURCES.values() if metric.get(key) is not None]
    if present:
        _SOURCE_RULES[present[0]](found, f"{path}.{present[0]}", metric[present[0]], any_version)
    expected = _SOURCES.get(kind, "")
    if not expected:
        found.not_supported(f"{path}.type", kind, kinds)
    elif expected not in present:
        found.required(f"{path}.{expected}", "must populate information for the given metric source")
    if len(present) != 1:
        for key in present:
            if key != expected:
                found.forbidden(f"{path}.{key}", "must populate the given metric source only")


def _object_source(found: Findings, path: str, source: Spec, any_version: bool) -> None:
    described, target = source.get("describedObject") or {}, source.get("target") or {}
    for key in ("kind", "name"):
        found.name(f"{path}.describedObject.{key}", described.get(key, ""), is_path_segment)
    if not any_version:
        _api_version(found, f"{path}.describedObject", described, True)
    _identified_target(found, path, source)
    if target.get("value") is None and target.get("averageValue") is None:
        found.required(f"{path}.target.averageValue", "must set either a target value or averageValue")


def _identified_target(found: Findings, path: str, source: Spec) -> None:
    name = get(source, "metric.name", "")
    if name:
        found.check(f"{path}.metric.name", name, is_path_segment)
    else:
        found.required(f"{path}.metric.name", "must specify a metric name")
    _metric_target(found, f"{path}.target", source.get("target") or {})


def _external_source(found: Findings, path: str, source: Spec, any_version: bool) -> None:
    target = source.get("target") or {}
    _identified_target(found, path, source)
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        text = "must set either a target value for metric or a per-pod target"
        found.required(f"{path}.target.averageValue", text)
    if value is not None and average is not None:
        text = "may not set both a target value for metric and a per-pod target"
        found.forbidden(f"{path}.target.value", text)


def _pods_source(found: Findings, path: str, source: Spec, any_version: bool) -> None:
    _identified_target(found, path, source)
    if get(source, "target.averageValue") is None:
        found.required(f"{path}.target.averageValue", "must specify a positive target averageValue")


def _resource_source(found: Findings, path: str, source: Spec, any_version: bool) -> None:
    if not source.get("name"):
        found.required(f"{path}.name", "must specify a resource name")
    _resource_target(found, f"{path}.target", source.get("target") or {})


def _container_source(found: Findings, path: str, source: Spec, any_version: bool) -> None:
    if source.get("name"):
        container_resource_name(found, f"{path}.name", source["name"])
    else:
        found.required(f"{path}.name", "must specify a resource name")
    if source.get("container"):
        found.check(f"{path}.container", source["container"], is_dns1123_label)
    else:
        found.required(f"{path}.container", "must specify a container")
    _resource_target(found, f"{path}.target", source.get("target") or {})


def _resource_target(found: Findings, path: str, target: Spec) -> None:
    _metric_target(found, path, target)
    utilization, value = target.get("averageUtilization"), target.get("averageValue")
    if utilization is None and value is None:
        text = "must set either a target raw value or a target utilization"
        found.required(f"{path}.averageUtilization", text)
    if utilization is not None and value is not None:
        text = "may not set both a target raw value and a target utilization"
        found.forbidden(f"{path}.averageValue", text)


_SOURCE_RULES = {
    "object": _object_source,
    "external": _external_source,
    "pods": _pods_source,
    "resource": _resource_source,
    "containerResource": _container_source,
}


def _metric_target(found: Findings, path: str, target: Spec) -> None:
    kind = target.get("type", "")
    if not kind:
        found.required(f"{path}.type", "must specify a metric target type")
    if kind not in ("Utilization", "Value", "AverageValue"):
        found.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for key in ("value", "averageValue"):
        if target.get(key) is not None and amount(target[key]) <= ZERO:
            found.invalid(f"{path}.{key}", target[key], "must be positive")
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        found.invalid(f"{path}.averageUtilization", utilization, "must be greater than 0")


def _scaling_rules(found: Findings, path: str, rules: Spec | None) -> None:
    if rules is None:
        return
    window, select, tolerance = (rules.get(k) for k in ("stabilizationWindowSeconds", "selectPolicy", "tolerance"))
    if window is not None and window < 0:
        found.invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > _LONGEST_WINDOW:
        text = f"must be less than or equal to {_LONGEST_WINDOW}"
        found.invalid(f"{path}.stabilizationWindowSeconds", window, text)
    if select is not None:
        found.one_of(f"{path}.selectPolicy", select, ("Disabled", "Max", "Min"))
    if not rules.get("policies"):
        found.required(f"{path}.policies", "must specify at least one Policy")
    for at, policy in enumerate(rules.get("policies") or ()):
        here, period = f"{path}.policies[{at}]", policy.get("periodSeconds", 0)
        found.one_of(f"{here}.type", policy.get("type", ""), ("Percent", "Pods"))
        found.positive(f"{here}.value", policy.get("value", 0))
        found.positive(f"{here}.periodSeconds", period)
        if period > _LONGEST_PERIOD:
            found.invalid(f"{here}.periodSeconds", period, f"must be less than or equal to {_LONGEST_PERIOD}")
    if tolerance is not None and amount(tolerance) < ZERO:
        found.invalid(f"{path}.tolerance", tolerance, "must be greater than or equal to 0")


def autoscaler_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, status = meta_update_findings(definition, obj, old), obj.get("status") or {}
    for at, one in enumerate(status.get("conditions") or ()):
        found.not_negative(f"status.conditions[{at}].observedGeneration", one.get("observedGeneration"))
    for key in ("currentReplicas", "desiredReplicas"):
        found.not_negative(f"status.{key}", status.get(key))
    return found


def scale(obj: Object, old: Object) -> Findings:
    """A Scale put to the scale subresource of a workload."""
    return Findings(validate_declared("autoscaling/v1", "Scale", obj, old))
