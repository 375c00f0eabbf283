"""Who is owned by whom: an index of owner references, kept up to date with the log.

Only objects that have owner references are in it, so its size is that of the references, not of the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from ledger.apimachinery.resource import Key
from ledger.projections.api import Stored
from ledger.projections.watch import WatchItem

Reference = dict[str, Any]


class Ownership:
    def __init__(self) -> None:
        self._owners_of: dict[Key, list[Reference]] = {}
        self._dependents_of: dict[str, set[Key]] = {}  # of an owner's uid

    def clear(self) -> None:
        self._owners_of.clear()
        self._dependents_of.clear()

    def add(self, stored: Stored) -> None:
        self._put(stored.key, stored.body)

    def follow(self, item: WatchItem) -> tuple[list[Reference], list[Reference]]:
        """Takes a change in; the references of its object before and after."""
        before = self._owners_of.get(item.key, [])
        self._put(item.key, item.change.body)
        return before, self._owners_of.get(item.key, [])

    def dependents(self, uid: str) -> list[Key]:
        return sorted(self._dependents_of.get(uid, ()))

    def owned(self) -> Iterable[Key]:
        return tuple(self._owners_of)

    def _put(self, key: Key, body: bytes | None) -> None:
        owners = references(body)
        before = self._owners_of.pop(key, [])
        for reference in before:
            dependents = self._dependents_of.get(reference["uid"], set())
            dependents.discard(key)
            if not dependents:
                self._dependents_of.pop(reference["uid"], None)
        for reference in owners:
            self._dependents_of.setdefault(reference["uid"], set()).add(key)
        if owners:
            self._owners_of[key] = owners


def references(body: bytes | None) -> list[Reference]:
    """The owner references of a stored object; none of one that is gone."""
    if not body or b'"ownerReferences"' not in body:
        return []
    found: list[Reference] = orjson.loads(body)["metadata"].get("ownerReferences") or []
    return found
