"""Resizing a pod on its node: what fits, what does not, and where it cannot be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from ledger.apimachinery.resource import GVR, Object
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
