"""Persistent volumes, alone and inline in volume attachments."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ledger.apimachinery.names import is_dns1123_subdomain
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.affinity import node_selector
from ledger.scheme.strategies.validation.claims import VOLUME_MODES, access_modes
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_diff, go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import amounts, basic_resource, positive_value
from ledger.scheme.strategies.validation.volumes import (
    PERSISTENT_SOURCE_KEYS,
    PERSISTENT_SOURCES,
    is_root,
    only_one_source,
)

_INLINE = "in the context of inline volumes"


def create(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    volume_spec(found, "spec", obj.get("spec") or {})
    return found


def volume_spec(
    found: Findings, path: str, spec: Mapping[str, Any], inline: bool = False, old: Mapping[str, Any] | None = None
) -> None:
    """ValidatePersistentVolumeSpec; `inline`: inside a volume attachment, where it stands in for a volume."""
    if inline:
        for key in ("claimRef", "capacity"):
            if spec.get(key):
                found.forbidden(f"{path}.{key}", f"may not be specified {_INLINE}")
        if spec.get("csi") is None:
            found.required(f"{path}.csi", f"has to be specified {_INLINE}")
    if not spec.get("accessModes"):
        found.required(f"{path}.accessModes")
    access_modes(found, f"{path}.accessModes", spec.get("accessModes"))
    if not inline:
        _capacity(found, f"{path}.capacity", spec.get("capacity") or {})
    _reclaim_policy(found, f"{path}.persistentVolumeReclaimPolicy", spec, inline)
    affinity = spec.get("nodeAffinity")
    if affinity is not None and inline:
        found.forbidden(f"{path}.nodeAffinity", f"may not be specified {_INLINE}")
    elif affinity is not None:
        _node_affinity(found, f"{path}.nodeAffinity", affinity, old)
    only_one_source(found, path, spec, PERSISTENT_SOURCES)
    if spec.get("local") is not None and (affinity is None or inline):
        found.required(f"{path}.nodeAffinity", "Local volume requires node affinity")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle" and is_root(get(spec, "hostPath.path", ".")):
        text = "may not be 'recycle' for a hostPath mount of '/'"
        found.forbidden(f"{path}.persistentVolumeReclaimPolicy", text)
    _class_and_mode(found, path, spec, inline)
    name = spec.get("volumeAttributesClassName")
    if name is not None:
        if not name:
            found.required(f"{path}.volumeAttributesClassName", "an empty string is disallowed")
        else:
            found.check(f"{path}.volumeAttributesClassName", name, is_dns1123_subdomain)
        if spec.get("csi") is None:
            found.required(f"{path}.csi", "has to be specified when using volumeAttributesClassName")


def _capacity(found: Findings, path: str, capacity: Mapping[str, Any]) -> None:
    if not capacity:
        found.required(path)
    if set(capacity) != {"storage"}:
        found.not_supported(path, dict(sorted(capacity.items())) or None, ("storage",))
    for name, value in amounts(capacity).items():
        basic_resource(found, f"{path}[{name}]", value)
        positive_value(found, f"{path}[{name}]", value)


def _reclaim_policy(found: Findings, path: str, spec: Mapping[str, Any], inline: bool) -> None:
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    if inline and policy not in ("", "Retain"):
        found.forbidden(path, f"may only be Retain {_INLINE}")
    elif policy and not inline:
        found.one_of(path, policy, ("Delete", "Recycle", "Retain"))


def _node_affinity(found: Findings, path: str, affinity: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    if affinity.get("required") is None:
        found.required(f"{path}.required", "must specify required node constraints")
        return
    before = Findings()
    node_selector(before, "", get(old or {}, "nodeAffinity.required", {}))
    any_values = any(error.field.endswith("]") and ".values[" in error.field for error in before)
    node_selector(found, f"{path}.required", affinity["required"], any_values)


def _class_and_mode(found: Findings, path: str, spec: Mapping[str, Any], inline: bool) -> None:
    name, mode = spec.get("storageClassName", ""), spec.get("volumeMode")
    if name and inline:
        found.forbidden(f"{path}.storageClassName", f"may not be specified {_INLINE}")
    elif name:
        found.check(f"{path}.storageClassName", name, is_dns1123_subdomain)
    if inline and mode not in (None, "Filesystem"):
        found.forbidden(f"{path}.volumeMode", f"may not specify volumeMode other than Filesystem {_INLINE}")
    elif mode is not None and not inline:
        found.one_of(f"{path}.volumeMode", mode, VOLUME_MODES)


def update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    volume_spec(found, "spec", obj.get("spec") or {}, old=old.get("spec"))
    new, before = _sources(obj), _sources(old)
    if get(before, "csi.controllerExpandSecretRef") is None and get(before, "csi") is not None:
        get(new, "csi", {}).pop("controllerExpandSecretRef", None)
    if not same(new, before):
        diff = go_diff("core.PersistentVolumeSource", before, new)
        text = f"spec.persistentvolumesource is immutable after creation\n{diff}"
        found.forbidden("spec.persistentvolumesource", text)
    found.immutable("volumeMode", get(obj, "spec.volumeMode"), get(old, "spec.volumeMode"))
    affinity, old_affinity = get(obj, "spec.nodeAffinity"), get(old, "spec.nodeAffinity")
    if old_affinity is not None and not same(affinity, old_affinity) and not _only_newer_labels(affinity, old_affinity):
        text = "field is immutable, except for updating from beta label to GA"
        found.invalid("nodeAffinity", go_value("core.VolumeNodeAffinity", affinity), text)
    name, old_name = get(obj, "spec.volumeAttributesClassName"), get(old, "spec.volumeAttributesClassName")
    if old_name is not None and name is None:
        found.forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")
    return found


_NEWER_LABELS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _only_newer_labels(new: Any, old: Any) -> bool:
    """Whether the new affinity is the old one with labels by their newer names."""
    if not isinstance(new, dict):
        return False
    renamed, wanted = deepcopy(old), deepcopy(new)
    pairs = zip(_requirements(renamed), _requirements(wanted), strict=False)
    for before, after in pairs:
        if _NEWER_LABELS.get(before.get("key", "")) == after.get("key"):
            before["key"] = after.get("key")
    return same(wanted, renamed)


def _requirements(affinity: Mapping[str, Any]) -> list[dict[str, Any]]:
    terms = get(affinity, "required.nodeSelectorTerms", [])
    return [one for term in terms for one in term.get("matchExpressions") or ()]


def _sources(obj: Object) -> dict[str, Any]:
    return {key: deepcopy(obj["spec"][key]) for key in PERSISTENT_SOURCE_KEYS if obj["spec"].get(key) is not None}


def update_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    if not obj["metadata"].get("resourceVersion"):
        found.required("resourceVersion")
    return found
