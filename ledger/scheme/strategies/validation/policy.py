"""PodDisruptionBudgets, Leases and LeaseCandidates."""

from __future__ import annotations

import re
from typing import Any

from ledger.apimachinery.names import is_config_map_key, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.validation.common import (
    conditions,
    int_or_percent,
    label_selector,
    meta_findings,
    meta_update_findings,
    percent_within_bounds,
    selector_has_invalid_values,
)
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings

Spec = dict[str, Any]


def disruption_budget(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """Upstream does not look at metadata here."""
    return _budget_spec(obj.get("spec") or {}, False)


def disruption_budget_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _budget_spec(obj.get("spec") or {}, selector_has_invalid_values((old.get("spec") or {}).get("selector")))


def _budget_spec(spec: Spec, invalid_values: bool) -> Findings:
    found = Findings()
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        shown = go_value("policy.PodDisruptionBudgetSpec", spec)
        found.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set")
    for key in ("minAvailable", "maxUnavailable"):
        if spec.get(key) is not None:
            int_or_percent(found, f"spec.{key}", spec[key])
            percent_within_bounds(found, f"spec.{key}", spec[key])
    label_selector(found, spec.get("selector"), "spec.selector", invalid_values)
    if spec.get("unhealthyPodEvictionPolicy") is not None:
        policies = ("AlwaysAllow", "IfHealthyBudget")
        found.one_of("spec.unhealthyPodEvictionPolicy", spec["unhealthyPodEvictionPolicy"], policies)
    return found


def disruption_budget_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, status = Findings(), obj.get("status") or {}
    conditions(found, status.get("conditions"), "status.conditions")
    for key in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        found.not_negative(f"status.{key}", status.get(key))
    return found


def lease(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _lease_spec(found, obj.get("spec") or {})
    return found


def lease_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _lease_spec(found, obj.get("spec") or {})
    return found


def _lease_spec(found: Findings, spec: Spec) -> None:
    duration, transitions, strategy = (
        spec.get(key) for key in ("leaseDurationSeconds", "leaseTransitions", "strategy")
    )
    if duration is not None and duration <= 0:
        found.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    found.not_negative("spec.leaseTransitions", transitions)
    if strategy is not None:
        _lease_strategy(found, strategy)
    if spec.get("preferredHolder") and not strategy:
        found.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")


def _lease_strategy(found: Findings, strategy: str) -> None:
    path = "spec.strategy.strategy"
    if "/" in strategy:
        found.check(path, strategy, is_qualified_name)
    else:
        found.one_of(path, strategy, ("OldestEmulationVersion",))


def _any_key(name: str, prefix: bool) -> list[str]:
    return is_config_map_key(name)


def lease_candidate(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj, _any_key)
    _candidate_spec(found, obj.get("spec") or {})
    return found


def lease_candidate_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, spec = meta_update_findings(definition, obj, old), obj.get("spec") or {}
    _candidate_spec(found, spec)
    found.immutable("spec.leaseName", spec.get("leaseName", ""), (old.get("spec") or {}).get("leaseName", ""))
    return found


_VERSION = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z.-]+)?"
)


def _version(found: Findings, path: str, text: str) -> tuple[int, ...]:
    parts = _VERSION.fullmatch(text)
    if parts:
        return tuple(map(int, parts.groups()[:3]))
    if text:
        found.invalid(path, text, "must be a valid semantic version")
    return (0, 0, 0)


def _candidate_spec(found: Findings, spec: Spec) -> None:
    strategy, binary = spec.get("strategy", ""), spec.get("binaryVersion", "")
    if not spec.get("leaseName"):
        found.required("spec.leaseName")
    emulated = _version(found, "spec.emulationVersion", spec.get("emulationVersion", ""))
    if not binary:
        found.required("spec.binaryVersion")
    if _version(found, "spec.binaryVersion", binary) < emulated and binary:
        found.invalid("spec.binaryVersion", binary, "must be greater than or equal to `emulationVersion`")
    if not strategy:
        found.required("spec.strategy")
        return
    if strategy == "OldestEmulationVersion" and emulated == (0, 0, 0):
        text = "must be specified when `strategy` is 'OldestEmulationVersion'"
        found.required("spec.emulationVersion", text)
    _lease_strategy(found, strategy)
