"""Namespace deletion: everything in a namespace that is being deleted goes first, then its finalizer, then it.

Pods go before the rest, so that their volumes and accounts outlive them. Custom resources are no exception: what there
is to delete is whatever the scheme of the moment serves. Follows pkg/controller/namespace/deletion in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import StatusError
from ledger.apimachinery.times import rfc3339
from ledger.controllers.client import Client
from ledger.projections.api import View
from ledger.projections.watch import WatchItem

NAMESPACES = GroupResource("", "namespaces")
PODS = GroupResource("", "pods")
FINALIZER = "kubernetes"

# type: (reason, message) while all is well; the order is that of the conditions
FINE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}  # fmt: skip


@dataclass(slots=True)
class Remaining:
    """What is still there after everything has been told to go."""

    resources: Counter[GroupResource] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)


class NamespaceController:
    name = "namespace-controller"

    def __init__(self, client: Client) -> None:
        self.client = client
        self._ending: set[str] = set()

    def begin(self, view: View) -> Iterable[str]:
        self._ending = {stored.key.name for stored in view.scan(NAMESPACES) if _is_ending(stored.body)}
        return tuple(self._ending)

    def observe(self, item: WatchItem) -> Iterator[str]:
        """A namespace that ends, and whatever is gone from, or changes in, one that does."""
        key = item.key
        if (key.group, key.resource) == NAMESPACES:
            if item.change.body is None:
                self._ending.discard(key.name)
            elif _is_ending(item.change.body):
                self._ending.add(key.name)
                yield key.name
        elif key.namespace in self._ending:
            yield key.namespace

    async def sync(self, namespace: str) -> float | None:
        key = Key(*NAMESPACES, "", namespace)
        found = self.client.read(key)
        if found is None or "deletionTimestamp" not in found["metadata"]:
            return None
        if FINALIZER not in (found["spec"].get("finalizers") or ()):
            return None
        remaining = await self._empty(namespace)
        conditions = _conditions(remaining)
        try:
            await self.client.edit(key, lambda live: self._told(live, conditions), "status")
            if remaining.errors:
                raise StatusError(500, "", "; ".join(remaining.errors))
            if not remaining.resources:
                await self.client.edit(key, _finalized, "finalize")
        except StatusError as error:
            if error.reason != "NotFound":
                raise
        return None

    async def _empty(self, namespace: str) -> Remaining:
        """Deletes everything in the namespace; other things than pods once there are no more pods."""
        remaining = Remaining()
        await self._empty_of(PODS, namespace, remaining)
        if not remaining.resources and not remaining.errors:
            for resource in self._resources():
                await self._empty_of(resource, namespace, remaining)
        return remaining

    def _resources(self) -> list[GroupResource]:
        """Every namespaced resource that has objects of its own which can be deleted."""
        return [
            definition.group_resource
            for definition in self.client.scheme().definitions.values()
            if definition.namespaced and definition.storage is None and "delete" in definition.verbs
        ]

    async def _empty_of(self, resource: GroupResource, namespace: str, remaining: Remaining) -> None:
        with self.client.store.view() as view:
            objects = list(view.scan(resource, namespace))
        fresh = [one for one in objects if b'"deletionTimestamp"' not in one.body]
        # What is being deleted already is told again only when nothing else holds it: it is waited for.
        if fresh:
            try:
                await self.client.delete_collection(self.client.gvr(resource), namespace, fresh)
            except StatusError as error:
                remaining.errors.append(error.message)
            with self.client.store.view() as view:
                objects = list(view.scan(resource, namespace))
        for one in objects:
            remaining.resources[resource] += 1
            remaining.finalizers.update(orjson.loads(one.body)["metadata"].get("finalizers") or ())

    def _told(self, live: Object, conditions: dict[str, tuple[str, str, str]]) -> Object | None:
        """The namespace with its conditions brought up to date; None when they are."""
        status = live.get("status") or {}
        kept: list[dict[str, Any]] = [dict(one) for one in status.get("conditions") or ()]
        now = rfc3339(self.client.now())
        changed = False
        for kind, (truth, reason, message) in conditions.items():
            told = {"type": kind, "status": truth, "reason": reason, "message": message}
            old = next((one for one in kept if one["type"] == kind), None)
            if old is None:
                kept.append({**told, "lastTransitionTime": now})
            elif any(old.get(name) != value for name, value in told.items()):
                old |= told | ({"lastTransitionTime": now} if old.get("status") != truth else {})
            else:
                continue
            changed = True
        return {**live, "status": {**status, "conditions": kept}} if changed else None


def _conditions(remaining: Remaining) -> dict[str, tuple[str, str, str]]:
    """type: (status, reason, message)."""
    conditions = {kind: ("False", reason, message) for kind, (reason, message) in FINE.items()}
    if remaining.errors:
        texts = ", ".join(sorted(remaining.errors))
        message = f"Failed to delete all resource types, {len(remaining.errors)} remaining: {texts}"
        conditions["NamespaceDeletionContentFailure"] = ("True", "ContentDeletionFailed", message)
    if remaining.resources:
        texts = ", ".join(
            sorted(f"{one.resource}.{one.group} has {n} resource instances" for one, n in remaining.resources.items())
        )
        conditions["NamespaceContentRemaining"] = (
            "True", "SomeResourcesRemain", f"Some resources are remaining: {texts}")  # fmt: skip
    if remaining.finalizers:
        texts = ", ".join(sorted(f"{name} in {n} resource instances" for name, n in remaining.finalizers.items()))
        message = f"Some content in the namespace has finalizers remaining: {texts}"
        conditions["NamespaceFinalizersRemaining"] = ("True", "SomeFinalizersRemain", message)
    return conditions


def _finalized(live: Object) -> Object | None:
    finalizers = live["spec"].get("finalizers") or []
    if FINALIZER not in finalizers:
        return None
    return {**live, "spec": {**live["spec"], "finalizers": [one for one in finalizers if one != FINALIZER]}}


def _is_ending(body: bytes) -> bool:
    return b'"deletionTimestamp"' in body and "deletionTimestamp" in orjson.loads(body)["metadata"]
