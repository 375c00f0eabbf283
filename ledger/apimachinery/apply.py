"""Server-side apply: merging one manager's configuration into an object that others own parts of.

A configuration is the full intent of its manager. What it says is merged into the live object; what it said last time and
no longer says goes, unless somebody else owns it; what it would change of somebody else's is a conflict, unless forced.
Follows merge.Updater of structured-merge-diff and the managers around it in k8s.io/apimachinery/pkg/util/managedfields.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ledger.apimachinery import fieldset
from ledger.apimachinery.field import quoted
from ledger.apimachinery.fieldmerge import check, merge, remove
from ledger.apimachinery.fieldset import FieldSet, Filter
from ledger.apimachinery.fieldtypes import Type, TypeMismatch, compiled
from ledger.apimachinery.fieldwalk import compare, field_set, with_named_fields
from ledger.apimachinery.managedentries import (
    BadManagedFields,
    Managed,
    ManagerKey,
    Owned,
    decode_managed_fields,
    encode_managed_fields,
)
from ledger.apimachinery.managedfields import (
    Conflicts,
    ConflictsFound,
    Context,
    Convert,
    disown,
    reconciled_with_schema,
    track_update,
    without_managed_fields,
    without_unowned,
)
from ledger.apimachinery.objectmeta import ANNOTATION_BYTES_MAX
from ledger.apimachinery.resource import GVK, Object, Schema, split_api_version
from ledger.apimachinery.status import StatusError, bad_request

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST_APPLY = "before-first-apply"  # owns what an object had before anybody's fields were tracked


def apply(
    live: Object | None,
    config: Object,
    schema: Schema | None,
    kind: GVK,
    manager: str,
    force: bool,
    subresource: str,
    now: str,
    empty: Object | None = None,
    reset: Filter | None = None,
    convert: Convert | None = None,
) -> Object:
    """The object after `manager` applied `config`, its managedFields included; it shares parts with `live` and `config`.

    `live`: in the version of the request, None to create. `kind`: what this endpoint takes. `empty`: the kind's empty
    object as Go prints it, for objects nobody tracked so far. The caller fills in defaults and validates. Raises
    StatusError: 400 for another kind or version, 409 with a cause a field for conflicts, 500 where `config` does not
    fit the schema (as upstream has it).
    """
    given = _kind_of(config)
    if given != kind:
        raise bad_request(f"invalid object type: {_kind_text(given)}")
    managed = _decode(live)
    context = Context(compiled(schema), kind.api_version, reset, convert)
    before = without_managed_fields(live or {})
    if not managed and live is not None:
        first = ManagerKey.of(BEFORE_FIRST_APPLY, "Update", kind.api_version, subresource)
        managed = track_update({}, empty or {}, before, first, now, context)
    if isinstance((config.get("metadata") or {}).get("managedFields"), list):
        raise bad_request("metadata.managedFields must be nil")
    try:
        check(config, context.type)
    except TypeMismatch as error:
        raise StatusError(500, "", f"failed to create typed patch object ({_shown(config)}): {error}") from None
    applier = ManagerKey.of(manager, "Apply", "", subresource)
    result, managed = _apply_or_upgrade(before, config, managed, applier, force, now, context)
    if manager == "kubectl":
        result = _with_last_applied(result, config)
    return _with_entries(result, managed)


def _decode(live: Object | None) -> Managed:
    try:
        return decode_managed_fields((live or {}).get("metadata", {}).get("managedFields") or [])
    except BadManagedFields as error:
        raise StatusError(500, "", f"failed to decode managed fields: {error}") from None


def _kind_of(config: Object) -> GVK:
    group, version = split_api_version(str(config.get("apiVersion") or ""))
    if "/" in group:
        group, version = "", ""
    return GVK(group, version, str(config.get("kind") or ""))


def _kind_text(kind: GVK) -> str:
    return f"{kind.group}/{kind.version}, Kind={kind.kind}"


def _shown(config: Object) -> str:
    """The object as internal errors name it: "ns/name; apps/v1, Kind=Deployment"."""
    metadata = config.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {_kind_text(_kind_of(config))}"


def _apply_or_upgrade(
    live: Object, config: Object, managed: Managed, applier: ManagerKey, force: bool, now: str, context: Context
) -> tuple[Object, Managed]:
    """Applies; for kubectl, conflicts over fields its client-side apply has set are no conflicts."""
    try:
        return _applied(live, config, managed, applier, force, now, context)
    except ConflictsFound as found:
        conflicts = found.conflicts
    allowed = _last_applied_fields(live, context) if applier.manager == "kubectl" else None
    if allowed is None:
        raise conflict_error(conflicts)
    conflicts = {key: rest for key, fields in conflicts.items() if (rest := fieldset.difference(fields, allowed))}
    if conflicts:
        raise conflict_error(conflicts)
    return _applied(live, config, managed, applier, True, now, context)


def _applied(
    live: Object, config: Object, managed: Managed, applier: ManagerKey, force: bool, now: str, context: Context
) -> tuple[Object, Managed]:
    managed = reconciled_with_schema(managed, live, context)
    merged = merge(live, config, context.type)
    fields = field_set(config, context.type)
    if context.reset:
        fields = context.reset(fields)
    last = managed.get(applier)
    managed[applier] = Owned(fields, context.api_version, last.time if last else None)
    merged = _pruned(merged, managed, applier, last, context)
    managed, _ = disown(managed, live, merged, applier, context, force)
    own = managed.pop(applier, None)
    if own is not None and (fields := without_unowned(own.fields)):
        # An apply that changes nothing has no time: one that joins an owner gets an entry without.
        managed[applier] = Owned(fields, own.api_version, own.time if merged == live else now)
    return merged, managed


def _pruned(merged: Object, managed: Managed, applier: ManagerKey, last: Owned | None, context: Context) -> Object:
    """`merged` without what `applier` gave up: what it applied last time, not now, and nobody else owns."""
    if last is None or not fieldset.difference(last.fields, managed[applier].fields):
        return merged
    seen = context.at(merged, last.api_version)
    if seen is None:
        return merged
    whole, made = seen
    pruned = remove(whole, with_named_fields(last.fields, made), made)
    pruned = _owned_added_back(whole, pruned, last.api_version, managed, context)
    pruned = _unapplied_added_back(whole, pruned, last, made, context)
    back = context.at(pruned, context.api_version)
    return pruned if back is None else back[0]


def _owned_added_back(merged: Object, pruned: Object, version: str, managed: Managed, context: Context) -> Object:
    """`pruned` with everything again that somebody owns, the applier's new configuration included."""
    owned: dict[str, FieldSet] = {version: {}}  # this version first: others may need its fields to convert
    for entry in managed.values():
        owned[entry.api_version] = fieldset.union(owned.get(entry.api_version, {}), entry.fields)
    for at_version, fields in owned.items():
        whole, part = context.at(merged, at_version), context.at(pruned, at_version)
        if whole is None or part is None:
            continue
        (merged, made), (pruned, _) = whole, part
        keep = fieldset.union(_named(pruned, made), with_named_fields(fields, made))
        pruned = remove(merged, fieldset.difference(_named(merged, made), keep), made)
    return pruned


