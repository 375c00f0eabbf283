"""Services: their cluster addresses, their node ports, and the fields that say which kinds of address they want.

Follows pkg/registry/core/service/storage (alloc.go, storage.go) in k8s.io/kubernetes.
"""

from __future__ import annotations

from typing import Any

from ledger.admission.api import Attributes
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError, internal_error, invalid
from ledger.log.event import Change
from ledger.projections.api import View
from ledger.registry.allocators.addresses import Addresses, Full, NoAddress
from ledger.registry.allocators.families import choose_families, keeps_preferred
from ledger.registry.allocators.ports import NodePorts, NoPort, PortClaim, ports_of
from ledger.scheme.strategies.validation.findings import Findings

Spec = dict[str, Any]


class Services:
    """ledger.registry.allocators.api.Allocator of services."""

    def __init__(self, addresses: Addresses, ports: NodePorts) -> None:
        self.addresses, self.ports = addresses, ports

    def allocate(self, attributes: Attributes, view: View) -> None:
        service, old = attributes.object, attributes.old
        assert service is not None
        given = service["spec"]
        spec = service["spec"] = {**given, "ports": [dict(port) for port in given.get("ports") or ()]}
        if not spec["ports"]:
            del spec["ports"]

        def restore(committed: bool) -> None:
            """A write that is decided again starts from what its client chose."""
            if not committed:
                service["spec"] = given

        before = (old or {}).get("spec") or {}
        if old is not None:
            _keep_allocated(spec, before)
        _make_plural(spec, before if old is not None else None)
        choose_families(service, old, self.addresses.families)
        self._addresses(attributes, service, old, view)
        claim = PortClaim(self.ports, attributes.dry_run)
        attributes.settle += [restore, claim.end]
        _node_ports(service, before, claim)
        _health_port(spec, before, claim)
        if spec.get("type") == "ExternalName":
            spec.pop("internalTrafficPolicy", None)

    def free(self, obj: Object, view: View) -> list[Change]:
        return [change for ip in _allocated(obj["spec"]) for change in self.addresses.release(ip, obj, view)]

    def _addresses(self, attributes: Attributes, service: Object, old: Object | None, view: View) -> None:
        """Claims what is new and gives back what is no longer wanted."""
        spec, before = service["spec"], (old or {}).get("spec") or {}
        if old is not None and keeps_preferred(spec, before):
            return
        if spec.get("type") == "ExternalName":
            if old is not None:
                attributes.companions += self.free(old, view)
            return
        if is_headless(spec) or (before.get("type") != "ExternalName" and before.get("clusterIPs") == ["None"]):
            return
        held = _allocated(before)
        families = spec.get("ipFamilies") or []
        if not held:
            self._claim(attributes, service, 0, view)
        elif len(before.get("ipFamilies") or ()) == 1 and len(families) == 2:
            self._claim(attributes, service, 1, view)
        elif len(before.get("ipFamilies") or ()) == 2 and len(families) == 1:
            assert old is not None
            attributes.companions += self.addresses.release(held[1], old, view)

    def _claim(self, attributes: Attributes, service: Object, after: int, view: View) -> None:
        """An address for each family from the one at `after` on."""
        spec, name = service["spec"], service["metadata"].get("name", "")
        families = spec["ipFamilies"]
        ips = [*(spec.get("clusterIPs") or ())]
        ips += [""] * (len(families) - len(ips))
        for at in range(after, len(families)):
            address = self._one(ips, at, families[at], name, view, attributes.dry_run)
            if not attributes.dry_run:
                attributes.companions.append(self.addresses.claim(address, service, "services"))
            ips[at] = address
        spec["clusterIPs"], spec["clusterIP"] = ips, ips[0]

    def _one(self, ips: list[str], at: int, family: str, name: str, view: View, dry_run: bool) -> str:
        asked = ips[at]
        try:
            if asked:
                self.addresses.check(asked, view, dry_run=dry_run)
                return asked
            address = self.addresses.choose(family, view, dry_run=dry_run)
            if not name and not dry_run:
                kind = f'IPAddress.networking.k8s.io "{address}" is invalid'
                raise NoAddress(f"{kind}: spec.parentRef.name: Required value")
            return address
        except Full as full:
            raise internal_error(f'failed to allocate a serviceIP for Service "{name}": {full}') from None
        except NoAddress as refused:
            what = f"failed to allocate IP {asked}" if asked else "failed to allocate IP"
            raise _refused(name, "spec.clusterIPs", ips, f"{what}: {refused}") from None


