"""Fetches what extension servers publish of themselves: discovery, OpenAPI v3 and v2.

Follows handler_discovery.go and controllers/openapi{,v3} in k8s.io/kube-aggregator. What could not be fetched again stays
as it was, marked stale: a client then knows that the group exists, and that its list of resources may be old.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson

from ledger.apimachinery.http import User
from ledger.apimachinery.status import StatusError
from ledger.controllers.shards import ALL, Shard
from ledger.outbound.refusal import CallFailed
from ledger.projections.api import View
from ledger.projections.watch import WatchItem
from ledger.registry.api_services import RESOURCE, ApiService, ApiServices, Published
from ledger.registry.extensions import AGGREGATOR, Extensions
from ledger.scheme.openapi_merge import below
from ledger.scheme.remote import resources_in, resources_of

DISCOVERY_TIMEOUT_S = 5.0
OPENAPI_TIMEOUT_S = 60.0
AGAIN_S = 60.0
BACKOFF_FIRST_S = 0.5
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
ASKING = User("system:kube-aggregator", groups=tuple(AGGREGATOR))
ASKING_OPENAPI = User("system:aggregator")
FAILURES = (
    CallFailed,
    StatusError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)  # the last: documents of odd shape


class RemoteDocuments:
    """One of several that share the work."""

    def __init__(self, services: ApiServices, extensions: Extensions, shard: Shard = ALL) -> None:
        self.name = f"remote-documents-controller-{shard.number}"
        self.services, self.extensions = services, extensions
        self.shard = shard
        self._failures: dict[str, int] = {}

    def begin(self, view: View) -> Iterable[str]:
        return self.shard.mine(stored.key.name for stored in view.scan(RESOURCE))

    def observe(self, item: WatchItem) -> Iterable[str]:
        return self.shard.mine([item.key.name]) if (item.key.group, item.key.resource) == RESOURCE else ()

    async def sync(self, name: str) -> float | None:
        service = self.services.named(name)
        if service is None:
            self._failures.pop(name, None)
            return None
        published = replace(self.services.published(name))
        try:
            published.resources, published.current = await self._resources(service), True
        except FAILURES:
            self.services.publish(name, replace(published, current=False))
            count = self._failures[name] = self._failures.get(name, 0) + 1
            return min(BACKOFF_FIRST_S * 2.0 ** (count - 1), AGAIN_S)
        self._failures.pop(name, None)
        self.services.publish(name, replace(published))
        await self._add_openapi(service, published)
        self.services.publish(name, published)
        return AGAIN_S

    async def _resources(self, service: ApiService) -> tuple[dict[str, Any], ...]:
        """What it serves in this group-version, by aggregated discovery or else by its list. Raises FAILURES."""
        answer = await self.extensions.get(service, "/apis", ASKING, DISCOVERY_TIMEOUT_S, ("Accept", AGGREGATED))
        if answer.status == 503:
            raise ValueError("service unavailable")
        if answer.status == 200 and _is_aggregated(answer.header("content-type")):
            return resources_in(orjson.loads(answer.body)).get((service.group, service.version), ())
        json = ("Accept", "application/json")
        answer = await self.extensions.get(service, service.root, ASKING, DISCOVERY_TIMEOUT_S, json)
        if answer.status != 200:
            raise ValueError(f"discovery answers {answer.status}")
        return resources_of(orjson.loads(answer.body))

    async def _add_openapi(self, service: ApiService, published: Published) -> None:
        """Fills in what it has of OpenAPI; what cannot be read stays as it was."""
        try:
            answer = await self.extensions.get(service, "/openapi/v3", ASKING_OPENAPI, OPENAPI_TIMEOUT_S)
            if answer.status == 200:
                paths = orjson.loads(answer.body)["paths"]
                published.openapi_v3 = {name: str(one["serverRelativeURL"]) for name, one in paths.items()}
        except FAILURES:
            pass  # the next round asks again
        try:
            json = ("Accept", "application/json")
            answer = await self.extensions.get(service, "/openapi/v2", ASKING_OPENAPI, OPENAPI_TIMEOUT_S, json)
            if answer.status == 200:
                published.openapi_v2 = below(orjson.loads(answer.body), f"{service.root}/")
        except FAILURES:
            pass


def _is_aggregated(content_type: str) -> bool:
    parameters = {one.strip().lower() for one in content_type.split(";")}
    return {"g=apidiscovery.k8s.io", "v=v2", "as=apigroupdiscoverylist"} <= parameters
