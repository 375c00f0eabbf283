"""A definition's life: names, establishing, serving, conflicts, and an end that takes its instances along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from ledger.apimachinery.resource import GVR, GroupResource, Object
from ledger.apimachinery.status import StatusError
from ledger.controllers.client import Client
from ledger.controllers.crd_names import judge
from ledger.controllers.crds import API_SERVICE, CRD, FINALIZER, Definitions, approval
from ledger.scheme.custom import definition_of
from ledger.scheme.scheme import builtin
from ledger.server.schemes import Schemes
from tests.controllers.ledger import Ledger, settled

WIDGETS = GVR("x.example", "v1", "widgets")


class Cluster:
    """A ledger whose kinds follow its definitions, with the controller running while the block does."""

    def __init__(self, tmp_path: Path) -> None:
        self.ledger = Ledger(tmp_path)
        self.schemes = Schemes(self.ledger.store, builtin(), definition_of)
        self.user = self._client("somebody")

    def _client(self, manager: str) -> Client:
        return Client(self.ledger.registry, self.schemes.now, self.ledger.new_uid, manager=manager)

    async def __aenter__(self) -> Cluster:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        own = self._client("kube-apiserver")
        await self._nursery.start(Definitions(self.ledger.store, own, self.ledger.now).run)
        for namespace in ("default", "other"):
            await self.ledger.namespace(namespace)
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(*error)

    async def define(self, plural: str = "widgets", kind: str = "Widget", **spec: Any) -> None:
        names = {"plural": plural, "singular": kind.lower(), "kind": kind} | spec.pop("names", {})
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        whole = {"group": "x.example", "scope": "Namespaced", "names": names, "versions": [version]} | spec
        await self.user.create(CRD, "", {"metadata": {"name": f"{plural}.x.example"}, "spec": whole})
        await settled()

    def conditions(self, plural: str = "widgets") -> dict[str, str]:
        """type -> "status reason" of a definition that is there."""
        crd = self.crd(plural)
        assert crd is not None
        return {one["type"]: f"{one['status']} {one['reason']}" for one in crd["status"]["conditions"]}

    def crd(self, plural: str = "widgets") -> Object | None:
        return self.user.get(CRD, "", f"{plural}.x.example")

    async def delete(self, plural: str = "widgets") -> None:
        await self.user.delete(CRD, "", f"{plural}.x.example")
        await settled()


def scenario(test: Any, tmp_path: Path) -> None:
    async def run() -> None:
        async with Cluster(tmp_path) as cluster:
            await test(cluster)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0.05))


def test_a_definition_is_established_and_served(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        assert cluster.schemes.now().find(WIDGETS) is None
        await cluster.define()
        assert cluster.conditions() == {"NamesAccepted": "True NoConflicts", "Established": "True InitialNamesAccepted"}
        assert cluster.schemes.now().find(WIDGETS) is not None
        created = await cluster.user.create(WIDGETS, "default", {"metadata": {"name": "a"}, "spec": {"x": 1}})
        assert created["spec"] == {"x": 1} and created["metadata"]["generation"] == 1

    scenario(test, tmp_path)


def test_status_is_written_by_the_server_itself_and_each_step_is_an_event(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.define()
        crd = cluster.crd()
        assert crd is not None
        managers = {(one["manager"], one.get("subresource", "")) for one in crd["metadata"]["managedFields"]}
        assert managers == {("somebody", ""), ("kube-apiserver", "status")}
        steps = [event.uri for event in cluster.ledger.store.events() if event.subresource == "status"]
        assert len(steps) == 2 and all(uri.endswith("/widgets.x.example/status") for uri in steps)

    scenario(test, tmp_path)


def test_names_that_another_definition_holds_are_not_given(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.define(names={"shortNames": ["w"]})
        await cluster.define("gadgets", names={"singular": "gadget", "shortNames": ["w", "g"]})
        assert cluster.conditions("gadgets") == {
            "NamesAccepted": "False ListKindConflict",
            "Established": "False NotAccepted",
        }
        assert cluster.schemes.now().find(WIDGETS._replace(resource="gadgets")) is None
        await cluster.delete("widgets")
        assert cluster.conditions("gadgets") == {
            "NamesAccepted": "True NoConflicts",
            "Established": "True InitialNamesAccepted",
        }

    scenario(test, tmp_path)


def test_the_end_of_a_definition_is_the_end_of_its_instances(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.define()
        for namespace in ("default", "other"):
            await cluster.user.create(WIDGETS, namespace, {"metadata": {"name": "a"}})
        before = cluster.ledger.store.head()
        await cluster.delete()
        assert cluster.crd() is None
        with cluster.ledger.store.view() as view:
            assert not list(view.scan(GroupResource("x.example", "widgets")))
        assert cluster.schemes.now().find(WIDGETS) is None
        assert cluster.schemes.at(before).find(WIDGETS) is not None  # the past still knows it

    scenario(test, tmp_path)


def test_an_instance_with_a_finalizer_holds_the_definition(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.define()
        await cluster.user.create(WIDGETS, "default", {"metadata": {"name": "held", "finalizers": ["x.example/hold"]}})
        await cluster.delete()
        assert cluster.conditions()["Terminating"] == "True InstanceDeletionInProgress"
        with pytest.raises(StatusError, match="create not allowed while custom resource definition is terminating"):
            await cluster.user.create(WIDGETS, "default", {"metadata": {"name": "new"}})
        await trio.sleep(61)
        assert cluster.conditions()["Terminating"] == "True InstanceDeletionCheck"

        def release(obj: Object) -> Object:
            return {**obj, "metadata": {name: one for name, one in obj["metadata"].items() if name != "finalizers"}}

        await cluster.user.update(WIDGETS, "default", "held", release)
        await trio.sleep(10)
        assert cluster.crd() is None

    scenario(test, tmp_path)


def test_a_group_version_has_an_APIService_for_as_long_as_somebody_serves_it(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.define()
        await cluster.define("gadgets", "Gadget")
        found = cluster.user.get(API_SERVICE, "", "v1.x.example")
        assert found is not None
        assert found["spec"] == {
            "group": "x.example",
            "version": "v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 100,
        }
        await cluster.delete("widgets")
        assert cluster.user.get(API_SERVICE, "", "v1.x.example") is not None
        await cluster.delete("gadgets")
        assert cluster.user.get(API_SERVICE, "", "v1.x.example") is None

    scenario(test, tmp_path)


def test_a_restart_goes_on_where_the_server_stopped(tmp_path: Path) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        await cluster.define()
        assert cluster.crd() is not None and cluster.schemes.now().find(WIDGETS) is None
        async with cluster:
            await settled()
            assert cluster.schemes.now().find(WIDGETS) is not None

    trio.run(run)


def test_deletion_begins_with_a_finalizer_of_the_servers_own(tmp_path: Path) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)  # nobody runs, so nothing goes further
        await cluster.define()
        await cluster.user.delete(CRD, "", "widgets.x.example")
        crd = cluster.crd()
        assert crd is not None and crd["metadata"]["finalizers"] == [FINALIZER]
        assert cluster.conditions() == {"Terminating": "True InstanceDeletionPending"}

    trio.run(run)


@pytest.mark.parametrize("annotation, verdict", [
    ("",                    ("False", "MissingAnnotation")),
    ("unapproved, testing", ("False", "UnapprovedAnnotation")),
    ("https://x.y/pull/1",  ("True", "ApprovedAnnotation")),
    ("yes",                 ("False", "InvalidAnnotation")),
])  # fmt: skip
def test_groups_of_the_community_need_its_approval(annotation: str, verdict: tuple[str, str]) -> None:
    assert approval(annotation)[:2] == verdict


def test_a_name_once_held_stays_held_whatever_else_is_wished() -> None:
    held = {"plural": "as", "singular": "a", "kind": "A", "listKind": "AList", "shortNames": ["x"]}
    crd = {"spec": {"names": {**held, "shortNames": ["x", "y", "z"]}}, "status": {"acceptedNames": held}}
    verdict = judge(crd, [{"plural": "bs", "shortNames": ["y", "z"]}])
    assert (verdict.names, verdict.reason) == (held, "ShortNamesConflict")
    assert verdict.message == '["y" is already in use, "z" is already in use]'


def test_the_kinds_of_a_moment_are_those_whatever_came_since(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        before = cluster.ledger.store.head()
        assert cluster.schemes.at(before).find(WIDGETS) is None
        await cluster.define()
        defined = cluster.ledger.store.head()
        for _ in range(2):
            assert cluster.schemes.at(before).find(WIDGETS) is None
            assert cluster.schemes.at(defined).find(WIDGETS) is not None
        await cluster.define("gadgets", "Gadget")
        assert cluster.schemes.at(defined).find(GVR("x.example", "v1", "gadgets")) is None
        assert cluster.schemes.at(before).find(WIDGETS) is None

    scenario(test, tmp_path)
