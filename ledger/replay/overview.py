"""What a ledger holds: its range, who wrote, which kinds at which levels, and what it cannot tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger.apimachinery.resource import Key
from ledger.log.event import IMPORTED, Event
from ledger.replay.classify import READ, READ_VERBS, class_of
from ledger.replay.past import Past

DOUBTS_MAX = 100_000  # of a kind: enough to list, and bounded


@dataclass(slots=True)
class Doubt:
    """One thing the log does not know for certain."""

    revision: int
    time: int
    key: Key
    confidence: str
    why: str


@dataclass(slots=True)
class Overview:
    """Counts over the whole log."""

    events: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    levels: Counter[tuple[str, str]] = field(default_factory=Counter)  # (resource, level) of writes
    writers: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)  # by confidence
    objects: Counter[str] = field(default_factory=Counter)  # at the end, by resource
    doubts: list[Doubt] = field(default_factory=list)
    imported: dict[str, Any] | None = None  # the import's report


def overview(past: Past, *, quality: bool = False) -> Overview:
    """One pass over the log; with `quality` every doubtful change is listed."""
    found = Overview()
    for event in past.store.events():
        if event.stage == IMPORTED:
            _imported(event, found)
            continue
        found.events += 1
        kind = class_of(event)
        found.classes[kind] += 1
        if kind != READ and event.verb not in READ_VERBS and event.resource:
            found.levels[event.resource, event.level] += 1
            found.writers[event.user.name] += 1
    for change in past.store.changes_after(0):
        found.changes[change.confidence or "known"] += 1
        if quality and change.confidence and len(found.doubts) < DOUBTS_MAX:
            time = past.store.time_of(change.revision) or 0
            found.doubts.append(Doubt(change.revision, time, change.key, change.confidence, change.note))
    with past.store.view() as view:
        for definition in past.kinds(past.head).all():
            if definition.storage is None and (count := sum(1 for _ in view.scan(definition.stored_as))):
                found.objects[str(definition.group_resource)] = count
    return found


def _imported(event: Event, found: Overview) -> None:
    if event.audit_id == "import" and event.response_body:
        found.imported = orjson.loads(event.response_body)
