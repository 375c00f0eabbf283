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


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# Metric sources. Each pair of functions is one `type`; autoscaling/v1 has flat fields where v2 has metric and target.
def _source_to_v1(metric: dict[str, Any]) -> dict[str, Any]:
    found = {"type": metric.get("type", "")}
    for name in ("object", "pods", "resource", "containerResource", "external"):
        source = metric.get(name)
        if source is None:
            continue
        target, identity = source.get("target") or {}, source.get("metric") or {}
        if name == "object":
            found[name] = {
                "target": source.get("describedObject"),
                "metricName": identity.get("name", ""),
                "targetValue": target.get("value", "0"),
                **_present(selector=identity.get("selector"), averageValue=target.get("averageValue")),
            }
        elif name == "pods":
            found[name] = {
                "metricName": identity.get("name", ""),
                "targetAverageValue": target.get("averageValue", "0"),
                **_present(selector=identity.get("selector")),
            }
        elif name == "external":
            found[name] = {
                "metricName": identity.get("name", ""),
                **_present(
                    metricSelector=identity.get("selector"),
                    targetValue=target.get("value"),
                    targetAverageValue=target.get("averageValue"),
                ),
            }
        else:
            found[name] = {
                "name": source.get("name", ""),
                **_present(
                    targetAverageUtilization=target.get("averageUtilization"),
                    targetAverageValue=target.get("averageValue"),
                    container=source.get("container"),
                ),
            }
    return found


def _source_from_v1(metric: dict[str, Any]) -> dict[str, Any]:
    found = {"type": metric.get("type", "")}
    for name in ("object", "pods", "resource", "containerResource", "external"):
        source = metric.get(name)
        if source is None:
            continue
        if name in ("resource", "containerResource"):
            percent = source.get("targetAverageUtilization")
            kind = "AverageValue" if percent is None else "Utilization"
            target = {"type": kind} | _present(
                averageValue=source.get("targetAverageValue"), averageUtilization=percent
            )
            found[name] = {"name": source.get("name", ""), "target": target}
            found[name] |= _present(container=source.get("container"))
            continue
        identity = {"name": source.get("metricName", "")}
        identity |= _present(selector=source.get("metricSelector" if name == "external" else "selector"))
        if name == "object":
            average, value = source.get("averageValue"), source.get("targetValue")
            kind = "Value" if average is None else "AverageValue"
            shown = None if average is not None and value in ("0", None) else value
            target = {"type": kind} | _present(value=shown, averageValue=average)
            found[name] = {"describedObject": source.get("target"), "target": target, "metric": identity}
        elif name == "pods":
            target = {"type": "AverageValue"} | _present(averageValue=source.get("targetAverageValue"))
            found[name] = {"metric": identity, "target": target}
        else:
            value = source.get("targetValue")
            target = {"type": "AverageValue" if value is None else "Value"}
            target |= _present(value=value, averageValue=source.get("targetAverageValue"))
            found[name] = {"metric": identity, "target": target}
    return found


def _status_to_v1(metric: dict[str, Any]) -> dict[str, Any]:
    found = {"type": metric.get("type", "")}
    for name in ("object", "pods", "resource", "containerResource", "external"):
        status = metric.get(name)
        if status is None:
            continue
        current, identity = status.get("current") or {}, status.get("metric") or {}
        if name == "object":
            found[name] = {
                "target": status.get("describedObject"),
                "metricName": identity.get("name", ""),
                "currentValue": current.get("value", "0"),
                **_present(selector=identity.get("selector"), averageValue=current.get("averageValue")),
            }
        elif name == "pods":
            found[name] = {
                "metricName": identity.get("name", ""),
                "currentAverageValue": current.get("averageValue", "0"),
                **_present(selector=identity.get("selector")),
            }
        elif name == "external":
            found[name] = {
                "metricName": identity.get("name", ""),
                **_present(metricSelector=identity.get("selector")),
                "currentValue": current.get("value", "0"),
                **_present(currentAverageValue=current.get("averageValue")),
            }
        else:
            found[name] = {
                "name": status.get("name", ""),
                **_present(currentAverageUtilization=current.get("averageUtilization")),
                "currentAverageValue": current.get("averageValue", "0"),
                **_present(container=status.get("container")),
            }
    return found


def _status_from_v1(metric: dict[str, Any]) -> dict[str, Any]:
    found = {"type": metric.get("type", "")}
    for name in ("object", "pods", "resource", "containerResource", "external"):
        status = metric.get(name)
        if status is None:
            continue
        if name in ("resource", "containerResource"):
            current = _present(
                averageValue=status.get("currentAverageValue"),
                averageUtilization=status.get("currentAverageUtilization"),
            )
            found[name] = {"name": status.get("name", ""), "current": current}
            found[name] |= _present(container=status.get("container"))
            continue
        identity = {"name": status.get("metricName", "")}
        identity |= _present(selector=status.get("metricSelector" if name == "external" else "selector"))
        average = status.get("averageValue" if name == "object" else "currentAverageValue")
        value = None if name == "pods" else status.get("currentValue", "0")
        current = _present(value=value, averageValue=average)
        found[name] = {"metric": identity, "current": current}
        if name == "object":
            found[name] = {"metric": identity, "current": current, "describedObject": status.get("target")}
    return found


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
