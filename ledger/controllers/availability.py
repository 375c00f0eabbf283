"""Keeps the APIServices of what is served here available, whatever somebody writes into their status.

Follows pkg/controllers/status/local in k8s.io/kube-aggregator, which kube-apiserver runs itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.apimachinery.resource import GVR, GroupResource, Object
from ledger.apimachinery.times import rfc3339
from ledger.controllers.apiservices import OWN_GROUP
from ledger.controllers.client import Client
from ledger.controllers.conditions import set_condition
from ledger.projections.api import View
from ledger.projections.watch import WatchItem

API_SERVICE = GVR(OWN_GROUP, "v1", "apiservices")
RESOURCE = GroupResource(OWN_GROUP, API_SERVICE.resource)


class LocalAvailability:
    name = "local-available-controller"

    def __init__(self, client: Client) -> None:
        self.client = client

    def begin(self, view: View) -> Iterable[str]:
        return [stored.key.name for stored in view.scan(RESOURCE)]

    def observe(self, item: WatchItem) -> Iterable[str]:
        return (item.key.name,) if (item.key.group, item.key.resource) == RESOURCE else ()

    async def sync(self, name: str) -> float | None:
        if self.client.get(API_SERVICE, "", name) is not None:
            await self.client.update(API_SERVICE, "", name, self._available, "status")
        return None

    def _available(self, service: Object) -> Object | None:
        """The APIService with its condition; None when a service behind it answers, or when it says so already."""
        if service["spec"].get("service"):
            return None
        service["status"] = service.get("status") or {}
        before = [dict(one) for one in service["status"].get("conditions") or ()]
        text = "Local APIServices are always available"
        set_condition(service, "Available", "True", "Local", text, rfc3339(self.client.now()))
        return None if service["status"]["conditions"] == before else service
