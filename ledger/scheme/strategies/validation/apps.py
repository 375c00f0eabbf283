"""Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers and ControllerRevisions."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation import pod_spec
from ledger.scheme.strategies.validation.common import (
    at_most_all,
    int_or_percent,
    int_or_percent_value,
    is_empty_selector,
    label_selector,
    meta_findings,
    meta_update_findings,
    not_decremented,
    percent_within_bounds,
    selector_fails,
    selector_has_invalid_values,
    selects,
)
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings

_MISMATCH = "`selector` does not match template `labels`"
Spec = dict[str, Any]


def deployment(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _deployment_spec(found, obj["spec"], None)
    return found


def deployment_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _deployment_spec(found, obj["spec"], old["spec"])
    found.immutable("spec.selector", obj["spec"].get("selector"), old["spec"].get("selector"))
    return found


def _deployment_spec(found: Findings, spec: Spec, old: Spec | None) -> None:
    found.not_negative("spec.replicas", spec.get("replicas"))
    strict_selector(found, spec, "deployment")
    _replicated_template(found, spec, old)
    _deployment_strategy(found, spec.get("strategy") or {})
    found.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    found.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        found.not_negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= spec.get("minReadySeconds", 0):
            found.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def strict_selector(found: Findings, spec: Spec, what: str) -> None:
    selector = spec.get("selector")
    if selector is None:
        found.required("spec.selector")
        return
    label_selector(found, selector, "spec.selector")
    if is_empty_selector(selector):
        found.invalid("spec.selector", selector, f"empty selector is invalid for {what}")


def _replicated_template(found: Findings, spec: Spec, old: Spec | None) -> None:
    """ValidatePodTemplateSpecForReplicaSet."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector_fails(selector):
        found.invalid("spec.selector", selector, "invalid label selector")
        return
    selected(found, selector, template)
    pod_spec.template(found, "spec.template", template, (old or {}).get("template"))
    runs_always(found, template, "ReplicaSet")


def selected(found: Findings, selector: Spec | None, template: Spec) -> None:
    labels = get(template, "metadata.labels")
    if not selects(selector, labels):
        found.invalid("spec.template.metadata.labels", labels, _MISMATCH)


