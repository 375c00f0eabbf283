"""A Secret that asks for a token gets one, and goes with its account."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import trio

from ledger.apimachinery.resource import GVR
from ledger.controllers.account_tokens import AccountTokens
from tests.controllers.ledger import Ledger, Running, settled

SECRETS, ACCOUNTS = GVR("", "v1", "secrets"), GVR("", "v1", "serviceaccounts")


def asking(account: str) -> dict[str, Any]:
    annotations = {"kubernetes.io/service-account.name": account}
    return {"metadata": {"name": "s", "annotations": annotations}, "type": "kubernetes.io/service-account-token"}


def test_a_secret_is_filled_once_and_goes_with_its_account(tmp_path: Path) -> None:
    signed: list[dict[str, Any]] = []

    def sign(claims: dict[str, Any]) -> str:
        signed.append(claims)
        return "a.b.c"

    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        account = await ledger.user.create(ACCOUNTS, "ns", {"metadata": {"name": "robot"}})
        async with Running(ledger, [AccountTokens(ledger.client("tokens"), sign, "PEM")]):
            await ledger.user.create(SECRETS, "ns", asking("robot"))
            await settled()
            secret = ledger.user.get(SECRETS, "ns", "s")
            assert secret is not None
            data = {name: base64.b64decode(value) for name, value in secret["data"].items()}
            assert data == {"ca.crt": b"PEM", "namespace": b"ns", "token": b"a.b.c"}
            assert [claims["sub"] for claims in signed] == ["system:serviceaccount:ns:robot"]
            uid = secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"]
            assert uid == account["metadata"]["uid"]
            await ledger.user.delete(ACCOUNTS, "ns", "robot")
            await settled()
            assert ledger.names(SECRETS) == []

    trio.run(scenario)


def test_a_secret_for_an_account_that_is_not_there_goes(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        async with Running(ledger, [AccountTokens(ledger.client("tokens"), lambda claims: "a.b.c", "PEM")]):
            await ledger.user.create(SECRETS, "ns", asking("nobody"))
            await settled()
            assert ledger.names(SECRETS) == []

    trio.run(scenario)
