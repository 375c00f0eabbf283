"""What a write makes of an object's metadata: pure functions, so that replay could run the same code.

They follow rest.BeforeCreate, BeforeUpdate, BeforeDelete and the deletion rules of registry.Store in k8s.io/apiserver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.apimachinery.field import invalid as invalid_field
from ledger.apimachinery.field import quoted
from ledger.apimachinery.managedentries import BadManagedFields, decode_managed_fields
from ledger.apimachinery.resource import GroupResource, Object
from ledger.apimachinery.status import StatusError, bad_request, conflict, invalid, modified
from ledger.apimachinery.times import parse_rfc3339, rfc3339
from ledger.registry.options import DeleteOptions
from ledger.scheme.definition import ResourceDefinition

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
NAME_LENGTH_MAX, SUFFIX_LENGTH = 63, 5


def generated_name(base: str, suffix: str) -> str:
    """names.SimpleNameGenerator: the base is cut so that base and suffix fit."""
    return base[: NAME_LENGTH_MAX - SUFFIX_LENGTH] + suffix


def check_namespace(definition: ResourceDefinition, metadata: dict[str, Any], namespace: str) -> None:
    """Fills an empty namespace in; refuses another than the request's (rest.EnsureObjectNamespaceMatches...)."""
    given = metadata.get("namespace", "")
    if given == namespace:
        return
    if given and namespace != given:
        if not definition.namespaced:
            metadata.pop("namespace")
            return
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if namespace:
        metadata["namespace"] = namespace


def wipe_system_fields(metadata: dict[str, Any]) -> None:
    """What a client may not choose on create."""
    for name in metadata.keys() & _NOT_CHOSEN:
        del metadata[name]


_NOT_CHOSEN = frozenset({"creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"})


def owner_references_warning(metadata: dict[str, Any], after_admission: bool) -> str:
    """Drops owner references that are there twice; what the client is told of it, "" when nothing was."""
    kept: list[Any] = []
    twice = []
    for reference in metadata.get("ownerReferences") or ():
        if reference in kept:
            twice.append(reference.get("uid", ""))
        else:
            kept.append(reference)
    if not twice:
        return ""
    metadata["ownerReferences"] = kept
    when = " after mutating admission happens" if after_admission else ""
    return (
        f".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may"
        f" reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {', '.join(twice)}"
    )


def fill_system_fields(obj: Object, now: int, uid: str) -> None:
    metadata = obj["metadata"]
    metadata["uid"] = uid
    metadata["creationTimestamp"] = rfc3339(now)


def check_revision(definition: ResourceDefinition, name: str, given: str, revision: int) -> None:
    """The optimistic lock of an update; `given` is the object's resourceVersion, "" when it has none."""
    resource = definition.group_resource
    check_revision_is_number(given)
    if given in ("", "0"):
        if not definition.traits.unconditional_update:
            why = "must be specified for an update"
            error = invalid_field("metadata.resourceVersion", 0, why)
            raise invalid(definition.group, definition.resource, name, [error])
    elif given != str(revision):
        raise modified(resource, name)


def names_revision(metadata: dict[str, Any]) -> bool:
    """Whether a new object comes with a version; 0 and what is no number count as none (rest.BeforeCreate's store)."""
    given = str(metadata.get("resourceVersion") or "")
    return given != "" and given.isascii() and given.isdigit() and int(given) != 0


def check_revision_is_number(given: str) -> None:
    """Upstream says of an update whose version is no number what Go's parser says, as an internal error."""
    if given and not (given.isascii() and given.isdigit()):
        raise StatusError(500, "", f"strconv.ParseUint: parsing {quoted(given)}: invalid syntax")


def check_admitted_managers(obj: Object, before: list[Any] | None, warnings: list[str]) -> None:
    """Puts managedFields back that admission left unreadable, and warns of it (managedFieldsValidatingAdmissionController)."""
    try:
        decode_managed_fields(obj["metadata"].get("managedFields") or ())
    except BadManagedFields as error:
        why = "this could be caused by an outdated mutating admission controller; please fix your requests"
        warnings.append(f".metadata.managedFields was in an invalid state after admission; {why}: {error}")
        obj["metadata"].pop("managedFields", None)
        if before:
            obj["metadata"]["managedFields"] = before


