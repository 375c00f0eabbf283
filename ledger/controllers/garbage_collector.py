"""Garbage collection: what has owners goes when the last of them is gone, before them, or stays without them.

    background   the owner is deleted at once; its dependents, now without an owner, follow
    foreground   the owner waits (finalizer foregroundDeletion) until no dependent blocks its deletion
    orphan       the owner waits (finalizer orphan) until its dependents no longer name it

An owner is looked for where its dependent lives: an owner in another namespace is no owner. One of a kind that is not
served is left alone: nobody can say that it is absent. Follows pkg/controller/garbagecollector in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from ledger.apimachinery.resource import GVK, GroupResource, Key, Object, split_api_version
from ledger.apimachinery.status import StatusError
from ledger.controllers.client import Client
from ledger.controllers.ownership import Ownership, Reference, references
from ledger.projections.api import Stored, View
from ledger.projections.watch import WatchItem
from ledger.registry.body import key_of

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
SOLID, WAITING, ABSENT, UNKNOWN = "solid", "waiting", "absent", "unknown"
UNKNOWN_AGAIN_S = 30.0  # after which an owner of a kind that was not served is looked for again


class GarbageCollector:
    name = "garbage-collector-controller"

    def __init__(self, client: Client) -> None:
        self.client, self.index = client, Ownership()

    def begin(self, view: View) -> Iterable[Key]:
        self.index.clear()
        waiting = []
        for definition in self.client.scheme().definitions.values():
            if definition.storage is None:
                for stored in view.scan(definition.group_resource):
                    self.index.add(stored)
                    if _is_waiting(stored.body):
                        waiting.append(stored.key)
        return [*self.index.owned(), *waiting]

    def observe(self, item: WatchItem) -> Iterator[Key]:
        """An object that names owners or waits for its dependents; the dependents of one that is gone; its owners."""
        before, owners = self.index.follow(item)
        body = item.change.body
        if body is None:
            yield from self.index.dependents(item.change.uid)
        elif _is_waiting(body) or owners != before:
            yield item.key
        if body is None or owners != before or (owners and b'"deletionTimestamp"' in body):
            # An owner that waits for this object may have waited for the last time.
            for reference in [*before, *owners]:
                owner = self._owner_key(reference, item.key.namespace)
                if owner is not None:
                    yield owner

    async def sync(self, key: Key) -> float | None:
        with self.client.store.view() as view:
            stored = view.get(key)
        if stored is None:
            return None
        metadata = orjson.loads(stored.body)["metadata"]
        finalizers = metadata.get("finalizers") or ()
        try:
            if "deletionTimestamp" in metadata and ORPHAN in finalizers:
                await self._orphan(stored)
            elif "deletionTimestamp" in metadata and FOREGROUND in finalizers:
                await self._foreground(stored)
            elif "deletionTimestamp" not in metadata and metadata.get("ownerReferences"):
                return await self._dependent(stored, metadata)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
        return None

    async def _orphan(self, owner: Stored) -> None:
        """Takes the owner out of its dependents' references, then lets it go."""
        for key in self.index.dependents(owner.uid):
            await self._drop_references(key, {owner.uid})
        await self._drop_finalizer(owner.key, ORPHAN)

    async def _foreground(self, owner: Stored) -> None:
        """Deletes the dependents; the owner goes when none is left that blocks it."""
        for key in self.index.dependents(owner.uid):
            with self.client.store.view() as view:
                dependent = view.get(key)
            metadata = orjson.loads(dependent.body)["metadata"] if dependent is not None else {}
            if dependent is not None and metadata.get("ownerReferences") and "deletionTimestamp" not in metadata:
                await self._dependent(dependent, metadata)
        if not self._blocking(owner):
            await self._drop_finalizer(owner.key, FOREGROUND)

    def _blocking(self, owner: Stored) -> bool:
        with self.client.store.view() as view:
            return any(
                one["uid"] == owner.uid and one.get("blockOwnerDeletion")
                for key in self.index.dependents(owner.uid)
                if (dependent := view.get(key)) is not None
                for one in references(dependent.body)
            )

    async def _dependent(self, stored: Stored, metadata: dict[str, Any]) -> float | None:
        """What an object's owners mean for it (attemptToDeleteItem)."""
        with self.client.store.view() as view:
            states = {one["uid"]: self._state(one, stored.key, view) for one in metadata["ownerReferences"]}
        gone = {uid for uid, state in states.items() if state in (ABSENT, WAITING)}
        if SOLID in states.values():
            if gone:
                await self._drop_references(stored.key, gone)
            return None
        if UNKNOWN in states.values():
            return UNKNOWN_AGAIN_S
        if WAITING in states.values() and self.index.dependents(stored.uid):
            await self._delete(stored, "Foreground")
        else:
            finalizers = metadata.get("finalizers") or ()
            policy = "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
            await self._delete(stored, policy)
        return None

    async def _delete(self, stored: Stored, policy: str) -> None:
        definition = self.client.scheme().definition(GroupResource(stored.key.group, stored.key.resource))
        if definition is not None and "delete" in definition.verbs:
            await self.client.remove(stored, policy)

    def _state(self, reference: Reference, dependent: Key, view: View) -> str:
        """Whether an owner is there (solid), waits for its dependents to go (waiting), or is absent."""
        key = self._owner_key(reference, dependent.namespace)
        if key is None:
            return UNKNOWN
        owner = view.get(key)
        if owner is None or owner.uid != reference["uid"]:
            return ABSENT
        metadata = orjson.loads(owner.body)["metadata"]
        deleting = "deletionTimestamp" in metadata and FOREGROUND in (metadata.get("finalizers") or ())
        return WAITING if deleting else SOLID

    def _owner_key(self, reference: Reference, namespace: str) -> Key | None:
        """Where the owner would be stored; None when its kind is not served, or it cannot be an owner there."""
        group, version = split_api_version(reference["apiVersion"])
        found = self.client.scheme().for_kind(GVK(group, version, reference["kind"]))
        if found is None:
            return None
        definition = found[0]
        if definition.namespaced and not namespace:
            return None  # an object outside of namespaces cannot be owned from inside one
        return key_of(definition, namespace if definition.namespaced else "", reference["name"])

    async def _drop_references(self, key: Key, uids: set[str]) -> None:
        def edit(live: Object) -> Object | None:
            metadata = live["metadata"]
            kept = [one for one in metadata.get("ownerReferences") or () if one["uid"] not in uids]
            if len(kept) == len(metadata.get("ownerReferences") or ()):
                return None
            rest = {name: value for name, value in metadata.items() if name != "ownerReferences"}
            return {**live, "metadata": {**rest, "ownerReferences": kept} if kept else rest}

        try:
            await self.client.edit(key, edit)
        except StatusError as error:
            if error.reason != "NotFound":
                raise

    async def _drop_finalizer(self, key: Key, finalizer: str) -> None:
        def edit(live: Object) -> Object | None:
            metadata = live["metadata"]
            kept = [one for one in metadata.get("finalizers") or () if one != finalizer]
            if len(kept) == len(metadata.get("finalizers") or ()):
                return None
            rest = {name: value for name, value in metadata.items() if name != "finalizers"}
            return {**live, "metadata": {**rest, "finalizers": kept} if kept else rest}

        await self.client.edit(key, edit)


def _is_waiting(body: bytes) -> bool:
    """Whether an object that is being deleted waits for its dependents."""
    if b'"deletionTimestamp"' not in body or (b'"orphan"' not in body and b'"foregroundDeletion"' not in body):
        return False
    metadata = orjson.loads(body)["metadata"]
    return "deletionTimestamp" in metadata and not {ORPHAN, FOREGROUND}.isdisjoint(metadata.get("finalizers") or ())
