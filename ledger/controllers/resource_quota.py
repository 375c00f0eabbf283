"""Quota status: spec.hard is taken over, and what is used is counted again when something is given back.

Admission charges what is created; what is deleted, or has ended, only a count can give back. Follows
pkg/controller/resourcequota in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from ledger.admission.pod_resources import Amounts, added
from ledger.admission.quota.usage import evaluator_of, within
from ledger.apimachinery.quantity import of
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import StatusError
from ledger.controllers.client import Client
from ledger.projections.api import View
from ledger.projections.watch import WatchItem

QUOTAS = GroupResource("", "resourcequotas")
PODS = GroupResource("", "pods")


class ResourceQuotaController:
    name = "resourcequota-controller"

    def __init__(self, client: Client) -> None:
        self.client = client
        self._quotas: dict[str, set[Key]] = {}  # by namespace

    def begin(self, view: View) -> Iterable[Key]:
        self._quotas = {}
        for stored in view.scan(QUOTAS):
            self._quotas.setdefault(stored.key.namespace, set()).add(stored.key)
        return [key for keys in self._quotas.values() for key in keys]

    def observe(self, item: WatchItem) -> Iterator[Key]:
        """A quota that is new or asks for other things; every quota of a namespace that something has left."""
        key = item.key
        if (key.group, key.resource) == QUOTAS:
            here = self._quotas.setdefault(key.namespace, set())
            if item.change.body is None:
                here.discard(key)
            else:
                here.add(key)
                yield key
            if not here:
                del self._quotas[key.namespace]
        elif key.namespace in self._quotas and (item.change.body is None or _has_ended(item)):
            yield from self._quotas[key.namespace]

    async def sync(self, key: Key) -> float | None:
        try:
            await self.client.edit(key, self._counted, "status")
        except StatusError as error:
            if error.reason != "NotFound":
                raise
        return None

    def _counted(self, quota: Object) -> Object | None:
        """The quota with its status as it should be; None when it is."""
        hard = quota["spec"].get("hard") or {}
        used: Amounts = {name: of(0) for name in hard}
        now = self.client.now()
        with self.client.store.view() as view:
            for definition in self.client.scheme().definitions.values():
                if not definition.namespaced or definition.storage is not None:
                    continue
                evaluator = evaluator_of(definition.group_resource)
                names = evaluator.names(hard) if evaluator is not None else []
                if evaluator is None or not names:
                    continue
                for stored in view.scan(definition.group_resource, quota["metadata"]["namespace"]):
                    obj = orjson.loads(stored.body)
                    if within(evaluator, quota, obj):
                        usage = evaluator.usage(obj, now)
                        used = added(used, {name: usage[name] for name in names if name in usage})
        status = {"hard": hard, "used": {name: str(amount) for name, amount in sorted(used.items())}}
        return None if quota.get("status") == status else {**quota, "status": status}


def _has_ended(item: WatchItem) -> bool:
    """A pod that has come to its end uses nothing any more."""
    if (item.key.group, item.key.resource) != PODS or item.change.body is None:
        return False
    return b'"phase":"Succeeded"' in item.change.body or b'"phase":"Failed"' in item.change.body
