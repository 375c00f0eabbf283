"""What Services are given: addresses, families, node ports; and how they are given back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from ledger.apimachinery.resource import GVR, Object
from ledger.apimachinery.status import StatusError
from ledger.registry.options import DeleteOptions
from tests.controllers.ledger import Ledger

SERVICES, ADDRESSES = GVR("", "v1", "services"), GVR("networking.k8s.io", "v1", "ipaddresses")
DUAL = "10.0.0.0/24,fd00::/112"


async def create(ledger: Ledger, name: str, **spec: Any) -> Object:
    spec.setdefault("ports", [{"port": 80}])
    made = await ledger.user.create(SERVICES, "ns", {"metadata": {"name": name}, "spec": spec})
    found: Object = made["spec"]
    return found


def run(tmp: Path, scenario: Any, **flags: Any) -> None:
    async def main() -> None:
        ledger = Ledger(tmp, **flags)
        await ledger.namespace("ns")
        await scenario(ledger)

    trio.run(main)


@pytest.mark.parametrize("spec, expected", [
    ({},                                            "1 IPv4 SingleStack"),
    ({"clusterIP": "10.0.0.200"},                   "1 IPv4 SingleStack"),
    ({"clusterIP": "None"},                         "0 IPv4,IPv6 RequireDualStack"),
    ({"clusterIP": "None", "selector": {"a": "b"}}, "0 IPv4 SingleStack"),
    ({"ipFamilyPolicy": "PreferDualStack"},         "2 IPv4,IPv6 PreferDualStack"),
    ({"ipFamilyPolicy": "RequireDualStack"},        "2 IPv4,IPv6 RequireDualStack"),
    ({"ipFamilies": ["IPv6"]},                      "1 IPv6 SingleStack"),
    ({"type": "ExternalName", "externalName": "x", "ports": []}, "0  "),
])  # fmt: skip
def test_families_and_addresses_follow_from_what_is_asked_for(
    spec: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    async def scenario(ledger: Ledger) -> None:
        got = await create(ledger, "s", **spec)
        count = len(ledger.names(ADDRESSES))
        families = ",".join(got.get("ipFamilies") or ())
        assert f"{count} {families} {got.get('ipFamilyPolicy', '')}" == expected

    run(tmp_path, scenario, service_cluster_ip_range=DUAL)


@pytest.mark.parametrize("spec, why", [
    ({"clusterIP": "10.0.0.200"},            "failed to allocate IP 10.0.0.200: provided IP is already allocated"),
    ({"clusterIP": "10.9.9.9"},              "the provided network does not match the current range"),
    ({"clusterIP": "10.0.0.255"},            "the provided network does not match the current range"),
    ({"clusterIP": "fd00::1"},               "IPv6 is not configured on this cluster"),
    ({"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
    ({"ipFamilies": ["IPv6"]},               'Invalid value: "IPv6": not configured on this cluster'),
    ({"type": "NodePort", "ports": [{"port": 1, "nodePort": 30001}]}, "provided port is already allocated"),
    ({"type": "NodePort", "ports": [{"name": "a", "port": 1, "nodePort": 30002}, {"name": "b", "port": 2, "nodePort": 30002}]},
     "spec.ports[1].nodePort: Invalid value: 30002: provided port is already allocated"),
    ({"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]},    "The range of valid ports is 30000-30003"),
])  # fmt: skip
def test_what_cannot_be_had_is_refused_with_the_reason(spec: dict[str, Any], why: str, tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        taken = [{"port": 1, "nodePort": 30001}]
        await create(ledger, "first", clusterIP="10.0.0.200", type="NodePort", ports=taken)
        before = ledger.names(ADDRESSES)
        with pytest.raises(StatusError) as refused:
            await create(ledger, "s", **spec)
        assert refused.value.code == 422 and why in refused.value.message
        assert ledger.names(ADDRESSES) == before

    run(tmp_path, scenario, service_node_port_range=(30000, 30003))


def test_the_address_is_claimed_in_the_commit_of_the_service(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        await create(ledger, "s", clusterIP="10.0.0.77")
        event = list(ledger.store.events_of_user("somebody"))[-1]
        changed = [change.key for one in event.revisions if (change := ledger.store.change(one)) is not None]
        assert [(key.resource, key.name) for key in changed] == [("ipaddresses", "10.0.0.77"), ("services", "s")]

    run(tmp_path, scenario)


def test_a_deleted_service_gives_everything_back(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        ports = [{"port": 1, "nodePort": 30001}]
        for name in ("first", "second"):
            await create(ledger, name, clusterIP="10.0.0.9", type="NodePort", ports=ports)
            await ledger.user.delete(SERVICES, "ns", name, DeleteOptions())
            assert ledger.names(ADDRESSES) == []

    run(tmp_path, scenario)


def test_a_service_that_becomes_external_gives_its_address_back(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        await create(ledger, "s")
        external = {"type": "ExternalName", "externalName": "x.example"}
        await ledger.user.update(SERVICES, "ns", "s", lambda live: {**live, "spec": {**live["spec"], **external}})
        assert ledger.names(ADDRESSES) == []
        inside = {"type": "ClusterIP", "externalName": ""}
        await ledger.user.update(SERVICES, "ns", "s", lambda live: {**live, "spec": {**live["spec"], **inside}})
        assert len(ledger.names(ADDRESSES)) == 1

    run(tmp_path, scenario)


def test_concurrent_writers_never_get_the_same_address_or_port(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        made: list[Object] = []

        async def one(name: str) -> None:
            made.append(await create(ledger, name, type="NodePort"))

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(one, f"s{number}")
        assert len({spec["clusterIP"] for spec in made}) == len({spec["ports"][0]["nodePort"] for spec in made}) == 12

    run(tmp_path, scenario, service_cluster_ip_range="10.0.0.0/28", service_node_port_range=(30000, 30011))


def test_a_full_range_is_an_error_that_says_so(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        await create(ledger, "a")
        await create(ledger, "b")
        with pytest.raises(StatusError, match='failed to allocate a serviceIP for Service "c": range is full') as full:
            await create(ledger, "c")
        assert full.value.code == 500

    run(tmp_path, scenario, service_cluster_ip_range="10.0.0.0/30")


def test_ports_of_one_number_share_their_node_port(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        ports = [{"name": kind.lower(), "port": 53, "protocol": kind} for kind in ("TCP", "UDP")]
        got = await create(ledger, "dns", type="NodePort", ports=ports)
        assert len({port["nodePort"] for port in got["ports"]}) == 1

    run(tmp_path, scenario)


def test_a_load_balancer_with_local_traffic_has_a_health_port(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        got = await create(ledger, "lb", type="LoadBalancer", externalTrafficPolicy="Local")
        assert got["healthCheckNodePort"] not in {port["nodePort"] for port in got["ports"]}

    run(tmp_path, scenario)
