"""A ledger in memory with everything but its sockets: what controllers and allocators run against."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import trio
import trio.testing

from ledger.admission.chain import Chain, default_plugins
from ledger.admission.resource_quota import ResourceQuota
from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GVR, GroupResource, Object
from ledger.auth.authorizers import always_allow
from ledger.controllers.client import Client
from ledger.controllers.loop import Controller, run
from ledger.projections.store import Store
from ledger.registry.behaviours import Behaviours
from ledger.registry.builtin import Builtins
from ledger.registry.custom import Customs
from ledger.registry.registry import Registry
from ledger.scheme.scheme import builtin
from ledger.server.allocation import SERVICES, quota_status, service_allocator
from ledger.server.config import Config

NAMESPACES, CONFIG_MAPS, PODS = GVR("", "v1", "namespaces"), GVR("", "v1", "configmaps"), GVR("", "v1", "pods")
START_US = 1_700_000_000_000_000


class Ledger:
    """`user` is a client with all rights; the clock is trio's, so that a test may let it jump."""

    def __init__(self, tmp: Any, **flags: Any) -> None:
        self.store = Store.memory()
        self.scheme = builtin()
        behaviour = Behaviours(Builtins(self.scheme.owner), Customs())
        uids, suffixes = itertools.count(1), itertools.count(10_000)
        self.new_uid = lambda: f"00000000-0000-4000-8000-{next(uids):012d}"
        plugins: list[Any] = default_plugins(lambda: str(next(suffixes)), always_allow)
        plugins.append(ResourceQuota(quota_status(lambda: self.scheme, behaviour, self.now), self.now))
        config = Config(tmp, **flags)
        services = service_allocator(config, self.store, self.scheme, behaviour, self.now, self.new_uid)
        self.registry = Registry(
            self.store, behaviour, Chain(plugins, self.store.view), self.now, self.new_uid,
            lambda: str(next(suffixes)), {SERVICES: services},
        )  # fmt: skip
        self.user = self.client("somebody")

    def now(self) -> int:
        return START_US + int(trio.current_time() * 1_000_000)

    def client(self, name: str) -> Client:
        return Client(self.registry, lambda: self.scheme, self.new_uid, User(name), name)

    async def namespace(self, name: str) -> None:
        await self.user.create(NAMESPACES, "", {"metadata": {"name": name}})

    async def config_map(self, namespace: str, name: str, *owners: Object, **metadata: Any) -> Object:
        """A ConfigMap owned by others; returns it."""
        references = [
            {"apiVersion": "v1", "kind": one["kind"], "name": one["metadata"]["name"], "uid": one["metadata"]["uid"],
             "blockOwnerDeletion": True}
            for one in owners
        ]  # fmt: skip
        if references:
            metadata["ownerReferences"] = references
        return await self.user.create(CONFIG_MAPS, namespace, {"metadata": {"name": name, **metadata}})

    def names(self, gvr: GVR, namespace: str = "") -> list[str]:
        with self.store.view() as view:
            return [one.key.name for one in view.scan(GroupResource(gvr.group, gvr.resource), namespace)]


class Running:
    """Controllers that run while the block does."""

    def __init__(self, ledger: Ledger, controllers: Sequence[Controller]) -> None:
        self.ledger, self.controllers = ledger, controllers

    async def __aenter__(self) -> Running:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        self._nursery.start_soon(run, self.ledger.store, self.controllers)
        await settled()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(*error)


async def settled() -> None:
    """Until nobody has anything left to do."""
    await trio.testing.wait_all_tasks_blocked()
