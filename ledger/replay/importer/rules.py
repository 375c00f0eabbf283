"""What one audit record did to the stored objects: a Step, or None.

Each rule is a function that knows one observed fact about audit logs and returns None when it does not apply; the first
that answers wins. Where the record leaves the revision out, the Step has revision 0 and `plan` finds a place for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ledger.apimachinery.resource import Key, Object
from ledger.replay.importer.record import WRITE_VERBS, Facts, query_of, revision_of


class Effect(Enum):
    """How the stored state follows from the record; `conclude` has one function for each."""

    STATE = "the answer is the object"
    METADATA = "the answer is the object's metadata; the rest stays"
    SCALE = "the answer is a Scale: spec.replicas"
    DELETED = "the answer is the deleted object, with the deletion's revision"
    VANISHED = "the object is gone; the deletion's revision is not in the log"
    COLLECTION = "the answer lists what a deletecollection found"
    SELECTED = "a deletecollection without its answer: the selector decides"
    ASKED_TO_GO = "a delete without its answer: gone, or terminating"
    BOUND = "a pod was bound to a node"
    EVICTED = "a pod was evicted: a condition, then its deletion"
    REQUESTED = "only the request is in the log: applied to the state before"
    UNSEEN = "neither request nor answer is in the log"


# How many revisions an effect makes that its record does not tell.
UNLOGGED = {Effect.EVICTED: 2, Effect.STATE: 0, Effect.METADATA: 0, Effect.SCALE: 0, Effect.DELETED: 0}


@dataclass(slots=True)
class Step:
    """One write of the log, small enough to keep one for each record."""

    effect: Effect
    key: Key
    revision: int = 0  # told by the answer; 0: unknown
    floor: int = 0  # the change came after this revision
    held: int = 0  # the object's revision before the write, where the request names it
    items: tuple[Key, ...] = ()  # of a collection
    graceful: bool = False  # a deletion that first wrote deletionTimestamp, at a revision of its own
    verb: str = ""
    uid: str = ""  # of an object whose creation is not answered, where a later request tells it
    last: bool = False  # no later write of its object is in the log, but for one that creates it again
    record: int = 0  # number of the record, in reading order
    received: int = 0
    answered: int = 0


# Subresources that write the object they belong to. exec, log, portforward, proxy, token and others do not.
WRITING_SUBRESOURCES = frozenset(
    {"", "status", "scale", "finalize", "approval", "ephemeralcontainers", "resize", "binding", "eviction"}
)
# Groups whose resources are questions, not objects.
REVIEW_GROUPS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})


def step_of(facts: Facts) -> Step | None:
    """What the request did, or None where it changed nothing as far as the record tells."""
    if not is_write(facts):
        return None
    for rule in RULES:
        step = rule(facts)
        if step is not None:
            step.held, step.verb = facts.held, facts.verb
            return step
    return None


def is_write(facts: Facts) -> bool:
    """Whether the request could have changed a stored object and was answered with success."""
    return (
        facts.verb in WRITE_VERBS
        and 200 <= facts.code < 300
        and bool(facts.key.resource)
        and facts.subresource in WRITING_SUBRESOURCES
        and facts.key.group not in REVIEW_GROUPS
        and not is_dry_run(facts)
    )


def is_dry_run(facts: Facts) -> bool:
    """A dry run answers like the real thing, data changed and revision unchanged; only the URI (or options) tells."""
    if "dryRun" in facts.uri and query_of(facts.uri).get("dryRun", [""]) != [""]:
        return True
    request = facts.request
    return isinstance(request, dict) and request.get("kind") == "DeleteOptions" and bool(request.get("dryRun"))


def binding(facts: Facts) -> Step | None:
    """pods/binding answers a Status; the pod it binds got a revision that no record tells."""
    if facts.verb != "create" or not (facts.subresource == "binding" or facts.key.resource == "bindings"):
        return None
    pod = Key("", "pods", facts.key.namespace, facts.key.name)
    return Step(Effect.BOUND, pod)


def eviction(facts: Facts) -> Step | None:
    """pods/eviction answers a Status and makes two revisions: DisruptionTarget, then deletionTimestamp."""
    if facts.verb == "create" and facts.subresource == "eviction":
        return Step(Effect.EVICTED, facts.key)
    return None


def scale(facts: Facts) -> Step | None:
    """The scale subresource answers a Scale with the object's new revision and only spec.replicas of it."""
    if facts.subresource != "scale":
        return None
    if facts.answer is None:
        return _without_answer(facts)
    return Step(Effect.SCALE, facts.key, facts.revision)


