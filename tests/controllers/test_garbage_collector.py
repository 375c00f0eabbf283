"""What becomes of dependents: by propagation policy, by owner, by place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from ledger.apimachinery.resource import Object
from ledger.controllers.garbage_collector import GarbageCollector
from ledger.registry.options import DeleteOptions
from tests.controllers.ledger import CONFIG_MAPS, Ledger, Running, settled

NOBODY: Object = {"kind": "ConfigMap", "metadata": {"name": "nobody", "uid": "no-such-uid"}}
Scenario = Callable[[Ledger], Awaitable[None]]


def with_collector(tmp: Path, scenario: Scenario) -> None:
    async def main() -> None:
        ledger = Ledger(tmp)
        await ledger.namespace("ns")
        await ledger.namespace("other")
        async with Running(ledger, [GarbageCollector(ledger.client("collector"))]):
            await scenario(ledger)

    trio.run(main)


async def delete(ledger: Ledger, name: str, propagation: str) -> None:
    await ledger.user.delete(CONFIG_MAPS, "ns", name, DeleteOptions(propagation=propagation))
    await settled()


@pytest.mark.parametrize("propagation, left", [
    ("Background", []),
    ("Foreground", []),
    ("Orphan",     ["child", "grandchild"]),
])  # fmt: skip
def test_propagation_decides_what_is_left(propagation: str, left: list[str], tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        owner = await ledger.config_map("ns", "owner")
        child = await ledger.config_map("ns", "child", owner)
        await ledger.config_map("ns", "grandchild", child)
        await settled()
        await delete(ledger, "owner", propagation)
        assert ledger.names(CONFIG_MAPS, "ns") == left

    with_collector(tmp_path, scenario)


def test_an_orphan_no_longer_names_its_owner(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        owner = await ledger.config_map("ns", "owner")
        await ledger.config_map("ns", "child", owner)
        await settled()
        await delete(ledger, "owner", "Orphan")
        child = ledger.user.get(CONFIG_MAPS, "ns", "child")
        assert child is not None and "ownerReferences" not in child["metadata"]

    with_collector(tmp_path, scenario)


def test_an_object_lives_as_long_as_one_of_its_owners(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        first, second = await ledger.config_map("ns", "first"), await ledger.config_map("ns", "second")
        await ledger.config_map("ns", "child", first, second)
        await settled()
        await delete(ledger, "first", "Background")
        child = ledger.user.get(CONFIG_MAPS, "ns", "child")
        assert child is not None and [one["name"] for one in child["metadata"]["ownerReferences"]] == ["second"]
        await delete(ledger, "second", "Background")
        assert ledger.names(CONFIG_MAPS, "ns") == []

    with_collector(tmp_path, scenario)


def test_an_owner_in_the_foreground_waits_for_a_dependent_that_is_held(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        owner = await ledger.config_map("ns", "owner")
        await ledger.config_map("ns", "child", owner, finalizers=["example.com/hold"])
        await settled()
        await delete(ledger, "owner", "Foreground")
        assert ledger.names(CONFIG_MAPS, "ns") == ["child", "owner"]

        def release(live: Object) -> Object:
            del live["metadata"]["finalizers"]
            return live

        await ledger.user.update(CONFIG_MAPS, "ns", "child", release)
        await settled()
        assert ledger.names(CONFIG_MAPS, "ns") == []

    with_collector(tmp_path, scenario)


def test_an_object_whose_owner_never_was_goes(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        await ledger.config_map("ns", "child", NOBODY)
        await settled()
        assert ledger.names(CONFIG_MAPS, "ns") == []

    with_collector(tmp_path, scenario)


def test_an_owner_in_another_namespace_is_no_owner(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        owner = await ledger.config_map("other", "owner")
        await ledger.config_map("ns", "child", owner)
        await settled()
        assert ledger.names(CONFIG_MAPS, "ns") == []

    with_collector(tmp_path, scenario)


def test_a_name_used_again_is_another_owner(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        owner = await ledger.config_map("ns", "owner")
        owner["metadata"]["uid"] = "the-uid-of-the-one-before"
        await ledger.config_map("ns", "child", owner)
        await settled()
        assert ledger.names(CONFIG_MAPS, "ns") == ["owner"]

    with_collector(tmp_path, scenario)


def test_an_owner_of_a_kind_that_is_not_served_is_not_absent(tmp_path: Path) -> None:
    async def scenario(ledger: Ledger) -> None:
        metadata = {"name": "child", "ownerReferences": [
            {"apiVersion": "example.com/v1", "kind": "Gone", "name": "x", "uid": "y"}]}  # fmt: skip
        await ledger.user.create(CONFIG_MAPS, "ns", {"metadata": metadata})
        await settled()
        assert ledger.names(CONFIG_MAPS, "ns") == ["child"]

    with_collector(tmp_path, scenario)


def test_a_restart_finds_what_lost_its_owner_meanwhile(tmp_path: Path) -> None:
    async def main() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        owner = await ledger.config_map("ns", "owner")
        await ledger.config_map("ns", "child", owner)
        await ledger.user.delete(CONFIG_MAPS, "ns", "owner")
        async with Running(ledger, [GarbageCollector(ledger.client("collector"))]):
            await settled()
            assert ledger.names(CONFIG_MAPS, "ns") == []

    trio.run(main)
