"""The status of Jobs: counters, conditions and lists of indexes, and which transitions there are."""

from __future__ import annotations

import re
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.common import meta_update_findings
from ledger.scheme.strategies.validation.findings import Findings

Interval = tuple[int, int]


def is_true(obj: Object, kind: str, status: str = "True") -> bool:
    """Whether a condition has a status."""
    ones = get(obj, "status.conditions", [])
    return any(one.get("type") == kind and one.get("status") == status for one in ones)


def is_finished(obj: Object) -> bool:
    return is_true(obj, "Complete") or is_true(obj, "Failed")


def _interval(text: str, completions: int) -> tuple[Interval, str]:
    parts, ends = text.split("-"), []
    if len(parts) > 2:
        rule = "an index interval can have at most two parts separated by '-'"
        return (0, 0), f"the fragment {quoted(text)} violates the requirement that {rule}"
    for part in parts:
        if not re.fullmatch("[+-]?[0-9]+", part):
            return (0, 0), f"cannot convert string to integer for index: {quoted(part)}"
        if int(part) >= completions:
            return (0, 0), f"too large index: {quoted(part)}"
        ends.append(int(part))
    if len(ends) == 2 and ends[0] >= ends[1]:
        return (0, 0), f"non-increasing order, previous: {ends[0]}, current: {ends[1]}"
    return (ends[0], ends[-1]), ""


def indexes(text: str, completions: int) -> tuple[int, str]:
    """How many indexes "1,3-5" lists, and what is wrong with it."""
    total, last = 0, None
    for part in text.split(",") if text else ():
        (low, high), error = _interval(part, completions)
        if error:
            return 0, error
        if last is not None and last >= low:
            return 0, f"non-increasing order, previous: {last}, current: {low}"
        total, last = total + high - low + 1, high
    return total, ""


def _overlap(completed: str, failed: str, completions: int) -> str:
    if not completed or not failed:
        return ""
    left, right = ([_interval(part, completions) for part in text.split(",")] for text in (completed, failed))
    ours, theirs = ([interval for interval, error in ones if not error] for ones in (left, right))
    while ours and theirs:
        (low, high), (other_low, other_high) = ours[0], theirs[0]
        if low <= other_high and other_low <= high:
            return f"failedIndexes and completedIndexes overlap at index: {max(low, other_low)}"
        (ours if low <= other_low else theirs).pop(0)
    return ""


def job_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """Most rules look only at what the update changes, so that others can still be made to a wrong status."""
    found = meta_update_findings(definition, obj, old)
    status, before = obj.get("status") or {}, old.get("status") or {}
    for key in ("active", "succeeded", "failed", "ready", "terminating"):
        found.not_negative(f"status.{key}", status.get(key))
    _uncounted(found, status.get("uncountedTerminatedPods") or {})
    changed = _changes(obj, old)
    _conditions_fit(found, obj, status, changed)
    _finished_rules(found, obj, status, changed)
    _index_rules(found, obj, status, changed)
    if is_finished(obj) and changed & {"finished", "terminating"} and (status.get("terminating") or 0) > 0:
        found.invalid("status.terminating", status["terminating"], "terminating>0 is invalid for finished job")
    if changed & {"ready", "active"} and (status.get("ready") or 0) > status.get("active", 0):
        found.invalid("status.ready", status["ready"], "cannot set more ready pods than active")
    _success_criteria(found, obj)
    _transitions(found, obj, old, status, before)
    return found


_CONDITIONS = {"Complete": "complete", "Failed": "failed condition", "FailureTarget": "target"}
_CONDITIONS |= {"SuccessCriteriaMet": "criteria"}


def _changes(obj: Object, old: Object) -> set[str]:
    """Names of the parts of the status that the update changes."""
    status, before = obj.get("status") or {}, old.get("status") or {}
    changed = {key for key in status.keys() | before.keys() if not same(status.get(key), before.get(key))}
    changed |= {name for kind, name in _CONDITIONS.items() if is_true(obj, kind) != is_true(old, kind)}
    if is_finished(obj) != is_finished(old):
        changed.add("finished")
    return changed


def _uncounted(found: Findings, pods: dict[str, Any]) -> None:
    seen: set[str] = set()
    for key in ("succeeded", "failed"):
        for at, uid in enumerate(pods.get(key) or ()):
            path = f"status.uncountedTerminatedPods.{key}[{at}]"
            if not uid:
                found.invalid(path, uid, "must not be empty")
            elif uid in seen:
                found.duplicate(path, uid)
            seen.add(uid)


