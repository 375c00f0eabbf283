"""What differs between two moments, and by which request each field came to its new value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.event import Change, Event
from ledger.replay.classify import INTENT, class_of
from ledger.replay.fielddiff import FieldChange, difference
from ledger.replay.past import Past, decode
from ledger.replay.paths import ABSENT, Path, value_at
from ledger.replay.requests import schema_of


@dataclass(slots=True)
class Cause:
    """A change between the two moments, with its request."""

    change: Change
    event: Event | None

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
    causes: list[Cause]  # every change of it in between, oldest first
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


def changed_objects(
    past: Past,
    after: int,
    upto: int,
    *,
    namespace: str = "",
    resources: frozenset[GroupResource] = frozenset(),
    objects: frozenset[Key] = frozenset(),
    noise: bool = False,
) -> Iterator[ObjectDifference]:
    """Objects whose state at `upto` differs from that at `after` in more than noise, in order of their first change."""
    touched: dict[Key, list[int]] = {}
    for change in past.store.changes_after(after, upto):
        key = change.key
        if namespace and key.namespace != namespace:
            continue
        if (resources and GroupResource(*key[:2]) not in resources) or (objects and key not in objects):
            continue
        touched.setdefault(key, []).append(change.revision)
    for key, revisions in touched.items():
        found = compare_object(past, key, after, revisions, noise=noise)
        if found is not None:
            yield found


def compare_object(
    past: Past, key: Key, after: int, revisions: list[int], *, noise: bool = False
) -> ObjectDifference | None:
    """The object before the first and after the last of these revisions; None: nothing (but noise) differs."""
    causes = [Cause(change, past.event_of(change.revision)) for change in _changes(past, revisions)]
    known = past.version(key, after)
    before = decode(known) if known is not None and known.body is not None else None
    last = causes[-1].change
    now = decode(last) if last.body is not None else None
    doubts = {change.confidence for change in (known, last) if change is not None}
    doubt = next((one for one in ("unknown", "inferred") if one in doubts), "")
    if before is None or now is None:
        return None if before is now else ObjectDifference(key, before, now, causes, doubt=doubt)
    if before["metadata"].get("uid") != now["metadata"].get("uid"):
        doubt = doubt or "another object of the same name"
    compared = difference(before, now, schema_of(past, last), noise=noise)
    found = ObjectDifference(key, before, now, causes, noise=compared.noise, doubt=doubt)
    found.fields = [AttributedField(one, _touching(one.path, before, causes)) for one in compared.fields]
    found.fields += _returned(past, before, causes, {one.path for one in compared.fields})
    return found if found.fields else None


def _changes(past: Past, revisions: list[int]) -> Iterator[Change]:
    for revision in revisions:
        change = past.store.change(revision)
        if change is not None:
            yield change


def _touching(path: Path, before: Object, causes: list[Cause]) -> list[Cause]:
    """The changes that gave the field another value, oldest first."""
    found, value = [], value_at(before, path)
    for cause in causes:
        after = value_at(decode(cause.change), path) if cause.change.body is not None else ABSENT
        if after != value:
            found.append(cause)
        value = after
    return found


def _returned(past: Past, before: Object, causes: list[Cause], differing: set[Path]) -> Iterator[AttributedField]:
    """Fields that people changed and that have their old value again."""
    seen: set[Path] = set()
    previous: Any = before
    for cause in causes:
        after = decode(cause.change) if cause.change.body is not None else None
        if previous is not None and after is not None and cause.kind == INTENT:
            for one in difference(previous, after, schema_of(past, cause.change)).fields:
                if one.path in differing or one.path in seen or one.path[0] == "status":
                    continue
                seen.add(one.path)
                value = value_at(before, one.path)
                touching = _touching(one.path, before, causes)
                if len(touching) > 1:
                    yield AttributedField(FieldChange(one.path, value, value), touching, returned=True)
        previous = after