def _unapplied_added_back(merged: Object, pruned: Object, last: Owned, made: Type, context: Context) -> Object:
    """`pruned` with everything again that the applier did not apply last time, owned by others or by nobody."""
    seen = context.at(pruned, last.api_version)
    if seen is None:
        return merged
    gone = fieldset.difference(_named(merged, made), _named(seen[0], made))
    return remove(merged, fieldset.intersection(gone, with_named_fields(last.fields, made)), made)


def _named(value: Any, made: Type) -> FieldSet:
    return with_named_fields(field_set(value, made), made)


def _with_entries(obj: Object, managed: Managed) -> Object:
    metadata = {**(obj.get("metadata") or {}), "managedFields": encode_managed_fields(managed)}
    if not metadata["managedFields"]:
        del metadata["managedFields"]
    return {**obj, "metadata": metadata}


def conflict_error(conflicts: Conflicts) -> StatusError:
    """409 that names every field and who owns it."""
    found = [
        (_owner_text(key), fieldset.path_text(path)) for key in sorted(conflicts) for path in _paths(conflicts[key])
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path} for owner, path in found
    ]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    else:
        lines: list[str] = []
        for key in sorted(conflicts):
            lines.append(f"conflicts with {_owner_text(key)}:")
            lines += [f"- {fieldset.path_text(path)}" for path in _paths(conflicts[key])]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, {"causes": causes})


def _paths(fields: FieldSet) -> list[fieldset.Path]:
    return list(fieldset.paths(fields))


def _owner_text(key: ManagerKey) -> str:
    text = quoted(key.manager)
    if key.subresource:
        text += f" with subresource {quoted(key.subresource)}"
    return f"{text} using {key.api_version}" if key.operation == "Update" else text


def _last_applied_fields(live: Object, context: Context) -> FieldSet | None:
    """What client-side apply has set and nobody changed since; None where its annotation says nothing usable."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        config = json.loads(text) if text else None
        if not isinstance(config, dict) or config.get("apiVersion") != context.api_version:
            return None
        check(live, context.type)
        check(config, context.type)
        changes = compare(config, live, context.type)
    except (ValueError, TypeMismatch):
        return None
    fields = field_set(config, context.type)
    for changed in (changes.modified, changes.added, changes.removed):
        fields = fieldset.difference(fields, changed)
    return fields


def _with_last_applied(obj: Object, config: Object) -> Object:
    """Keeps the annotation of client-side apply, where there is one, up to date for clients that still use it."""
    metadata = obj.get("metadata") or {}
    annotations = dict(metadata.get("annotations") or {})
    if not annotations.get(LAST_APPLIED):
        return obj
    said = dict(config.get("metadata") or {})
    if said.get("annotations"):
        said["annotations"] = {key: text for key, text in said["annotations"].items() if key != LAST_APPLIED}
    annotations[LAST_APPLIED] = go_json({**config, "metadata": said}) + "\n"
    if sum(len(key.encode()) + len(text.encode()) for key, text in annotations.items()) > ANNOTATION_BYTES_MAX:
        del annotations[LAST_APPLIED]
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def go_json(value: Any) -> str:
    """JSON as encoding/json writes a map: sorted keys, no spaces, <, > and & escaped."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)
