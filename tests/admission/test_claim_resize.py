"""A bound claim grows only when its class lets its volumes grow. (One that is not bound fails validation already.)"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from ledger.apimachinery.resource import GVR, Object
from ledger.apimachinery.status import StatusError
from tests.controllers.ledger import Ledger

CLAIMS, CLASSES = GVR("", "v1", "persistentvolumeclaims"), GVR("storage.k8s.io", "v1", "storageclasses")
FIXED = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


def asking(storage: str) -> Object:
    return {"accessModes": ["ReadWriteOnce"], "storageClassName": "c", "resources": {"requests": {"storage": storage}}}


@pytest.mark.parametrize("grows, refusal", [(False, FIXED), (True, "")])
def test_a_claim_grows_when_it_may(grows: bool, refusal: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        sort = {"metadata": {"name": "c"}, "provisioner": "example.com/p", "allowVolumeExpansion": grows}
        await ledger.user.create(CLASSES, "", sort)
        await ledger.user.create(CLAIMS, "ns", {"metadata": {"name": "a"}, "spec": asking("1Gi")})
        await ledger.user.update(CLAIMS, "ns", "a", lambda live: {**live, "status": {"phase": "Bound"}}, "status")

        def grow(live: Object) -> Object:
            return {**live, "spec": {**live["spec"], "resources": {"requests": {"storage": "2Gi"}}}}

        if not refusal:
            await ledger.user.update(CLAIMS, "ns", "a", grow)
            return
        with pytest.raises(StatusError) as refused:
            await ledger.user.update(CLAIMS, "ns", "a", grow)
        assert refused.value.message == f'persistentvolumeclaims "a" is forbidden: {refusal}'

    trio.run(scenario)
