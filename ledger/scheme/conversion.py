"""An object of one version as an object of another: through the stored version, as through the hub of a wheel.

Most versions of today differ in nothing but apiVersion. Where they differ, `conversions` says how; where a version of
the past is stored as today's kind (extensions/v1beta1 as apps/v1, ScheduledJob as CronJob), that is said there as well.
"""

from __future__ import annotations

from copy import deepcopy

from ledger.apimachinery.resource import GVK, Object, api_version, split_api_version
from ledger.scheme.conversions import autoscaling, certificates, events, extensions, resource
from ledger.scheme.conversions.steps import Steps
from ledger.scheme.definition import ResourceDefinition

_STEPS: dict[tuple[str, str, str], Steps] = {
    **autoscaling.STEPS,
    **certificates.STEPS,
    **events.STEPS,
    **extensions.STEPS,
    **resource.STEPS,
}


class NotConverted(Exception):
    """A version of a custom resource is needed that a webhook has to make, and has not yet."""

    def __init__(self, definition: ResourceDefinition, obj: Object, wanted: GVK) -> None:
        super().__init__(f"{obj.get('apiVersion')} is not converted to {wanted.api_version} yet")
        self.definition, self.obj, self.wanted = definition, deepcopy(obj), wanted


def by_webhook(definition: ResourceDefinition) -> bool:
    """Whether a webhook makes the versions of this resource of one another."""
    return definition.custom and (definition.traits.more.get("conversion") or {}).get("strategy") == "Webhook"


# Kinds that are stored under another name.
_STORED_KINDS = {("batch", "ScheduledJob"): "CronJob"}


def stored_kind(definition: ResourceDefinition) -> GVK:
    """The group, version and kind objects are stored as; for most the resource's own."""
    found: GVK | None = definition.plans.get("stored_kind")
    if found is None:
        kind = _STORED_KINDS.get((definition.group, definition.kind), definition.kind)
        found = definition.plans["stored_kind"] = GVK(definition.stored_as.group, definition.storage_version, kind)
    return found


def same_shape(definition: ResourceDefinition, version: str) -> bool:
    """Whether this version's objects differ from the stored ones in apiVersion and kind alone."""
    return (definition.group, version, definition.kind) not in _STEPS


def convert(definition: ResourceDefinition, obj: Object, to_version: str) -> Object:
    """The object, of any version of the resource or as stored, in another version; a new dict where it differs.

    An object without apiVersion is taken for a stored one. For custom resources this is the strategy None.
    """
    target = definition.versions[to_version].kind
    return _between(definition, obj, target)


def to_storage(definition: ResourceDefinition, obj: Object) -> Object:
    """The object as it is stored: in the storage version, of the group and kind that own it."""
    return _between(definition, obj, stored_kind(definition))


def _between(definition: ResourceDefinition, obj: Object, target: GVK) -> Object:
    stored = stored_kind(definition)
    source = stored
    if obj.get("apiVersion"):
        group, version = split_api_version(obj["apiVersion"])
        source = GVK(group, version, obj.get("kind") or definition.kind)
    if source == target:
        return obj
    if source != stored and source in _STEPS:
        obj = _STEPS[source].to_stored(obj)
    if target != stored and target in _STEPS:
        obj = _STEPS[target].from_stored(obj)
    return {**obj, "apiVersion": api_version(target.group, target.version), "kind": target.kind}
