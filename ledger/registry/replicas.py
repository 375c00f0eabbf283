"""Where each version of a resource keeps the replicas that its scale subresource shows."""

from __future__ import annotations

from ledger.apimachinery import fieldset
from ledger.apimachinery.scalefields import ReplicasPaths
from ledger.scheme.definition import ResourceDefinition


def replicas_paths(definition: ResourceDefinition) -> ReplicasPaths:
    """By apiVersion, as paths of managedFields; versions without a scale subresource are left out."""
    return {
        version.kind.api_version: fieldset.field_path(version.scale.spec_replicas)
        for version in definition.versions.values()
        if version.scale is not None
    }
