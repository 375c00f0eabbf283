"""What was: the objects of a moment, as kubectl's columns show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.apimachinery.selectors import LabelSelector
from ledger.log.event import Change
from ledger.replay.moments import Moment
from ledger.replay.past import Past
from ledger.replay.printing.table import Column
from ledger.replay.targets import Target, not_there
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.printers import cells
from ledger.scheme.printers.durations import since


@dataclass(slots=True)
class Seen:
    """An object as it stood at the moment, or, deleted before it, as it last stood."""

    obj: Object
    confidence: str
    note: str
    deleted_at: int = 0  # revision


def objects_at(
    past: Past, target: Target, moment: Moment, namespace: str, labels: LabelSelector | None, *, deleted: bool
) -> Iterator[Seen]:
    """By namespace and name; with `deleted`, those gone by then follow. Raises ReplayError for a named one."""
    if target.key is not None:
        change = past.version(target.key, moment.revision)
        if change is not None and change.body is not None:
            yield _seen(past, change, moment)
        elif deleted and change is not None:
            yield _last_seen(past, change)
        else:
            raise not_there(past, target, moment.revision)
        return
    with past.store.view(past.valid(moment.revision)) as view:
        keys = [
            (stored.key, stored.revision)
            for stored in view.scan(target.resource, namespace)
            if labels is None or labels.matches(stored.labels)
        ]
    for _, revision in keys:
        change = past.store.change(revision)
        assert change is not None
        yield _seen(past, change, moment)
    if deleted:
        yield from _gone(past, target, moment, namespace, labels)


def _seen(past: Past, change: Change, moment: Moment) -> Seen:
    obj = past.object(change, moment.revision)
    assert obj is not None
    return Seen(obj, change.confidence or "known", change.note)


def _last_seen(past: Past, deletion: Change) -> Seen:
    before = past.before(deletion) or {"metadata": {"name": deletion.key.name, "namespace": deletion.key.namespace}}
    return Seen(before, deletion.confidence or "known", deletion.note, deletion.revision)


def _gone(past: Past, target: Target, moment: Moment, namespace: str, labels: LabelSelector | None) -> Iterator[Seen]:
    for key in sorted(past.keys_ever(target.resource)):
        if namespace and key.namespace != namespace:
            continue
        change = past.version(key, moment.revision)
        if change is None or change.body is not None:
            continue
        seen = _last_seen(past, change)
        if labels is None or labels.matches(seen.obj["metadata"].get("labels") or {}):
            yield seen


HOW = {"known": "", "inferred": "~", "unknown": "?"}


def columns_and_rows(
    definition: ResourceDefinition, seen: list[Seen], now: int, *, wide: bool, namespaced: bool
) -> tuple[list[Column], list[list[str]]]:
    """kubectl's own columns, then HOW: empty for known, ~ inferred, ? unknown, and when what is gone went."""
    version = _version(definition, seen)
    shown = [place for place, column in enumerate(version.columns) if wide or not column.priority]
    titles = [version.columns[place].name.upper() for place in shown]
    rows = []
    for one in seen:
        values = cells(definition, version, one.obj, now)
        row = [_cell(values[place]) for place in shown]
        rows.append(row)
    if not any(any(row[1:]) for row in rows):  # no printer knows this kind
        titles = ["NAME", "AGE"]
        rows = [
            [one.obj["metadata"].get("name", ""), since(one.obj["metadata"].get("creationTimestamp"), now)]
            for one in seen
        ]
    how = [HOW[one.confidence] + (f"deleted rv {one.deleted_at}" if one.deleted_at else "") for one in seen]
    if any(how):
        titles.append("HOW")
        rows = [[*row, mark] for row, mark in zip(rows, how, strict=True)]
    if namespaced and definition.namespaced:
        titles.insert(0, "NAMESPACE")
        rows = [[one.obj["metadata"].get("namespace", ""), *row] for one, row in zip(seen, rows, strict=True)]
    return [Column(title) for title in titles], rows


def _version(definition: ResourceDefinition, seen: list[Seen]) -> Version:
    """The version that the objects are written in, for its columns."""
    for one in seen:
        name = (one.obj.get("apiVersion") or "").rpartition("/")[2]
        if name in definition.versions:
            return definition.versions[name]
    return definition.versions[definition.storage_version]


def _cell(value: Any) -> str:
    if value is None:
        return "<none>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
