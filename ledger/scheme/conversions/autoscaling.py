"""autoscaling/v1 HorizontalPodAutoscaler: one CPU percentage, and annotations for what the stored v2 has beyond it.

Follows pkg/apis/autoscaling/v1/conversion.go in k8s.io/kubernetes, the text of the annotations included: metrics as
autoscaling/v1 names their fields, the behaviour with the names of Go's internal type.
"""

from __future__ import annotations

from typing import Any

import orjson

from ledger.apimachinery.resource import Object
from ledger.scheme.conversions.steps import Steps, annotations_of, with_annotations

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT, CONDITIONS, BEHAVIOR = (
    _PREFIX + name for name in ("metrics", "current-metrics", "conditions", "behavior")
)
_ALL = (METRICS, CURRENT, CONDITIONS, BEHAVIOR, _PREFIX + "scale-down-tolerance", _PREFIX + "scale-up-tolerance")
_DEFAULT_CPU_PERCENT = 80
# v2 leaves currentReplicas out when it is 0 and writes currentMetrics even when it is null; v1 does the opposite.
_STATUS_ORDER = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")


def _from_v2(obj: Object) -> Object:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    kept = {key: value for key, value in annotations_of(obj).items() if key not in _ALL}
    metrics = spec.get("metrics") or []
    others = [metric for metric in metrics if _cpu_percent(metric) is None]
    if others:
        kept[METRICS] = _go_json([_source_to_v1(metric) for metric in others])
    if status.get("currentMetrics"):
        kept[CURRENT] = _go_json([_status_to_v1(metric) for metric in status["currentMetrics"]])
    if spec.get("behavior") is not None:
        kept[BEHAVIOR] = _go_json(_behavior_to_internal(spec["behavior"]))
    if status.get("conditions"):
        kept[CONDITIONS] = _go_json([_condition(one) for one in status["conditions"]])
    found = with_annotations(obj, kept)
    if "spec" in obj:
        percents = [percent for metric in metrics if (percent := _cpu_percent(metric)) is not None]
        found["spec"] = _without(spec, "metrics", "behavior")
        if percents:
            found["spec"]["targetCPUUtilizationPercentage"] = percents[0]
    if "status" in obj:
        rest = {"currentReplicas": 0} | _without(status, "currentMetrics", "conditions")
        found["status"] = {key: rest.pop(key) for key in _STATUS_ORDER if key in rest} | rest
        for metric in status.get("currentMetrics") or []:
            current = (metric.get("resource") or {}).get("current") or {}
            if _is_cpu(metric) and current.get("averageUtilization") is not None:
                found["status"]["currentCPUUtilizationPercentage"] = current["averageUtilization"]
    return found


def _to_v2(obj: Object) -> Object:
    spec, status, kept = dict(obj.get("spec") or {}), dict(obj.get("status") or {}), annotations_of(obj)
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = [_source_from_v1(metric) for metric in _parsed(kept, METRICS)]
    if percent is not None:
        metrics.append(_cpu_metric(percent))
    spec["metrics"] = metrics or [_cpu_metric(_DEFAULT_CPU_PERCENT)]
    behavior = _parsed(kept, BEHAVIOR, {})
    if any(behavior.get(rules) is not None for rules in ("ScaleUp", "ScaleDown")):
        spec["behavior"] = _behavior_from_internal(behavior)
    current_percent = status.pop("currentCPUUtilizationPercentage", None)
    if CURRENT in kept:
        status["currentMetrics"] = [_status_from_v1(metric) for metric in _parsed(kept, CURRENT)]
    elif current_percent is not None:
        resource = {"name": "cpu", "current": {"averageUtilization": current_percent}}
        status["currentMetrics"] = [{"type": "Resource", "resource": resource}]
    else:
        status["currentMetrics"] = None
    if status.get("currentReplicas") == 0:
        del status["currentReplicas"]
    if CONDITIONS in kept:
        status["conditions"] = _parsed(kept, CONDITIONS)
    found = with_annotations(obj, {key: value for key, value in kept.items() if key not in _ALL})
    return {**found, "spec": spec, **({"status": status} if "status" in obj else {})}


