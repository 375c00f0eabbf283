"""Services, and the status of load balancers, which ingresses share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name
from ledger.apimachinery.objectmeta import validate_labels
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.prepare_services import externally_reachable
from ledger.scheme.strategies.validation.addresses import (
    cidr,
    endpoint_ip,
    ip_address,
    is_dual_stack,
    parse_ip,
    port_number,
    port_number_or_name,
)
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.containers import PROTOCOLS
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings

Spec = Mapping[str, Any]
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_TOPOLOGY_HINTS, _TOPOLOGY_MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_FOR_LOAD_BALANCERS = "may only be used when `type` is 'LoadBalancer'"
_ONCE = "may not change once set"


def create(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _service(found, obj, None)
    return found


def update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    new, before = obj["spec"], old["spec"]
    _cluster_ips_kept(found, new, before)
    _families_kept(found, new, before)
    if new.get("type") == before.get("type") == "LoadBalancer":
        if new.get("loadBalancerClass") != before.get("loadBalancerClass"):
            found.invalid("spec.loadBalancerClass", new.get("loadBalancerClass"), _ONCE)
    _load_balancer_class(found, new)
    if _has_health_port(new) and _has_health_port(before):
        if new.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
            found.forbidden("spec.healthCheckNodePort", "field is immutable")
    _service(found, obj, old)
    return found


def update_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    path, spec = "status.loadBalancer", obj.get("spec") or {}
    load_balancer_status(found, path, get(obj, path, {}), get(old, path, {}), spec.get("type") == "LoadBalancer")
    return found


def cluster_ip_findings(spec: Spec, before: Spec) -> Findings:
    """What is wrong with the fields that belong together: clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy."""
    found = Findings()
    _cluster_ips(found, spec, before)
    return found


def is_headless(spec: Spec) -> bool:
    return spec.get("clusterIPs") == ["None"]


def _has_health_port(spec: Spec) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _service(found: Findings, obj: Object, old: Object | None) -> None:
    spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
    kind = spec.get("type", "")
    annotations = get(obj, "metadata.annotations", {})
    mode, hints = annotations.get(_TOPOLOGY_MODE), annotations.get(_TOPOLOGY_HINTS)
    if mode is not None and hints is not None and mode != hints:
        text = f"must match annotations[{_TOPOLOGY_HINTS}] when both are specified"
        found.invalid(f"metadata.annotations[{_TOPOLOGY_MODE}]", mode, text)
    if not spec.get("ports") and not is_headless(spec) and kind != "ExternalName":
        found.required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        found.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    elif kind == "ExternalName":
        _external_name(found, spec)
    _ports(found, spec)
    if spec.get("selector"):
        found += validate_labels(spec["selector"], "spec.selector")
    _affinity(found, spec)
    _cluster_ips(found, spec, before)
    for at, text in enumerate(spec.get("externalIPs") or ()):
        if ip_address(found, f"spec.externalIPs[{at}]", text, before.get("externalIPs") or ()):
            endpoint_ip(found, f"spec.externalIPs[{at}]", text)
    found.one_of_required("spec.type", kind, ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort"))
    _unique_ports(found, spec)
    _source_ranges(found, obj, old)
    allocate = spec.get("allocateLoadBalancerNodePorts")
    if allocate is not None and kind != "LoadBalancer":
        found.forbidden("spec.allocateLoadBalancerNodePorts", _FOR_LOAD_BALANCERS)
    if allocate is None and kind == "LoadBalancer":
        found.required("allocateLoadBalancerNodePorts")
    _load_balancer_class(found, spec)
    _traffic_policies(found, spec)


def _external_name(found: Findings, spec: Spec) -> None:
    for key in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(key):
            found.forbidden(f"spec.{key}", "may not be set for ExternalName services")
    found.name("spec.externalName", spec.get("externalName", "").removesuffix("."), is_dns1123_subdomain)


def _ports(found: Findings, spec: Spec) -> None:
    names: set[str] = set()
    ports = spec.get("ports") or []
    for at, port in enumerate(ports):
        here, name = f"spec.ports[{at}]", port.get("name", "")
        if name:
            found.check(f"{here}.name", name, is_dns1123_label)
            if name in names:
                found.duplicate(f"{here}.name", name)
            names.add(name)
        elif len(ports) > 1:
            found.required(f"{here}.name")
        port_number(found, f"{here}.port", port.get("port", 0))
        found.one_of_required(f"{here}.protocol", port.get("protocol", ""), PROTOCOLS)
        port_number_or_name(found, f"{here}.targetPort", port.get("targetPort"))
        if port.get("appProtocol") is not None:
            found.check(f"{here}.appProtocol", port["appProtocol"], is_qualified_name)


def _affinity(found: Findings, spec: Spec) -> None:
    affinity, path = spec.get("sessionAffinity", ""), "spec.sessionAffinityConfig"
    found.one_of_required("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    if affinity == "None" and spec.get("sessionAffinityConfig") is not None:
        found.forbidden(path, "must not be set when session affinity is None")
    if affinity != "ClientIP":
        return
    for below in ("", ".clientIP", ".clientIP.timeoutSeconds"):
        if get(spec, f"sessionAffinityConfig{below}") is None:
            found.required(f"{path}{below}", "when session affinity type is ClientIP")
            return
    seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
    if not 0 < seconds <= 86400:
        found.invalid(f"{path}.clientIP.timeoutSeconds", seconds, "must be greater than 0 and less than 86400")


def _cluster_ips(found: Findings, spec: Spec, before: Spec) -> None:
    """ValidateServiceClusterIPsRelatedFields."""
    if spec.get("type") == "ExternalName":
        return
    first, ips, families = spec.get("clusterIP", ""), spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    path = "spec.clusterIPs"
    if first and not ips:
        found.required(path)
    elif first and ips[0] != first:
        found.invalid(path, ips, "first value must match `clusterIP`")
    elif not first and ips:
        found.invalid(path, ips, "must be empty when `clusterIP` is not specified")
    for at, family in enumerate(families):
        found.one_of(f"spec.ipFamilies[{at}]", family, ("IPv4", "IPv6"))
        if family in families[:at]:
            found.duplicate(f"spec.ipFamilies[{at}]", family)
    if spec.get("ipFamilyPolicy") is not None:
        policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
        found.one_of("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], policies)
    valid = True
    for at, text in enumerate(ips):
        if at == 0 and text == "None":
            if len(ips) > 1:
                valid = False
                found.invalid(path, ips, "'None' must be the first and only value")
            continue
        valid = ip_address(found, f"{path}[{at}]", text, before.get("clusterIPs") or ()) and valid
    if len(ips) > 2:
        found.invalid(path, ips, "may only hold up to 2 values")
    if not valid:
        return
    if len(ips) > 1 and not is_dual_stack(ips):
        found.invalid(path, ips, "may specify no more than one IP for each IP family")
    if not is_headless(spec):
        _families_of(found, ips, families)


def _families_of(found: Findings, ips: Sequence[str], families: Sequence[str]) -> None:
    for at, (text, family) in enumerate(zip(ips, families, strict=False)):
        address = parse_ip(text)
        actual = "IPv6" if address is not None and address.version == 6 else "IPv4"
        if family in ("IPv4", "IPv6") and family != actual:
            why = f"expected an {family} value as indicated by `ipFamilies[{at}]`"
            found.invalid(f"spec.clusterIPs[{at}]", text, why)


def _unique_ports(found: Findings, spec: Spec) -> None:
    ports = spec.get("ports") or []
    if spec.get("type") == "ClusterIP":
        for at, port in enumerate(ports):
            if port.get("nodePort"):
                found.forbidden(f"spec.ports[{at}].nodePort", "may not be used when `type` is 'ClusterIP'")
    seen: set[tuple[str, int]] = set()
    for at, port in enumerate(ports):
        if port.get("nodePort"):
            key = (port.get("protocol", ""), port["nodePort"])
            if key in seen:
                found.duplicate(f"spec.ports[{at}].nodePort", port["nodePort"])
            seen.add(key)
    seen = set()
    for at, port in enumerate(ports):
        key = (port.get("protocol", ""), port.get("port", 0))
        if key in seen:
            shown = go_value("core.ServicePort", {"protocol": key[0], "port": key[1]})
            found.duplicate(f"spec.ports[{at}]", shown)
        seen.add(key)


def _source_ranges(found: Findings, obj: Object, old: Object | None) -> None:
    spec, ranges = obj["spec"], obj["spec"].get("loadBalancerSourceRanges") or []
    balanced = spec.get("type") == "LoadBalancer"
    if ranges:
        path = "spec.LoadBalancerSourceRanges"
        if not balanced:
            found.forbidden(path, _FOR_LOAD_BALANCERS)
        known = [text.strip() for text in get(old or {}, "spec.loadBalancerSourceRanges", [])]
        for at, text in enumerate(ranges):
            cidr(found, f"{path}[{at}]", text.strip(), known)
        return
    annotation = get(obj, "metadata.annotations", {}).get(_SOURCE_RANGES)
    if annotation is None:
        return
    path = f"metadata.annotations[{_SOURCE_RANGES}]"
    if not balanced:
        found.forbidden(path, _FOR_LOAD_BALANCERS)
    changed = old is None or get(old, "metadata.annotations", {}).get(_SOURCE_RANGES) != annotation
    if changed and annotation.strip():
        for text in annotation.split(","):
            cidr(found, path, text.strip())


def _load_balancer_class(found: Findings, spec: Spec) -> None:
    name = spec.get("loadBalancerClass")
    if name is not None and spec.get("type") == "LoadBalancer":
        found.check("spec.loadBalancerClass", name, is_qualified_name)
    elif name is not None:
        found.forbidden("spec.loadBalancerClass", _FOR_LOAD_BALANCERS)


def _traffic_policies(found: Findings, spec: Spec) -> None:
    policy, health = spec.get("externalTrafficPolicy", ""), spec.get("healthCheckNodePort", 0)
    if externally_reachable(dict(spec)):
        found.one_of_required("spec.externalTrafficPolicy", policy, ("Cluster", "Local"))
    elif policy:
        found.invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    if not _has_health_port(spec):
        if health:
            text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            found.invalid("spec.healthCheckNodePort", health, text)
    elif not health:
        found.required("spec.healthCheckNodePort")
    else:
        port_number(found, "spec.healthCheckNodePort", health)
    internal = spec.get("internalTrafficPolicy")
    if internal is not None:
        found.one_of("spec.internalTrafficPolicy", internal, ("Cluster", "Local"))
    elif spec.get("type") in ("NodePort", "LoadBalancer", "ClusterIP"):
        found.required("spec.internalTrafficPolicy")
    distribution = spec.get("trafficDistribution")
    if distribution is not None:
        values = ("PreferClose", "PreferSameZone", "PreferSameNode")
        found.one_of("spec.trafficDistribution", distribution, values)


def _cluster_ips_kept(found: Findings, new: Spec, before: Spec) -> None:
    """The first address stays; the second may come, and go only with the policy that says so."""
    if "ExternalName" in (new.get("type"), before.get("type")) or (is_headless(new) and is_headless(before)):
        return
    ips, old_ips, path = new.get("clusterIPs") or [], before.get("clusterIPs") or [], "spec.clusterIPs"
    if len(ips) == len(old_ips):
        for at, (text, old_text) in enumerate(zip(ips, old_ips, strict=True)):
            if text != old_text:
                found.invalid(f"{path}[{at}]", ips, _ONCE)
        return
    if len(ips) < len(old_ips) and not ips:
        found.invalid(f"{path}[0]", None, "primary clusterIP can not be unset")
    if ips and old_ips and ips[0] != old_ips[0]:
        found.invalid(f"{path}[0]", ips, _ONCE)
    if len(ips) == 1 and len(old_ips) > 1 and new.get("ipFamilyPolicy") != "SingleStack":
        text = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        found.invalid("spec.ipFamilyPolicy", new.get("ipFamilyPolicy"), text)


def _families_kept(found: Findings, new: Spec, before: Spec) -> None:
    if "ExternalName" in (new.get("type"), before.get("type")) or is_headless(new) or is_headless(before):
        return
    families, old_families, path = new.get("ipFamilies") or [], before.get("ipFamilies") or [], "spec.ipFamilies"
    if len(families) == len(old_families):
        for family, old_family in zip(families, old_families, strict=True):
            if family != old_family:
                found.invalid(f"{path}[0]", families, _ONCE)
        return
    if len(families) < len(old_families) and not new.get("clusterIPs"):
        found.invalid(f"{path}[0]", families or None, "primary ipFamily can not be unset")
    if families and old_families and families[0] != old_families[0]:
        found.invalid(f"{path}[0]", new.get("clusterIPs") or None, _ONCE)
    if len(families) == 1 and len(old_families) > 1 and new.get("ipFamilyPolicy") != "SingleStack":
        text = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        found.invalid("spec.ipFamilyPolicy", new.get("ipFamilyPolicy"), text)


def load_balancer_status(found: Findings, path: str, status: Spec, before: Spec, balanced: bool) -> None:
    ingress = status.get("ingress") or []
    if not balanced and ingress:
        found.forbidden(f"{path}.ingress", "may only be used when `spec.type` is 'LoadBalancer'")
        return
    known = [one["ip"] for one in before.get("ingress") or () if one.get("ip")]
    for at, one in enumerate(ingress):
        here, ip, mode = f"{path}.ingress[{at}]", one.get("ip", ""), one.get("ipMode")
        if ip:
            ip_address(found, f"{here}.ip", ip, known)
        if mode is None and ip:
            found.required(f"{here}.ipMode", "must be specified when `ip` is set")
        elif mode is not None and not ip:
            found.forbidden(f"{here}.ipMode", "may not be specified when `ip` is not set")
        elif mode is not None:
            found.one_of(f"{here}.ipMode", mode, ("Proxy", "VIP"))
        hostname_of_balancer(found, f"{here}.hostname", one.get("hostname", ""))


def hostname_of_balancer(found: Findings, path: str, hostname: str) -> None:
    if hostname:
        found.check(path, hostname, is_dns1123_subdomain)
        if parse_ip(hostname) is not None:
            found.invalid(path, hostname, "must be a DNS name, not an IP address")
