"""What differs between two moments, and by which request each field came to its new value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.api import Compacted
from ledger.log.event import Change, Event
from ledger.replay.classify import INTENT, class_of
from ledger.replay.fielddiff import FieldChange, difference
from ledger.replay.kinds import CRDS
from ledger.replay.past import Past
from ledger.replay.paths import ABSENT, Path, value_at
from ledger.replay.requests import schema_of
from ledger.replay.states import ObjectState, states


@dataclass(slots=True)
class Cause:
    """A state between the two moments, with the request that brought it about."""

    state: ObjectState
    event: Event | None

    @property
    def change(self) -> Change:
        return self.state.cause

    @property
    def kind(self) -> str:
        return class_of(self.event) if self.event else ""


@dataclass(slots=True)
class AttributedField:
    """A field that differs, or (`returned`) one that moved and came back."""

    field: FieldChange
    causes: list[Cause]  # all that touched it, the last one made it what it is
    returned: bool = False


@dataclass(slots=True)
class ObjectDifference:
    """One object that differs between the moments."""

    key: Key
    before: Object | None
    after: Object | None
    causes: list[Cause]  # all of its states in between, oldest first
    fields: list[AttributedField] = field(default_factory=list)
    noise: int = 0
    doubt: str = ""  # "inferred" or "unknown", of what is compared

    @property
    def mark(self) -> str:
        return "+" if self.before is None else "-" if self.after is None else "~"

    @property
    def asked_for(self) -> bool:
        """Whether people or bots had a hand in what differs."""
        causes = [cause for one in self.fields for cause in one.causes] or self.causes
        return any(cause.kind == INTENT for cause in causes)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects to compare; empty members do not narrow."""

    namespace: str = ""
    resources: frozenset[GroupResource] = frozenset()
    objects: frozenset[Key] = frozenset()

    def holds(self, key: Key) -> bool:
        if self.namespace and key.namespace != self.namespace:
            return False
        if self.objects and key not in self.objects:
            return False
        return not self.resources or GroupResource(*key[:2]) in self.resources


def changed_objects(
    past: Past, after: int, upto: int, scope: Scope = Scope(), *, noise: bool = False
) -> Iterator[ObjectDifference]:
    """Objects whose state at `upto` differs from that at `after` in more than noise, in order of their first change.

    Where retention dropped the state at `after`, a resource is left out; raises Compacted when the scope names it.
    """
    for resource in scope.resources | {GroupResource(*key[:2]) for key in scope.objects}:
        past.check_horizon(resource, after)
    for key in _touched(past, after, upto, scope):
        if not _is_known(past, key, after):
            continue
        found = compare_object(past, key, after, upto, noise=noise)
        if found is not None:
            yield found


def _is_known(past: Past, key: Key, revision: int) -> bool:
    try:
        past.check_horizon(GroupResource(*key[:2]), revision)
    except Compacted:
        return False
    return True


def _touched(past: Past, after: int, upto: int, scope: Scope) -> list[Key]:
    """What was written, and the objects of definitions that were: a new schema reads them differently."""
    keys: dict[Key, None] = {}
    for change in past.store.changes_after(after, upto):
        if scope.holds(change.key):
            keys[change.key] = None
        if change.key[:2] == CRDS:
            plural, _, group = change.key.name.partition(".")
            with past.store.view(past.valid(upto)) as view:
                instances = [stored.key for stored in view.scan(GroupResource(group, plural))]
            keys.update((key, None) for key in instances if scope.holds(key))
    return list(keys)


def compare_object(past: Past, key: Key, after: int, upto: int, *, noise: bool = False) -> ObjectDifference | None:
    """The object at both revisions; None: nothing (but noise) differs."""
    old, new = past.version(key, after), past.version(key, upto)
    if new is None:
        return None
    before = past.object(old, after) if old is not None else None
    now = past.object(new, upto)
    doubts = {change.confidence for change in (old, new) if change is not None}
    found = ObjectDifference(key, before, now, [])
    found.doubt = next((one for one in ("unknown", "inferred") if one in doubts), "")
    if before is None or now is None:
        if before is now:
            return None
        found.causes = _causes(past, key, after, upto)
        return found
    if before["metadata"].get("uid") != now["metadata"].get("uid"):
        found.doubt = found.doubt or "another object of the same name"
    compared = difference(before, now, schema_of(past, new), noise=noise)
    if old is not None and old.revision == new.revision and not compared.fields:
        return None
    if not compared.fields and not _may_have_returned(past, key, after, upto):
        return None
    found.causes = _causes(past, key, after, upto)
    found.noise = compared.noise
    found.fields = [AttributedField(one, _touching(one.path, before, found.causes)) for one in compared.fields]
    found.fields += _returned(past, before, found.causes, {one.path for one in compared.fields})
    return found if found.fields else None


def _may_have_returned(past: Past, key: Key, after: int, upto: int) -> bool:
    """Whether anybody but machinery wrote the object: only then can what they asked for have come back."""
    for change in past.store.versions(key, upto=upto):
        if change.revision <= after:
            return False
        event = past.event_of(change.revision)
        if event is not None and class_of(event) == INTENT:
            return True
    return False


def _causes(past: Past, key: Key, after: int, upto: int) -> list[Cause]:
    return [Cause(state, past.event_of(state.revision)) for state in states(past, key, after, upto)]


def _touching(path: Path, before: Object, causes: list[Cause]) -> list[Cause]:
    """The states in which the field has another value than before, oldest first."""
    found, value = [], value_at(before, path)
    for cause in causes:
        after = ABSENT if cause.state.obj is None else value_at(cause.state.obj, path)
        if after != value:
            found.append(cause)
        value = after
    return found


def _returned(past: Past, before: Object, causes: list[Cause], differing: set[Path]) -> Iterator[AttributedField]:
    """Fields that people changed and that have their old value again."""
    seen: set[Path] = set()
    previous: Object | None = before
    for cause in causes:
        after = cause.state.obj
        if previous is not None and after is not None and cause.kind == INTENT:
            for one in difference(previous, after, schema_of(past, cause.state.stored)).fields:
                if one.path in differing or one.path in seen or one.path[0] == "status":
                    continue
                seen.add(one.path)
                value = value_at(before, one.path)
                touching = _touching(one.path, before, causes)
                if len(touching) > 1:
                    yield AttributedField(FieldChange(one.path, value, value), touching, returned=True)
        previous = after