def runs_always(found: Findings, template: Spec, what: str) -> None:
    policy = get(template, "spec.restartPolicy", "")
    if policy != "Always":
        found.not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    if get(template, "spec.activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {what} is not Supported"
        found.forbidden("spec.template.spec.activeDeadlineSeconds", text)


def _deployment_strategy(found: Findings, strategy: Spec) -> None:
    path, rolling = "spec.strategy", strategy.get("rollingUpdate")
    match strategy.get("type", ""):
        case "Recreate":
            if rolling is not None:
                text = "may not be specified when strategy `type` is 'Recreate'"
                found.forbidden(f"{path}.rollingUpdate", text)
        case "RollingUpdate":
            if rolling is None:
                found.required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
            else:
                _rolling_deployment(found, rolling, f"{path}.rollingUpdate")
        case _:
            found.not_supported(path, go_value("apps.DeploymentStrategy", strategy), ("Recreate", "RollingUpdate"))


def _rolling_deployment(found: Findings, rolling: Spec, path: str) -> None:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    int_or_percent(found, f"{path}.maxUnavailable", unavailable)
    int_or_percent(found, f"{path}.maxSurge", surge)
    if int_or_percent_value(unavailable) == 0 and int_or_percent_value(surge) == 0:
        found.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    percent_within_bounds(found, f"{path}.maxUnavailable", unavailable)


def deployment_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, status = meta_update_findings(definition, obj, old), obj.get("status") or {}
    keys = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    none_negative(found, status, *keys, "unavailableReplicas", "terminatingReplicas", "collisionCount")
    at_most_all(found, status, "updatedReplicas", "readyReplicas", "availableReplicas")
    not_decremented(found, obj, old)
    return found


def none_negative(found: Findings, status: Spec, *keys: str) -> None:
    for key in keys:
        found.not_negative(f"status.{key}", status.get(key))


def replica_set(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _replica_set_spec(found, obj["spec"], None)
    return found


def replica_set_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _replica_set_spec(found, obj["spec"], old["spec"])
    found.immutable("spec.selector", obj["spec"].get("selector"), old["spec"].get("selector"))
    return found


def _replica_set_spec(found: Findings, spec: Spec, old: Spec | None) -> None:
    found.not_negative("spec.replicas", spec.get("replicas"))
    found.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    strict_selector(found, spec, "deployment")
    _replicated_template(found, spec, old)


def replica_set_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """Also of a ReplicationController."""
    found, status = meta_update_findings(definition, obj, old), obj.get("status") or {}
    keys = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
    none_negative(found, status, *keys, "terminatingReplicas")
    at_most_all(found, status, "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    return found


def replication_controller(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """The name, replicas and minReadySeconds have declared rules."""
    found = meta_findings(definition, obj, lambda name, prefix: [])
    _controller_spec(found, obj["spec"], None)
    return found


def replication_controller_update(
    definition: ResourceDefinition, obj: Object, old: Object, context: Context
) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _controller_spec(found, obj["spec"], old["spec"])
    return found


def _controller_spec(found: Findings, spec: Spec, old: Spec | None) -> None:
    selector, template = spec.get("selector"), spec.get("template")
    if not selector:
        found.required("spec.selector")
    if template is None:
        found.required("spec.template")
        return
    selected(found, {"matchLabels": selector}, template)
    pod_spec.template(found, "spec.template", template, (old or {}).get("template"))
    runs_always(found, template, "ReplicationController")


def daemon_set(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _daemon_set_spec(found, obj, None)
    return found


def daemon_set_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    now, before, path = _template_generation(obj), _template_generation(old), "spec.templateGeneration"
    if now < before:
        found.invalid(path, now, "must not be decremented")
    changed = not same(obj["spec"].get("template"), old["spec"].get("template"))
    if now == before and changed:
        found.invalid(path, now, "must be incremented upon template update")
    elif now > before and not changed:
        found.invalid(path, now, "must not be incremented without template update")
    found.immutable("spec.selector", obj["spec"].get("selector"), old["spec"].get("selector"))
    _daemon_set_spec(found, obj, old["spec"])
    return found


def _template_generation(obj: Object) -> int:
    """What the internal type keeps in a field, apps/v1 in an annotation."""
    text = get(obj, "metadata.annotations", {}).get("deprecated.daemonset.template.generation", "0")
    try:
        return int(text)
    except ValueError:
        return 0


def _daemon_set_spec(found: Findings, obj: Object, old: Spec | None) -> None:
    spec = obj["spec"]
    selector, template = spec.get("selector"), spec.get("template") or {}
    label_selector(found, selector, "spec.selector", selector_has_invalid_values((old or {}).get("selector")))
    if not selector_fails(selector):
        selected(found, selector, template)
    if selector is not None and is_empty_selector(selector):
        found.invalid("spec.selector", selector, "empty selector is invalid for daemonset")
    pod_spec.template(found, "spec.template", template, (old or {}).get("template"))
    runs_always(found, template, "DaemonSet")
    found.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    found.not_negative("spec.templateGeneration", _template_generation(obj))
    _daemon_set_strategy(found, spec.get("updateStrategy") or {})
    found.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _daemon_set_strategy(found: Findings, strategy: Spec) -> None:
    path, rolling = "spec.updateStrategy", strategy.get("rollingUpdate")
    kind = strategy.get("type", "")
    if kind not in ("OnDelete", "RollingUpdate"):
        found.not_supported(path, go_value("apps.DaemonSetUpdateStrategy", strategy), ("RollingUpdate", "OnDelete"))
    if kind != "RollingUpdate":
        return
    path += ".rollingUpdate"
    if rolling is None:
        found.required(path)
        return
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    int_or_percent(found, f"{path}.maxUnavailable", unavailable)
    int_or_percent(found, f"{path}.maxSurge", surge)
    percent_within_bounds(found, f"{path}.maxUnavailable", unavailable)
    percent_within_bounds(found, f"{path}.maxSurge", surge)
    some, more = int_or_percent_value(unavailable) != 0, int_or_percent_value(surge) != 0
    if some and more:
        found.invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif not some and not more:
        found.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")


def daemon_set_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, status = meta_update_findings(definition, obj, old), obj.get("status") or {}
    numbers = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    more = ("observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount")
    none_negative(found, status, *numbers, *more)
    not_decremented(found, obj, old)
    return found


def controller_revision(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    found.not_negative("revision", obj.get("revision"))
    if obj.get("data") is None:
        found.required("data", "data is mandatory")
    elif not isinstance(obj["data"], dict):
        found.required("data", "data must be a valid JSON object")
    return found


def controller_revision_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += meta_findings(definition, obj)
    found.not_negative("revision", obj.get("revision"))
    found.immutable("data", obj.get("data"), old.get("data"))
    return found
