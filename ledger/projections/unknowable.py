"""What an imported log cannot tell of a moment: object by object, and resource by resource where even names are lost.

    what            since   fields                      why
    pods/a          rv 822  metadata.resourceVersion    it changed somewhere between rv 821 and 825
    deployments/b   rv 660  metadata, status            its content after this write is not in the log
    configmaps/c    rv 856  existence, *                perhaps deleted with its collection
    events          rv 537  existence, *                the log holds no changes of them

An answer about anything else is what the cluster would have answered, managedFields aside where the log leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.event import EXISTENCE, IMPORTED, NO_WINDOW, Change
from ledger.projections.store import Store

REVISION = "metadata.resourceVersion"
CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")


@dataclass(frozen=True, slots=True)
class Gap:
    """Fields of one object that are not known, since a revision; "*" are all, EXISTENCE is whether it is there."""

    key: Key
    fields: tuple[str, ...]
    since: int
    why: str


@dataclass(frozen=True, slots=True)
class ResourceGap:
    """A resource of which any object is in doubt since a revision (not included): in these fields."""

    resource: GroupResource
    namespace: str  # "": in all
    after: int
    why: str
    fields: tuple[str, ...] = (EXISTENCE, "*")

    def covers(self, key: Key, revision: int) -> bool:
        return key[:2] == self.resource and self.namespace in ("", key.namespace) and revision > self.after


def import_report(store: Store) -> dict[str, Any] | None:
    """What the import said of the log it read; None: the ledger is not an imported one."""
    last = store.event(store.last_position())
    if last is None or last.stage != IMPORTED or not last.response_body:
        return None
    report: dict[str, Any] = orjson.loads(last.response_body)
    return report


def resource_gaps(report: Mapping[str, Any] | None) -> list[ResourceGap]:
    """Those in an import's report; none where there is no report."""
    return [
        ResourceGap(GroupResource(one["group"], one["resource"]), one["namespace"], one["after"], one["why"])
        for one in (report or {}).get("unlogged", ())
    ]


def gap_of(change: Change, revision: int) -> Gap | None:
    """What is not known at a revision of the object that the change left, or may have left by then."""
    fields, why = change.doubts, change.note
    earliest, latest = change.window
    if change.window != NO_WINDOW:
        why = f"changed between rv {earliest} and {latest}" + (f": {why}" if why else "")
        if not (change.revision <= revision and latest <= revision):  # before or after it, at this revision?
            appears = change.body is None or not change.previous
            fields = (EXISTENCE, "*") if appears else ("*",)
        elif change.body is not None and "*" not in fields:
            fields = (REVISION, *fields)
    return Gap(change.key, fields, min(change.revision, earliest or change.revision), why) if fields else None


def gaps(changes: Iterable[Change], revision: int) -> dict[Key, Gap]:
    """By object. `changes` are each object's last one up to the revision, and those whose window reaches over it."""
    found: dict[Key, Gap] = {}
    for change in changes:
        if change.revision > revision and not (change.window[0] and change.window[0] <= revision):
            continue
        gap = gap_of(change, revision)
        known = found.get(change.key)
        if gap is not None and (known is None or "*" not in known.fields):
            found[change.key] = gap
    return found


def schema_gaps(found: Mapping[Key, Gap]) -> list[ResourceGap]:
    """Custom objects are read through the schema of their CRD, which prunes and defaults: where it is not known, so are they."""
    why = "they are read through a CustomResourceDefinition whose content is not in the log"
    return [
        ResourceGap(GroupResource(group, plural), "", gap.since - 1, why, ("*",))
        for key, gap in found.items()
        if key[:2] == CRDS and any(one == "*" or one.partition(".")[0] == "spec" for one in gap.fields)
        for plural, _, group in [key.name.partition(".")]
    ]
