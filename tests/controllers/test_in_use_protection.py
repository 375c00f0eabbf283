"""A claim, a volume or its class that is being deleted stays for as long as somebody uses it, and goes then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from ledger.apimachinery.resource import GVR, Key, Object
from ledger.controllers.in_use_protection import CLAIM_PROTECTION, CLASS_PROTECTION, InUseProtection, claims_of_pod
from ledger.registry.options import DeleteOptions
from tests.controllers.ledger import PODS, Ledger, Running, settled

CLAIMS, CLASSES = GVR("", "v1", "persistentvolumeclaims"), GVR("storage.k8s.io", "v1", "volumeattributesclasses")
ACCOUNTS = GVR("", "v1", "serviceaccounts")
STORAGE = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


async def a_claim(ledger: Ledger, **spec: Any) -> None:
    await ledger.namespace("ns")
    await ledger.user.create(CLAIMS, "ns", {"metadata": {"name": "data"}, "spec": {**STORAGE, **spec}})


def test_a_claim_that_nobody_uses_goes_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await a_claim(ledger)
        async with Running(ledger, [InUseProtection("pvc", ledger.client("pvc"), CLAIM_PROTECTION)]):
            await ledger.user.delete(CLAIMS, "ns", "data")
            await settled()
            assert ledger.names(CLAIMS) == []

    trio.run(scenario)


def test_a_claim_of_a_running_pod_goes_with_the_pod(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await a_claim(ledger)
        await ledger.user.create(ACCOUNTS, "ns", {"metadata": {"name": "default"}})
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
        spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
        await ledger.user.create(PODS, "ns", {"metadata": {"name": "p"}, "spec": spec})
        async with Running(ledger, [InUseProtection("pvc", ledger.client("pvc"), CLAIM_PROTECTION)]):
            await ledger.user.delete(CLAIMS, "ns", "data")
            await settled()
            assert ledger.names(CLAIMS) == ["data"]
            await ledger.user.delete(PODS, "ns", "p", DeleteOptions(grace_s=0))
            await settled()
            assert ledger.names(CLAIMS) == []

    trio.run(scenario)


def test_a_class_that_a_claim_names_waits_for_the_claim(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.user.create(
            CLASSES, "", {"metadata": {"name": "fast"}, "driverName": "d", "parameters": {"a": "b"}}
        )
        await a_claim(ledger, volumeAttributesClassName="fast")
        protections = [CLAIM_PROTECTION, CLASS_PROTECTION]
        running = [InUseProtection(one.finalizer, ledger.client("p"), one) for one in protections]
        async with Running(ledger, running):
            await ledger.user.delete(CLASSES, "", "fast")
            await settled()
            assert ledger.names(CLASSES) == ["fast"]
            await ledger.user.delete(CLAIMS, "ns", "data")
            await settled()
            assert ledger.names(CLASSES) == []

    trio.run(scenario)


def test_the_claims_of_a_pod_are_those_it_names_and_those_made_for_it() -> None:
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "x"}},
        {"name": "b", "ephemeral": {}},
        {"name": "c"},
    ]
    pod: Object = {"metadata": {"namespace": "ns", "name": "p"}, "spec": {"nodeName": "n", "volumes": volumes}}
    claims = [Key("", "persistentvolumeclaims", "ns", name) for name in ("x", "p-b")]
    resource = CLAIM_PROTECTION.users[0]
    assert list(claims_of_pod(resource, pod)) == claims
    del pod["spec"]["nodeName"]
    assert list(claims_of_pod(resource, pod)) == []
