"""LimitRanges fill in what containers leave out, and bound what they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from ledger.apimachinery.resource import GVR
from ledger.apimachinery.status import StatusError
from tests.controllers.ledger import PODS, Ledger

RANGES, ACCOUNTS = GVR("", "v1", "limitranges"), GVR("", "v1", "serviceaccounts")
LIMITS = [
    {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"},
     "min": {"cpu": "50m"}, "maxLimitRequestRatio": {"cpu": "5"}},
    {"type": "Pod", "max": {"cpu": "1500m"}},
]  # fmt: skip


def container(name: str = "c", **resources: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "image": "i", "resources": resources}


async def pod(ledger: Ledger, *containers: dict[str, Any]) -> dict[str, Any]:
    await ledger.namespace("ns")
    await ledger.user.create(ACCOUNTS, "ns", {"metadata": {"name": "default"}})
    await ledger.user.create(RANGES, "ns", {"metadata": {"name": "l"}, "spec": {"limits": LIMITS}})
    return await ledger.user.create(PODS, "ns", {"metadata": {"name": "p"}, "spec": {"containers": list(containers)}})


def test_defaults_are_filled_in_and_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        made = await pod(Ledger(tmp_path), container("a"), container("b", requests={"cpu": "200m"}))
        resources = [one["resources"] for one in made["spec"]["containers"]]
        assert resources == [
            {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}},
            {"limits": {"cpu": "500m"}, "requests": {"cpu": "200m"}},
        ]
        told = "cpu request for container a; cpu limit for container a; cpu limit for container b"
        assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == f"LimitRanger plugin set: {told}"

    trio.run(scenario)


@pytest.mark.parametrize("containers, why", [
    ([container(requests={"cpu": "10m"}, limits={"cpu": "50m"})],
     "minimum cpu usage per Container is 50m, but request is 10m"),
    ([container(requests={"cpu": "500m"}, limits={"cpu": "2"})],
     "[maximum cpu usage per Container is 1, but limit is 2, maximum cpu usage per Pod is 1500m, but limit is 2]"),
    ([container(requests={"cpu": "100m"}, limits={"cpu": "900m"})],
     "cpu max limit to request ratio per Container is 5, but provided ratio is 9.000000"),
    ([container(name, requests={"cpu": "1"}, limits={"cpu": "1"}) for name in "ab"],
     "maximum cpu usage per Pod is 1500m, but limit is 2"),
])  # fmt: skip
def test_what_is_out_of_bounds_is_refused(containers: list[dict[str, Any]], why: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(StatusError) as refused:
            await pod(Ledger(tmp_path), *containers)
        assert refused.value.message == f'pods "p" is forbidden: {why}'

    trio.run(scenario)
