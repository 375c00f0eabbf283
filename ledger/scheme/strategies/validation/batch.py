"""Jobs and CronJobs: what a new one and a changed one must be like. Their status: batch_status.py."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain, regex_message
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation import pod_spec
from ledger.scheme.strategies.validation.batch_status import is_true
from ledger.scheme.strategies.validation.common import (
    label_selector,
    meta_findings,
    meta_update_findings,
    selector_fails,
    selector_has_invalid_values,
    selects,
)
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.job_policies import pod_failure_policy, success_policy

_LEGACY_LABELS = ("controller-uid", "job-name")
_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
_MOST_INDEXES = 100_000
_MOST_AT_ONCE = 10_000
Spec = dict[str, Any]


def job(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _generated_selector(found, obj)
    _job_spec(found, obj["spec"], None)
    _name_allows_completions(found, obj)
    return found


def _generated_selector(found: Findings, obj: Object) -> None:
    """What the API server itself put into selector and template, if the user had not put something else there."""
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    if not meta.get("uid"):
        found.required("metadata.uid")
    labels, expected = get(spec, "template.metadata.labels"), {}
    for keys in (_LEGACY_LABELS, _LABELS):
        for key, value in zip(keys, (meta.get("uid", ""), meta.get("name", "")), strict=True):
            expected[key] = value
            path = f"spec.template.metadata.labels[{key}]"
            if key not in (labels or {}):
                found.required(path, f"must be '{value}'")
            elif (labels or {})[key] != value:
                found.invalid(path, labels, f"must be '{value}'")
    if not selector_fails(spec["selector"]) and not selects(spec["selector"], expected):
        found.invalid("spec.selector", spec["selector"], "`selector` not auto-generated")


def _name_allows_completions(found: Findings, obj: Object) -> None:
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        hostname = f"{name}-{spec['completions'] - 1}"
        if is_dns1123_label(hostname):
            text = f"will not able to create pod with invalid DNS label: {hostname}"
            found.invalid("metadata.name", name, text)


def _job_spec(found: Findings, spec: Spec, old: Spec | None) -> None:
    job_template_spec(found, "spec", spec, old)
    selector, labels = spec.get("selector"), get(spec, "template.metadata.labels")
    if selector is None:
        found.required("spec.selector")
    else:
        label_selector(found, selector, "spec.selector", selector_has_invalid_values((old or {}).get("selector")))
    if not selector_fails(selector) and not selects(selector, labels):
        text = "`selector` does not match template `labels`"
        found.invalid("spec.template.metadata.labels", labels, text)


_COUNTS = (
    *("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"),
    *("backoffLimitPerIndex", "maxFailedIndexes"),
)


def job_template_spec(found: Findings, path: str, spec: Spec, old: Spec | None) -> None:
    for key in _COUNTS:
        found.not_negative(f"{path}.{key}", spec.get(key))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    _managed_by(found, f"{path}.managedBy", spec.get("managedBy"))
    mode = spec.get("completionMode")
    if mode not in (None, "NonIndexed", "Indexed"):
        found.not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed":
        _indexed(found, path, spec)
    elif mode in (None, "NonIndexed"):
        for key in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(key) is not None:
                found.invalid(f"{path}.{key}", spec[key], "requires indexed completion mode")
    pod_failure_policy(found, f"{path}.podFailurePolicy", spec)
    if spec.get("successPolicy") is not None:
        if mode != "Indexed":
            shown = go_value("batch.SuccessPolicy", spec["successPolicy"])
            found.invalid(f"{path}.successPolicy", shown, "requires indexed completion mode")
        else:
            success_policy(found, f"{path}.successPolicy", spec)
    replacement, policies = spec.get("podReplacementPolicy"), ("Failed", "TerminatingOrFailed")
    if replacement is not None:
        limited = policies[:1] if spec.get("podFailurePolicy") is not None else policies
        found.one_of(f"{path}.podReplacementPolicy", replacement, limited)
    template = spec.get("template") or {}
    pod_spec.template(found, f"{path}.template", template, (old or {}).get("template"))
    _restart_policy(found, f"{path}.template.spec.restartPolicy", spec, get(template, "spec.restartPolicy", ""))


def _restart_policy(found: Findings, path: str, spec: Spec, policy: str) -> None:
    if policy in ("Always", ""):
        found.required(path, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        found.not_supported(path, policy, ("OnFailure", "Never"))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        found.invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def domain_prefixed_path(found: Findings, path: str, text: str) -> None:
    """ "acme.io/foo"."""
    host, _, rest = text.partition("/")
    if not text:
        found.required(path)
    elif not host or not rest:
        found.invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        for complaint in is_dns1123_subdomain(host):
            found.invalid(path, host, complaint)
        if not re.fullmatch(_HTTP_PATH, rest):
            found.invalid(path, rest, regex_message("Invalid path", _HTTP_PATH))


def _managed_by(found: Findings, path: str, name: str | None) -> None:
    if name is None:
        return
    domain_prefixed_path(found, path, name)
    if len(name) > 63:
        found.too_long(path, 63)


def _indexed(found: Findings, path: str, spec: Spec) -> None:
    completions, parallelism, failed = (spec.get(key) for key in ("completions", "parallelism", "maxFailedIndexes"))
    if completions is None:
        found.required(f"{path}.completions", "when completion mode is Indexed")
    if parallelism is not None and parallelism > _MOST_INDEXES:
        text = f"must be less than or equal to {_MOST_INDEXES} when completion mode is Indexed"
        found.invalid(f"{path}.parallelism", parallelism, text)
    if completions is not None and failed is not None and failed > completions:
        found.invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
    if failed is not None and failed > _MOST_INDEXES:
        found.invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {_MOST_INDEXES}")
    if (completions or 0) > _MOST_INDEXES and spec.get("backoffLimitPerIndex") is not None:
        if failed is None:
            text = f"must be specified when completions is above {_MOST_INDEXES}"
            found.required(f"{path}.maxFailedIndexes", text)
        for key, value in (("parallelism", parallelism), ("maxFailedIndexes", failed)):
            if value is not None and value > _MOST_AT_ONCE:
                when = f"when completions are above {_MOST_INDEXES} and used with backoff limit per index"
                found.invalid(f"{path}.{key}", value, f"must be less than or equal to {_MOST_AT_ONCE} {when}")


def job_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    spec, before = obj["spec"], old["spec"]
    _job_spec(found, spec, before)
    _completions(found, spec, before)
    found.immutable("spec.selector", spec.get("selector"), before.get("selector"))
    _template_update(found, obj, old)
    found.immutable("spec.completionMode", spec.get("completionMode"), before.get("completionMode"))
    _frozen(found, "podFailurePolicy", "batch.PodFailurePolicy", spec, before)
    for key in ("backoffLimitPerIndex", "managedBy"):
        found.immutable(f"spec.{key}", spec.get(key), before.get(key))
    _frozen(found, "successPolicy", "batch.SuccessPolicy", spec, before)
    _name_allows_completions(found, obj)
    return found


def _frozen(found: Findings, key: str, kind: str, spec: Spec, before: Spec) -> None:
    if not same(spec.get(key), before.get(key)):
        found.invalid(f"spec.{key}", go_value(kind, spec.get(key)), "field is immutable")


def _completions(found: Findings, spec: Spec, before: Spec) -> None:
    """Fixed, but for an Indexed job that changes parallelism with it."""
    new, path = spec.get("completions"), "spec.completions"
    if spec.get("completionMode") != "Indexed":
        found.immutable(path, new, before.get("completions"))
    elif new is not None and new != before.get("completions") and new != spec.get("parallelism"):
        found.invalid(path, new, "can only be modified in tandem with spec.parallelism")


def _template_update(found: Findings, obj: Object, old: Object) -> None:
    """The template is fixed; a suspended job that does not run may change how its pods are scheduled and sized."""
    suspended = bool(get(old, "spec.suspend"))
    idle = suspended and (get(old, "status.startTime") is None or is_true(old, "Suspended"))
    idle = idle and not get(old, "status.active")
    template, before = get(obj, "spec.template", {}), deepcopy(get(old, "spec.template", {}))
    if idle:
        _take_scheduling(template, before)
    if not idle:
        if not same(template, before):
            found.invalid("spec.template", go_value("core.PodTemplateSpec", template), "field is immutable")
        return
    pod, old_pod = template.get("spec") or {}, before.get("spec") or {}
    for key in ("containers", "initContainers"):
        ones, old_ones = pod.get(key) or [], old_pod.get(key) or []
        for one, old_one in zip(ones, old_ones, strict=True) if len(ones) == len(old_ones) else ():
            if one.get("name") == old_one.get("name"):
                _take(one, old_one, "resources")
    if not same(pod, old_pod):
        found.invalid("spec.template.spec", go_value("core.PodSpec", pod), "field is immutable")


def _take(new: Spec, old: Spec, key: str) -> None:
    if key in new:
        old[key] = new[key]
    else:
        old.pop(key, None)


def _take_scheduling(template: Spec, before: Spec) -> None:
    new, old = template.get("spec") or {}, before.setdefault("spec", {})
    affinity, old_affinity = new.get("affinity"), old.get("affinity")
    if affinity is not None:
        kept = {**(old_affinity or {})}
        _take(affinity, kept, "nodeAffinity")
        old["affinity"] = kept
    elif old_affinity is not None:
        old_affinity.pop("nodeAffinity", None)
        if not old_affinity:
            old.pop("affinity")
    for key in ("nodeSelector", "tolerations", "schedulingGates"):
        _take(new, old, key)
    for key in ("annotations", "labels"):
        _take(template.get("metadata") or {}, before.setdefault("metadata", {}), key)