def _conditions_fit(found: Findings, obj: Object, status: dict[str, Any], changed: set[str]) -> None:
    complete, failed = is_true(obj, "Complete"), is_true(obj, "Failed")
    ended, began, path = status.get("completionTime"), status.get("startTime"), "status.conditions"
    if changed & {"complete", "failed condition"} and complete and failed:
        found.wrong(path, "cannot set Complete=True and Failed=true conditions")
    if changed & {"complete", "target"} and complete and is_true(obj, "FailureTarget"):
        found.wrong(path, "cannot set Complete=True and FailureTarget=true conditions")
    if changed & {"complete", "completionTime"}:
        if ended is not None and not complete:
            text = "cannot set completionTime when there is no Complete=True condition"
            found.invalid("status.completionTime", ended, text)
        if ended is None and complete:
            found.required("status.completionTime", "completionTime is required for Complete jobs")
    if changed & {"startTime", "completionTime"} and ended and began and ended < began:
        found.invalid("status.completionTime", ended, "must be equal to or after `startTime`")
    if changed & {"failed condition", "failedIndexes"} and failed and not is_true(obj, "FailureTarget"):
        found.wrong(path, "cannot set Failed=True condition without the FailureTarget=true condition")
    if changed & {"complete", "criteria"} and complete and not is_true(obj, "SuccessCriteriaMet"):
        found.wrong(path, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition")


def _finished_rules(found: Findings, obj: Object, status: dict[str, Any], changed: set[str]) -> None:
    if not is_finished(obj):
        return
    if changed & {"finished", "active"} and status.get("active", 0) > 0:
        found.invalid("status.active", status["active"], "active>0 is invalid for finished job")
    nothing_to_do = get(obj, "spec.suspend") is True and get(obj, "spec.completions") == 0
    if changed & {"finished", "startTime"} and not nothing_to_do and status.get("startTime") is None:
        found.required("status.startTime", "startTime is required for finished job")
    pods = status.get("uncountedTerminatedPods") or {}
    some = pods.get("failed") or pods.get("succeeded")
    if changed & {"finished", "uncountedTerminatedPods"} and some:
        shown = {"Succeeded": pods.get("succeeded"), "Failed": pods.get("failed")}
        found.invalid("status.uncountedTerminatedPods", shown, "must be empty for finished job")


def _index_rules(found: Findings, obj: Object, status: dict[str, Any], changed: set[str]) -> None:
    completions, per_index = get(obj, "spec.completions"), get(obj, "spec.backoffLimitPerIndex")
    completed, failed = status.get("completedIndexes", ""), status.get("failedIndexes")
    if "completedIndexes" in changed and completions is not None:
        _listed(found, "completedIndexes", completed, completions)
    if "failedIndexes" in changed and failed is not None and completions is not None and per_index is not None:
        _listed(found, "failedIndexes", failed, completions)
    if "completedIndexes" in changed and completed and get(obj, "spec.completionMode") != "Indexed":
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        found.invalid("status.completedIndexes", completed, text)
    if "failedIndexes" in changed and failed is not None and per_index is None:
        text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        found.invalid("status.failedIndexes", failed, text)
    if changed & {"failedIndexes", "completedIndexes"} and failed is not None and completions is not None:
        error = _overlap(completed, failed, completions)
        if error:
            found.invalid("status.failedIndexes", failed, error)


def _listed(found: Findings, key: str, text: str, completions: int) -> None:
    _, error = indexes(text, completions)
    if error:
        found.invalid(f"status.{key}", text, f"error parsing {key}: {error}")


def _success_criteria(found: Findings, obj: Object) -> None:
    met, path = is_true(obj, "SuccessCriteriaMet"), "status.conditions"
    if met and is_true(obj, "Failed"):
        found.wrong(path, "cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if met and is_true(obj, "FailureTarget"):
        found.wrong(path, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    if get(obj, "spec.successPolicy") is not None and not met and is_true(obj, "Complete"):
        found.wrong(path, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")


def _transitions(found: Findings, obj: Object, old: Object, status: dict[str, Any], before: dict[str, Any]) -> None:
    for kind in ("Failed", "Complete", "FailureTarget"):
        if is_true(old, kind) and not is_true(obj, kind):
            found.wrong("status.conditions", f"cannot disable the terminal {kind}=True condition")
    spec = obj.get("spec") or {}
    scaled = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    for key in ("failed", "succeeded")[: 1 if scaled else 2]:
        if status.get(key, 0) < before.get(key, 0):
            found.invalid(f"status.{key}", status.get(key, 0), f"cannot decrease the {key} counter")
    ended, had_ended = status.get("completionTime"), before.get("completionTime")
    if ended is not None and had_ended is not None and ended != had_ended:
        found.invalid("status.completionTime", ended, "field is immutable")
    resumed = is_true(old, "Suspended") and is_true(obj, "Suspended", "False")
    began, had_begun = status.get("startTime"), before.get("startTime")
    if had_begun is not None and began != had_begun and not resumed and not spec.get("suspend"):
        found.invalid("status.startTime", began, "field is immutable for unsuspended job once set")
    met, was_met = is_true(obj, "SuccessCriteriaMet"), is_true(old, "SuccessCriteriaMet")
    if was_met and not met:
        found.wrong("status.conditions", "cannot disable the SuccessCriteriaMet=True condition")
    if is_true(old, "Complete") and not was_met and met:
        text = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        found.wrong("status.conditions", text)
