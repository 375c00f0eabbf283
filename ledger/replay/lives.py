"""One object's history: its revisions, the values of one field, and the requests that did not get through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from ledger.apimachinery.resource import Key, Object
from ledger.log.event import IMPORTED, Change, Event
from ledger.replay.classify import DRY_RUN, REFUSED, class_of
from ledger.replay.importer.doubts import altered_by, in_doubt
from ledger.replay.past import Past
from ledger.replay.paths import ABSENT, Path, member_names, value_at
from ledger.replay.requests import Happening, ObjectChange, compare, happening
from ledger.replay.states import states


@dataclass(slots=True)
class Version:
    """The object after one of its changes, or (`reread`) after its definition's schema changed."""

    change: ObjectChange
    cause: Change
    event: Event | None
    life: int  # 1 for the first object under this name, 2 for the one made after its deletion, ...
    reread: bool = False

    @property
    def revision(self) -> int:
        return self.cause.revision


@dataclass(slots=True)
class FieldValue:
    """A value that a field took; ABSENT: it, or the object, was not there.

    `perhaps`: the log holds no content of this write, or of one before it, that can have set the field. The value is
    then the last one that is known, or the first one that is known again.
    """

    value: Any
    previous: Any
    version: Version
    perhaps: bool = False


def versions(past: Past, key: Key, upto: int, *, noise: bool = False) -> Iterator[Version]:
    """Every state of the object up to a revision (included), oldest first."""
    life, before = 0, None
    for state in states(past, key, 0, upto):
        after: Object | None = state.obj
        compared = compare(past, state.stored, before, after, noise)
        change = ObjectChange(key, state.stored, before, after, compared)
        if before is None and after is not None:
            life += 1
        yield Version(change, state.cause, past.event_of(state.revision), life, state.reread)
        before = after


def field_values(past: Past, key: Key, path: Path, upto: int) -> Iterator[FieldValue]:
    """The values of a field in the order it took them."""
    value: Any = ABSENT
    doubtful = False
    for version in versions(past, key, upto):
        after = ABSENT if version.change.after is None else value_at(version.change.after, path)
        untold = _untold(version, path)
        doubtful = doubtful or untold
        if after != value or untold:
            yield FieldValue(after, value, version, doubtful)
        if not in_doubt(version.cause.doubts, _dotted(path)):
            doubtful = False
        value = after


def _untold(version: Version, path: Path) -> bool:
    """Whether the request can have set the field, and its content is not in the log."""
    event = version.event
    if version.reread or event is None or event.request_body or not in_doubt(version.cause.doubts, _dotted(path)):
        return False
    return event.stage != IMPORTED and in_doubt(altered_by(event.subresource, event.uri), _dotted(path))


def _dotted(path: Path) -> str:
    return ".".join(takewhile(lambda step: isinstance(step, str), path))  # type: ignore[arg-type]


def fields_seen(past: Past, key: Key, path: Path, upto: int) -> list[str]:
    """The names that stood beside a path at any time, to suggest another."""
    seen: dict[str, None] = {}
    for state in states(past, key, 0, upto):
        if state.obj is not None:
            seen.update(dict.fromkeys(member_names(state.obj, path[:-1])))
    return sorted(seen)


def not_through(past: Past, key: Key, upto_position: int) -> list[Happening]:
    """Writes of the object that were refused, or tried as a dry run, by position."""
    found = []
    for event in past.store.events_of_object(key):
        if event.position <= upto_position and (kind := class_of(event)) in (REFUSED, DRY_RUN):
            found.append(happening(past, event, kind=kind))
    return found
