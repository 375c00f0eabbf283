"""Persistent volume claims, alone, in templates of stateful sets and in ephemeral volumes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.common import (
    label_selector,
    meta_findings,
    meta_update_findings,
    template_meta,
)
from ledger.scheme.strategies.validation.diffs import go_diff
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import (
    ZERO,
    amount,
    amounts,
    basic_resource,
    is_native,
    positive_value,
    resource_value,
)

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_RESIZE = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)


def access_modes(found: Findings, path: str, modes: list[str] | None) -> None:
    modes = modes or []
    for mode in modes:
        found.one_of(path, mode, ACCESS_MODES)
    others = [mode for mode in modes if mode in ACCESS_MODES and mode != "ReadWriteOncePod"]
    if "ReadWriteOncePod" in modes and others:
        found.forbidden(path, "may not use ReadWriteOncePod with other access modes")


def claim_template(found: Findings, path: str, template: Mapping[str, Any]) -> None:
    template_meta(found, template.get("metadata") or {}, f"{path}.metadata")
    claim_spec(found, f"{path}.spec", template.get("spec") or {})


def claim_spec(found: Findings, path: str, spec: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> None:
    """ValidatePersistentVolumeClaimSpec; `old` lets what was wrong before stay."""
    if not spec.get("accessModes"):
        found.required(f"{path}.accessModes", "at least 1 access mode is required")
    if spec.get("selector") is not None:
        label_selector(found, spec["selector"], f"{path}.selector", _selector_was_invalid(old))
    access_modes(found, f"{path}.accessModes", spec.get("accessModes"))
    storage, at = get(spec, "resources.requests.storage"), f"{path}.resources[storage]"
    if storage is None:
        found.required(at)
    elif amount(storage) <= ZERO:
        positive_value(found, at, amount(storage))
    else:
        resource_value(found, at, "storage", amount(storage))
    if spec.get("storageClassName"):
        found.check(f"{path}.storageClassName", spec["storageClassName"], is_dns1123_subdomain)
    if spec.get("volumeMode") is not None:
        found.one_of(f"{path}.volumeMode", spec["volumeMode"], VOLUME_MODES)
    _data_sources(found, path, spec, old)
    if spec.get("volumeAttributesClassName"):
        found.check(f"{path}.volumeAttributesClassName", spec["volumeAttributesClassName"], is_dns1123_subdomain)


def _selector_was_invalid(old: Mapping[str, Any] | None) -> bool:
    before = Findings()
    label_selector(before, (old or {}).get("selector"), "")
    return bool(before)


def _data_sources(found: Findings, path: str, spec: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    any_group = any((old or {}).get(key, {}).get("apiGroup") is not None for key in ("dataSource", "dataSourceRef"))
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        _data_source(found, f"{path}.dataSource", source, any_group)
    if reference is not None:
        _data_source(found, f"{path}.dataSourceRef", reference, any_group)
        if reference.get("namespace"):
            found.check(f"{path}.dataSourceRef.namespace", reference["namespace"], is_dns1123_label)
    if reference is None or source is None:
        return
    if reference.get("namespace"):
        found.invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified")
    elif any(source.get(key) != reference.get(key) for key in ("apiGroup", "kind", "name")):
        found.invalid(path, {}, "must match dataSourceRef")


def _data_source(found: Findings, path: str, source: Mapping[str, Any], any_group: bool) -> None:
    for key in ("name", "kind"):
        if not source.get(key):
            found.required(f"{path}.{key}")
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        found.invalid(path, source.get("kind", ""), text)
    if group and not any_group:
        found.check(f"{path}.apiGroup", group, is_dns1123_subdomain)


def create(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    claim_spec(found, "spec", obj.get("spec") or {})
    return found


def update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += meta_findings(definition, obj)
    claim_spec(found, "spec", obj.get("spec") or {}, old.get("spec") or {})
    _spec_is_fixed(found, obj, old)
    _size(found, obj, old)
    found.immutable("volumeMode", get(obj, "spec.volumeMode"), get(old, "spec.volumeMode"))
    _attributes_class(found, obj, old)
    return found


def _spec_is_fixed(found: Findings, obj: Object, old: Object) -> None:
    """Only binding, and of a bound claim its size and attributes, may change."""
    new, before = deepcopy(obj["spec"]), deepcopy(old["spec"])
    if not before.get("volumeName") and new.get("volumeName"):
        before["volumeName"] = new["volumeName"]
    annotations, old_annotations = get(obj, "metadata.annotations", {}), get(old, "metadata.annotations", {})
    old_class, new_class = before.get("storageClassName"), new.get("storageClassName")
    named = old_annotations.get(_BETA_CLASS)
    if named is not None and old_class is None and new_class == named and annotations.get(_BETA_CLASS, named) == named:
        new.pop("storageClassName", None)
    else:
        annotation, old_annotation = annotations.get(_BETA_CLASS, ""), old_annotations.get(_BETA_CLASS, "")
        found.immutable(f"metadata.annotations.{_BETA_CLASS}", annotation, old_annotation)
        if new_class is not None and old_class is None and named in (None, new_class):
            new.pop("storageClassName", None)
    if get(obj, "status.phase") == "Bound":
        if get(new, "resources.requests") is not None:
            new["resources"]["requests"]["storage"] = get(before, "resources.requests.storage")
        for key in ("volumeAttributesClassName",):
            new.pop(key, None)
            before.pop(key, None)
    if not same(new, before):
        text = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        found.forbidden("spec", f"{text}\n{go_diff('core.PersistentVolumeClaimSpec', before, new)}")


def _size(found: Findings, obj: Object, old: Object) -> None:
    path = "spec.resources.requests.storage"
    new, before = amount(get(obj, path, "0")), amount(get(old, path, "0"))
    if new < before and new <= amount(get(old, "status.capacity.storage", "0")):
        found.forbidden(path, "field can not be less than status.capacity")


def _attributes_class(found: Findings, obj: Object, old: Object) -> None:
    new, before = get(obj, "spec.volumeAttributesClassName"), get(old, "spec.volumeAttributesClassName")
    if new != before and get(old, "status.currentVolumeAttributesClassName") is not None and not new:
        what = "nil" if new is None else "empty string"
        text = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
        found.forbidden("spec.volumeAttributesClassName", text)


def update_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    if not obj["metadata"].get("resourceVersion"):
        found.required("resourceVersion")
    if not get(obj, "spec.accessModes"):
        found.required("Spec.accessModes")
    status = obj.get("status") or {}
    for name, value in amounts(status.get("capacity")).items():
        basic_resource(found, f"status.capacity[{name}]", value)
    for name, state in sorted((status.get("allocatedResourceStatuses") or {}).items()):
        _resource_key(found, "status.allocatedResourceStatuses", name)
        if state not in _RESIZE:
            found.not_supported("status.allocatedResourceStatuses", name, _RESIZE)
    for name, value in amounts(status.get("allocatedResources")).items():
        before = len(found)
        _resource_key(found, "status.allocatedResources", name)
        if len(found) == before:
            basic_resource(found, f"status.allocatedResources[{name}]", value)
        if len(found) == before:
            resource_value(found, f"status.allocatedResources[{name}]", "storage", value)
    return found


def _resource_key(found: Findings, path: str, name: str) -> None:
    before = len(found)
    found.check(path, name, is_qualified_name)
    if len(found) == before and is_native(name) and name != "storage":
        found.not_supported(path, name, ("storage",))
