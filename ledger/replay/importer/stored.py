"""Objects as the log stores them, made from objects as requests and answers show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from ledger.apimachinery.resource import Key, Object
from ledger.log.event import Change

SelectableFields = Callable[[Key, Object], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """What the fold holds of one object. `body` is in list-item form, without metadata.resourceVersion."""

    revision: int
    uid: str
    api_version: str
    kind: str
    body: bytes
    doubts: tuple[str, ...] = ()  # paths of what the log does not tell of it, as in Change

    def decoded(self) -> Object:
        obj: Object = orjson.loads(self.body)
        return obj


State = dict[Key, Known]


def change_of(
    key: Key,
    obj: Object,
    revision: int,
    fields: SelectableFields,
    *,
    like: Known | None = None,
    confidence: str = "",
    note: str = "",
    doubts: tuple[str, ...] = (),
) -> Change:
    """The Change that leaves `obj`; `like` gives apiVersion and kind where the object (a list's item) has none."""
    meta = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "resourceVersion"}
    rest = {name: value for name, value in obj.items() if name not in ("metadata", "kind", "apiVersion")}
    return Change(
        key=key,
        body=orjson.dumps({"metadata": meta, **rest}),
        uid=meta.get("uid") or "",
        api_version=obj.get("apiVersion") or (like.api_version if like else ""),
        kind=obj.get("kind") or (like.kind if like else ""),
        labels=meta.get("labels") or {},
        fields=fields(key, obj),
        revision=revision,
        previous=like.revision if like else 0,
        confidence=confidence,
        note=note,
        doubts=doubts,
    )


def removal_of(
    key: Key,
    revision: int,
    known: Known | None,
    *,
    confidence: str = "",
    note: str = "",
    doubts: tuple[str, ...] = (),
) -> Change:
    return Change(
        key=key,
        body=None,
        uid=known.uid if known else "",
        api_version=known.api_version if known else "",
        kind=known.kind if known else "",
        revision=revision,
        previous=known.revision if known else 0,
        confidence=confidence,
        note=note,
        doubts=doubts,
    )


def apply_change(state: State, change: Change) -> None:
    """Folds one change into the state."""
    if change.body is None:
        state.pop(change.key, None)
        return
    state[change.key] = Known(
        change.revision,
        change.uid,
        change.api_version,
        change.kind,
        change.body,
        change.doubts,
    )


def core_event(obj: Object) -> Object:
    """An events.k8s.io Event as the core Event that is stored (conversion of k8s.io/kubernetes/pkg/apis/events/v1)."""
    if obj.get("apiVersion", "").partition("/")[0] != "events.k8s.io":
        return obj
    renamed: dict[str, Any] = {}
    for name, value in obj.items():
        renamed[_CORE_EVENT_NAMES.get(name, name)] = value
    renamed["apiVersion"] = "v1"
    series = renamed.get("series")
    if isinstance(series, dict):
        renamed["series"] = dict(series)
    for name in ("source", "firstTimestamp", "lastTimestamp"):  # core/v1 writes them even when empty
        renamed.setdefault(name, {} if name == "source" else None)
    return renamed


_CORE_EVENT_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
