"""managedFields of the scale subresource: the owners of an object's replicas, seen as owners of Scale's.

A Scale has no managedFields of its own: before a write through /scale the parent's entries are turned into Scale's, after it
back again. Follows ScaleHandler in k8s.io/apimachinery/pkg/util/managedfields.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger.apimachinery import fieldset
from ledger.apimachinery.fieldset import Path
from ledger.apimachinery.managedentries import (
    Entries,
    Managed,
    Owned,
    decode_managed_fields,
    encode_managed_fields,
)

SCALE_VERSION = "autoscaling/v1"
_REPLICAS = fieldset.field_path("spec.replicas")

ReplicasPaths = Mapping[str, Path]  # apiVersion of the parent -> where its replicas are


def scale_entries(parent: Entries, replicas: ReplicasPaths) -> Entries:
    """The entries a Scale has: one for each owner of the parent's replicas. Raises BadManagedFields."""
    managed: Managed = {}
    for key, owned in decode_managed_fields(parent).items():
        path = replicas.get(owned.api_version)
        if path and fieldset.has(owned.fields, path):
            managed[key] = Owned(fieldset.of_paths([_REPLICAS]), SCALE_VERSION, owned.time)
    return encode_managed_fields(managed)


def parent_entries(parent: Entries, scale: Entries, api_version: str, replicas: ReplicasPaths) -> Entries:
    """The parent's entries after a write through /scale left `scale`: who lost the replicas there loses them here.

    `api_version`: the parent's, in which new owners are noted. New owners have no time, as upstream has it.
    Raises BadManagedFields.
    """
    new_owners = decode_managed_fields(scale)
    managed: Managed = {}
    for key, owned in decode_managed_fields(parent).items():
        path = replicas.get(owned.api_version)
        if path is None:
            continue
        if not fieldset.has(owned.fields, path):
            managed[key] = owned
        elif key in new_owners:
            managed[key] = owned
            del new_owners[key]
        elif rest := fieldset.difference(owned.fields, fieldset.of_paths([path])):
            managed[key] = Owned(rest, owned.api_version, owned.time)
    for key, owned in new_owners.items():
        if fieldset.has(owned.fields, _REPLICAS):
            managed[key] = Owned(fieldset.of_paths([replicas[api_version]]), api_version)
    return encode_managed_fields(managed)
