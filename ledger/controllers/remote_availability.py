"""Keeps the Available condition of APIServices with a service behind them true.

Follows pkg/controllers/status/remote in k8s.io/kube-aggregator: first what the objects say (service, port, endpoints),
then whether the server answers. A server can come and go without any object changing, so it is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import trio

from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import User
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError
from ledger.apimachinery.times import rfc3339
from ledger.controllers.availability import API_SERVICE
from ledger.controllers.client import Client
from ledger.controllers.conditions import set_condition
from ledger.controllers.shards import ALL, Shard
from ledger.outbound.refusal import CallFailed
from ledger.outbound.services import has_available_endpoint
from ledger.projections.api import View
from ledger.projections.watch import WatchItem
from ledger.registry.api_services import RESOURCE, ApiService, ApiServices
from ledger.registry.cluster import SERVICES, SLICES
from ledger.registry.extensions import AGGREGATOR, Extensions, url

CHECK_TIMEOUT_S = 5.0
ATTEMPTS = 5  # at once, each at an endpoint of its own luck; one success is enough
AGAIN_S = 30.0
BACKOFF_FIRST_S = 0.005
ASKING = User("system:kube-aggregator", groups=tuple(AGGREGATOR))


class Verdict(NamedTuple):
    status: str  # of the condition
    reason: str
    message: str


PASSED = Verdict("True", "Passed", "all checks passed")


class RemoteAvailability:
    """One of several that share the work."""

    def __init__(self, client: Client, services: ApiServices, extensions: Extensions, shard: Shard = ALL) -> None:
        self.name = f"remote-available-controller-{shard.number}"
        self.client, self.services, self.extensions = client, services, extensions
        self.shard = shard
        self._failures: dict[str, int] = {}

    def begin(self, view: View) -> Iterable[str]:
        return self.shard.mine(stored.key.name for stored in view.scan(RESOURCE))

    def observe(self, item: WatchItem) -> Iterable[str]:
        place = (item.key.group, item.key.resource)
        if place == RESOURCE:
            return self.shard.mine([item.key.name])
        if place == SERVICES:
            return self.shard.mine(self.services.behind(item.key.namespace, item.key.name))
        if place == SLICES:
            return self.shard.mine(self.services.behind(item.key.namespace))
        return ()

    async def sync(self, name: str) -> float | None:
        service = self.services.named(name)
        if service is None:
            self._failures.pop(name, None)
            return None
        verdict = self._by_objects(service) or await self._by_asking(service)
        await self._tell(name, service, verdict)
        if verdict.reason != "FailedDiscoveryCheck":
            self._failures.pop(name, None)
            return AGAIN_S
        count = self._failures[name] = self._failures.get(name, 0) + 1
        return min(BACKOFF_FIRST_S * 2.0**count, AGAIN_S)

    async def _tell(self, name: str, service: ApiService, verdict: Verdict) -> None:
        def edit(found: Object) -> Object | None:
            if not found["spec"].get("service"):
                return None
            found["status"] = found.get("status") or {}
            before = [dict(one) for one in found["status"].get("conditions") or ()]
            set_condition(found, "Available", *verdict, rfc3339(self.client.now()))
            return None if found["status"]["conditions"] == before else found

        try:
            await self.client.update(API_SERVICE, "", name, edit, "status")
        except StatusError as error:
            if error.code != 404:  # it was deleted meanwhile
                raise

    def _by_objects(self, service: ApiService) -> Verdict | None:
        """What is wrong before anybody is asked; None: nothing."""
        what = f"service/{service.service} in {quoted(service.namespace)}"
        try:
            found = self.extensions.cluster.service(service.namespace, service.service)
        except StatusError:
            return Verdict("False", "ServiceNotFound", f"{what} is not present")
        if found["spec"].get("type", "ClusterIP") != "ClusterIP":
            return None
        ports = [one for one in found["spec"].get("ports") or () if one.get("port") == service.port]
        if not ports:
            return Verdict("False", "ServicePortError", f"{what} is not listening on port {service.port}")
        slices = self.extensions.cluster.slices(service.namespace, service.service)
        if not slices:
            return Verdict("False", "EndpointsNotFound", f"cannot find endpointslices for {what}")
        name = ports[0].get("name", "")
        if not has_available_endpoint(name, slices):
            message = f"endpointslices for {what} have no addresses with port name {quoted(name)}"
            return Verdict("False", "MissingEndpoints", message)
        return None

    async def _by_asking(self, service: ApiService) -> Verdict:
        """Whether its discovery can be read."""
        failures: list[str] = []
        passed = False

        async def attempt() -> None:
            nonlocal passed
            failure = await self._ask(service)
            if failure:
                failures.append(failure)
            else:
                passed = True
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for _ in range(ATTEMPTS):
                nursery.start_soon(attempt)
        return PASSED if passed else Verdict("False", "FailedDiscoveryCheck", failures[-1])

    async def _ask(self, service: ApiService) -> str:
        """Why it could not be read; "" when it could."""
        try:
            where = url(self.extensions.peer(service), service.root)
        except (StatusError, ValueError) as error:
            return str(error)
        try:
            answer = await self.extensions.get(service, service.root, ASKING, CHECK_TIMEOUT_S)
        except CallFailed as failed:
            return f'failing or missing response from {where}: Get "{where}": {failed}'
        except (StatusError, ValueError) as error:
            return str(error)
        if not 200 <= answer.status < 300:
            return f"failing or missing response from {where}: bad status from {where}: {answer.status}"
        return ""
