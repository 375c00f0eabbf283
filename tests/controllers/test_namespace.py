"""A namespace that is deleted takes everything in it along, and tells what it waits for."""

from __future__ import annotations

from pathlib import Path

import trio

from ledger.apimachinery.resource import GVR, Object
from ledger.controllers.namespace import NamespaceController
from tests.controllers.ledger import CONFIG_MAPS, NAMESPACES, PODS, Ledger, Running, settled

ACCOUNTS, DEPLOYMENTS = GVR("", "v1", "serviceaccounts"), GVR("apps", "v1", "deployments")


def without_finalizers(live: Object) -> Object:
    return {**live, "metadata": {name: value for name, value in live["metadata"].items() if name != "finalizers"}}


def conditions(namespace: Object) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["message"]) for one in namespace["status"]["conditions"]}


def test_everything_in_a_deleted_namespace_goes_and_then_the_namespace(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("here")
        await ledger.namespace("there")
        for namespace in ("here", "there"):
            await ledger.config_map(namespace, "a")
            await ledger.user.create(ACCOUNTS, namespace, {"metadata": {"name": "default"}})
        async with Running(ledger, [NamespaceController(ledger.client("namespace-controller"))]):
            await ledger.user.delete(NAMESPACES, "", "here")
            await settled()
            assert ledger.names(NAMESPACES) == ["there"]
            assert ledger.names(CONFIG_MAPS) == ["a"]
            assert ledger.names(ACCOUNTS) == ["default"]

    trio.run(scenario)


def test_what_has_a_finalizer_is_waited_for_and_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("here")
        await ledger.config_map("here", "held", finalizers=["example.com/hold"])
        async with Running(ledger, [NamespaceController(ledger.client("namespace-controller"))]):
            await ledger.user.delete(NAMESPACES, "", "here")
            await settled()
            namespace = ledger.user.get(NAMESPACES, "", "here")
            assert namespace is not None and namespace["status"]["phase"] == "Terminating"
            told = conditions(namespace)
            remaining = "Some resources are remaining: configmaps. has 1 resource instances"
            held = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
            assert told["NamespaceContentRemaining"] == ("True", remaining)
            assert told["NamespaceFinalizersRemaining"] == ("True", held)
            await ledger.user.update(CONFIG_MAPS, "here", "held", without_finalizers)
            await settled()
            assert ledger.names(NAMESPACES) == []

    trio.run(scenario)


def test_pods_go_before_the_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("here")
        await ledger.user.create(ACCOUNTS, "here", {"metadata": {"name": "default"}})
        spec = {"containers": [{"name": "c", "image": "i"}]}
        await ledger.user.create(PODS, "here", {"metadata": {"name": "p", "finalizers": ["a.b/c"]}, "spec": spec})
        await ledger.config_map("here", "a")
        async with Running(ledger, [NamespaceController(ledger.client("namespace-controller"))]):
            await ledger.user.delete(NAMESPACES, "", "here")
            await settled()
            assert ledger.names(CONFIG_MAPS, "here") == ["a"]
            await ledger.user.update(PODS, "here", "p", without_finalizers)
            await settled()
            assert ledger.names(NAMESPACES) == []

    trio.run(scenario)


def test_a_restart_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("here")
        await ledger.config_map("here", "a")
        await ledger.user.delete(NAMESPACES, "", "here")
        async with Running(ledger, [NamespaceController(ledger.client("namespace-controller"))]):
            await settled()
            assert ledger.names(NAMESPACES) == []

    trio.run(scenario)


def test_its_work_is_in_the_log_under_its_own_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("here")
        await ledger.config_map("here", "a")
        async with Running(ledger, [NamespaceController(ledger.client("namespace-controller"))]):
            await ledger.user.delete(NAMESPACES, "", "here")
            await settled()
        verbs = [
            (one.verb, one.resource, one.subresource) for one in ledger.store.events_of_user("namespace-controller")
        ]
        assert verbs == [
            ("deletecollection", "configmaps", ""),
            ("update", "namespaces", "status"),
            ("update", "namespaces", "finalize"),
        ]

    trio.run(scenario)
