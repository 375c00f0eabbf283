"""The states one object went through, and what brought each about: a write, or a new schema that reads it differently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.event import Change
from ledger.replay.kinds import CRDS
from ledger.replay.past import Past


@dataclass(slots=True)
class ObjectState:
    """The object after `cause`, which is its own change unless it was read anew (`reread`)."""

    obj: Object | None  # None: it is gone
    stored: Change  # the object's own last change
    cause: Change
    reread: bool = False

    @property
    def revision(self) -> int:
        return self.cause.revision

    @property
    def confidence(self) -> str:
        return self.stored.confidence


def states(past: Past, key: Key, after: int, upto: int) -> Iterator[ObjectState]:
    """The object's states after one revision (excluded) up to another (included), oldest first."""
    own = past.store.versions(key, newest_first=False, upto=upto)
    latest: ObjectState | None = None
    for change in merge(own, _schema_changes(past, key, upto), key=lambda change: change.revision):
        state = _next(past, key, change, latest)
        if state is None:
            continue
        latest = state
        if state.revision > after:
            yield state


def _next(past: Past, key: Key, change: Change, latest: ObjectState | None) -> ObjectState | None:
    if change.key == key:
        return ObjectState(past.object(change), change, change)
    if latest is None or latest.obj is None:
        return None
    obj = past.object(latest.stored, change.revision)
    return None if obj == latest.obj else ObjectState(obj, latest.stored, change, reread=True)


def definition_key(past: Past, key: Key) -> Key | None:
    """The CustomResourceDefinition of an object; None for built-ins."""
    if past.builtin.definition(GroupResource(*key[:2])) is not None:
        return None
    return Key(*CRDS, "", f"{key.resource}.{key.group}")


def _schema_changes(past: Past, key: Key, upto: int) -> Iterator[Change]:
    definition = definition_key(past, key)
    if definition is None:
        return iter(())
    return past.store.versions(definition, newest_first=False, upto=upto)
