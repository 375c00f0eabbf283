"""Pods and pod templates: what a create, an update and each subresource checks."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ledger.apimachinery.names import is_dns1123_subdomain
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation import pod_annotations, pod_spec
from ledger.scheme.strategies.validation.affinity import tolerations
from ledger.scheme.strategies.validation.common import INT32_MAX, meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.containers import image_is_trimmed
from ledger.scheme.strategies.validation.diffs import go_diff, go_value
from ledger.scheme.strategies.validation.findings import Findings

_UPDATABLE = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)


def create(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = metadata_and_spec(definition, obj, None)
    spec = obj.get("spec") or {}
    if spec.get("ephemeralContainers"):
        found.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        found.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
    pod_annotations.seccomp_matches(found, "spec", obj["metadata"], spec)
    pod_annotations.apparmor_matches(found, "spec", obj["metadata"], spec)
    return found


def metadata_and_spec(definition: ResourceDefinition, obj: Object, old: Object | None) -> Findings:
    found = meta_findings(definition, obj)
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    pod_annotations.specific_annotations(
        found, "metadata.annotations", metadata.get("annotations"), spec, _checks_cost(old)
    )
    pod_spec.pod_spec(found, "spec", spec, metadata, (old or {}).get("spec"), is_pod=True)
    if not spec.get("serviceAccountName"):
        for at, volume in enumerate(spec.get("volumes") or ()):
            for index, source in enumerate(get(volume, "projected.sources", [])):
                if source.get("serviceAccountToken") is not None:
                    path = f"spec.volumes[{at}].projected.sources[{index}].serviceAccountToken"
                    found.forbidden(path, "must not be specified when serviceAccountName is not set")
    found.not_negative("spec.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds"))
    for key in ("containers", "initContainers"):
        for at, one in enumerate(spec.get(key) or ()):
            image_is_trimmed(found, f"spec.{key}[{at}]", one)
    return found


def _checks_cost(old: Object | None) -> bool:
    return not pod_annotations.deletion_cost_is_wrong(get(old or {}, "metadata.annotations", {}))


def update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += metadata_and_spec(definition, obj, old)
    annotation_updates(found, obj, old)
    new, before = obj["spec"], old["spec"]
    for key in ("containers", "initContainers"):
        if len(new.get(key) or ()) != len(before.get(key) or ()):
            found.forbidden(f"spec.{key}", "pod updates may not add or remove containers")
            return found
        for at, one in enumerate(new.get(key) or ()):
            if not one.get("image"):
                found.required(f"spec.{key}[{at}].image")
            image_is_trimmed(found, f"spec.{key}[{at}]", one)
    if _deadline(found, new.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")):
        return found
    _tolerations_only_added(found, new.get("tolerations") or [], before.get("tolerations") or [])
    _gates_only_removed(found, new.get("schedulingGates") or [], before.get("schedulingGates") or [])
    if not same(new, before):
        _rest_is_fixed(found, new, before)
    return found


def annotation_updates(found: Findings, obj: Object, old: Object) -> None:
    new, before = get(obj, "metadata.annotations", {}), get(old, "metadata.annotations", {})
    for key in sorted(before):
        if new.get(key) != before[key]:
            if key.startswith(pod_annotations.APPARMOR):
                found.forbidden(f"metadata.annotations[{key}]", "may not remove or update AppArmor annotations")
            if key == pod_annotations.MIRROR:
                found.forbidden(f"metadata.annotations[{key}]", "may not remove or update mirror pod annotation")
    for key in sorted(new.keys() - before.keys()):
        if key.startswith(pod_annotations.APPARMOR):
            found.forbidden(f"metadata.annotations[{key}]", "may not add AppArmor annotations")
        if key == pod_annotations.MIRROR:
            found.forbidden(f"metadata.annotations[{key}]", "may not add mirror pod annotation")
    pod_annotations.specific_annotations(found, "metadata.annotations", new, obj.get("spec") or {}, _checks_cost(old))


def _deadline(found: Findings, new: int | None, before: int | None) -> bool:
    """Whether the deadline is so wrong that nothing else is looked at: it may only come closer."""
    path = "spec.activeDeadlineSeconds"
    if new is None:
        if before is not None:
            found.invalid(path, None, "must not update from a positive integer to nil value")
        return False
    if not 0 <= new <= INT32_MAX:
        found.in_range(path, new, 0, INT32_MAX)
        return True
    if before is not None and before < new:
        found.invalid(path, new, "must be less than or equal to previous value")
        return True
    return False


def _tolerations_only_added(found: Findings, new: list[Any], before: list[Any]) -> None:
    def without_seconds(one: Any) -> Any:
        return {key: value for key, value in one.items() if key != "tolerationSeconds"}

    kept = [without_seconds(one) for one in new]
    if any(without_seconds(one) not in kept for one in before):
        found.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
        return
    tolerations(found, "spec.tolerations", new)


def _gates_only_removed(found: Findings, new: list[Any], before: list[Any]) -> None:
    known = {gate.get("name") for gate in before}
    for at, gate in enumerate(new):
        if gate.get("name") not in known:
            text = f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'"
            found.forbidden(f"spec.schedulingGates[{at}].name", text)


def _rest_is_fixed(found: Findings, new: dict[str, Any], before: dict[str, Any]) -> None:
    """Nothing but the updatable fields differs; a gated pod may also narrow where it runs."""
    munged = deepcopy(new)
    for key in ("containers", "initContainers"):
        for one, old_one in zip(munged.get(key) or (), before.get(key) or (), strict=True):
            one["image"] = old_one.get("image", "")
    for key in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        _take(munged, before, key)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    if before.get("schedulingGates"):
        _narrowed(found, munged, before)
    if not same(munged, before):
        text = f"pod updates may not change fields other than {_UPDATABLE}"
        found.forbidden("spec", f"{text}\n{go_diff('core.PodSpec', before, munged)}")


def _take(new: dict[str, Any], before: dict[str, Any], key: str) -> None:
    if before.get(key) is None:
        new.pop(key, None)
    else:
        new[key] = before[key]


def _narrowed(found: Findings, munged: dict[str, Any], before: dict[str, Any]) -> None:
    selector, old_selector = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if selector != old_selector:
        if any(selector.get(key) != value for key, value in old_selector.items()):
            text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            found.invalid("spec.nodeSelector", selector or None, text)
        _take(munged, before, "nodeSelector")
    node, old_node = get(munged, "affinity.nodeAffinity"), get(before, "affinity.nodeAffinity")
    if same(node, old_node):
        return
    _affinity_narrowed(found, node or {}, old_node or {})
    if before.get("affinity") is None and set(munged["affinity"]) <= {"nodeAffinity"}:
        munged.pop("affinity")
    elif munged.get("affinity") is None:
        munged["affinity"] = {"nodeAffinity": old_node}
    else:
        _take(munged["affinity"], before.get("affinity") or {}, "nodeAffinity")


def _affinity_narrowed(found: Findings, new: dict[str, Any], before: dict[str, Any]) -> None:
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    path = f"spec.affinity.nodeAffinity.{key}.nodeSelectorTerms"
    old_terms = get(before, f"{key}.nodeSelectorTerms", [])
    terms = get(new, f"{key}.nodeSelectorTerms", [])
    if old_terms and len(old_terms) != len(terms):
        shown = [go_value("core.NodeSelectorTerm", term) for term in terms] or None
        found.invalid(path, shown, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
        return
    for at, (term, old_term) in enumerate(zip(terms, old_terms, strict=False)):
        if not _only_added(term, old_term):
            shown = go_value("core.NodeSelectorTerm", term)
            found.invalid(f"{path}[{at}]", shown, "only additions are allowed (no mutations or deletions)")


def _only_added(term: dict[str, Any], old: dict[str, Any]) -> bool:
    lists = [(term.get(key) or [], old.get(key) or []) for key in ("matchExpressions", "matchFields")]
    if not any(before for _, before in lists):
        return not any(after for after, _ in lists)
    return all(same(after[: len(before)], before) for after, before in lists)


def binding(obj: Object) -> Findings:
    """A Binding posted to pods/binding."""
    found, target = Findings(), obj.get("target") or {}
    kind, name = target.get("kind", ""), target.get("name", "")
    if kind not in ("", "Node"):
        found.not_supported("target.kind", kind, ("Node", "<empty>"))
    if not name:
        found.required("target.name")
    elif kind in ("", "Node"):
        found.check("target.name", name, is_dns1123_subdomain)
    return found


def create_template(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    pod_spec.template(found, "template", obj.get("template") or {})
    return found


def update_template(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    pod_spec.template(found, "template", obj.get("template") or {}, old.get("template"))
    return found
