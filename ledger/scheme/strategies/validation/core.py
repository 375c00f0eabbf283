"""The smaller kinds of the core group: configuration, accounts, namespaces, quotas, limits, endpoints, nodes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from ledger.apimachinery.gotext import json_kind
from ledger.apimachinery.json_syntax import syntax_error
from ledger.apimachinery.names import (
    is_config_map_key,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_port_number,
    is_qualified_name,
)
from ledger.apimachinery.objectmeta import validate_finalizers, validate_standard_finalizers
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.affinity import taints
from ledger.scheme.strategies.validation.common import (
    cidr,
    endpoint_ip,
    ip_address,
    is_dual_stack,
    meta_findings,
    meta_update_findings,
)
from ledger.scheme.strategies.validation.containers import PROTOCOLS
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import (
    amounts,
    container_resource_name,
    is_overcommit_allowed,
    is_quota_name,
    quota_resource_name,
    resource_name,
    resource_value,
)

DATA_BYTES_MAX = 1 << 20
_FROZEN = "field is immutable when `immutable` is set"


def config_map(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for key in sorted(data):
        found.check(f"data[{key}]", key, is_config_map_key)
        if key in binary:
            found.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += len(data[key].encode())
    for key in sorted(binary):
        found.check(f"binaryData[{key}]", key, is_config_map_key)
        size += _bytes(binary[key])
    if size > DATA_BYTES_MAX:
        found.too_long("", DATA_BYTES_MAX)
    return found


def _bytes(text: str) -> int:
    """How many bytes base64 text stands for."""
    return len(text) * 3 // 4 - text[-2:].count("=")


def config_map_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _frozen(found, obj, old, ("data", "binaryData"))
    return Findings([*found, *config_map(definition, obj, context)])


def _frozen(found: Findings, obj: Object, old: Object, keys: tuple[str, ...]) -> None:
    if old.get("immutable"):
        if not obj.get("immutable"):
            found.forbidden("immutable", _FROZEN)
        for key in keys:
            if (obj.get(key) or {}) != (old.get(key) or {}):
                found.forbidden(key, _FROZEN)


_REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def secret(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    data, kind = obj.get("data") or {}, obj.get("type", "")
    for key in sorted(data):
        found.check(f"data[{key}]", key, is_config_map_key)
    if sum(_bytes(value) for value in data.values() if value) > DATA_BYTES_MAX:
        found.too_long("data", DATA_BYTES_MAX)
    for key in _REQUIRED_KEYS.get(kind, ()):
        if key not in data:
            found.required(f"data[{key}]")
        elif kind != "kubernetes.io/tls":
            _is_json_object(found, f"data[{key}]", data[key])
    match kind:
        case "kubernetes.io/service-account-token":
            name = "kubernetes.io/service-account.name"
            if not get(obj, "metadata.annotations", {}).get(name):
                found.required(f"metadata.annotations[{name}]")
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                found.required("data[username]")
                found.required("data[password]")
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                found.required("data[ssh-privatekey]")
    return found


def _is_json_object(found: Findings, path: str, text: str | None) -> None:
    raw = base64.b64decode(text or "")
    try:
        value = json.loads(raw)
        complaint = ""
        if not isinstance(value, (dict, type(None))):
            complaint = f"json: cannot unmarshal {json_kind(value)} into Go value of type map[string]interface {{}}"
    except ValueError:
        complaint = syntax_error(raw)
    if complaint:
        found.invalid(path, "<secret contents redacted>", complaint)


def secret_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found.immutable("type", obj.get("type", ""), old.get("type", ""))
    _frozen(found, obj, old, ("data",))
    return Findings([*found, *secret(definition, obj, context)])


def metadata_only(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """Kinds without rules of their own."""
    return meta_findings(definition, obj)


def metadata_only_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    return Findings([*found, *meta_findings(definition, obj)])


def metadata_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """An update that checks metadata and nothing else."""
    return meta_update_findings(definition, obj, old)


def namespace(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    for name in get(obj, "spec.finalizers", []):
        _finalizer(found, "spec.finalizers", name)
    return found


def _finalizer(found: Findings, path: str, name: str) -> None:
    found += validate_finalizers([name], path)
    for error in validate_standard_finalizers([name], path):
        found.invalid(path, name, error.detail)


def namespace_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    wanted = "Terminating" if obj["metadata"].get("deletionTimestamp") else "Active"
    if get(obj, "status.phase", "") != wanted:
        when = "empty" if wanted == "Active" else "not empty"
        text = f"may only be '{wanted}' if `deletionTimestamp` is {when}"
        found.invalid("status.Phase", get(obj, "status.phase", ""), text)
    return found


def namespace_finalize(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    for at, name in enumerate(get(obj, "spec.finalizers", [])):
        _finalizer(found, f"spec.finalizers[{at}]", name)
    return found


_POD_SCOPES = ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity")
_SCOPES = (*_POD_SCOPES, "BestEffort", "VolumeAttributesClass")
_EXISTS_SCOPES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_POD_COMPUTE = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})


def resource_quota(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _quota_spec(found, obj.get("spec") or {})
    _quota_status(found, obj.get("status") or {})
    return found


def resource_quota_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    _quota_spec(found, obj.get("spec") or {})
    scopes = get(obj, "spec.scopes")
    if set(scopes or ()) != set(get(old, "spec.scopes", [])):
        found.invalid("spec.scopes", scopes, "field is immutable")
    return found


def resource_quota_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    if not obj["metadata"].get("resourceVersion"):
        found.required("resourceVersion")
    _quota_status(found, obj.get("status") or {})
    return found


def _quota_status(found: Findings, status: Mapping[str, Any]) -> None:
    for key in ("hard", "used"):
        _quota_amounts(found, f"status.{key}", status.get(key))


def _quota_amounts(found: Findings, path: str, values: Mapping[str, Any] | None) -> None:
    for name, value in amounts(values).items():
        quota_resource_name(found, f"{path}[{name}]", name)
        resource_value(found, f"{path}[{name}]", name, value)


def _quota_spec(found: Findings, spec: Mapping[str, Any]) -> None:
    _quota_amounts(found, "spec.hard", spec.get("hard"))
    scopes, hard = spec.get("scopes") or [], sorted(spec.get("hard") or ())
    for scope in scopes:
        if scope not in _SCOPES:
            found.invalid("spec.scopes", scopes, "unsupported scope")
        for name in hard:
            if is_quota_name(name) and not _scope_covers(scope, name):
                found.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    _conflicting_scopes(found, "spec.scopes", set(scopes), scopes)
    if spec.get("scopeSelector") is not None:
        _scope_selector(found, "spec.scopeSelector.matchExpressions", spec, hard)


def _scope_covers(scope: str, name: str) -> bool:
    if scope in _POD_SCOPES:
        return name == "pods" or name in _POD_COMPUTE
    if scope == "BestEffort":
        return name == "pods"
    return scope != "VolumeAttributesClass" or name in ("persistentvolumeclaims", "requests.storage")


def _conflicting_scopes(found: Findings, path: str, scopes: set[str], shown: Any) -> None:
    for one, other in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if {one, other} <= scopes:
            found.invalid(path, shown, "conflicting scopes")


def _scope_selector(found: Findings, path: str, spec: Mapping[str, Any], hard: list[str]) -> None:
    selector = spec["scopeSelector"]
    ones = selector.get("matchExpressions") or []
    for one in ones:
        scope, operator, values = one.get("scopeName", ""), one.get("operator", ""), one.get("values") or []
        if scope not in _SCOPES:
            found.invalid(f"{path}.scopeName", scope, "unsupported scope")
        for name in hard:
            if is_quota_name(name) and not _scope_covers(scope, name):
                found.invalid(path, go_value("core.ScopeSelector", selector), "unsupported scope applied to resource")
        if scope in _EXISTS_SCOPES and operator != "Exists":
            text = (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            found.invalid(f"{path}.operator", operator, text)
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                found.required(f"{path}.values", text)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                found.invalid(f"{path}.values", values, text)
        else:
            found.invalid(f"{path}.operator", operator, "not a valid selector operator")
    _conflicting_scopes(found, path, {one.get("scopeName", "") for one in ones}, spec.get("scopes"))


def limit_range(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    kinds: set[str] = set()
    for at, item in enumerate(get(obj, "spec.limits", [])):
        here, kind = f"spec.limits[{at}]", item.get("type", "")
        before = len(found)
        found.check(f"{here}.type", kind, is_qualified_name)
        if len(found) == before and "/" not in kind and kind not in ("Pod", "Container", "PersistentVolumeClaim"):
            found.invalid(f"{here}.type", kind, "must be a standard limit type or fully qualified")
        if kind in kinds:
            found.duplicate(f"{here}.type", kind)
        kinds.add(kind)
        _limit_item(found, here, kind, item)
    return found


def limit_range_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return limit_range(definition, obj, context)


def _limit_item(found: Findings, path: str, kind: str, item: Mapping[str, Any]) -> None:
    keys = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"]
    if kind == "Pod":
        for key in ("default", "defaultRequest"):
            keys.remove(key)
    check = container_resource_name if kind in ("Pod", "Container") else resource_name
    values = {}
    for key in keys:
        values[key] = amounts(item.get(key))
        for name in values[key]:
            check(found, f"{path}.{key}[{name}]", name)
        if key == "min" and kind == "Pod":
            for other in ("default", "defaultRequest"):
                if item.get(other):
                    found.forbidden(f"{path}.{other}", "may not be specified when `type` is 'Pod'")
        if (
            key == "defaultRequest"
            and kind == "PersistentVolumeClaim"
            and not any("storage" in values[one] for one in ("min", "max"))
        ):
            text = "either minimum or maximum storage value is required, but neither was provided"
            found.required(f"{path}.limits", text)
    for name in sorted({name for of_key in values.values() for name in of_key}):
        _limit_amounts(found, path, name, {key: of_key[name] for key, of_key in values.items() if name in of_key})


# (field of the finding, smaller, its name, larger, its name, which of them is shown)
_LIMIT_ORDER = (
    ("min", "min", "min value", "max", "max value", "min"),
    ("defaultRequest", "min", "min value", "defaultRequest", "default request value", "defaultRequest"),
    ("defaultRequest", "defaultRequest", "default request value", "max", "max value", "defaultRequest"),
    ("defaultRequest", "defaultRequest", "default request value", "default", "default limit value", "defaultRequest"),
    ("default", "min", "min value", "default", "default value", "min"),
    ("default", "default", "default value", "max", "max value", "max"),
)


def _limit_amounts(found: Findings, path: str, name: str, values: Mapping[str, Any]) -> None:
    for key, low, low_name, high, high_name, shown in _LIMIT_ORDER:
        if low in values and high in values and values[low] > values[high]:
            text = f"{low_name} {values[low]} is greater than {high_name} {values[high]}"
            found.invalid(f"{path}.{key}[{name}]", str(values[shown]), text)
    ratio, at = values.get("maxLimitRequestRatio"), f"{path}.maxLimitRequestRatio[{name}]"
    if ratio is not None:
        if ratio.value(-3) < 1000:
            found.invalid(at, str(ratio), f"ratio {ratio} is less than 1")
        if "min" in values and "max" in values and values["min"]:
            limit = values["max"].value(-3) / values["min"].value(-3)
            if ratio.value(-3) / 1000 > limit:
                found.invalid(at, str(ratio), f"ratio {ratio} is greater than max/min = {limit:f}")
    default, request = values.get("default"), values.get("defaultRequest")
    if default is not None and request is not None and default != request and not is_overcommit_allowed(name):
        text = f"default value {default} must equal to defaultRequest value {request} in {name}"
        found.invalid(f"{path}.defaultRequest[{name}]", str(request), text)


def endpoints(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _subsets(found, obj.get("subsets") or [])
    return found


def endpoints_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = Findings([*meta_update_findings(definition, obj, old), *meta_findings(definition, obj)])
    if not same(obj.get("subsets"), old.get("subsets")):
        _subsets(found, obj.get("subsets") or [])
    return found


def _subsets(found: Findings, subsets: list[Mapping[str, Any]]) -> None:
    for at, subset in enumerate(subsets):
        here = f"subsets[{at}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.required(here, "must specify `addresses` or `notReadyAddresses`")
        for key in ("addresses", "notReadyAddresses"):
            for index, address in enumerate(subset.get(key) or ()):
                _endpoint_address(found, f"{here}.{key}[{index}]", address)
        ports = subset.get("ports") or []
        for index, port in enumerate(ports):
            _endpoint_port(found, f"{here}.ports[{index}]", port, len(ports) > 1)


def _endpoint_address(found: Findings, path: str, address: Mapping[str, Any]) -> None:
    ip_address(found, f"{path}.ip", address.get("ip", ""))
    if address.get("hostname"):
        found.check(f"{path}.hostname", address["hostname"], is_dns1123_label)
    if address.get("nodeName") is not None:
        found.check(f"{path}.nodeName", address["nodeName"], is_dns1123_subdomain)
    endpoint_ip(found, f"{path}.ip", address.get("ip", ""))


def _endpoint_port(found: Findings, path: str, port: Mapping[str, Any], needs_name: bool) -> None:
    if port.get("name"):
        found.check(f"{path}.name", port["name"], is_dns1123_label)
    elif needs_name:
        found.required(f"{path}.name")
    for text in is_port_number(port.get("port", 0)):
        found.invalid(f"{path}.port", port.get("port", 0), text)
    found.one_of_required(f"{path}.protocol", port.get("protocol", ""), PROTOCOLS)
    if port.get("appProtocol") is not None:
        found.check(f"{path}.appProtocol", port["appProtocol"], is_qualified_name)


_TAINTS = "scheduler.alpha.kubernetes.io/taints"
_FEATURE = re.compile(r"[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*")


def node(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    spec = obj.get("spec") or {}
    _node_annotations(found, obj)
    taints(found, "metadata.taints", spec.get("taints"))
    _node_resources(found, obj)
    swap = get(obj, "status.nodeInfo.swap.capacity")
    found.positive("metadata.nodeSwapStatus.capacity", swap)
    _declared_features(found, get(obj, "status.declaredFeatures", []))
    networks = spec.get("podCIDRs") or []
    for at, network in enumerate(networks):
        cidr(found, f"spec.podCIDRs[{at}]", network)
    if len(networks) > 1 and (len(networks) > 2 or not is_dual_stack(networks)):
        found.invalid("spec.podCIDRs", networks, "may specify no more than one CIDR for each IP family")
    return found


def _node_annotations(found: Findings, obj: Object) -> None:
    text = get(obj, "metadata.annotations", {}).get(_TAINTS)
    if text:
        try:
            taints(found, f"metadata.annotations.{_TAINTS}", json.loads(text))
        except ValueError as error:
            found.invalid("metadata.annotations", _TAINTS, str(error))


def _node_resources(found: Findings, obj: Object) -> None:
    for key in ("capacity", "allocatable"):
        for name, value in amounts(get(obj, f"status.{key}")).items():
            resource_value(found, f"status.{key}.{name}", name, value)


def _declared_features(found: Findings, names: list[str]) -> None:
    path = "status.declaredFeatures"
    for at, name in enumerate(names):
        if len(name) > 253:
            text = f'invalid feature name "{name}": must be no more than 253 characters'
            found.invalid(f"{path}[{at}]", name, text)
        elif not _FEATURE.fullmatch(name):
            text = (
                f'invalid feature name "{name}": must start with an UpperCamelCase segment, with subsequent segments '
                "separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters "
                "and slashes"
            )
            found.invalid(f"{path}[{at}]", name, text)
        if at + 1 < len(names):
            following = names[at + 1]
            if name == following:
                found.duplicate(f"{path}[{at + 1}]", following)
            elif name > following:
                found.invalid(f"{path}[{at + 1}]", following, "list must be sorted alphabetically")


def node_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """For the node and its status alike."""
    found = meta_update_findings(definition, obj, old)
    _node_annotations(found, obj)
    _node_resources(found, obj)
    _declared_features(found, get(obj, "status.declaredFeatures", []))
    seen: list[Any] = []
    for at, address in enumerate(get(obj, "status.addresses", [])):
        if address in seen:
            found.duplicate(f"status.addresses[{at}]", go_value("core.NodeAddress", address))
        seen.append(address)
    new, before = obj.get("spec") or {}, old.get("spec") or {}
    text = 'node updates may not change podCIDR except from "" to valid'
    networks, old_networks = new.get("podCIDRs") or [], before.get("podCIDRs") or []
    if old_networks:
        if len(networks) != len(old_networks):
            found.forbidden("spec.podCIDRs", text)
        else:
            for one, other in zip(networks, old_networks, strict=True):
                if one != other:
                    found.forbidden("spec.podCIDRs", text)
    provider, old_provider = new.get("providerID", ""), before.get("providerID", "")
    if old_provider and provider != old_provider:
        how = "modified" if provider else "cleared"
        found.invalid("spec.providerID", None, f"field cannot be {how} once set")
    taints(found, "metadata.taints", new.get("taints"))
    if new.get("externalID", "") != before.get("externalID", ""):
        found.forbidden("spec.externalID", "may not be updated")
    return found


def event(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """Events as core/v1 has them; events.k8s.io/v1 asks for more (see `newer_event`)."""
    return _event_of_old(obj, "reportingComponent")


def _event_of_old(obj: Object, controller: str) -> Findings:
    found = Findings()
    namespace, of_object = obj["metadata"].get("namespace", ""), get(obj, "involvedObject.namespace", "")
    if not obj.get("eventTime"):
        if (of_object or "default") != namespace and not (not of_object and not namespace):
            found.invalid("involvedObject.namespace", of_object, "does not match event.namespace")
        return found
    if not of_object and namespace not in ("default", "kube-system"):
        found.invalid("involvedObject.namespace", of_object, "does not match event.namespace")
    reporter = obj.get("reportingComponent", "")
    if not reporter:
        found.required(controller)
    found.check(controller, reporter, is_qualified_name)
    for key, limit in (("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024)):
        value = obj.get(key, "")
        if not value and key != "message":
            found.required(key)
        if len(value.encode()) > limit:
            found.invalid(key, "", f"can have at most {limit} characters")
    return found


def newer_event(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = _event_of_old(obj, "reportingController")
    found += meta_findings(definition, obj)
    _series(found, obj)
    if not obj.get("eventTime"):
        found.required("eventTime")
    if obj.get("type") not in ("Normal", "Warning"):
        found.invalid("type", "", f"has invalid value: {obj.get('type', '')}")
    for key in ("firstTimestamp", "lastTimestamp", "count"):
        if obj.get(key):
            found.invalid(key, "", "needs to be unset")
    if any((obj.get("source") or {}).values()):
        found.invalid("source", "", "needs to be unset")
    return found


def _series(found: Findings, obj: Object) -> None:
    series = obj.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            found.invalid("series.count", "", "should be at least 2")
        if not series.get("lastObservedTime"):
            found.required("series.lastObservedTime")


def event_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _event_of_old(obj, "reportingComponent")


_EVENT_FIXED = (
    *(("involvedObject", "core.ObjectReference"), ("reason", ""), ("message", ""), ("source", "core.EventSource")),
    *(
        ("firstTimestamp", None),
        ("lastTimestamp", None),
        ("count", 0),
        ("reason", ""),
        ("type", ""),
        ("eventTime", None),
    ),
    *(("action", ""), ("related", "core.ObjectReference"), ("reportingComponent", ""), ("reportingInstance", "")),
)


def newer_event_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = _event_of_old(obj, "reportingController")
    found += meta_update_findings(definition, obj, old)
    if not same(obj.get("series"), old.get("series")):
        _series(found, obj)
    for key, shape in _EVENT_FIXED:
        if not same(obj.get(key) or None, old.get(key) or None):
            internal = isinstance(shape, str) and shape.startswith("core.")
            shown = go_value(shape, obj.get(key)) if internal and isinstance(shape, str) else obj.get(key) or shape
            path = "reportingController" if key == "reportingComponent" else key
            found.invalid(path, shown, "field is immutable")
    return found


def nothing(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """For what upstream does not check."""
    return Findings()