def _is_cpu(metric: dict[str, Any]) -> bool:
    return metric.get("type") == "Resource" and (metric.get("resource") or {}).get("name") == "cpu"


def _cpu_percent(metric: dict[str, Any]) -> int | None:
    """What autoscaling/v1 can say itself: the target of a CPU utilization metric."""
    if not _is_cpu(metric):
        return None
    percent: int | None = (metric["resource"].get("target") or {}).get("averageUtilization")
    return percent


def _cpu_metric(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in names}


def _parsed(kept: dict[str, str], name: str, otherwise: Any = ()) -> Any:
    """The value of an annotation; text that is no JSON of the right form counts as absent, as in Go."""
    try:
        value = orjson.loads(kept[name])
    except (KeyError, ValueError):
        return otherwise
    if isinstance(otherwise, dict):
        return value if isinstance(value, dict) else otherwise
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else otherwise


def _go_json(value: Any) -> str:
    text: str = orjson.dumps(value).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# Metrics: autoscaling/v1 has flat fields where v2 has metric, target and current. By kind of metric: the field of v1,
# its place in v2, and what v1 writes where v2 has nothing (None: the field is left out). In the order of Go's structs.
_Places = tuple[tuple[str, str, str | None], ...]
_RESOURCE: _Places = (
    ("name", "name", ""),
    ("targetAverageUtilization", "target.averageUtilization", None),
    ("targetAverageValue", "target.averageValue", None),
)
_SOURCES: dict[str, _Places] = {
    "object": (
        ("target", "describedObject", None),
        ("metricName", "metric.name", ""),
        ("targetValue", "target.value", "0"),
        ("selector", "metric.selector", None),
        ("averageValue", "target.averageValue", None),
    ),
    "pods": (
        ("metricName", "metric.name", ""),
        ("targetAverageValue", "target.averageValue", "0"),
        ("selector", "metric.selector", None),
    ),
    "resource": _RESOURCE,
    "containerResource": (*_RESOURCE, ("container", "container", "")),
    "external": (
        ("metricName", "metric.name", ""),
        ("metricSelector", "metric.selector", None),
        ("targetValue", "target.value", None),
        ("targetAverageValue", "target.averageValue", None),
    ),
}
_RESOURCE_STATUS: _Places = (
    ("name", "name", ""),
    ("currentAverageUtilization", "current.averageUtilization", None),
    ("currentAverageValue", "current.averageValue", "0"),
)
_STATUSES: dict[str, _Places] = {
    "object": (
        ("target", "describedObject", None),
        ("metricName", "metric.name", ""),
        ("currentValue", "current.value", "0"),
        ("selector", "metric.selector", None),
        ("averageValue", "current.averageValue", None),
    ),
    "pods": (
        ("metricName", "metric.name", ""),
        ("currentAverageValue", "current.averageValue", "0"),
        ("selector", "metric.selector", None),
    ),
    "resource": _RESOURCE_STATUS,
    "containerResource": (*_RESOURCE_STATUS, ("container", "container", "")),
    "external": (
        ("metricName", "metric.name", ""),
        ("metricSelector", "metric.selector", None),
        ("currentValue", "current.value", "0"),
        ("currentAverageValue", "current.averageValue", None),
    ),
}
# v2's own order, which v1's does not give.
_SOURCE_ORDER = {"object": ("describedObject", "target", "metric"), "pods": ("metric", "target")}
_VALUE_ORDER = ("type", "value", "averageValue", "averageUtilization")


def _source_to_v1(metric: dict[str, Any]) -> dict[str, Any]:
    return _flattened(metric, _SOURCES)


def _status_to_v1(metric: dict[str, Any]) -> dict[str, Any]:
    return _flattened(metric, _STATUSES)


