"""Which families of addresses a Service wants: ipFamilyPolicy and ipFamilies as a server with these ranges reads them.

Follows initIPFamilyFields of pkg/registry/core/service/storage in k8s.io/kubernetes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import invalid
from ledger.registry.allocators.addresses import family_of
from ledger.scheme.strategies.validation.findings import Findings

Spec = dict[str, Any]
SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
POLICY, IPS, FAMILIES = "spec.ipFamilyPolicy", "spec.clusterIPs", "spec.ipFamilies"
OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


def choose_families(service: Object, old: Object | None, configured: Sequence[str]) -> None:
    """Fills the fields in; StatusError 422. `configured`: the server's families, the default one first."""
    spec, before = service["spec"], (old or {}).get("spec") or {}
    if spec.get("type") == "ExternalName" or (old is not None and keeps_preferred(spec, before)):
        return
    selectorless = spec.get("clusterIP") == "None" and not spec.get("selector")
    if not spec.get("ipFamilyPolicy"):
        spec["ipFamilyPolicy"] = before.get("ipFamilyPolicy") or (REQUIRE if selectorless else SINGLE)
    from ledger.scheme.strategies.validation.services import cluster_ip_findings  # with the rules of pods

    found = cluster_ip_findings(spec, before)
    _refuse(service, found)
    if old is not None:
        _reduce(found, spec, before)
    _single(found, spec)
    _infer(found, spec, configured)
    _refuse(service, found)
    if selectorless:
        families = spec.get("ipFamilies") or [configured[0]]
        if len(families) < 2 and spec["ipFamilyPolicy"] != SINGLE:
            families = [families[0], OTHER[families[0]]]
        spec["ipFamilies"] = families
        return
    if spec["ipFamilyPolicy"] == REQUIRE and len(configured) < 2:
        found.invalid(POLICY, REQUIRE, "this cluster is not configured for dual-stack services")
    for at, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in configured:
            found.invalid(f"{FAMILIES}[{at}]", family, "not configured on this cluster")
    _refuse(service, found)
    families = spec.get("ipFamilies") or [configured[0]]
    if spec["ipFamilyPolicy"] != SINGLE and len(families) == 1 and len(configured) == 2:
        families = [families[0], OTHER[families[0]]]
    spec["ipFamilies"] = families


def keeps_preferred(spec: Spec, before: Spec) -> bool:
    """Whether a Service that prefers two families stays as it is, however many the cluster has had since."""
    return (
        bool(spec.get("ipFamilyPolicy"))
        and spec.get("type") == before.get("type") != "ExternalName"
        and spec["ipFamilyPolicy"] == PREFER
        and before.get("ipFamilyPolicy", PREFER) == PREFER
        and (spec.get("clusterIPs") or []) == (before.get("clusterIPs") or [])
        and (spec.get("ipFamilies") or []) == (before.get("ipFamilies") or [])
    )


def _reduce(found: Findings, spec: Spec, before: Spec) -> None:
    """SingleStack gives the second address up; any other policy must not lose one silently."""
    pairs = (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family"))
    for name, called in pairs:
        now, was = spec.get(name) or [], before.get(name) or []
        if spec["ipFamilyPolicy"] == SINGLE:
            if now == was and len(now) > 1:
                spec[name] = now[:1]
        elif now and len(now) < len(was):
            found.invalid(POLICY, spec["ipFamilyPolicy"], f"must be 'SingleStack' to release the secondary {called}")


def _single(found: Findings, spec: Spec) -> None:
    if spec["ipFamilyPolicy"] != SINGLE:
        return
    for name, called in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
        if len(spec.get(name) or ()) == 2:
            why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {called} are specified"
            found.invalid(POLICY, SINGLE, why)


def _infer(found: Findings, spec: Spec, configured: Sequence[str]) -> None:
    """Families of the addresses that a client chose without saying them."""
    ips, families = spec.get("clusterIPs") or [], [*(spec.get("ipFamilies") or ())]
    for at, ip in enumerate(ips):
        if ip == "None":
            break
        if at >= len(families):
            family = family_of(ipaddress.ip_address(ip))
            if family in configured:
                families.append(family)
            else:
                found.invalid(f"{IPS}[{at}]", ips, f"{family} is not configured on this cluster")
    if families:
        spec["ipFamilies"] = families


def _refuse(service: Object, found: Findings) -> None:
    if found:
        raise invalid("", "Service", service["metadata"].get("name", ""), found)