def _allocated(spec: Spec) -> list[str]:
    """The addresses a stored Service holds."""
    if spec.get("type") == "ExternalName" or is_headless(spec):
        return []
    return [ip for ip in spec.get("clusterIPs") or () if ip]


def is_headless(spec: Spec) -> bool:
    return spec.get("clusterIPs") == ["None"]


def _refused(name: str, path: str, value: Any, why: str) -> StatusError:
    found = Findings()
    found.invalid(path, value, why)
    return invalid("", "Service", name, found)


def _keep_allocated(spec: Spec, before: Spec) -> None:
    """A client that sends its manifest again gets what it was given before (patchAllocatedValues)."""
    if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
        for name in ("clusterIP", "clusterIPs"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if _wants_node_ports(spec) and _wants_node_ports(before):
        kept = _node_port_numbers(spec) & _node_port_numbers(before)
        by_name = {port.get("name", ""): port.get("nodePort") for port in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            number = by_name.get(port.get("name", ""))
            if not port.get("nodePort") and number and number not in kept:
                port["nodePort"] = number
    if _needs_health_port(spec) and _needs_health_port(before) and not spec.get("healthCheckNodePort"):
        if before.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def _make_plural(spec: Spec, before: Spec | None) -> None:
    """clusterIPs from clusterIP, for clients that know only the one (normalizeClusterIPs)."""
    ip, ips = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if before is None:
        if ip and not ips:
            spec["clusterIPs"] = [ip]
        return
    old_ip, old_ips = before.get("clusterIP", ""), before.get("clusterIPs") or []
    if old_ips and not ips and ip == old_ip:
        spec["clusterIPs"] = old_ips
    elif ip != old_ip and ips == old_ips:
        spec["clusterIPs"] = [ip] if ip else []
        if not ip:
            del spec["clusterIPs"]


def _wants_node_ports(spec: Spec) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True))


def _needs_health_port(spec: Spec) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _node_port_numbers(spec: Spec) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def _node_ports(service: Object, before: Spec, claim: PortClaim) -> None:
    """A node port for each port; on create, ports of one number (TCP and UDP) share theirs."""
    spec, name = service["spec"], service["metadata"].get("name", "")
    if spec.get("type") not in ("NodePort", "LoadBalancer"):
        return
    held, shared = ports_of({"spec": before}), dict[int, int]()
    ports = spec.get("ports") or []
    for at, port in enumerate(ports):
        wanted = port.get("nodePort", 0)
        if not wanted and not _wants_node_ports(spec):
            continue
        number = port.get("port", 0)
        if not before and not wanted:
            sibling = (one.get("nodePort", 0) for one in ports if one.get("port") == number and one.get("nodePort"))
            wanted = shared.get(number) or next(sibling, 0)
        if not wanted:
            port["nodePort"] = _any_port(claim)
        else:
            port["nodePort"] = wanted
            known = held | set(shared.values()) if before else {shared.get(number)}
            if wanted not in known:
                _take(claim, wanted, name, at)
        shared.setdefault(number, port["nodePort"])


def _take(claim: PortClaim, port: int, name: str, at: int) -> None:
    try:
        claim.take(port)
    except NoPort as refused:
        raise _refused(name, f"spec.ports[{at}].nodePort", port, str(refused)) from None


def _any_port(claim: PortClaim) -> int:
    try:
        return claim.take_any()
    except NoPort as refused:
        raise internal_error(f"failed to allocate a nodePort: {refused}") from None


def _health_port(spec: Spec, before: Spec, claim: PortClaim) -> None:
    """The port at which a load balancer asks a node for local endpoints."""
    if not _needs_health_port(spec) or _needs_health_port(before):
        return
    wanted = spec.get("healthCheckNodePort", 0)
    try:
        if wanted:
            claim.take(wanted)
        else:
            spec["healthCheckNodePort"] = claim.take_any()
    except NoPort as refused:
        what = (
            "failed to allocate requested HealthCheck NodePort"
            if wanted
            else "failed to allocate a HealthCheck NodePort"
        )
        raise internal_error(f"{what} {wanted}: {refused}") from None
