"""ResourceSlices, the devices in them, and DeviceTaintRules. See resource_claims.py for what has declared rules."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain, is_label_value, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.affinity import node_selector
from ledger.scheme.strategies.validation.common import conditions, meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.formats import c_identifier
from ledger.scheme.strategies.validation.resource_claims import binding_conditions, pool_name, skipped_operations
from ledger.scheme.strategies.validation.resources import ZERO, amount
from ledger.scheme.strategies.validation.volumes import csi_driver_name

Spec = dict[str, Any]
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
_LISTS = ("bools", "ints", "strings", "versions")


def resource_slice(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _slice_spec(found, obj.get("spec") or {}, None)
    return found


def resource_slice_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _slice_spec(found, obj.get("spec") or {}, old.get("spec") or {})
    return found


def _slice_spec(found: Findings, spec: Spec, old: Spec | None) -> None:
    csi_driver_name(found, "spec.driver", spec.get("driver", ""))
    pool = spec.get("pool") or {}
    pool_name(found, "spec.pool.name", pool.get("name", ""))
    found.positive("spec.pool.resourceSliceCount", pool.get("resourceSliceCount", 0))
    if pool.get("generation", 0) < 0:
        found.invalid("spec.pool.generation", pool["generation"], "must be greater than or equal to zero")
    if old is not None:
        found.immutable("spec.pool.name", pool.get("name", ""), get(old, "pool.name", ""))
        found.immutable("spec.driver", spec.get("driver", ""), old.get("driver", ""))
        found.immutable("spec.nodeName", spec.get("nodeName"), old.get("nodeName"))
    _slice_nodes(found, spec)
    devices = spec.get("devices") or []
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        found.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
    limit = 64 if any(map(_is_advanced, devices)) else 128
    if len(devices) > limit:
        found.too_many("spec.devices", len(devices), limit)
    else:
        _devices(found, spec, devices, (old or {}).get("devices") or [])
    for at, counters in enumerate(spec.get("sharedCounters") or ()):
        count = len(counters.get("counters") or ())
        if count > 32:
            found.too_many(f"spec.sharedCounters[{at}].counters", count, 32)
    skipped_operations(found, "spec.skipNodeOperations", spec.get("skipNodeOperations") or [])


def _is_advanced(device: Spec) -> bool:
    attributes = (device.get("attributes") or {}).values()
    lists = any(one.get(key) is not None for one in attributes for key in _LISTS)
    return bool(device.get("taints") or device.get("consumesCounters") or lists)


def _slice_nodes(found: Findings, spec: Spec) -> None:
    given, keys = [], "`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`"
    name, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if name:
        given.append("`nodeName`")
        found.check("spec.nodeName", name, is_dns1123_subdomain)
    elif name is not None:
        found.invalid("spec.nodeName", name, "must be either unset or set to a non-empty string")
    if selector is not None:
        given.append("`nodeSelector`")
        node_selector(found, "spec.nodeSelector", selector)
        terms = selector.get("nodeSelectorTerms")
        if len(terms or ()) != 1:
            shown = [go_value("core.NodeSelectorTerm", term) for term in terms] if terms else terms
            path = "spec.nodeSelector.nodeSelectorTerms"
            found.invalid(path, shown, "must have exactly one node selector term")
    for key in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(key):
            given.append(f"`{key}`")
        elif spec.get(key) is not None:
            found.invalid(f"spec.{key}", False, "must be either unset or set to true")
    if not given:
        found.required("spec", f"exactly one of {keys} is required")
    elif len(given) > 1:
        shown = "{" + ", ".join(given) + "}"
        found.invalid("spec", shown, f"exactly one of {keys} is required, but multiple fields are set")


def _devices(found: Findings, spec: Spec, devices: list[Spec], old: list[Spec]) -> None:
    before = {device.get("name", ""): device for device in reversed(old)}
    for at, device in enumerate(devices):
        here = f"spec.devices[{at}]"
        _device(found, here, device, before.get(device.get("name", "")), bool(spec.get("perDeviceNodeSelection")))
    seen: set[str] = set()
    for at, device in enumerate(devices):
        name = device.get("name", "")
        if name in seen:
            found.duplicate(f"spec.devices[{at}]", name)
        seen.add(name)


def _device(found: Findings, path: str, device: Spec, old: Spec | None, per_device: bool) -> None:
    found.check(f"{path}.name", device.get("name", ""), is_dns1123_label)
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    count = len(attributes) + len(capacity)
    if count > 32:
        found.invalid(path, count, "the total number of attributes and capacities must not exceed 32")
    values = sum(max(1, sum(len(one.get(key) or ()) for key in _LISTS)) for one in attributes.values())
    if values > 48:
        found.invalid(path, values, "the total number of attribute values must not exceed 48")
    for name, one in attributes.items():
        qualified_name(found, f"{path}.attributes", name)
        _attribute(found, f"{path}.attributes[{_shortened(name)}]", one)
    if old is None or not same(old.get("capacity"), capacity):
        for name, one in capacity.items():
            qualified_name(found, f"{path}.capacity", name)
            _capacity(found, f"{path}.capacity[{_shortened(name)}]", one, device.get("allowMultipleAllocations"))
    taints = device.get("taints") or []
    if old is None or not same(old.get("taints"), taints):
        if len(taints) > 16:
            found.too_many(f"{path}.taints", len(taints), 16)
        else:
            for at, taint in enumerate(taints):
                _taint(found, f"{path}.taints[{at}]", taint)
    for at, one in enumerate(device.get("consumesCounters") or ()):
        if len(one.get("counters") or ()) > 32:
            found.too_many(f"{path}.consumesCounters[{at}].counters", len(one["counters"]), 32)
    _device_nodes(found, path, device, per_device)
    binding_conditions(found, path, device)


def _shortened(name: str) -> str:
    """As long names are shown: their two ends."""
    limit = 63 + 1 + 32
    if len(name) <= limit:
        return name
    rest = limit - 3
    return f"{name[: (rest + 1) // 2]}...{name[-(rest // 2) :]}"


def qualified_name(found: Findings, path: str, name: str) -> None:
    """An identifier, maybe with a domain before it."""
    parts = name.split("/")
    if len(parts) == 2:
        if parts[0]:
            csi_driver_name(found, path, parts[0])
        else:
            found.invalid(path, "", "the domain must not be empty")
        if not parts[1]:
            found.invalid(path, "", "the name must not be empty")
            return
    if len(parts) <= 2:
        found += c_identifier(parts[-1], path)


def _attribute(found: Findings, path: str, one: Spec) -> None:
    """That there is exactly one value has a declared rule, as has the length of those in lists of strings."""
    if len((one.get("string") or "").encode()) > 64:
        found.too_long(f"{path}.string", 64)
    if one.get("version") is not None:
        _version(found, f"{path}.version", one["version"])
    for key in _LISTS:
        if one.get(key) is not None and not one[key]:
            found.invalid(f"{path}.{key}", one[key], "must not be empty if specified")
    for at, text in enumerate(one.get("versions") or ()):
        _version(found, f"{path}.versions[{at}]", text)


def _version(found: Findings, path: str, text: str) -> None:
    if not _SEMVER.fullmatch(text):
        found.invalid(path, text, "must be a string compatible with semver.org spec 2.0.0")
    if len(text.encode()) > 64:
        found.too_long(path, 64)


def _capacity(found: Findings, path: str, one: Spec, shared: bool | None) -> None:
    policy, path = one.get("requestPolicy"), f"{path}.requestPolicy"
    if policy is None:
        return
    if not shared:
        found.forbidden(path, "allowMultipleAllocations must be true")
        return
    values, span, default = policy.get("validValues"), policy.get("validRange"), policy.get("default")
    if values and span is not None:
        text = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        found.forbidden(path, text)
    elif values and default is None:
        found.required(f"{path}.default", "required when validValues is defined")
    elif values:
        _valid_values(found, f"{path}.validValues", values, default, one.get("value", "0"))
    elif span is not None and default is None:
        found.required(f"{path}.default", "required when validRange is defined")
    elif span is not None:
        _valid_range(found, f"{path}.validRange", span, default, one.get("value", "0"))


def _valid_values(found: Findings, path: str, values: list[str], default: str, most: str) -> None:
    amounts = [amount(value) for value in values]
    for at in range(len(values) - 1):
        if amounts[at] > amounts[at + 1]:
            found.invalid(f"{path}[{at + 1}]", values[at + 1], "values must be sorted in ascending order")
    if len(values) > 10:
        found.too_many(path, len(values), 10)
        return
    for at, value in enumerate(amounts):
        if value > amount(most):
            found.invalid(f"{path}[{at}]", values[at], f"option is larger than capacity value: {most}")
    for at, value in enumerate(amounts):
        if value in amounts[:at]:
            found.duplicate(f"{path}[{at}]", str(values[at]))
    if amount(default) not in amounts:
        found.invalid(path, default, "default value is not valid according to the requestPolicy")


def _valid_range(found: Findings, path: str, span: Spec, default: str, most: str) -> None:
    low, high, step = span.get("min"), span.get("max"), span.get("step")
    if low is None:
        found.required(f"{path}.min", "required when validRange is defined")
        return
    if amount(low) > amount(most):
        found.invalid(f"{path}.min", low, f"min is larger than capacity value: {most}")
    if amount(default) < amount(low):
        found.invalid(f"{path}.default", default, f"default is less than min: {low}")
    if high is not None:
        if amount(low) > amount(high):
            found.invalid(f"{path}.max", low, f"min is larger than max: {high}")
        if amount(high) > amount(most):
            found.invalid(f"{path}.max", high, f"max is larger than capacity value: {most}")
        if amount(default) > amount(high):
            found.invalid(f"{path}.default", default, f"default is more than max: {high}")
    if step is None:
        return
    if amount(step) <= ZERO:
        found.invalid(f"{path}.step", step, "must be greater than zero")
        return
    reached = amount(low) + amount(step)
    if reached > amount(most):
        found.invalid(f"{path}.step", step, f"one step {reached} is larger than capacity value: {most}")
    for value in (default, *([high] if high is not None else [])):
        if (_number(value) - _number(low)) % _number(step):
            text = f"value is not a multiple of a given step ({step}) from ({low})"
            found.invalid(f"{path}.step", value, text)


def _number(text: Any) -> Decimal:
    return Decimal(amount(text).value())


def _device_nodes(found: Findings, path: str, device: Spec, per_device: bool) -> None:
    name, selector, everywhere = (device.get(key) for key in ("nodeName", "nodeSelector", "allNodes"))
    keys, option = "`nodeName`, `nodeSelector`", "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
    if not per_device:
        if (name, selector, everywhere) != (None, None, None):
            found.invalid(path, None, f"{keys} and `allNodes` can only be set if {option}")
        return
    given = []
    if name:
        given.append("`nodeName`")
        found.check(f"{path}.nodeName", name, is_dns1123_subdomain)
    elif name is not None:
        found.invalid(f"{path}.nodeName", name, "must not be empty")
    if selector is not None:
        given.append("`nodeSelector`")
        node_selector(found, f"{path}.nodeSelector", selector)
    if everywhere:
        given.append("`allNodes`")
    elif everywhere is not None:
        found.invalid(f"{path}.allNodes", False, "must be either unset or set to true")
    text = f"exactly one of {keys}, or `allNodes` is required when {option}"
    if not given:
        found.required(path, text)
    elif len(given) > 1:
        found.invalid(path, "{" + ", ".join(given) + "}", text)


def _taint(found: Findings, path: str, taint: Spec) -> None:
    """The effect has declared rules."""
    found.check(f"{path}.key", taint.get("key", ""), is_qualified_name)
    if taint.get("value"):
        found.check(f"{path}.value", taint["value"], is_label_value)


def taint_rule(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _rule_spec(found, obj.get("spec") or {})
    return found


def taint_rule_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _rule_spec(found, obj.get("spec") or {})
    return found


def _rule_spec(found: Findings, spec: Spec) -> None:
    selector, path = spec.get("deviceSelector") or {}, "spec.deviceSelector"
    if selector.get("driver") is not None:
        csi_driver_name(found, f"{path}.driver", selector["driver"])
    if selector.get("pool") is not None:
        pool_name(found, f"{path}.pool", selector["pool"])
    if selector.get("device") is not None:
        found.check(f"{path}.device", selector["device"], is_dns1123_label)
    _taint(found, "spec.taint", spec.get("taint") or {})


def taint_rule_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, ones = meta_update_findings(definition, obj, old), get(obj, "status.conditions", [])
    conditions(found, ones, "status.conditions")
    if len(ones) > 8:
        found.too_many("status.conditions", len(ones), 8)
    return found


def pool_request_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """A ResourcePoolStatusRequest is answered once."""
    found = meta_update_findings(definition, obj, old)
    if old.get("status") is not None:
        found.immutable("status", obj.get("status"), old["status"])
    else:
        conditions(found, get(obj, "status.conditions"), "status.conditions")
    return found
