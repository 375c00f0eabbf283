"""Every namespace has its `default` account and the server's certificate authority, whatever is done to them."""

from __future__ import annotations

from pathlib import Path

import trio

from ledger.apimachinery.resource import GVR
from ledger.controllers.accounts import ROOT_CA, default_account, root_ca
from tests.controllers.ledger import CONFIG_MAPS, NAMESPACES, Ledger, Running, settled

ACCOUNTS = GVR("", "v1", "serviceaccounts")


def test_old_and_new_namespaces_are_provided_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("old")
        async with Running(ledger, [default_account(ledger.client("a")), root_ca(ledger.client("b"), "PEM")]):
            await ledger.namespace("new")
            await settled()
            for namespace in ("old", "new"):
                assert ledger.names(ACCOUNTS, namespace) == ["default"]
                published = ledger.user.get(CONFIG_MAPS, namespace, ROOT_CA)
                assert published is not None and published["data"] == {"ca.crt": "PEM"}

    trio.run(scenario)


def test_what_is_deleted_or_changed_comes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        async with Running(ledger, [default_account(ledger.client("a")), root_ca(ledger.client("b"), "PEM")]):
            await ledger.user.delete(ACCOUNTS, "ns", "default")
            await ledger.user.update(CONFIG_MAPS, "ns", ROOT_CA, lambda live: {**live, "data": {"ca.crt": "other"}})
            await settled()
            assert ledger.names(ACCOUNTS, "ns") == ["default"]
            published = ledger.user.get(CONFIG_MAPS, "ns", ROOT_CA)
            assert published is not None and published["data"] == {"ca.crt": "PEM"}

    trio.run(scenario)


def test_nothing_is_made_in_a_namespace_that_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        await ledger.user.delete(NAMESPACES, "", "ns")
        async with Running(ledger, [default_account(ledger.client("a"))]):
            assert ledger.names(ACCOUNTS) == []
        assert list(ledger.store.events_of_user("a")) == []

    trio.run(scenario)
