"""What an import found, and what it could not: kept in the log itself as the last event's answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger.log.event import NO_WINDOW, Change
from ledger.replay.importer.lines import Malformed
from ledger.replay.importer.rules import Step
from ledger.replay.importer.unlogged import Unlogged


@dataclass(slots=True)
class Report:
    """Counts and lists; complete once the import's entries have been taken."""

    files: list[str]
    records: int = 0  # lines that hold an audit event
    events: int = 0  # requests: several stages of one request are one
    malformed: list[Malformed] = field(default_factory=list)
    levels: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    first: int = 0  # microseconds since 1970
    last: int = 0
    head: int = 0  # last revision
    base_objects: int = 0  # objects of the snapshot that the log does not hold
    base_revision: int = 0
    known: int = 0  # changes
    inferred: int = 0
    unknown: int = 0
    repeats: int = 0  # writes that changed nothing
    unplaced: list[Step] = field(default_factory=list)
    overtaken: list[Change] = field(default_factory=list)  # concluded, but the object had changed by then
    reach: int = 0  # how far at most a change's revision lies from the others that it can have had
    failed_late: int = 0  # writes answered with 500 or above: they may have taken place

    unlogged: list[Unlogged] = field(default_factory=list)  # resources of which the log holds no, or not all, objects
    redacted: int = 0  # requests whose bodies held secrets: digests are stored instead
    apiservers: dict[str, list[str]] = field(default_factory=dict)  # name -> its files, where they were told

    @property
    def gaps(self) -> list[str]:
        """What the files should have told and did not."""
        first = self.malformed[0] if self.malformed else None
        found = [f"{first.file}:{first.line}: {first.problem}"] if first else []
        counts = (
            (self.truncated, "truncated events without their bodies"),
            (self.unknown, "writes without a body"),
            (len(self.unplaced), "writes without a revision"),
        )
        return found + [f"{count:,} {what}" for count, what in counts if count]

    def count(self, change: Change) -> None:
        if change.confidence == "inferred":
            self.inferred += 1
        elif change.confidence == "unknown":
            self.unknown += 1
        else:
            self.known += 1
        self.head = max(self.head, change.revision)
        if change.window != NO_WINDOW:
            earliest, latest = change.window
            self.reach = max(self.reach, change.revision - earliest, latest - change.revision)

    def to_json(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "records": self.records,
            "events": self.events,
            "malformed": [one._asdict() for one in self.malformed],
            "levels": dict(self.levels),
            "truncated": self.truncated,
            "first": self.first,
            "last": self.last,
            "head": self.head,
            "base": {"revision": self.base_revision, "objects": self.base_objects},
            "changes": {"known": self.known, "inferred": self.inferred, "unknown": self.unknown},
            "repeats": self.repeats,
            "unplaced": [
                {"key": list(step.key), "effect": step.effect.value, "answered": step.answered}
                for step in self.unplaced
            ],
            "overtaken": [{"key": list(one.key), "revision": one.revision, "note": one.note} for one in self.overtaken],
            "failedLate": self.failed_late,
            "reach": self.reach,
            "unlogged": [one.to_json() for one in self.unlogged],
            "redacted": self.redacted,
            "apiservers": self.apiservers,
        }

    def encode(self) -> bytes:
        return orjson.dumps(self.to_json())


def base_revision(encoded: bytes) -> int:
    """The snapshot's revision in an encoded report; 0: the import had none."""
    return int(orjson.loads(encoded)["base"]["revision"])
