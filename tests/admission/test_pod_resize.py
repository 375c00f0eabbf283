"""Resizing a pod on its node: what fits, what does not, where it cannot be done, and what a node must say it can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from ledger.admission.api import Attributes
from ledger.admission.node_features import NEEDS, NodeDeclaredFeatureValidator
from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GVR, GroupResource, Key, Object
from ledger.apimachinery.status import StatusError
from ledger.controllers.client import Client
from tests.controllers.ledger import PODS, Ledger

NODES = GVR("", "v1", "nodes")
SMALL = {"cpu": "100m", "memory": "64Mi"}


def pod(node: str) -> Object:
    container = {"name": "c", "image": "i", "resources": {"requests": SMALL, "limits": {"cpu": "4", "memory": "4Gi"}}}
    spec = {"containers": [container], "nodeName": node, "serviceAccountName": "default",
            "automountServiceAccountToken": False}  # fmt: skip
    return {"metadata": {"name": "p", "namespace": "ns"}, "spec": spec}


def resized(live: Object, requests: dict[str, str]) -> Object:
    live["spec"]["containers"][0]["resources"]["requests"] = requests
    return live


@pytest.mark.parametrize("labels, requests, message, cause", [
    ({"kubernetes.io/os": "linux"}, {"cpu": "1", "memory": "1Gi"}, "", ""),
    ({}, {"cpu": "2", "memory": "2Gi"}, "", ""),
    ({}, {"cpu": "2500m", "memory": "64Mi"}, "cpu, requested: 2500, allocatable: 2000", "NodeCapacity"),
    ({}, {"cpu": "2500m", "memory": "3Gi"},
     "cpu, requested: 2500, allocatable: 2000; memory, requested: 3221225472, allocatable: 2147483648", "NodeCapacity"),
    ({"kubernetes.io/os": "windows"}, {"cpu": "1", "memory": "64Mi"},
     'pod resize is only supported on linux nodes, node "n" is "windows"', "UnsupportedPlatform"),
])  # fmt: skip
def test_what_a_node_can_hold(
    labels: dict[str, str], requests: dict[str, str], message: str, cause: str, tmp_path: Path
) -> None:
    outcome: list[StatusError] = []

    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        client: Client = ledger.user
        await ledger.namespace("ns")
        await client.create(GVR("", "v1", "serviceaccounts"), "ns", {"metadata": {"name": "default"}})
        await client.create(NODES, "", {"metadata": {"name": "n", "labels": labels}})
        capacity: Any = {"allocatable": {"cpu": "2", "memory": "2Gi"}}
        await client.update(NODES, "", "n", lambda live: {**live, "status": {**live["status"], **capacity}}, "status")
        await client.create(PODS, "ns", pod("n"))
        try:
            await client.update(PODS, "ns", "p", lambda live: resized(live, requests), "resize")
        except StatusError as error:
            outcome.append(error)

    trio.run(scenario)
    assert bool(outcome) == bool(message)
    for error in outcome:
        assert (error.code, error.reason) == (403, "Forbidden")
        assert error.message.startswith('pods "p" is forbidden: ') and error.message.endswith(message)
        assert error.details is not None and error.details["causes"] == [{"reason": cause}]


def volume(limit: str, medium: str = "Memory") -> Object:
    return {"name": "v", "emptyDir": {"medium": medium, "sizeLimit": limit}}


@pytest.mark.parametrize("old, new, needed", [
    ({}, {}, []),
    ({"containers": [1]}, {"containers": [2]}, []),
    ({}, {"resources": {"requests": SMALL}}, ["InPlacePodLevelResourcesVerticalScaling"]),
    ({"initContainers": [{"name": "i"}]}, {"initContainers": [{"name": "i", "resources": {"requests": SMALL}}]},
     ["InPlacePodVerticalScalingInitContainers"]),
    ({"initContainers": [{"name": "i", "restartPolicy": "Always"}]},
     {"initContainers": [{"name": "i", "restartPolicy": "Always", "resources": {"requests": SMALL}}]}, []),
    ({"volumes": [volume("1Gi")]}, {"volumes": [volume("2Gi")]}, ["InPlacePodVerticalScalingMemoryBackedVolumes"]),
    ({"volumes": [volume("1Gi")]}, {"volumes": [volume("1024Mi")]}, []),
    ({"volumes": [volume("1Gi", "")]}, {"volumes": [volume("2Gi", "")]}, []),
])  # fmt: skip
def test_what_a_change_needs_of_the_node(old: Object, new: Object, needed: list[str]) -> None:
    assert [name for name, needs in NEEDS.items() if needs(old, new)] == needed


@pytest.mark.parametrize("declared, message", [
    (["InPlacePodVerticalScalingInitContainers"], ""),
    (["Other"], "pod update requires features InPlacePodVerticalScalingInitContainers which are not available on node \"n\""),
])  # fmt: skip
def test_a_node_must_declare_what_an_update_needs(declared: list[str], message: str, tmp_path: Path) -> None:
    outcome: list[StatusError] = []

    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.user.create(NODES, "", {"metadata": {"name": "n"}, "status": {"declaredFeatures": declared}})
        specs = [
            {"nodeName": "n", "initContainers": [{"name": "i", "resources": one}]} for one in ({}, {"requests": SMALL})
        ]
        old, new = ({"metadata": {"name": "p", "generation": at}, "spec": spec} for at, spec in enumerate(specs))
        definition = ledger.scheme.definitions[GroupResource("", "pods")]
        attributes = Attributes(
            "UPDATE", definition, definition.versions["v1"], "resize", "ns", "p", new, old, User("me"), False, {}
        )
        with ledger.store.view() as view:
            stored = view.get(Key("", "nodes", "", "n"))
            assert stored is not None
            try:
                NodeDeclaredFeatureValidator().validate(attributes, view)
            except StatusError as error:
                outcome.append(error)

    trio.run(scenario)
    assert [error.message for error in outcome] == ([f'pods "p" is forbidden: {message}'] if message else [])
