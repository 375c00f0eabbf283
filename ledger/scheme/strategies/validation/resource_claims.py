"""DeviceClasses, ResourceClaims and their templates.

Sizes of lists, uniqueness in them, enumerations and most names have declared rules; nothing is said of them here, but a
list that is too long is not looked into.
"""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.json_codec import dumps
from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain, is_label_value, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.affinity import node_selector
from ledger.scheme.strategies.validation.common import conditions, meta_findings, meta_update_findings, template_meta
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.volumes import csi_driver_name

Spec = dict[str, Any]
_LONGEST_EXPRESSION = _LONGEST_PARAMETERS = 10 * 1024
_REFERENCE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"


def device_class(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    return _device_class(definition, obj, None)


def device_class_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _device_class(definition, obj, old)


def _device_class(definition: ResourceDefinition, obj: Object, old: Object | None) -> Findings:
    """Its name has declared rules."""
    found, spec = meta_findings(definition, obj, lambda name, prefix: []), obj.get("spec") or {}
    before = (old or {}).get("spec") or {}
    if old is not None:
        found += meta_update_findings(definition, obj, old)
    stored = old is not None and same(spec.get("selectors"), before.get("selectors"))
    _selectors(found, "spec.selectors", spec.get("selectors") or [], stored)
    stored = old is not None and same(spec.get("config"), before.get("config"))
    for at, config in _looked_into(spec.get("config"), 32):
        _configuration(found, f"spec.config[{at}]", config, stored)
    return found


def _looked_into(ones: list[Any] | None, limit: int) -> Any:
    return enumerate(ones) if ones and len(ones) <= limit else ()


def _selectors(found: Findings, path: str, selectors: list[Spec], stored: bool = False) -> None:
    for at, one in _looked_into(selectors, 32):
        here, cel = f"{path}[{at}].cel", one.get("cel")
        if cel is None:
            found.required(here)
        elif not stored:
            _expression(found, f"{here}.expression", cel.get("expression", ""))


def _expression(found: Findings, path: str, text: str) -> None:
    if len(text.encode()) > _LONGEST_EXPRESSION:
        found.too_long(path, _LONGEST_EXPRESSION)
        return
    from ledger.scheme.strategies.validation.expressions import compile_error  # loads CEL

    error = compile_error(text, "device", False)
    if error:
        found.invalid(path, text, error)


def _configuration(found: Findings, path: str, config: Spec, stored: bool) -> None:
    """The driver has declared rules."""
    if config.get("opaque") is None:
        found.required(f"{path}.opaque")
    else:
        raw_object(found, f"{path}.opaque.parameters", config["opaque"].get("parameters"), stored)


def raw_object(found: Findings, path: str, value: Any, stored: bool = False) -> None:
    """A RawExtension that holds an object."""
    if value is None:
        found.required(path)
    elif not stored and len(dumps(value)) > _LONGEST_PARAMETERS:
        found.too_long(path, _LONGEST_PARAMETERS)
    elif not isinstance(value, dict):
        found.invalid(path, "<value omitted>", "must be a valid JSON object")


def claim(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _devices(found, "spec.devices", get(obj, "spec.devices", {}))
    return found


def claim_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    found += meta_update_findings(definition, obj, old)
    return found


def template(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    template_meta(found, get(obj, "spec.metadata", {}), "spec.metadata")
    _devices(found, "spec.spec.devices", get(obj, "spec.spec.devices", {}))
    return found


def template_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = template(definition, obj, context)
    found += meta_update_findings(definition, obj, old)
    if not same(obj.get("spec"), old.get("spec")):
        shown = go_value("resource.ResourceClaimTemplateSpec", obj.get("spec"))
        found.invalid("spec", shown, "field is immutable")
    return found


def _request_names(devices: Spec) -> set[str]:
    """The names of requests, and of those they may be met by: "gpu", "gpu/small"."""
    names = set()
    for request in devices.get("requests") or ():
        name = request.get("name", "")
        names |= {name} | {f"{name}/{one.get('name', '')}" for one in request.get("firstAvailable") or ()}
    return names


def _devices(found: Findings, path: str, devices: Spec) -> None:
    names = _request_names(devices)
    for at, request in _looked_into(devices.get("requests"), 32):
        _request(found, f"{path}.requests[{at}]", request)
    for at, constraint in _looked_into(devices.get("constraints"), 32):
        here = f"{path}.constraints[{at}]"
        _references(found, f"{here}.requests", constraint.get("requests"), names)
        if constraint.get("matchAttribute") is None and constraint.get("distinctAttribute") is None:
            keys = '"matchAttribute" or "distinctAttribute"'
            found.required(here, f"exactly one of {keys} is required, but multiple fields are set")
    for at, config in _looked_into(devices.get("config"), 32):
        here = f"{path}.config[{at}]"
        _references(found, f"{here}.requests", config.get("requests"), names)
        _configuration(found, here, config, False)


def _references(found: Findings, path: str, references: list[str] | None, names: set[str]) -> None:
    for at, reference in _looked_into(references, 32):
        _reference(found, f"{path}[{at}]", reference, names)


def _reference(found: Findings, path: str, reference: str, names: set[str]) -> None:
    parts = reference.split("/")
    if len(parts) > 2:
        found.invalid(path, reference, _REFERENCE)
        return
    for part in parts:
        found.check(path, part, is_dns1123_label)
    if reference not in names:
        found.invalid(path, reference, _REFERENCE)


def _request(found: Findings, path: str, request: Spec) -> None:
    found.check(f"{path}.name", request.get("name", ""), is_dns1123_label)
    some, exactly = request.get("firstAvailable"), request.get("exactly")
    text = "exactly one of `exactly` or `firstAvailable` is required"
    if not some and exactly is None:
        found.required(path, text)
    elif some and exactly is not None:
        found.invalid(path, None, f"{text}, but multiple fields are set")
    elif exactly is not None:
        here = f"{path}.exactly"
        found.name(f"{here}.deviceClassName", exactly.get("deviceClassName", ""), is_dns1123_subdomain)
        _wanted(found, here, exactly)
    else:
        for at, one in _looked_into(some, 8):
            here = f"{path}.firstAvailable[{at}]"
            found.check(f"{here}.name", one.get("name", ""), is_dns1123_label)
            _wanted(found, here, one)


def _wanted(found: Findings, path: str, request: Spec) -> None:
    """What a request and a subrequest have in common."""
    _selectors(found, f"{path}.selectors", request.get("selectors") or [])
    mode, count = request.get("allocationMode", ""), request.get("count", 0)
    if mode == "All" and count != 0:
        found.invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'")
    elif mode == "ExactCount":
        found.positive(f"{path}.count", count)
    elif not mode:
        found.not_supported(f"{path}.allocationMode", mode, ("All", "ExactCount"))
    for at, toleration in enumerate(request.get("tolerations") or ()):
        _toleration(found, f"{path}.tolerations[{at}]", toleration)


def _toleration(found: Findings, path: str, one: Spec) -> None:
    operator, value = one.get("operator"), one.get("value", "")
    if operator == "Exists" and value:
        found.invalid(f"{path}.value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        found.check(f"{path}.value", value, is_label_value)


def claim_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, status, before = meta_update_findings(definition, obj, old), obj.get("status") or {}, old.get("status") or {}
    names, allocation = _request_names(get(obj, "spec.devices", {})), status.get("allocation")
    reserved = status.get("reservedFor") or []
    for at, consumer in _looked_into(reserved, 256):
        for key in ("resource", "name", "uid"):
            if not consumer.get(key):
                found.required(f"status.reservedFor[{at}].{key}")
    allocated = {_device_id(one) for one in get(allocation or {}, "devices.results", [])}
    for at, device in enumerate(status.get("devices") or ()):
        _device_status(found, f"status.devices[{at}]", device, allocated)
    if reserved and allocation is None:
        found.forbidden("status.reservedFor", "may not be specified when `allocated` is not set")
    elif reserved and obj["metadata"].get("deletionTimestamp"):
        if any(one not in (before.get("reservedFor") or ()) for one in reserved):
            when = "while `deallocationRequested` or `deletionTimestamp` are set"
            found.forbidden("status.reservedFor", f"new entries may not be added {when}")
    if allocation is not None and before.get("allocation") is None:
        _allocation(found, "status.allocation", allocation, names)
    return found


def _device_id(device: Spec) -> tuple[str, ...]:
    return tuple(device.get(key) or "" for key in ("driver", "pool", "device", "shareID"))


def _device_status(found: Findings, path: str, device: Spec, allocated: set[tuple[str, ...]]) -> None:
    csi_driver_name(found, f"{path}.driver", device.get("driver", ""))
    pool_name(found, f"{path}.pool", device.get("pool", ""))
    found.check(f"{path}.device", device.get("device", ""), is_dns1123_label)
    if _device_id(device) not in allocated:
        driver, pool, name, share = _device_id(device)
        shown = {"Driver": driver, "Pool": pool, "Device": name, "ShareID": share}
        found.invalid(path, shown, "must be an allocated device in the claim")
    ones = device.get("conditions") or []
    if len(ones) > 8:
        found.too_many(f"{path}.conditions", len(ones), 8)
    conditions(found, ones, f"{path}.conditions")
    if device.get("data") is not None:
        raw_object(found, f"{path}.data", device["data"])


def pool_name(found: Findings, path: str, name: str) -> None:
    if not name:
        found.required(path)
        return
    if len(name) > 253:
        found.too_long(path, 253)
    for part in name.split("/"):
        found.check(path, part, is_dns1123_subdomain)


def _allocation(found: Findings, path: str, allocation: Spec, names: set[str]) -> None:
    devices = allocation.get("devices") or {}
    for at, result in _looked_into(devices.get("results"), 32):
        here = f"{path}.devices.results[{at}]"
        _reference(found, f"{here}.request", result.get("request", ""), names)
        found.check(f"{here}.device", result.get("device", ""), is_dns1123_label)
        binding_conditions(found, here, result)
        for index, toleration in enumerate(result.get("tolerations") or ()):
            _toleration(found, f"{here}.tolerations[{index}]", toleration)
        skipped_operations(found, f"{here}.skipNodeOperations", result.get("skipNodeOperations") or [])
    for at, config in _looked_into(devices.get("config"), 64):
        here = f"{path}.devices.config[{at}]"
        _references(found, f"{here}.requests", config.get("requests"), names)
        _configuration(found, here, config, False)
    if allocation.get("nodeSelector") is not None:
        node_selector(found, f"{path}.nodeSelector", allocation["nodeSelector"])


def skipped_operations(found: Findings, path: str, operations: list[str]) -> None:
    if "NodePrepareResources" in operations and not {"NodeUnprepareResources", "*"} & set(operations):
        text = "NodePrepareResources cannot be skipped unless NodeUnprepareResources is also skipped"
        found.invalid(path, operations, text)


def binding_conditions(found: Findings, path: str, device: Spec) -> None:
    """Conditions that must hold, and those that must not, before a pod is bound."""
    good, bad = device.get("bindingConditions") or [], device.get("bindingFailureConditions") or []
    keys = {"bindingConditions": good, "bindingFailureConditions": bad}
    for key, ones in keys.items():
        for at, one in _looked_into(ones, 4):
            found.check(f"{path}.{key}[{at}]", one, is_qualified_name)
    for key, ones in keys.items():
        for at, one in enumerate(ones):
            if one in ones[:at]:
                found.duplicate(f"{path}.{key}[{at}]", one)
            if ones is bad and one in good:
                text = "bindingFailureConditions must not overlap with bindingConditions"
                found.invalid(f"{path}.{key}[{at}]", one, text)
    if bad and not good:
        text = "bindingConditions are required to use bindingFailureConditions"
        found.invalid(f"{path}.bindingConditions", None, text)
    if good and not bad:
        text = "bindingFailureConditions are required to use bindingConditions"
        found.invalid(f"{path}.bindingFailureConditions", None, text)
