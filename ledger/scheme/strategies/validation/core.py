"""The smaller kinds of the core group: configuration, accounts, namespaces, quotas, limits, endpoints, nodes."""

from __future__ import annotations

import base64
import json
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
from ledger.scheme.strategies.validation.addresses import endpoint_ip, ip_address
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.containers import PROTOCOLS
from ledger.scheme.strategies.validation.findings import Findings

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
    found += config_map(definition, obj, context)
    return found


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
    found += secret(definition, obj, context)
    return found


def metadata_only(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """Kinds without rules of their own."""
    return meta_findings(definition, obj)


def metadata_only_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += meta_findings(definition, obj)
    return found


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


def endpoints(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _subsets(found, obj.get("subsets") or [])
    return found


def endpoints_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += meta_findings(definition, obj)
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


def nothing(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """For what upstream does not check."""
    return Findings()
