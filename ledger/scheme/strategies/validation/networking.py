"""NetworkPolicies, Ingresses, IngressClasses, IPAddresses and ServiceCIDRs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ledger.apimachinery.field import required
from ledger.apimachinery.names import (
    is_dns1123_label,
    is_dns1123_subdomain,
    is_path_segment,
    is_port_name,
    is_port_number,
    is_wildcard_dns1123_subdomain,
)
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.addresses import cidr, ip_address, parse_cidr, parse_ip, strict_cidr
from ledger.scheme.strategies.validation.batch import domain_prefixed_path
from ledger.scheme.strategies.validation.common import label_selector, meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.findings import Findings

Spec = dict[str, Any]
_DIRECTIONS = (("ingress", "from"), ("egress", "to"))


def network_policy(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _policy_spec(found, obj.get("spec") or {}, False, [])
    return found


def network_policy_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, before, was = meta_update_findings(definition, obj, old), old.get("spec") or {}, Findings()
    label_selector(was, before.get("podSelector"), "")
    known = []
    for peer in _peers(before):
        block = peer.get("ipBlock")
        if block is not None:
            known += [block.get("cidr", ""), *(block.get("except") or ())]
    _policy_spec(found, obj.get("spec") or {}, bool(was), known)
    return found


def _peers(spec: Spec) -> Iterator[Spec]:
    for direction, key in _DIRECTIONS:
        for rule in spec.get(direction) or ():
            yield from rule.get(key) or ()


def _policy_spec(found: Findings, spec: Spec, invalid_values: bool, known: list[str]) -> None:
    label_selector(found, spec.get("podSelector"), "spec.podSelector", invalid_values)
    for direction, key in _DIRECTIONS:
        for at, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{at}]"
            for index, port in enumerate(rule.get("ports") or ()):
                _policy_port(found, f"{path}.ports[{index}]", port)
            for index, peer in enumerate(rule.get(key) or ()):
                _policy_peer(found, f"{path}.{key}[{index}]", peer, invalid_values, known)
    types = spec.get("policyTypes") or []
    if len(types) > 2:
        found.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for at, one in enumerate(types):
        found.one_of(f"spec.policyTypes[{at}]", one, ("Ingress", "Egress"))


def _policy_port(found: Findings, path: str, port: Spec) -> None:
    if port.get("protocol") is not None:
        found.one_of(f"{path}.protocol", port["protocol"], ("TCP", "UDP", "SCTP"))
    number, end = port.get("port"), port.get("endPort")
    if isinstance(number, int):
        for text in is_port_number(number):
            found.invalid(f"{path}.port", number, text)
        if end is not None:
            if end < number:
                found.invalid(f"{path}.endPort", end, "must be greater than or equal to `port`")
            for text in is_port_number(end):
                found.invalid(f"{path}.endPort", end, text)
        return
    if end is not None:
        why = "is not specified" if number is None else "is non-numeric"
        found.invalid(f"{path}.endPort", end, f"may not be specified when `port` {why}")
    if number is not None:
        found.check(f"{path}.port", number, is_port_name)


def _policy_peer(found: Findings, path: str, peer: Spec, invalid_values: bool, known: list[str]) -> None:
    given = [key for key in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(key) is not None]
    for key in given:
        if key == "ipBlock":
            _ip_block(found, f"{path}.ipBlock", peer[key], known)
        else:
            label_selector(found, peer[key], f"{path}.{key}", invalid_values)
    if not given:
        found.required(path, "must specify a peer")
    elif len(given) > 1 and "ipBlock" in given:
        found.forbidden(path, "may not specify both ipBlock and another peer")


def _ip_block(found: Findings, path: str, block: Spec, known: list[str]) -> None:
    """That there is a cidr has a declared rule."""
    if not block.get("cidr"):
        return
    cidr(found, f"{path}.cidr", block["cidr"], known)
    network = parse_cidr(block["cidr"])
    if network is None:
        return
    for at, text in enumerate(block.get("except") or ()):
        cidr(found, f"{path}.except[{at}]", text, known)
        part = parse_cidr(text)
        if part is None:
            continue
        if part.network_address not in network or network.prefixlen >= part.prefixlen:
            found.invalid(f"{path}.except[{at}]", text, "must be a strict subset of `cidr`")


def ingress(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = _ingress(definition, obj, None)
    key, name = "kubernetes.io/ingress.class", get(obj, "spec.ingressClassName")
    annotation = get(obj, "metadata.annotations", {}).get(key)
    if annotation is not None and name is not None and annotation != name:
        found.invalid(f"annotations.{key}", annotation, "must match `ingressClassName` when both are specified")
    return found


def ingress_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found += _ingress(definition, obj, old.get("spec") or {})
    return found


def _ingress(definition: ResourceDefinition, obj: Object, old: Spec | None) -> Findings:
    found, spec = meta_findings(definition, obj), obj.get("spec") or {}
    rules, backend = spec.get("rules"), spec.get("defaultBackend")
    if not rules and backend is None:
        found.invalid("spec", rules, "either `defaultBackend` or `rules` must be specified")
    if backend is not None:
        _backend(found, "spec.defaultBackend", backend)
    wildcards_may_be_wrong = _has_wrong_wildcard(old)
    for at, rule in enumerate(rules or ()):
        _ingress_host(found, f"spec.rules[{at}].host", rule.get("host", ""))
        if not (wildcards_may_be_wrong and "*" in rule.get("host", "")):
            _http(found, f"spec.rules[{at}].http", rule.get("http"))
    secrets_may_be_wrong = any(_is_wrong_secret(one) for one in (old or {}).get("tls") or ())
    for at, one in enumerate(spec.get("tls") or ()):
        for index, host in enumerate(one.get("hosts") or ()):
            found.check(f"spec.tls[{at}].hosts[{index}]", host, _host_check(host))
        if one.get("secretName") and not secrets_may_be_wrong:
            found.check(f"spec.tls[{at}].secretName", one["secretName"], is_dns1123_subdomain)
    if spec.get("ingressClassName") is not None:
        found.check("spec.ingressClassName", spec["ingressClassName"], is_dns1123_subdomain)
    return found


def _has_wrong_wildcard(spec: Spec | None) -> bool:
    found = Findings()
    for rule in (spec or {}).get("rules") or ():
        if "*" in rule.get("host", ""):
            _http(found, "", rule.get("http"))
    return bool(found)


def _is_wrong_secret(one: Spec) -> bool:
    return bool(one.get("secretName") and is_dns1123_subdomain(one["secretName"]))


def _host_check(host: str) -> Any:
    return is_wildcard_dns1123_subdomain if "*" in host else is_dns1123_subdomain


def _ingress_host(found: Findings, path: str, host: str) -> None:
    if not host:
        return
    if parse_ip(host) is not None:
        found.invalid(path, host, "must be a DNS name, not an IP address")
    found.check(path, host, _host_check(host))


def _http(found: Findings, path: str, http: Spec | None) -> None:
    if http is None:
        return
    if not http.get("paths"):
        found.required(f"{path}.paths")
    for at, one in enumerate(http.get("paths") or ()):
        _http_path(found, f"{path}.paths[{at}]", one)


def _http_path(found: Findings, path: str, one: Spec) -> None:
    kind, text = one.get("pathType"), one.get("path", "")
    if kind is None:
        found.required(f"{path}.pathType", "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            found.invalid(f"{path}.path", text, "must be an absolute path")
        for part in ("//", "/./", "/../", "%2f", "%2F"):
            if part in text:
                found.invalid(f"{path}.path", text, f"must not contain '{part}'")
        for part in ("/..", "/."):
            if text.endswith(part):
                found.invalid(f"{path}.path", text, f"cannot end with '{part}'")
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            found.invalid(f"{path}.path", text, "must be an absolute path")
    else:
        found.not_supported(f"{path}.pathType", kind, ("Exact", "ImplementationSpecific", "Prefix"))
    _backend(found, f"{path}.backend", one.get("backend") or {})


def _backend(found: Findings, path: str, backend: Spec) -> None:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        found.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        _reference(found, f"{path}.resource", resource)
    elif service is not None:
        found.name(f"{path}.service.name", service.get("name", ""), is_dns1123_label)
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            found.invalid(path, "", "cannot set both port name & port number")
        elif port.get("name"):
            found.check(f"{path}.service.port.name", port["name"], is_port_name)
        elif port.get("number"):
            for text in is_port_number(port["number"]):
                found.invalid(f"{path}.service.port.number", port["number"], text)
        else:
            found.required(path, "port name or number is required")
    else:
        found.invalid(path, "", "resource or service backend is required")


def _reference(found: Findings, path: str, reference: Spec, declared: bool = False) -> None:
    """`declared`: that there are a kind and a name has declared rules."""
    if reference.get("apiGroup") is not None:
        found.check(f"{path}.apiGroup", reference["apiGroup"], is_dns1123_subdomain)
    for key in ("kind", "name"):
        if reference.get(key):
            found.check(f"{path}.{key}", reference[key], is_path_segment)
        elif not declared:
            found.required(f"{path}.{key}")


def ingress_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    known = [one["ip"] for one in get(old, "status.loadBalancer.ingress", []) if one.get("ip")]
    for at, one in enumerate(get(obj, "status.loadBalancer.ingress", [])):
        path, hostname = f"status.loadBalancer.ingress[{at}]", one.get("hostname")
        if one.get("ip"):
            ip_address(found, f"{path}.ip", one["ip"], known)
        if hostname:
            found.check(f"{path}.hostname", hostname, is_dns1123_subdomain)
            if parse_ip(hostname) is not None:
                found.invalid(f"{path}.hostname", hostname, "must be a DNS name, not an IP address")
    return found


def ingress_class(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, spec = meta_findings(definition, obj), obj.get("spec") or {}
    controller, parameters = spec.get("controller", ""), spec.get("parameters")
    if len(controller) > 250:
        found.too_long("spec.controller", 250)
    domain_prefixed_path(found, "spec.controller", controller)
    if parameters is None:
        return found
    path, namespace = "spec.parameters", parameters.get("namespace")
    _reference(found, path, parameters, declared=True)
    if parameters.get("scope") is None:
        found.required(f"{path}.scope")
        return found
    found.one_of(f"{path}.scope", parameters["scope"], ("Cluster", "Namespace"))
    if parameters["scope"] == "Namespace":
        if namespace is None:
            found.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            found.check(f"{path}.namespace", namespace, is_dns1123_label)
    elif parameters["scope"] == "Cluster" and namespace is not None:
        found.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    return found


def ingress_class_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found.immutable("spec.controller", get(obj, "spec.controller", ""), get(old, "spec.controller", ""))
    found += ingress_class(definition, obj, context)
    return found


def ip_address_object(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """That there is a parentRef, and that it stays, has declared rules."""
    found, parent = meta_findings(definition, obj), get(obj, "spec.parentRef", {})
    if parent.get("group"):
        found.check("spec.parentRef.group", parent["group"], is_dns1123_subdomain)
    for key in ("resource", "name", "namespace"):
        if parent.get(key):
            found.check(f"spec.parentRef.{key}", parent[key], is_path_segment)
        elif parent and key != "namespace":
            found.unless_declared([required(f"spec.parentRef.{key}")])
    return found


def ip_address_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = ip_address_object(definition, obj, context)
    found += meta_update_findings(definition, obj, old)
    return found


def service_cidr(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found = meta_findings(definition, obj)
    _cidrs(found, get(obj, "spec.cidrs", []))
    return found


def _cidrs(found: Findings, cidrs: list[str]) -> None:
    path = "spec.cidrs"
    if not cidrs:
        found.required(path, "at least one CIDR required")
        return
    if len(cidrs) > 2:
        found.invalid(path, {"CIDRs": cidrs}, "may only hold up to 2 values")
        return
    for at, text in enumerate(cidrs):
        strict_cidr(found, f"{path}[{at}]", text)
    families = [network.version for network in map(parse_cidr, cidrs) if network is not None]
    if len(families) == 2 and families[0] == families[1]:
        example = "i.e 192.168.0.0/24 and 2001:db8::/64"
        found.invalid(path, cidrs, f"may specify no more than one IP for each IP family, {example}")


def service_cidr_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, text = meta_update_findings(definition, obj, old), "field is immutable"
    new, before, path = get(obj, "spec.cidrs", []), get(old, "spec.cidrs", []), "spec.cidrs"
    if len(new) == len(before) or (len(before), len(new)) == (1, 2):
        for at, (one, old_one) in enumerate(zip(new, before, strict=False)):
            if one != old_one:
                found.invalid(f"{path}[{at}]", one, text)
        if len(new) != len(before):
            _cidrs(found, new)
    else:
        found.invalid(path, new or None, text)
    return found
