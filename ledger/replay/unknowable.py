"""All that an imported log cannot tell of one moment, over the whole ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.apimachinery.resource import Key
from ledger.log.event import NO_WINDOW, Change
from ledger.projections.history import DELETIONS
from ledger.projections.unknowable import Gap, ResourceGap, gaps, resource_gaps, schema_gaps
from ledger.replay.past import Past


@dataclass(frozen=True, slots=True)
class Unknowable:
    """All that an imported log cannot tell of one moment."""

    revision: int
    resources: list[ResourceGap]
    objects: dict[Key, Gap]


def unknowable(past: Past, revision: int, report: Mapping[str, Any] | None) -> Unknowable:
    """`report` is the import's; objects are those at the revision, and those that may be there or gone, by key."""
    reach = (report or {}).get("reach", 0)
    near = past.store.changes_after(max(revision - reach - 1, 0), revision + reach)
    found = gaps(_last_ones(past, revision, near), revision)
    resources = [one for one in resource_gaps(report) if one.after < revision]
    return Unknowable(revision, [*resources, *schema_gaps(found)], {key: found[key] for key in sorted(found)})


def _last_ones(past: Past, revision: int, near: Iterable[Change]) -> Iterator[Change]:
    for change in near:
        if change.window != NO_WINDOW and (change.revision > revision or change.window[1] > revision):
            if change.revision > revision or past.version(change.key, revision) == change:
                yield change
    with past.store.view(past.valid(revision)) as view:
        revisions = [
            stored.revision
            for definition in past.kinds(revision).all()
            if definition.storage is None
            for stored in view.scan(definition.stored_as)
        ]
    for one in (*revisions, *_deletions(past, revision)):
        change_then = past.store.change(one)
        if change_then is not None and (change_then.doubts or change_then.window != NO_WINDOW):
            if change_then.body is not None or past.version(change_then.key, revision) == change_then:
                yield change_then


def _deletions(past: Past, revision: int) -> list[int]:
    with past.store.read() as read:
        found = [int.from_bytes(key[-8:], "big") for key, _ in read.scan(DELETIONS, b"", b"\xff" * 9)]
    return [one for one in found if one <= revision]
