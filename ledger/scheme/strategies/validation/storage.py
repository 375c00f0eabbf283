"""StorageClasses, VolumeAttributesClasses, CSIDrivers, CSINodes, CSIStorageCapacities and VolumeAttachments."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.names import is_dns1123_subdomain, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.affinity import topology_selector_term
from ledger.scheme.strategies.validation.common import (
    INT32_MAX,
    label_selector,
    meta_findings,
    meta_update_findings,
    selector_has_invalid_values,
)
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.persistent_volumes import volume_spec
from ledger.scheme.strategies.validation.resources import ZERO, amount
from ledger.scheme.strategies.validation.volumes import csi_driver_name

Spec = dict[str, Any]


def storage_class(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """That there is a provisioner has a declared rule."""
    found = meta_findings(definition, obj)
    if obj.get("provisioner"):
        found.check("provisioner", obj["provisioner"].lower(), is_qualified_name)
    _parameters(found, obj.get("parameters") or {})
    if obj.get("reclaimPolicy"):
        found.one_of("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
    mode = obj.get("volumeBindingMode")
    if mode is None:
        found.required("volumeBindingMode")
    else:
        found.one_of("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))
    seen: list[Any] = [None] * len(obj.get("allowedTopologies") or ())
    for at, term in enumerate(obj.get("allowedTopologies") or ()):
        allowed = topology_selector_term(found, f"allowedTopologies[{at}]", term)
        for one in seen:
            if (one or {}) == allowed:
                found.duplicate(f"allowedTopologies[{at}].matchLabelExpressions", "")
        seen.append(allowed)
    return found


def storage_class_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = storage_class(definition, obj, context)
    found += meta_update_findings(definition, obj, old)
    frozen = Findings()
    frozen.immutable("parameters", obj.get("parameters"), old.get("parameters"))
    frozen.immutable("provisioner", obj.get("provisioner", ""), old.get("provisioner", ""))
    for key in ("reclaimPolicy", "volumeBindingMode"):
        frozen.immutable(key, obj.get(key), old.get(key))
    found.unless_declared(frozen)
    return found


def _parameters(found: Findings, parameters: dict[str, str]) -> None:
    if len(parameters) > 512:
        found.too_long("parameters", 512)
        return
    if "" in parameters:
        found.invalid("parameters", "", "field can not be empty.")
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > 256 * 1024:
        found.too_long("parameters", 256 * 1024)


def attributes_class(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, driver = meta_findings(definition, obj), obj.get("driverName", "")
    if driver:
        found.check("driverName", driver.lower(), is_qualified_name)
    else:
        found.required("driverName")
    _parameters(found, obj.get("parameters") or {})
    if not obj.get("parameters"):
        found.required("parameters", "must contain at least one key/value pair")
    return found


def attributes_class_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    for key in ("driverName", "parameters"):
        if not same(obj.get(key), old.get(key)):
            found.forbidden(key, f"updates to {key} are forbidden.")
    found += attributes_class(definition, obj, context)
    return found


def driver(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _driver_spec(found, obj.get("spec") or {})
    return found


def driver_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _driver_spec(found, obj.get("spec") or {})
    for key, shown in (("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")):
        found.immutable(f"spec.{shown}", get(obj, f"spec.{key}"), get(old, f"spec.{key}"))
    return found


def _driver_spec(found: Findings, spec: Spec) -> None:
    for key, shown in (("attachRequired", "attachedRequired"), ("podInfoOnMount",) * 2, ("storageCapacity",) * 2):
        if spec.get(key) is None:
            found.required(f"spec.{shown}")
    if spec.get("fsGroupPolicy") is not None:
        found.one_of("spec.fsGroupPolicy", spec["fsGroupPolicy"], ("File", "None", "ReadWriteOnceWithFSType"))
    requests = spec.get("tokenRequests") or []
    _token_requests(found, requests)
    for mode in spec.get("volumeLifecycleModes") or ():
        found.one_of("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
    if spec.get("seLinuxMount") is None:
        found.required("spec.seLinuxMount")
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        text = "must be greater than or equal to 10 seconds"
        found.invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, text)
    in_secrets = spec.get("serviceAccountTokenInSecrets")
    if in_secrets is not None and not requests:
        text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        found.invalid("spec.serviceAccountTokenInSecrets", in_secrets, text)
    if spec.get("preventPodSchedulingIfMissing") is None:
        found.required("spec.preventPodSchedulingIfMissing")


def _token_requests(found: Findings, requests: list[Spec]) -> None:
    audiences: set[str] = set()
    for at, request in enumerate(requests):
        path, audience, seconds = (
            f"spec.tokenRequests[{at}]",
            request.get("audience", ""),
            request.get("expirationSeconds"),
        )
        if audience in audiences:
            found.duplicate(f"{path}.audience", audience)
            continue
        audiences.add(audience)
        if seconds is not None and seconds < 600:
            found.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > 1 << 32:
            found.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")


def node(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, names = meta_findings(definition, obj), set()
    for at, one in enumerate(get(obj, "spec.drivers", [])):
        path, name, node_id = f"spec.drivers[{at}]", one.get("name", ""), one.get("nodeID", "")
        csi_driver_name(found, f"{path}.name", name)
        if not node_id:
            found.required(f"{path}.nodeID")
        if len(node_id.encode()) > 256:
            found.invalid(f"{path}.nodeID", node_id, "must be 256 characters or less")
        found.not_negative(f"{path}.allocatable.count", get(one, "allocatable.count"))
        if name in names:
            found.duplicate(f"{path}.name", name)
        names.add(name)
        _topology_keys(found, path, one.get("topologyKeys") or [])
    return found


def _topology_keys(found: Findings, path: str, keys: list[str]) -> None:
    for at, key in enumerate(keys):
        if not key:
            found.required(path)
        if key in keys[:at]:
            found.duplicate(path, key)
        found.check(path, key, is_qualified_name)


def node_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = node(definition, obj, context)
    for before in get(old, "spec.drivers", []):
        for one in get(obj, "spec.drivers", []):
            kept, was = ({k: v for k, v in item.items() if k != "allocatable"} for item in (one, before))
            if kept.get("name") == was.get("name") and not same(kept, was):
                found.invalid("spec.drivers", go_value("storage.CSINodeDriver", kept), "field is immutable")
    return found


def capacity(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    return _capacity(definition, obj, False)


def _capacity(definition: ResourceDefinition, obj: Object, invalid_values: bool) -> Findings:
    found = meta_findings(definition, obj)
    label_selector(found, obj.get("nodeTopology"), "nodeTopology", invalid_values)
    found.check("storageClassName", obj.get("storageClassName", ""), is_dns1123_subdomain)
    if obj.get("capacity") is not None and amount(obj["capacity"]) < ZERO:
        found.invalid("capacity", obj["capacity"], "must be greater than or equal to 0")
    return found


def capacity_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = _capacity(definition, obj, selector_has_invalid_values(old.get("nodeTopology")))
    found += meta_update_findings(definition, obj, old)
    found.immutable("nodeTopology", obj.get("nodeTopology"), old.get("nodeTopology"))
    found.immutable("storageClassName", obj.get("storageClassName", ""), old.get("storageClassName", ""))
    return found


def attachment(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """That the spec stays has a declared rule."""
    found, source, path = meta_findings(definition, obj), get(obj, "spec.source", {}), "spec.source"
    attacher = Findings()
    csi_driver_name(attacher, "spec.attacher", get(obj, "spec.attacher", ""))
    found.unless_declared(attacher)
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and name is None:
        found.required(path, text)
    elif inline is not None and name is not None:
        found.forbidden(path, text)
    elif inline is not None:
        volume_spec(found, f"{path}.inlineVolumeSpec", inline, inline=True)
    elif not name:
        found.required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName")
    found.check("spec.nodeName", get(obj, "spec.nodeName", ""), is_dns1123_subdomain)
    _attachment_status(found, obj.get("status") or {})
    if name is not None:
        found.check(f"{path}.persistentVolumeName", name, is_dns1123_subdomain)
    return found


def _attachment_status(found: Findings, status: Spec) -> None:
    metadata = status.get("attachmentMetadata") or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > 256 * 1024:
        found.too_long("status.attachmentMetadata", 256 * 1024)
    for key in ("attachError", "detachError"):
        error = status.get(key) or {}
        if len(error.get("message", "").encode()) > 1024:
            found.too_long(f"status.{key}.message", 1024)
        code = error.get("errorCode")
        if code is not None and code < 0:
            found.in_range(f"status.{key}.errorCode", code, 0, INT32_MAX)


def attachment_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return attachment(definition, obj, context)
