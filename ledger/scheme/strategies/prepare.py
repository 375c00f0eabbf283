"""What a client may not set: preparing objects before admission and validation (PrepareForCreate, PrepareForUpdate).

Most of it is data in traits.json: status is dropped on create and comes from the old object on update (the other way
round through /status), generation counts changes of the listed paths. The rest is functions that traits.json names.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.defaults import default
from ledger.scheme.strategies.disabled import drop_disabled_fields
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get, restore
from ledger.scheme.strategies.prepare_functions import CANONICAL, ON_CREATE, ON_UPDATE

# What ResetObjectMetaForStatus of k8s.io/apimachinery takes from the old object ("metadata" in status_restores).
_METADATA = (
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
)


def prepare_for_create(definition: ResourceDefinition, obj: Object, context: Context) -> None:
    """Make `obj` (in the storage version, defaulted, uid and name set) what is created, in place."""
    more = definition.traits.more
    if definition.traits.has_status and more.get("status_on_create") != "kept":
        _set_status(definition, obj)
    if definition.traits.tracks_generation and more.get("generation_start", 1):
        obj["metadata"]["generation"] = more.get("generation_start", 1)
    drop_disabled_fields(definition, obj, None)
    for name in more.get("on_create", ()):
        ON_CREATE[name](obj, context)


def prepare_for_update(
    definition: ResourceDefinition, obj: Object, old: Object, context: Context, subresource: str = ""
) -> None:
    """Make `obj` what replaces `old`, in place; through a subresource only its part of the object may change."""
    more = definition.traits.more
    if "generation" in old["metadata"]:
        obj["metadata"]["generation"] = old["metadata"]["generation"]
    else:
        obj["metadata"].pop("generation", None)
    if subresource == "status":
        prepare_for_status_update(definition, obj, old, context)
        return
    if subresource in more.get("subresources", {}):
        for name in more["subresources"][subresource]:
            ON_UPDATE[name](obj, old, context)
    else:
        if definition.traits.has_status:
            restore(obj, old, "status")
        for name in more.get("on_update", ()):
            ON_UPDATE[name](obj, old, context)
    drop_disabled_fields(definition, obj, old)
    if generation_changed(definition, obj, old):
        obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def prepare_for_status_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> None:
    """Make `obj` what replaces `old` through /status: its spec, and often its metadata, are the old ones."""
    more = definition.traits.more
    if "spec" in old or "spec" in obj:
        restore(obj, old, "spec")
    for path in more.get("status_restores", ()):
        if path == "metadata.*":
            _restore_metadata(
                obj, old, [key for key in {**obj["metadata"], **old["metadata"]} if key != "managedFields"]
            )
        elif path == "metadata":
            _restore_metadata(obj, old, _METADATA)
        else:
            restore(obj, old, path)
    for name in more.get("on_status_update", ()):
        ON_UPDATE[name](obj, old, context)
    drop_disabled_fields(definition, obj, old)


def generation_changed(definition: ResourceDefinition, obj: Object, old: Object) -> bool:
    """Whether an update counts as a new generation: one of the resource's `generation` paths differs."""
    paths = definition.traits.more.get("generation", ())
    return definition.traits.tracks_generation and not all(same(get(obj, path), get(old, path)) for path in paths)


def canonicalize(definition: ResourceDefinition, obj: Object, context: Context) -> None:
    """After validation: the kind's Canonicalize, then the defaults that readers of the store apply again."""
    for name in definition.traits.more.get("canonicalize", ()):
        CANONICAL[name](obj)
    default(definition, definition.storage_version, obj, context.now)


def reset_fields(definition: ResourceDefinition, subresource: str = "") -> list[str]:
    """Paths that a write through this endpoint cannot own in managedFields (GetResetFields)."""
    return list(definition.traits.more.get("reset_fields", {}).get(subresource, ()))


def reset_fields_filter(definition: ResourceDefinition, subresource: str) -> list[str] | None:
    """The only paths that a write through this endpoint can own (GetResetFieldsFilter); None: no such limit."""
    paths = definition.traits.more.get("reset_filters", {}).get(subresource)
    return None if paths is None else list(paths)


def _set_status(definition: ResourceDefinition, obj: Object) -> None:
    more = definition.traits.more
    zero: Any = more.get("zero_status", {})
    zero = more.get("zero_status_of", {}).get(obj.get("apiVersion"), zero)
    if zero is None:
        obj.pop("status", None)
    else:
        obj["status"] = deepcopy(zero)


def _restore_metadata(obj: Object, old: Object, keys: Any) -> None:
    for key in keys:
        restore(obj["metadata"], old["metadata"], key)
