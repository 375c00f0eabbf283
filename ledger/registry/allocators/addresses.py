"""Cluster addresses: which range they come from, and the IPAddress objects that say who has which.

An address is taken when an IPAddress of its name exists, so claiming one is creating that object and nothing else has
to be kept. The lower part of a range is left to addresses that clients choose (KEP-3070): the others are taken from
above it, from a random place on, so that an address just given back is not at once somebody else's.
Follows pkg/registry/core/service/ipallocator in k8s.io/kubernetes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.times import rfc3339
from ledger.log.event import Change
from ledger.projections.api import View
from ledger.registry.behaviour import Behaviour
from ledger.registry.body import change_of, removal_of
from ledger.scheme.definition import ResourceDefinition

IPADDRESSES = GroupResource("networking.k8s.io", "ipaddresses")
SERVICE_CIDRS = GroupResource("networking.k8s.io", "servicecidrs")
STATIC_MIN, STATIC_MAX, STATIC_STEP = 16, 256, 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NoAddress(Exception):
    """An address cannot be had; the text is the client's."""


class Full(NoAddress):
    """No range of the family has an address left."""


class Addresses:
    """`cidrs` are the server's own ranges, the primary family first; ServiceCIDR objects add more."""

    def __init__(
        self,
        cidrs: Sequence[str],
        definition: ResourceDefinition,
        behaviour: Behaviour,
        clock: Callable[[], int],
        new_uid: Callable[[], str],
        below: Callable[[int], int],
    ) -> None:
        self.own: list[Network] = [ipaddress.ip_network(cidr) for cidr in cidrs]
        self.families = [family_of(network) for network in self.own]
        self._definition, self._behaviour = definition, behaviour
        self._clock, self._new_uid, self._below = clock, new_uid, below

    def check(self, text: str, view: View, *, dry_run: bool) -> str:
        """The canonical form of an address a client chose. Raises NoAddress when it is in no range, or taken."""
        address = ipaddress.ip_address(text)
        if dry_run:
            network = self.own[0]
            if not _usable(network, address):
                raise NoAddress(
                    f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {network}"
                )
            return str(address)
        if not any(_usable(network, address) for network in self._networks(view)):
            raise NoAddress("the provided network does not match the current range")
        if view.get(_key(str(address))) is not None:
            raise NoAddress("provided IP is already allocated")
        return str(address)

    def choose(self, family: str, view: View, *, dry_run: bool) -> str:
        """A free address. A dry run claims nothing, so it gets none in particular. Raises Full."""
        if dry_run:
            return str(self.own[0].network_address)
        for network in self._networks(view):
            if family_of(network) == family:
                for address in self._candidates(network):
                    if view.get(_key(str(address))) is None:
                        return str(address)
        raise Full("range is full")

    def claim(self, address: str, owner: Object, resource: str) -> Change:
        """The IPAddress that says whose an address is; it must not be there yet."""
        now = self._clock()
        metadata = owner["metadata"]
        parent = {"resource": resource, "namespace": metadata.get("namespace", ""), "name": metadata["name"]}
        version = self._definition.versions[self._definition.storage_version]
        obj: Object = {
            "kind": version.kind.kind,
            "apiVersion": version.kind.api_version,
            "metadata": {
                "name": address,
                "uid": self._new_uid(),
                "creationTimestamp": rfc3339(now),
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": family_of(ipaddress.ip_address(address)),
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                },
            },
            "spec": {"parentRef": parent},
        }
        obj = self._behaviour.track(self._definition, version, None, obj, "kube-apiserver", "", now)
        return change_of(self._definition, obj, expect=0)

    def release(self, address: str, owner: Object, view: View) -> list[Change]:
        """The removal of an address's claim, unless it has become somebody else's."""
        stored = view.get(_key(address))
        if stored is None:
            return []
        parent = orjson.loads(stored.body)["spec"].get("parentRef") or {}
        metadata = owner["metadata"]
        if (parent.get("namespace", ""), parent.get("name")) != (metadata.get("namespace", ""), metadata["name"]):
            return []
        return [removal_of(stored)]

    def _networks(self, view: View) -> list[Network]:
        """The ranges that may give addresses: those of ServiceCIDRs, or the server's own as long as there are none."""
        objects: list[Any] = [orjson.loads(stored.body) for stored in view.scan(SERVICE_CIDRS)]
        ready = [one for one in objects if _is_ready(one)]
        found = {ipaddress.ip_network(cidr): None for one in ready for cidr in one["spec"].get("cidrs") or ()}
        return list(found) if objects else self.own

    def _candidates(self, network: Network) -> Iterator[Address]:
        """Every address of the range once: the upper part from a random place on, then the lower part."""
        first = int(network.network_address) + 1
        last = int(network.broadcast_address) - (1 if network.version == 4 else 0)
        offset = _static_part(network)
        for low, high in ((first + offset, last), (first, first + offset - 1)):
            size = high - low + 1
            if size > 0:
                start = self._below(size)
                make = type(network.network_address)
                yield from (make(low + (start + step) % size) for step in range(size))


def family_of(value: Network | Address) -> str:
    return f"IPv{value.version}"


def _usable(network: Network, address: Address) -> bool:
    """Neither the network's own address nor, in IPv4, the broadcast address."""
    if address.version != network.version or address not in network or address == network.network_address:
        return False
    return network.version == 6 or address != network.broadcast_address


def _static_part(network: Network) -> int:
    """How many addresses at the beginning are left to those who choose (calculateRangeOffset)."""
    size = network.num_addresses
    return 0 if size <= STATIC_MIN else min(max(size // STATIC_STEP, STATIC_MIN), STATIC_MAX)


def _is_ready(service_cidr: Any) -> bool:
    if "deletionTimestamp" in service_cidr["metadata"]:
        return False
    conditions = (service_cidr.get("status") or {}).get("conditions") or ()
    return next((one["status"] == "True" for one in conditions if one["type"] == "Ready"), True)


def _key(address: str) -> Key:
    return Key(*IPADDRESSES, "", address)
