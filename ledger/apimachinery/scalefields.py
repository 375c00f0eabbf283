"""managedFields of an object that was written through its scale subresource.

Upstream turns the entries that own the object's replicas into entries of a Scale, lets a write of the Scale change those, and
turns them back (ScaleHandler in k8s.io/apimachinery/pkg/util/managedfields). Two things follow that a plain update of the
object would not show, and they are told here.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger.apimachinery import fieldset
from ledger.apimachinery.fieldset import Path
from ledger.apimachinery.managedentries import BadManagedFields, Entries, decode_managed_fields

ReplicasPaths = Mapping[str, Path]  # apiVersion of the object -> where its replicas are


def after_scale(live: Entries, updated: Entries, replicas: ReplicasPaths) -> Entries:
    """What a write through /scale leaves, given the entries before it and those a plain update would leave.

    Where nobody owns the replicas, a Scale has no entries, and an update does not begin to track an object without any.
    The way there and back loses the time of a Scale's own entries.
    """
    if not owns_replicas(live, replicas):
        return live
    return [
        {name: value for name, value in entry.items() if name != "time"}
        if entry.get("subresource") == "scale"
        else entry
        for entry in updated
    ]


def owns_replicas(entries: Entries, replicas: ReplicasPaths) -> bool:
    """Whether any of the entries owns the replicas, in its version."""
    try:
        managed = decode_managed_fields(entries)
    except BadManagedFields:
        return False
    return any(
        owned.api_version in replicas and fieldset.has(owned.fields, replicas[owned.api_version])
        for owned in managed.values()
    )