def collection(facts: Facts) -> Step | None:
    """deletecollection answers the objects as they were before; the list's revision is a lower bound."""
    if facts.verb != "deletecollection":
        return None
    items = (facts.answer or {}).get("items")
    if not isinstance(items, list) or not facts.kind.endswith("List"):
        return Step(Effect.SELECTED, facts.key)
    keys = tuple(item_key(facts.key, item) for item in items)
    return Step(Effect.COLLECTION, facts.key, floor=facts.revision, items=keys) if keys else None


def item_key(of: Key, item: Object) -> Key:
    meta = item.get("metadata") or {}
    return Key(of.group, of.resource, meta.get("namespace") or "", meta.get("name") or "")


def delete(facts: Facts) -> Step | None:
    """A delete answers a Status when the object is gone, else the object: deleted, or alive and terminating.

    Pods and ServiceAccounts are answered with the object whose revision is the deletion's own; an object with
    finalizers or a grace period is answered with a new revision and lives on.
    """
    if facts.verb != "delete":
        return None
    if facts.answer is None:
        return Step(Effect.ASKED_TO_GO, facts.key)
    if facts.kind == "Status" or not facts.revision:
        return Step(Effect.VANISHED, facts.key)
    if lives_on(facts.key, facts.answer):
        return Step(Effect.STATE, facts.key, facts.revision)
    return Step(Effect.DELETED, facts.key, facts.revision, graceful="deletionTimestamp" in facts.meta)


def finalizer_removed(facts: Facts) -> Step | None:
    """The write that takes the last finalizer of a terminating object away deletes it.

    It answers with the object's old revision; nothing says that the object is gone.
    """
    answer = facts.answer
    if answer is None or "deletionTimestamp" not in facts.meta or lives_on(facts.key, answer):
        return None
    return Step(Effect.VANISHED, facts.key, floor=facts.revision)


def lives_on(key: Key, obj: Object) -> bool:
    """Whether a terminating object still has somebody to wait for."""
    meta = obj.get("metadata") or {}
    if meta.get("finalizers") or namespace_has_finalizers(key, obj):
        return True
    # Only pods are given time to end; they go when their grace period was set to 0.
    return key[:2] == ("", "pods") and (meta.get("deletionGracePeriodSeconds") or 0) > 0


def namespace_has_finalizers(key: Key, obj: Object) -> bool:
    """Namespaces have finalizers of a second kind, in spec."""
    return key[:2] == ("", "namespaces") and bool((obj.get("spec") or {}).get("finalizers"))


def metadata_answer(facts: Facts) -> Step | None:
    """Who asks for PartialObjectMetadata (the garbage collector) is answered without spec and status."""
    if facts.kind == "PartialObjectMetadata" and facts.revision:
        return Step(Effect.METADATA, facts.key, facts.revision)
    return None


def full_answer(facts: Facts) -> Step | None:
    """The usual case: the answer is the object as it was stored, with the revision that the write made.

    A write that changed nothing answers likewise, with the revision of an earlier one: `plan` sees that.
    """
    if facts.revision and facts.meta.get("name") and facts.kind != "Scale":
        return Step(Effect.STATE, facts.key, facts.revision)
    return None


def _without_answer(facts: Facts) -> Step | None:
    """Levels Request and Metadata, and truncated events: a write took place, its answer is not in the log.

    A creation with generateName has no name then: `naming` looks for one.
    """
    if facts.answer is not None or not (facts.key.name or facts.verb == "create"):
        return None
    return Step(Effect.UNSEEN if facts.request is None else Effect.REQUESTED, facts.key)


RULES: tuple[Callable[[Facts], Step | None], ...] = (
    binding,
    eviction,
    collection,
    delete,
    scale,
    finalizer_removed,
    metadata_answer,
    full_answer,
    _without_answer,
)


def sightings(facts: Facts) -> list[tuple[Key, int]]:
    """Revisions that this record says an object had: what a request names, and what an Event was written about.

    They tell the revisions of writes whose own records do not.
    """
    found = []
    if facts.held and facts.key.name:
        found.append((facts.key, facts.held))
    if facts.key[:2] == ("", "events") and isinstance(facts.request, dict):
        about = facts.request.get("involvedObject") or facts.request.get("regarding")
        if isinstance(about, dict) and (revision := revision_of(about)):
            found.append((_about(about), revision))
    return found


_WATCHED = re.compile(r"[?&]resourceVersion=(\d+)(?:&|$)")


def watched_revision(uri: str) -> int:
    """The revision that a watch goes on from: it had been made by then. 0: the request names none."""
    found = _WATCHED.search(uri)
    return int(found[1]) if found else 0


def _about(reference: Object) -> Key:
    """Key of an involvedObject, with the kind in place of the resource: the plan matches it by name."""
    group = (reference.get("apiVersion") or "").rpartition("/")[0]
    kind = (reference.get("kind") or "").lower()
    return Key(group, kind, reference.get("namespace") or "", reference.get("name") or "")
