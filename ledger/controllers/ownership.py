"""Who is owned by whom: an index of owner references, kept up to date with the log.

Only objects that have owner references are in it, so its size is that of the references, not of the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from ledger.apimachinery.resource import Key
from ledger.projections.api import View
from ledger.projections.watch import WatchItem
from ledger.scheme.scheme import Scheme


class Ownership:
    def __init__(self) -> None:
        self._owners_of: dict[Key, frozenset[str]] = {}  # the uids an object's references name
        self._dependents_of: dict[str, set[Key]] = {}  # of an owner's uid

    def load(self, view: View, scheme: Scheme) -> None:
        self._owners_of.clear()
        self._dependents_of.clear()
        for definition in scheme.definitions.values():
            if definition.storage is None:
                for stored in view.scan(definition.group_resource):
                    self._put(stored.key, stored.body)

    def follow(self, item: WatchItem) -> None:
        self._put(item.key, item.change.body)

    def dependents(self, uid: str) -> list[Key]:
        return sorted(self._dependents_of.get(uid, ()))

    def owned(self) -> Iterable[Key]:
        return tuple(self._owners_of)

    def _put(self, key: Key, body: bytes | None) -> None:
        uids = frozenset(one["uid"] for one in references(body))
        before = self._owners_of.pop(key, frozenset())
        for uid in before - uids:
            self._dependents_of[uid].discard(key)
            if not self._dependents_of[uid]:
                del self._dependents_of[uid]
        for uid in uids - before:
            self._dependents_of.setdefault(uid, set()).add(key)
        if uids:
            self._owners_of[key] = uids


def references(body: bytes | None) -> list[dict[str, Any]]:
    """The owner references of a stored object; none of one that is gone."""
    if not body or b'"ownerReferences"' not in body:
        return []
    found: list[dict[str, Any]] = orjson.loads(body)["metadata"].get("ownerReferences") or []
    return found
