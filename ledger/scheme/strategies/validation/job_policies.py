"""When a job's failures and successes count."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.names import is_qualified_name
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.batch_status import indexes
from ledger.scheme.strategies.validation.findings import Findings

Spec = dict[str, Any]


def _valid_values(values: tuple[str, ...]) -> str:
    return f"valid values: [{' '.join(map(quoted, values))}]"


def pod_failure_policy(found: Findings, path: str, spec: Spec) -> None:
    rules = get(spec, "podFailurePolicy.rules") or []
    if len(rules) > 20:
        found.too_many(f"{path}.rules", len(rules), 20)
    pod = get(spec, "template.spec", {})
    names = {one.get("name") for key in ("containers", "initContainers") for one in pod.get(key) or ()}
    actions = ("Count", "FailIndex", "FailJob", "Ignore")
    for at, rule in enumerate(rules):
        here, action = f"{path}.rules[{at}]", rule.get("action", "")
        if not action:
            found.required(f"{here}.action", _valid_values(actions))
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            found.invalid(f"{here}.action", action, "requires the backoffLimitPerIndex to be set")
        else:
            found.one_of(f"{here}.action", action, actions)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            _exit_codes(found, f"{here}.onExitCodes", codes, names)
        if conditions:
            _pod_conditions(found, f"{here}.onPodConditions", conditions)
        if codes is not None and conditions:
            found.wrong(here, "specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is None and not conditions:
            found.wrong(here, "specifying one of OnExitCodes and OnPodConditions is required")


def _pod_conditions(found: Findings, path: str, patterns: list[Any]) -> None:
    values = ("False", "True", "Unknown")
    if len(patterns) > 20:
        found.too_many(path, len(patterns), 20)
    for at, pattern in enumerate(patterns):
        found.check(f"{path}[{at}].type", pattern.get("type", ""), is_qualified_name)
        status = pattern.get("status", "")
        if not status:
            found.required(f"{path}[{at}].status", _valid_values(values))
        else:
            found.one_of(f"{path}[{at}].status", status, values)


def _exit_codes(found: Findings, path: str, codes: Spec, names: set[str]) -> None:
    operator, name, values = codes.get("operator", ""), codes.get("containerName"), codes.get("values")
    if not operator:
        found.required(f"{path}.operator", _valid_values(("In", "NotIn")))
    else:
        found.one_of(f"{path}.operator", operator, ("In", "NotIn"))
    if name is not None and name not in names:
        text = "must be one of the container or initContainer names in the pod template"
        found.invalid(f"{path}.containerName", name, text)
    if not values:
        found.invalid(f"{path}.values", values, "at least one value is required")
        return
    if len(values) > 255:
        found.too_many(f"{path}.values", len(values), 255)
    for at, value in enumerate(values):
        if operator == "In" and value == 0:
            found.invalid(f"{path}.values[{at}]", value, "must not be 0 for the In operator")
        if value in values[:at]:
            found.duplicate(f"{path}.values[{at}]", value)
    if any(one > following for one, following in pairwise(values)):
        found.invalid(f"{path}.values", values, "must be ordered")


def success_policy(found: Findings, path: str, spec: Spec) -> None:
    rules, completions = spec["successPolicy"].get("rules") or [], spec.get("completions") or 0
    path += ".rules"
    if not rules:
        found.required(path, "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > 20:
        found.too_many(path, len(rules), 20)
    for at, rule in enumerate(rules):
        here, count, which = f"{path}[{at}]", rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and which is None:
            found.required(here, "at least one of succeededCount or succeededIndexes must be specified")
        total = 0
        if which is not None:
            if len(which) > 64 * 1024:
                found.too_long(f"{here}.succeededIndexes", 64 * 1024)
            total, error = indexes(which, completions)
            if error:
                found.invalid(f"{here}.succeededIndexes", which, f"error parsing succeededIndexes: {error}")
        if count is not None:
            _succeeded_count(found, f"{here}.succeededCount", count, completions, None if which is None else total)


def _succeeded_count(found: Findings, path: str, count: int, completions: int, listed: int | None) -> None:
    found.not_negative(path, count)
    if count > completions:
        text = f"must be less than or equal to {completions} (the number of specified completions)"
        found.invalid(path, count, text)
    if listed is not None and count > listed:
        what = "the number of indexes in the specified succeededIndexes field"
        found.invalid(path, count, f"must be less than or equal to {listed} ({what})")
