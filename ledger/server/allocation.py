"""Joins what Services are given, and what quotas are charged, to the flags and the store."""

from __future__ import annotations

import random
from collections.abc import Callable

from ledger.admission.resource_quota import StoreStatus
from ledger.apimachinery.resource import GVR, Object
from ledger.log.event import Change
from ledger.projections.api import Stored
from ledger.projections.store import Store
from ledger.registry.allocators.addresses import IPADDRESSES, Addresses
from ledger.registry.allocators.ports import SERVICES, NodePorts
from ledger.registry.allocators.services import Services
from ledger.registry.behaviour import Behaviour
from ledger.registry.body import change_of, decode
from ledger.scheme.scheme import Scheme
from ledger.server.config import Config

__all__ = ["SERVICES", "service_allocator"]


def service_allocator(
    config: Config,
    store: Store,
    scheme: Scheme,
    behaviour: Behaviour,
    clock: Callable[[], int],
    new_uid: Callable[[], str],
) -> Services:
    """The allocator of Services; it follows the store from now on."""
    found = scheme.find(GVR(IPADDRESSES.group, "v1", IPADDRESSES.resource))
    assert found is not None  # always served
    cidrs = config.service_cluster_ip_range.split(",")
    addresses = Addresses(cidrs, found[0], behaviour, clock, new_uid, random.randrange)
    ports = NodePorts(*config.service_node_port_range, random.randrange)
    with store.view() as view:
        ports.load(view)
    store.engine.subscribe(ports.follow)
    return Services(addresses, ports)


def quota_status(scheme: Callable[[], Scheme], behaviour: Behaviour, clock: Callable[[], int]) -> StoreStatus:
    """How a charge to a quota is written: through its status, as the server itself."""

    def change(stored: Stored, quota: Object) -> Change:
        found = scheme().find(GVR("", "v1", "resourcequotas"))
        assert found is not None  # always served
        definition, version = found
        tracked = behaviour.track(definition, version, decode(stored), quota, "kube-apiserver", "status", clock())
        return change_of(definition, tracked, expect=stored.revision)

    return change
