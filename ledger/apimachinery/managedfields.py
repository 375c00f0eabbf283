"""metadata.managedFields: who owns which fields, kept up at every write.

A write makes its manager the owner of what it changed and takes that from everybody else. Follows the chain of managers in
k8s.io/apimachinery/pkg/util/managedfields/internal and merge.Updater of structured-merge-diff. Server-side apply, the other
half, is in `apply`.

Works on objects as they are about to be stored, in the version of the request, defaults filled in, before admission.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.apimachinery import fieldset
from ledger.apimachinery.fieldset import FieldSet, Filter
from ledger.apimachinery.fieldtypes import Type, TypeMismatch, compiled
from ledger.apimachinery.fieldwalk import Comparison, compare, reconciled
from ledger.apimachinery.managedentries import (
    BadManagedFields,
    Entries,
    Managed,
    ManagerKey,
    Owned,
    decode_managed_fields,
    encode_managed_fields,
    is_shared,
)
from ledger.apimachinery.objectmeta import FIELD_MANAGER_BYTES_MAX
from ledger.apimachinery.remember import remembered
from ledger.apimachinery.resource import Object, Schema

UPDATE_MANAGERS_MAX = 10
ANCIENT = "ancient-changes"  # owns what the oldest managers owned, once there are too many

# The object and its schema in another apiVersion; None when that version is gone.
Convert = Callable[[Object, str], tuple[Object, Schema | None] | None]

# Fields nobody owns.
_UNOWNED = fieldset.of_paths(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",)]
    + [
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ]
)


def manager_name(field_manager: str, user_agent: str) -> str:
    """The manager of a request: as it says, or else the user agent's program, printable and at most 128 bytes."""
    return field_manager or _program_of(user_agent)


@remembered(1024)
def _program_of(user_agent: str) -> str:
    name = ""
    for character in user_agent.split("/")[0]:
        if character.isprintable():
            if len(name.encode()) + len(character.encode()) > FIELD_MANAGER_BYTES_MAX:
                break
            name += character
    return name


def update_managed_fields(
    old: Object,
    new: Object,
    schema: Schema | None,
    manager: str,
    api_version: str,
    subresource: str,
    now: str,
    reset: Filter | None = None,
    convert: Convert | None = None,
) -> Entries:
    """managedFields of `new` after a create, update or patch by `manager`; the caller puts them there (empty: leaves them out).

    `old`: the live object; for a create the kind's empty object, as Go prints it (without a uid). `reset`: what the
    strategy throws away of such a write, so that nobody comes to own it (`fieldset.excluding`). `convert` is asked for
    managers of other versions; without it every version has the same fields.
    """
    try:
        managed = _decode_live_or_new(old, new, bool(subresource))
        if not managed and old.get("metadata", {}).get("uid"):
            return []  # not tracked so far, and an update does not begin it
        writer = ManagerKey.of(manager, "Update", api_version, subresource)
        context = Context(compiled(schema), api_version, reset, convert)
        managed = track_update(managed, without_managed_fields(old), without_managed_fields(new), writer, now, context)
    except (BadManagedFields, TypeMismatch):
        # A write is never refused for the sake of managedFields; it leaves them as they were.
        return list(old.get("metadata", {}).get("managedFields") or [])
    return encode_managed_fields(capped(managed))


def _decode_live_or_new(old: Object, new: Object, only_live: bool) -> Managed:
    """A client may set managedFields itself: [] or [{}] reset them, nothing or nonsense leaves them."""
    live = old.get("metadata", {}).get("managedFields") or []
    given = new.get("metadata", {}).get("managedFields")
    if not only_live:
        if given == [] or given == [{}]:
            return {}
        try:
            if given and (managed := decode_managed_fields(given)):
                return managed
        except BadManagedFields:
            given = None  # nonsense: what is live counts
    try:
        return decode_managed_fields(live)
    except BadManagedFields:
        return {}


@dataclass(slots=True)
class Context:
    """What the walks need to know of one write: its version's type, and how to see the object in other versions."""

    type: Type
    api_version: str
    reset: Filter | None = None
    convert: Convert | None = None

    def at(self, obj: Object, version: str) -> tuple[Object, Type] | None:
        """`obj` and its type in a version; None when the version is gone."""
        if self.convert is None or (version == self.api_version and obj.get("apiVersion", version) == version):
            return obj, self.type
        converted = self.convert(obj, version)
        return None if converted is None else (converted[0], compiled(converted[1]))


def track_update(managed: Managed, old: Object, new: Object, writer: ManagerKey, now: str, context: Context) -> Managed:
    """`managed` after `writer` turned `old` into `new`; its entry's time changes only when it came to own something."""
    if managed:
        managed = reconciled_with_schema(managed, old, context)
        managed, changes = disown(managed, old, new, None, context, None)
    else:  # a create: nobody has anything to lose
        changes = compare(old, new, context.type).filtered(context.reset)
    gained = fieldset.union(changes.modified, changes.added)
    if context.reset:
        gained = context.reset(gained)
    gained = fieldset.difference(gained, _UNOWNED)
    if gained:
        before = managed[writer].fields if writer in managed else {}
        managed[writer] = Owned(fieldset.union(gained, before), writer.api_version, now)
    return managed