def _source_from_v1(metric: dict[str, Any]) -> dict[str, Any]:
    found = _nested(metric, _SOURCES)
    for kind, source in found.items():
        if kind == "type":
            continue
        target = source.setdefault("target", {})
        if kind == "object" and "averageValue" in target and target.get("value") == "0":
            del target["value"]  # v1 cannot leave it out, v2 would refuse it
        source["target"] = _ordered({"type": _target_type(kind, target), **target}, _VALUE_ORDER)
        found[kind] = _ordered(source, _SOURCE_ORDER.get(kind, ("name", "metric", "target")))
    return found


def _status_from_v1(metric: dict[str, Any]) -> dict[str, Any]:
    found = _nested(metric, _STATUSES)
    for kind, status in found.items():
        if kind != "type":
            status["current"] = _ordered(status.get("current", {}), _VALUE_ORDER)
            found[kind] = _ordered(status, ("name", "metric", "current"))
    return found


def _target_type(kind: str, target: dict[str, Any]) -> str:
    if kind in ("resource", "containerResource"):
        return "Utilization" if "averageUtilization" in target else "AverageValue"
    if kind == "object":
        return "AverageValue" if "averageValue" in target else "Value"
    return "Value" if "value" in target else "AverageValue"


def _flattened(metric: dict[str, Any], kinds: dict[str, _Places]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": metric.get("type", "")}
    for kind, places in kinds.items():
        if metric.get(kind) is not None:
            values = {field: _at(metric[kind], place, missing) for field, place, missing in places}
            found[kind] = {field: value for field, value in values.items() if value is not None}
    return found


def _nested(metric: dict[str, Any], kinds: dict[str, _Places]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": metric.get("type", "")}
    for kind, places in kinds.items():
        if not isinstance(metric.get(kind), dict):
            continue
        found[kind] = {}
        for field, place, _ in places:
            value = metric[kind].get(field)
            if value is not None:
                *outer, last = place.split(".")
                (found[kind].setdefault(outer[0], {}) if outer else found[kind])[last] = value
    return found


def _at(value: Any, place: str, missing: str | None) -> Any:
    for part in place.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return missing if value is None else value


def _ordered(fields: dict[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    known = {key: fields[key] for key in order if key in fields}
    return known | fields


def _condition(condition: dict[str, Any]) -> dict[str, Any]:
    order = ("type", "status", "lastTransitionTime", "reason", "message", "observedGeneration")
    return {key: condition[key] for key in order if key in condition}


# Go's internal type carries no JSON names, so the annotation has those of the Go fields.
_RULES = (
    ("StabilizationWindowSeconds", "stabilizationWindowSeconds"),
    ("SelectPolicy", "selectPolicy"),
    ("Policies", "policies"),
    ("Tolerance", "tolerance"),
)
_POLICY = (("Type", "type"), ("Value", "value"), ("PeriodSeconds", "periodSeconds"))


def _behavior_to_internal(behavior: dict[str, Any]) -> dict[str, Any]:
    def rules(given: dict[str, Any] | None) -> dict[str, Any] | None:
        if given is None:
            return None
        found = {go: given.get(json) for go, json in _RULES}
        if found["Policies"] is not None:
            found["Policies"] = [{go: policy.get(json) for go, json in _POLICY} for policy in found["Policies"]]
        return found

    return {"ScaleUp": rules(behavior.get("scaleUp")), "ScaleDown": rules(behavior.get("scaleDown"))}


def _behavior_from_internal(behavior: dict[str, Any]) -> dict[str, Any]:
    def rules(given: dict[str, Any]) -> dict[str, Any]:
        found = {json: given[go] for go, json in _RULES if given.get(go) is not None}
        if "policies" in found:
            found["policies"] = [{json: policy.get(go) for go, json in _POLICY} for policy in found["policies"]]
        return found

    names = (("ScaleUp", "scaleUp"), ("ScaleDown", "scaleDown"))
    return {json: rules(behavior[go]) for go, json in names if behavior.get(go) is not None}


STEPS = {("autoscaling", "v1", "HorizontalPodAutoscaler"): Steps(_to_v2, _from_v2)}
