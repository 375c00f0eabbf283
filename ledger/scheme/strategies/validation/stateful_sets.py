"""StatefulSets."""

from __future__ import annotations

from ledger.apimachinery.names import is_dns1123_label
from ledger.apimachinery.objectmeta import validate_annotations, validate_labels
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation import pod_annotations, pod_spec
from ledger.scheme.strategies.validation.apps import Spec, none_negative, runs_always, selected, strict_selector
from ledger.scheme.strategies.validation.claims import claim_spec
from ledger.scheme.strategies.validation.common import (
    at_most_all,
    int_or_percent,
    int_or_percent_value,
    meta_findings,
    meta_update_findings,
    not_decremented,
    percent_within_bounds,
    selector_fails,
)
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings


def stateful_set(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    spec = obj["spec"]
    _stateful_set_spec(found, spec, None, True, claims=True, service=True)
    return found


def stateful_set_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    spec, before, was = obj["spec"], old["spec"], Findings()
    _stateful_set_spec(was, before, before, True)
    _stateful_set_spec(found, spec, before, not was)
    found.immutable("spec.selector", spec.get("selector"), before.get("selector"))
    claims = spec.get("volumeClaimTemplates")
    if not same(claims, before.get("volumeClaimTemplates")):
        shown = go_value("[]core.PersistentVolumeClaim", claims)
        found.invalid("spec.volumeClaimTemplates", shown, "field is immutable")
    for key in ("serviceName", "podManagementPolicy"):
        found.immutable(f"spec.{key}", spec.get(key, ""), before.get(key, ""))
    return found


def _stateful_set_spec(
    found: Findings, spec: Spec, old: Spec | None, template: bool, claims: bool = False, service: bool = False
) -> None:
    """`template`, `claims`, `service`: whether to look at these parts, which an old object may have had wrong."""
    policy, path = spec.get("podManagementPolicy", ""), "spec.podManagementPolicy"
    if not policy:
        found.required(path)
    elif policy not in ("OrderedReady", "Parallel"):
        found.invalid(path, policy, "must be 'OrderedReady' or 'Parallel'")
    _stateful_set_strategy(found, spec.get("updateStrategy") or {}, get(old or {}, "updateStrategy.type", ""))
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    if retention is not None:
        for key in ("whenDeleted", "whenScaled"):
            path = f"spec.persistentVolumeClaimRetentionPolicy.{key}"
            found.one_of(path, retention.get(key, ""), ("Retain", "Delete"))
    for at, claim in enumerate(spec.get("volumeClaimTemplates") or () if claims else ()):
        claim_spec(found, f"spec.volumeClaimTemplates[{at}].spec", claim.get("spec") or {})
    found.not_negative("spec.replicas", spec.get("replicas"))
    found.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    found.not_negative("spec.ordinals.start", get(spec, "ordinals.start"))
    if service and spec.get("serviceName"):
        found.check("spec.serviceName", spec["serviceName"], is_dns1123_label)
    strict_selector(found, spec, "statefulset")
    selector = spec.get("selector")
    if selector_fails(selector):
        found.invalid("spec.selector", selector, "")
    else:
        _stateful_template(found, spec, old, template)
    runs_always(found, spec.get("template") or {}, "StatefulSet")


def _stateful_set_strategy(found: Findings, strategy: Spec, before: str) -> None:
    path, rolling, kind = "spec.updateStrategy", strategy.get("rollingUpdate"), strategy.get("type", "")
    if not kind:
        found.required(path)
    elif kind == "OnDelete" or kind == before == "Recreate":
        if rolling is not None:
            shown = go_value("apps.RollingUpdateStatefulSetStrategy", rolling)
            found.invalid(f"{path}.rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind != "RollingUpdate":
        shown, more = go_value("apps.StatefulSetUpdateStrategy", strategy), before == "Recreate"
        text = "must be 'RollingUpdate', 'OnDelete', or 'Recreate'" if more else "must be 'RollingUpdate' or 'OnDelete'"
        found.invalid(path, shown, text)
    elif rolling is not None:
        path += ".rollingUpdate"
        found.not_negative(f"{path}.partition", rolling.get("partition"))
        unavailable = rolling.get("maxUnavailable")
        if unavailable is not None:
            int_or_percent(found, f"{path}.maxUnavailable", unavailable)
            if int_or_percent_value(unavailable) == 0:
                found.invalid(f"{path}.maxUnavailable", unavailable, "cannot be 0")
            percent_within_bounds(found, f"{path}.maxUnavailable", unavailable)


def _stateful_template(found: Findings, spec: Spec, old: Spec | None, full: bool) -> None:
    """The template as the controller will use it: with a volume for each claim, and names of its own."""
    template = spec.get("template") or {}
    pod = {key: value for key, value in (template.get("spec") or {}).items() if key not in ("subdomain", "hostname")}
    names = dict.fromkeys(get(claim, "metadata.name", "") for claim in spec.get("volumeClaimTemplates") or ())
    if names:
        kept = [volume for volume in pod.get("volumes") or () if volume.get("name", "") not in names]
        pod["volumes"] = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names] + kept
    template = {**template, "spec": pod}
    path, metadata = "spec.template", template.get("metadata") or {}
    selected(found, spec.get("selector"), template)
    if full:
        pod_spec.template(found, path, template, (old or {}).get("template"))
    found += validate_labels(metadata.get("labels"), f"{path}.labels")
    found += validate_annotations(metadata.get("annotations"), f"{path}.annotations")
    pod_annotations.specific_annotations(found, f"{path}.annotations", metadata.get("annotations"), pod)


def stateful_set_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, status = Findings(), obj.get("status") or {}
    keys = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    none_negative(found, status, *keys, "observedGeneration", "collisionCount")
    counts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    at_most_all(found, status, *counts, ready="status.readyReplicas")
    found += meta_update_findings(definition, obj, old)
    not_decremented(found, obj, old)
    return found
