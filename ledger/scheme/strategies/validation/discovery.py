"""EndpointSlices and APIServices."""

from __future__ import annotations

import base64
from ipaddress import IPv4Address
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.names import (
    is_dns1035_label,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_label_value,
    is_path_segment,
    is_port_number,
    is_qualified_name,
)
from ledger.apimachinery.objectmeta import validate_labels
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.addresses import endpoint_ip, ip_address, parse_ip, strict_ip_address
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.findings import Findings

Spec = dict[str, Any]
_ZONE = "topology.kubernetes.io/zone"


def endpoint_slice(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """How many addresses there may be has declared rules."""
    return _endpoint_slice(definition, obj, None)


def endpoint_slice_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, frozen = _endpoint_slice(definition, obj, old), Findings()
    frozen.immutable("addressType", obj.get("addressType", ""), old.get("addressType", ""))
    found.unless_declared(frozen)
    return found


def _endpoint_slice(definition: ResourceDefinition, obj: Object, old: Object | None) -> Findings:
    found, endpoints = meta_findings(definition, obj), obj.get("endpoints") or []
    kind = Findings()
    kind.one_of_required("addressType", obj.get("addressType", ""), ("FQDN", "IPv4", "IPv6"))
    found.unless_declared(kind)
    _ports(found, obj.get("ports") or [])
    if old is not None and same(endpoints, old.get("endpoints")):
        return found
    if len(endpoints) > 1000:
        found.too_many("endpoints", len(endpoints), 1000)
        return found
    for at, endpoint in enumerate(endpoints):
        _endpoint(found, f"endpoints[{at}]", endpoint, obj.get("addressType", ""))
    return found


def _ports(found: Findings, ports: list[Spec]) -> None:
    if len(ports) > 20000:
        found.too_many("ports", len(ports), 20000)
        return
    names: set[str] = set()
    for at, port in enumerate(ports):
        path, name = f"ports[{at}]", port.get("name") or ""
        if name:
            found.check(f"{path}.name", name, is_dns1123_label)
        if name in names:
            found.duplicate(f"{path}.name", name)
        names.add(name)
        if port.get("protocol") is None:
            found.required(f"{path}.protocol")
        else:
            found.one_of(f"{path}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))
        if port.get("appProtocol") is not None:
            found.check(f"{path}.appProtocol", port["appProtocol"], is_qualified_name)


def _endpoint(found: Findings, path: str, endpoint: Spec, kind: str) -> None:
    for at, address in enumerate(endpoint.get("addresses") or ()):
        _address(found, f"{path}.addresses", at, address, kind)
    if endpoint.get("nodeName") is not None:
        found.check(f"{path}.nodeName", endpoint["nodeName"], is_dns1123_subdomain)
    topology, here = endpoint.get("deprecatedTopology") or {}, f"{path}.deprecatedTopology"
    if len(topology) > 16:
        found.too_many(here, len(topology), 16)
    found += validate_labels(topology, here)
    if _ZONE in topology:
        found.internal(f"{here}[{_ZONE}]", "reserved key was not removed in conversion")
    if endpoint.get("hostname") is not None:
        found.check(f"{path}.hostname", endpoint["hostname"], is_dns1123_label)
    _hints(found, f"{path}.hints", endpoint.get("hints") or {})


def _address(found: Findings, path: str, at: int, address: str, kind: str) -> None:
    here, before = f"{path}[{at}]", len(found)
    if kind == "FQDN":
        _domain_name(found, here, address)
    elif kind in ("IPv4", "IPv6"):
        if kind == "IPv4":
            ip_address(found, here, address)
        else:
            strict_ip_address(found, here, address)
        if len(found) != before:
            return
        if isinstance(parse_ip(address), IPv4Address) != (kind == "IPv4"):
            found.invalid(path, address, f"must be an {kind} address")
        endpoint_ip(found, here, address)


def _domain_name(found: Findings, path: str, name: str) -> None:
    if not name:
        found.required(path)
        return
    name = name.removesuffix(".")
    labels, complaints = name.split("."), is_dns1123_subdomain(name)
    if complaints:
        found.invalid(path, name, ",".join(complaints))
    elif len(labels) < 2:
        found.invalid(path, name, "should be a domain with at least two segments separated by dots")
    else:
        wrong = next((label for label in labels if is_dns1123_label(label)), None)
        if wrong is not None:
            found.invalid(path, wrong, ",".join(is_dns1123_label(wrong)))


def _hints(found: Findings, path: str, hints: Spec) -> None:
    for key, check in (("forZones", is_label_value), ("forNodes", is_dns1123_subdomain)):
        ones, names = hints.get(key) or [], []
        if len(ones) > 8:
            found.too_many(f"{path}.{key}", len(ones), 8)
            return
        for at, one in enumerate(ones):
            here, name = f"{path}.{key}[{at}].name", one.get("name", "")
            if name in names:
                found.duplicate(here, name)
            names.append(name)
            found.check(here, name, check)


def api_service(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    spec = obj.get("spec") or {}
    group, version = spec.get("group", ""), spec.get("version", "")
    wanted = f"{version}.{group}"

    def name_format(name: str, prefix: bool) -> list[str]:
        complaints = is_path_segment(name)
        if complaints or name == wanted:
            return complaints
        return [f'must be `spec.version+"."+spec.group`: {quoted(wanted)}']

    found = meta_findings(definition, obj, name_format)
    if not group and version != "v1":
        found.required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    if group:
        found.check("spec.group", group, is_dns1123_subdomain)
    found.check("spec.version", version, is_dns1035_label)
    for key, limit in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        if not 0 < spec.get(key, 0) <= limit:
            found.invalid(f"spec.{key}", spec.get(key, 0), f"must be positive and less than {limit}")
    _backing(found, spec)
    return found


def _backing(found: Findings, spec: Spec) -> None:
    """The service behind an APIService, and how it is trusted."""
    service, bundle, insecure = (spec.get(key) for key in ("service", "caBundle", "insecureSkipTLSVerify"))
    path = "spec.insecureSkipTLSVerify"
    if service is None:
        if bundle:
            size = len(base64.b64decode(bundle))
            found.invalid("spec.caBundle", f"{size} bytes", "local APIServices may not have a caBundle")
        if insecure:
            found.invalid(path, True, "local APIServices may not have insecureSkipTLSVerify")
        return
    for key in ("namespace", "name"):
        if not service.get(key):
            found.required(f"spec.service.{key}")
    complaints = is_port_number(service.get("port") or 0)
    if complaints:
        text = "port is not valid: " + ", ".join(complaints)
        found.invalid("spec.service.port", service.get("port") or 0, text)
    if insecure and bundle:
        found.invalid(path, True, "may not be true if caBundle is present")


def api_service_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += api_service(definition, obj, context)
    return found


def api_service_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    for at, one in enumerate(get(obj, "status.conditions", [])):
        found.one_of(f"status.conditions[{at}].status", one.get("status", ""), ("True", "False", "Unknown"))
    return found