def carry_metadata(obj: Object, old: Object) -> None:
    """What an update keeps of the old metadata whatever the client sent."""
    new, was = obj["metadata"], old["metadata"]
    if not new.get("uid"):
        new["uid"] = was.get("uid", "")
    for name in ("creationTimestamp", "deletionTimestamp"):
        if name in was:
            new[name] = was[name]
    if "deletionGracePeriodSeconds" in was:
        new.setdefault("deletionGracePeriodSeconds", was["deletionGracePeriodSeconds"])
    if "generation" in was:
        new["generation"] = was["generation"]
    else:
        new.pop("generation", None)


def same_but_for(obj: Object, old: Object) -> bool:
    """Whether an update changes nothing: resourceVersion and the times of managedFields aside."""
    if obj.keys() != old.keys():
        return False
    for name, value in obj.items():
        if name != "metadata" and value != old[name]:
            return False
    new, was = obj["metadata"], old["metadata"]
    skip = ("resourceVersion", "managedFields")
    if {k: v for k, v in new.items() if k not in skip} != {k: v for k, v in was.items() if k not in skip}:
        return False
    return _timeless(new.get("managedFields")) == _timeless(was.get("managedFields"))


def _timeless(entries: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "time"} for entry in entries or ()]


def is_finished_deleting(definition: ResourceDefinition, obj: Object, old: Object) -> bool:
    """Whether this update took away what last held an object that is being deleted (ShouldDeleteDuringUpdate)."""
    new, was = obj["metadata"], old["metadata"]
    return (
        "deletionTimestamp" in new
        and "deletionTimestamp" in was
        and not new.get("finalizers")
        and not new.get("deletionGracePeriodSeconds")
        and not is_held(definition, obj)
    )


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a delete does: store `update` (unless None), then remove the object (`remove`), in this order.

    Neither: it was being deleted already, and nothing changes. `answer_object`: the answer is the object, not a Status.
    """

    update: Object | None
    remove: bool
    answer_object: bool


def check_preconditions(
    definition: ResourceDefinition, name: str, metadata: dict[str, Any], options: DeleteOptions
) -> None:
    """StatusError 409; a few resources look before the store does, and say it in words of their own."""
    words = definition.traits.more.get("precondition_failed")
    for what, given, actual in (
        ("UID", options.uid, metadata.get("uid", "")),
        ("ResourceVersion", options.resource_version, metadata.get("resourceVersion", "")),
    ):
        if words and given is not None and given != actual:
            why = f"{words}: {what} in precondition: {given}, {what} in object meta: {actual}"
            raise conflict(definition.group_resource, name, why)
    resource = GroupResource(definition.stored_as.group, definition.kind)
    if options.uid is not None and options.uid != metadata.get("uid", ""):
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata.get('uid', '')})."
            " The object might have been deleted and then recreated"
        )
        raise conflict(resource, name, why)
    given = options.resource_version
    if given is not None and given != metadata.get("resourceVersion", ""):
        why = (
            f"the ResourceVersion in the precondition ({given}) does not match the ResourceVersion in record"
            f" ({metadata.get('resourceVersion', '')}). The object might have been modified"
        )
        raise conflict(resource, name, why)


def decide_delete(
    definition: ResourceDefinition, old: Object, options: DeleteOptions, now: int, grace_s: int | None
) -> Deletion:
    """`grace_s`: the grace period this resource grants (None: it knows none, 0: at once); `old` is not changed."""
    obj = {**old, "metadata": dict(old["metadata"])}
    metadata = obj["metadata"]
    graceful = False
    if "deletion_begins" in definition.traits.more and "deletionTimestamp" not in metadata:
        return Deletion(_begun(obj, definition.traits.more["deletion_begins"], now), False, True)
    if grace_s is not None:
        graceful, pending = _before_graceful(metadata, options, now, grace_s)
        if pending:
            return Deletion(None, False, True)
    finalizers = _collection_finalizers(definition, metadata, options)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if graceful:
        return Deletion(obj, not finalizers and metadata["deletionGracePeriodSeconds"] == 0, True)
    if finalizers:
        _mark_deleting(metadata, now)
        return Deletion(_held(definition, obj, now), False, True)
    if is_held(definition, obj):
        return Deletion(_held(definition, obj, now), False, True)
    return Deletion(None, True, definition.traits.returns_deleted)


def _begun(obj: Object, begins: dict[str, Any], now: int) -> Object:
    """The object as its kind has it when deletion begins: with a finalizer and a condition of its own (definitions)."""
    metadata = obj["metadata"]
    metadata["deletionTimestamp"] = rfc3339(now)
    metadata["finalizers"] = list(dict.fromkeys([*(metadata.get("finalizers") or ()), begins["finalizer"]]))
    told = {**begins["condition"], "lastTransitionTime": rfc3339(now)}
    order = ("type", "status", "lastTransitionTime", "reason", "message")
    kept = [one for one in (obj.get("status") or {}).get("conditions") or () if one["type"] != told["type"]]
    return with_value_at(obj, "status.conditions", [*kept, {name: told[name] for name in order}])


def is_held(definition: ResourceDefinition, obj: Object) -> bool:
    """Whether a list beside metadata.finalizers keeps the object (a namespace's spec.finalizers)."""
    path = definition.traits.more.get("deletion_hold")
    return bool(path and value_at(obj, path))


def _held(definition: ResourceDefinition, obj: Object, now: int) -> Object:
    """The object marked as its kind marks one whose deletion has begun (a namespace's status.phase)."""
    marks = definition.traits.more.get("deletion_marks")
    if not marks or not is_held(definition, obj):
        return obj
    obj["metadata"].setdefault("deletionTimestamp", rfc3339(now))
    for path, value in marks.items():
        obj = with_value_at(obj, path, value)
    return obj


def value_at(obj: Object, path: str) -> Any:
    """The value at a dotted path, None when there is none."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def with_value_at(obj: Object, path: str, value: Any) -> Object:
    """A copy with this value at a dotted path; only what changes is copied."""
    head, _, rest = path.partition(".")
    return {**obj, head: with_value_at(obj.get(head) or {}, rest, value) if rest else value}


def _before_graceful(metadata: dict[str, Any], options: DeleteOptions, now: int, grace_s: int) -> tuple[bool, bool]:
    """(graceful, already pending), with the deletion fields set (rest.BeforeDelete)."""
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = rfc3339(now + grace_s * 1_000_000)
        metadata["deletionGracePeriodSeconds"] = grace_s
        if metadata.get("generation", 0) > 0:
            metadata["generation"] += 1
        return True, False
    current = metadata.get("deletionGracePeriodSeconds") or 0
    if current == 0:
        return False, False
    if options.grace_s is None or options.grace_s >= current:
        return False, True
    period = options.grace_s
    moved = parse_rfc3339(metadata["deletionTimestamp"]) + (period - current) * 1_000_000
    if moved < now:
        moved = now
        period = min(period, 1)
    metadata["deletionTimestamp"] = rfc3339(moved)
    metadata["deletionGracePeriodSeconds"] = period
    return True, False


def _mark_deleting(metadata: dict[str, Any], now: int) -> None:
    """Deletion has begun and waits for finalizers (markAsDeleting)."""
    if "deletionTimestamp" not in metadata and metadata.get("generation", 0) > 0:
        metadata["generation"] += 1
    if "deletionTimestamp" not in metadata or parse_rfc3339(metadata["deletionTimestamp"]) > now:
        metadata["deletionTimestamp"] = rfc3339(now)
    metadata["deletionGracePeriodSeconds"] = 0


def _collection_finalizers(
    definition: ResourceDefinition, metadata: dict[str, Any], options: DeleteOptions
) -> list[str]:
    """The finalizers after the propagation policy has had its say (deletionFinalizersForGarbageCollection)."""
    existing: list[str] = metadata.get("finalizers") or []
    if definition.traits.default_garbage_policy == "unsupported":
        return [one for one in existing if one not in (ORPHAN, FOREGROUND)]
    policy = options.propagation
    if not policy:
        marked = next((one for one in existing if one in (ORPHAN, FOREGROUND)), "")
        default = "Orphan" if definition.traits.default_garbage_policy == "orphan" else ""
        policy = {ORPHAN: "Orphan", FOREGROUND: "Foreground", "": default}[marked]
    wanted = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(policy, [])
    kept = [one for one in existing if one not in (ORPHAN, FOREGROUND)] + wanted
    return existing if set(kept) == set(existing) else kept


def no_name() -> StatusError:
    return bad_request("name must be provided")
