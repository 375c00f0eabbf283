"""A quota's status: taken over from its spec, charged by admission, given back by a count."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from ledger.apimachinery.resource import GVR
from ledger.apimachinery.status import StatusError
from ledger.controllers.resource_quota import ResourceQuotaController
from tests.controllers.ledger import CONFIG_MAPS, Ledger, Running, settled

QUOTAS = GVR("", "v1", "resourcequotas")


def status(ledger: Ledger) -> dict[str, dict[str, str]]:
    quota = ledger.user.get(QUOTAS, "ns", "q")
    assert quota is not None
    found: dict[str, dict[str, str]] = quota["status"]
    return found


def test_what_is_there_already_counts_and_what_goes_is_given_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        await ledger.config_map("ns", "a")
        async with Running(ledger, [ResourceQuotaController(ledger.client("quota"))]):
            hard = {"count/configmaps": "2", "pods": "1"}
            await ledger.user.create(QUOTAS, "ns", {"metadata": {"name": "q"}, "spec": {"hard": hard}})
            await settled()
            assert status(ledger) == {"hard": hard, "used": {"count/configmaps": "1", "pods": "0"}}
            await ledger.config_map("ns", "b")
            with pytest.raises(
                StatusError, match='configmaps "c" is forbidden: exceeded quota: q, requested: count/co'
            ):
                await ledger.config_map("ns", "c")
            await ledger.user.delete(CONFIG_MAPS, "ns", "a")
            await settled()
            assert status(ledger)["used"]["count/configmaps"] == "1"
            await ledger.config_map("ns", "c")

    trio.run(scenario)


def test_no_two_writers_spend_the_same_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        async with Running(ledger, [ResourceQuotaController(ledger.client("quota"))]):
            spec = {"hard": {"count/configmaps": "5"}}
            await ledger.user.create(QUOTAS, "ns", {"metadata": {"name": "q"}, "spec": spec})
            await settled()
            refused: list[str] = []

            async def write(name: str) -> None:
                try:
                    await ledger.config_map("ns", name)
                except StatusError as error:
                    refused.append(error.reason)

            async with trio.open_nursery() as nursery:
                for number in range(12):
                    nursery.start_soon(write, f"n{number}")
            assert len(ledger.names(CONFIG_MAPS, "ns")) == 5
            assert refused == ["Forbidden"] * 7
            assert status(ledger)["used"] == {"count/configmaps": "5"}

    trio.run(scenario)
