"""Nodes."""

from __future__ import annotations

import json
import re
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.addresses import cidr, is_dual_stack
from ledger.scheme.strategies.validation.affinity import taints
from ledger.scheme.strategies.validation.common import meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import (
    amounts,
    resource_value,
)

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
