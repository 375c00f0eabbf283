"""Services, endpoints, networking.k8s.io and discovery.k8s.io."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.printers.cell import (
    AGE,
    NAME,
    NONE,
    Row,
    dig,
    fields,
    items,
    joined,
    labels,
    named,
    row,
    shortened,
    value,
)
from ledger.scheme.printers.selector_text import selector

_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_SHOWN = 3


def _load_balancer(obj: Object, now: int = 0) -> str:
    """The addresses, sorted and each once."""
    ingress = items(obj, "status", "loadBalancer", "ingress")
    return ",".join(sorted({fields(one).get("ip") or fields(one).get("hostname") or "" for one in ingress} - {""}))


def _external_ip(obj: Object, now: int) -> str:
    given = ",".join(items(obj, "spec", "externalIPs"))
    match dig(obj, "spec", "type"):
        case "ClusterIP" | "NodePort":
            return given or NONE
        case "LoadBalancer":
            return ",".join(filter(None, (_load_balancer(obj), given))) or "<pending>"
        case "ExternalName":
            return dig(obj, "spec", "externalName") or ""
    return "<unknown>"


def _cluster_ip(obj: Object, now: int) -> str:
    return next(iter(items(obj, "spec", "clusterIPs")), NONE)


def _service_ports(obj: Object, now: int) -> str:
    return ",".join(map(_service_port, items(obj, "spec", "ports"))) or NONE


def _service_port(port: dict[str, Any]) -> str:
    number, on_nodes = port.get("port") or 0, port.get("nodePort")
    return f"{number}:{on_nodes}/{port.get('protocol')}" if on_nodes else f"{number}/{port.get('protocol')}"


def _endpoints(obj: Object, now: int) -> str:
    """The first three addresses, one for each port; without ports the address alone."""
    subsets = items(obj, "subsets")
    if not subsets:
        return NONE
    found: list[str] = []
    for subset in subsets:
        addresses = named(items(subset, "addresses"), "ip")
        ports = items(subset, "ports")
        if not ports:
            found += addresses
        for port in ports:
            found += [_host_port(address, port.get("port") or 0) for address in addresses]
    return shortened(found, missing="")


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _slice_ports(obj: Object, now: int) -> str:
    return shortened([_slice_port(port) for port in items(obj, "ports")])


def _slice_port(port: dict[str, Any]) -> str:
    named_or_any = "*" if port.get("name") is None else port["name"]
    return str(named_or_any if port.get("port") is None else port["port"])


def _slice_addresses(obj: Object, now: int) -> str:
    return shortened([address for one in items(obj, "endpoints") for address in items(one, "addresses")])


def _hosts(obj: Object, now: int) -> str:
    """The rules' hosts; a fourth rule is only counted once three hosts are shown."""
    shown: list[str] = []
    rules = items(obj, "spec", "rules")
    more = False
    for host in named(rules, "host"):
        more = more or len(shown) == _SHOWN
        if host and not more:
            shown.append(host)
    text = ",".join(shown) or "*"
    return f"{text} + {len(rules) - _SHOWN} more..." if more else text


def _ingress_ports(obj: Object, now: int) -> str:
    return "80, 443" if items(obj, "spec", "tls") else "80"


def _class_name(obj: Object, now: int) -> str:
    name: str = NAME(obj, now)
    default = fields(obj, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"
    return f"{name} (default)" if default else name


def _class_parameters(obj: Object, now: int) -> str:
    found = dig(obj, "spec", "parameters")
    if found is None:
        return NONE
    kind = found.get("kind") or ""
    if found.get("apiGroup") is not None:
        kind = f"{kind}.{found['apiGroup']}"
    return f"{kind}/{found.get('name') or ''}"


def _parent(obj: Object, now: int) -> str:
    """What uses the address: "services/default/kubernetes"."""
    parent = dig(obj, "spec", "parentRef")
    if parent is None:
        return NONE
    resource = ".".join(filter(None, (parent.get("resource"), parent.get("group")))).lower()
    inside = f"/{parent['namespace']}" if parent.get("namespace") else ""
    return f"{resource}{inside}/{parent.get('name') or ''}"


ROWS: dict[str, Row] = {
    "services": row(NAME, value("spec.type"), _cluster_ip, _external_ip, _service_ports, AGE, labels("spec.selector")),
    "endpoints": row(NAME, _endpoints, AGE),
    "endpointslices.discovery.k8s.io": row(NAME, value("addressType"), _slice_ports, _slice_addresses, AGE),
    "ingresses.networking.k8s.io": row(
        NAME, value("spec.ingressClassName", NONE), _hosts, _load_balancer, _ingress_ports, AGE
    ),
    "ingressclasses.networking.k8s.io": row(_class_name, value("spec.controller"), _class_parameters, AGE),
    "networkpolicies.networking.k8s.io": row(NAME, selector("spec.podSelector"), AGE),
    "servicecidrs.networking.k8s.io": row(NAME, joined("spec.cidrs"), AGE),
    # Upstream sends an age for which it has no column.
    "ipaddresses.networking.k8s.io": row(NAME, _parent, AGE),
}
