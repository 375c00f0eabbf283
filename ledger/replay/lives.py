"""One object's history: its revisions, the values of one field, and the requests that did not get through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.apimachinery.resource import Key
from ledger.log.event import Change, Event
from ledger.replay.classify import DRY_RUN, REFUSED, class_of
from ledger.replay.past import Past, decode
from ledger.replay.paths import ABSENT, Path, member_names, value_at
from ledger.replay.requests import Happening, ObjectChange, happening, object_change


@dataclass(slots=True)
class Version:
    """The object after one of its changes."""

    change: ObjectChange
    event: Event | None
    life: int  # 1 for the first object under this name, 2 for the one made after its deletion, ...


@dataclass(slots=True)
class FieldValue:
    """A value that a field took; ABSENT: it, or the object, was not there."""

    value: Any
    previous: Any
    version: Version


def versions(past: Past, key: Key, upto: int, *, noise: bool = False) -> Iterator[Version]:
    """Every revision of the object up to one (included), oldest first."""
    life = 0
    for change in past.store.versions(key, newest_first=False, upto=upto):
        found = object_change(past, change, noise)
        if found.before is None and found.after is not None:
            life += 1
        yield Version(found, past.event_of(change.revision), life)


def field_values(past: Past, key: Key, path: Path, upto: int) -> Iterator[FieldValue]:
    """The values of a field in the order it took them."""
    value: Any = ABSENT
    for version in versions(past, key, upto):
        after = ABSENT if version.change.after is None else value_at(version.change.after, path)
        if after != value:
            yield FieldValue(after, value, version)
        value = after


def fields_seen(past: Past, key: Key, path: Path, upto: int) -> list[str]:
    """The names that stood beside a path at any time, to suggest another."""
    seen: dict[str, None] = {}
    for change in past.store.versions(key, newest_first=False, upto=upto):
        if change.body is not None:
            seen.update(dict.fromkeys(member_names(decode(change), path[:-1])))
    return sorted(seen)


def not_through(past: Past, key: Key, upto_position: int) -> list[Happening]:
    """Writes of the object that were refused, or tried as a dry run, by position."""
    found = []
    for event in past.store.events_of_object(key):
        if event.position <= upto_position and (kind := class_of(event)) in (REFUSED, DRY_RUN):
            found.append(happening(past, event, kind=kind))
    return found


def last_known(past: Past, key: Key, revision: int) -> Change | None:
    """The object's last change up to a revision, deletion included."""
    return past.version(key, revision)
