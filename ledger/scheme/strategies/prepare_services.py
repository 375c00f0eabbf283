"""Services: fields that a change of type leaves without meaning are cleared, unless the client changed them as well."""

from __future__ import annotations

from ledger.apimachinery.resource import Object
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import every

Spec = dict[str, object]


def update(obj: Object, old: Object, context: Context) -> None:
    """dropTypeDependentFields of pkg/registry/core/service."""
    new, before = obj["spec"], old["spec"]
    kind, old_kind = new.get("type"), before.get("type")
    if kind == "ExternalName" and old_kind != "ExternalName":
        if _same(new, before, "clusterIP") and _same(new, before, "clusterIPs"):
            new.pop("clusterIP", None)
            new.pop("clusterIPs", None)
        for key in ("ipFamilies", "ipFamilyPolicy"):
            if _same(new, before, key):
                new.pop(key, None)
    if _has_node_ports(old_kind) and not _has_node_ports(kind) and _node_ports(obj) <= _node_ports(old):
        for port in every(obj, "spec.ports[]"):
            port.pop("nodePort", None)
    if _has_health_port(before) and not _has_health_port(new) and _same(new, before, "healthCheckNodePort"):
        new.pop("healthCheckNodePort", None)
    if old_kind == "LoadBalancer" and kind != "LoadBalancer":
        for key in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if _same(new, before, key):
                new.pop(key, None)
    if externally_reachable(before) and not externally_reachable(new) and _same(new, before, "externalTrafficPolicy"):
        new.pop("externalTrafficPolicy", None)
    if kind != "LoadBalancer":
        obj["status"] = {**obj.get("status", {}), "loadBalancer": {}}


def externally_reachable(spec: Spec) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def _same(new: Spec, old: Spec, key: str) -> bool:
    return same(new.get(key), old.get(key))


def _has_node_ports(kind: object) -> bool:
    return kind in ("NodePort", "LoadBalancer")


def _has_health_port(spec: Spec) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _node_ports(obj: Object) -> set[int]:
    return {port["nodePort"] for port in every(obj, "spec.ports[]") if port.get("nodePort")}