def reconciled_with_schema(managed: Managed, live: Object, context: Context) -> Managed:
    """`managed` without entries of versions that are gone, sets fitted to lists and maps that became one piece since."""
    result: Managed = {}
    for key, owned in managed.items():
        seen = context.at(live, owned.api_version)
        if seen is not None:
            fields = _reconciled(owned.fields, seen[1])
            result[key] = owned if fields is owned.fields else Owned(fields, owned.api_version, owned.time)
    return result


_FITTING_MAX = 1024
_fitting: dict[tuple[int, int], tuple[FieldSet, Type]] = {}  # by their ids, which are theirs as long as they are here


def _reconciled(fields: FieldSet, made: Type) -> FieldSet:
    """`reconciled`, remembering the sets that fit: objects made alike share them (managedentries)."""
    if (id(fields), id(made)) in _fitting:
        return fields
    fitted = reconciled(fields, made)
    if fitted is fields and is_shared(fields):
        if len(_fitting) >= _FITTING_MAX:
            _fitting.clear()
        _fitting[id(fields), id(made)] = fields, made
    return fitted


Conflicts = dict[ManagerKey, FieldSet]


class ConflictsFound(Exception):
    """Fields to be changed have other owners."""

    def __init__(self, conflicts: Conflicts) -> None:
        super().__init__(f"conflicts with {len(conflicts)} managers")
        self.conflicts = conflicts


def disown(
    managed: Managed, old: Object, new: Object, writer: ManagerKey | None, context: Context, force: bool | None
) -> tuple[Managed, Comparison]:
    """Takes what changed from `old` to `new` from every owner but `writer`, and what is gone from all of them.

    Raises ConflictsFound when `force` is False and somebody owns what changed. Returns the changes as well.
    """
    changes = compare(old, new, context.type).filtered(context.reset)
    at_version: dict[str, Comparison | None] = {context.api_version: changes}
    conflicts: Conflicts = {}
    result: Managed = {}
    for key, owned in managed.items():
        if key == writer:
            result[key] = owned
            continue
        if owned.api_version not in at_version:
            at_version[owned.api_version] = _compare_at(old, new, owned.api_version, context)
        seen = at_version[owned.api_version]
        if seen is None:
            continue
        fields = owned.fields
        if not seen.same:
            taken = fieldset.intersection(fields, fieldset.union(seen.modified, seen.added))
            if taken:
                conflicts[key] = taken
            fields = fieldset.difference(fieldset.difference(fields, taken), seen.removed)
        if fields:
            result[key] = owned if fields is owned.fields else Owned(fields, owned.api_version, owned.time)
    if conflicts and force is False:
        raise ConflictsFound(conflicts)
    return {key: owned for key, owned in result.items() if owned.fields}, changes


def _compare_at(old: Object, new: Object, version: str, context: Context) -> Comparison | None:
    before, after = context.at(old, version), context.at(new, version)
    if before is None or after is None:
        return None
    return compare(before[0], after[0], after[1]).filtered(context.reset)


def without_unowned(fields: FieldSet) -> FieldSet:
    """`fields` without those nobody owns, such as metadata.name."""
    return fieldset.difference(fields, _UNOWNED)


def without_managed_fields(obj: Object) -> Object:
    """`obj` without metadata.managedFields, copied only as far as needed."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def capped(managed: Managed) -> Managed:
    """At most ten update managers: the oldest of a version are joined into one."""
    if len(managed) <= UPDATE_MANAGERS_MAX:
        return managed
    updaters = sorted(
        (key for key in managed if key.operation == "Update"), key=lambda key: (managed[key].time or "", key)
    )
    surplus = len(updaters) - UPDATE_MANAGERS_MAX
    if surplus <= 0:
        return managed
    managed = dict(managed)
    first_of: dict[str, ManagerKey] = {}
    for key in updaters:
        if surplus <= 0:
            break
        owned = managed[key]
        if owned.api_version not in first_of:
            first_of[owned.api_version] = key
            continue
        bucket = ManagerKey(ANCIENT, "Update", owned.api_version, "")
        if bucket not in managed:
            managed[bucket] = managed.pop(first_of[owned.api_version])
        if key != bucket:
            joined = fieldset.union(owned.fields, managed[bucket].fields)
            managed[bucket] = Owned(joined, owned.api_version, owned.time)
            del managed[key]
        surplus -= 1
    return managed


def keep_times_if_unchanged(new: Object, old: Object) -> None:
    """Gives the entries of `new` their old times back when nothing but times changed, so that the write is a no-op.

    The last thing done to an object before it is compared with the stored one
    (fieldmanager.IgnoreManagedFieldsTimestampsTransformer).
    """
    entries, before = (one.get("metadata", {}).get("managedFields") or [] for one in (new, old))
    if len(entries) != len(before) or not entries:
        return
    timeless = [[{**entry, "time": None} for entry in one] for one in (entries, before)]
    if timeless[0] == timeless[1] and without_managed_fields(new) == without_managed_fields(old):
        new["metadata"]["managedFields"] = before
