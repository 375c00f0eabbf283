"""A ClusterRole with an aggregationRule holds the rules of those it selects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from ledger.apimachinery.resource import GVR
from ledger.controllers.aggregation import ClusterRoleAggregation
from tests.controllers.ledger import Ledger, Running, settled

ROLES = GVR("rbac.authorization.k8s.io", "v1", "clusterroles")


def rule(resource: str) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": [resource], "verbs": ["get"]}


async def role(ledger: Ledger, name: str, *resources: str, labels: dict[str, str] | None = None) -> None:
    await ledger.user.create(
        ROLES, "", {"metadata": {"name": name, "labels": labels or {}}, "rules": [rule(one) for one in resources]}
    )


def test_rules_come_and_go_with_the_roles_selected(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        selected = {"to": "all"}
        await role(ledger, "b", "pods", "secrets", labels=selected)
        await role(ledger, "unrelated", "nodes")
        selectors = {"clusterRoleSelectors": [{"matchLabels": selected}]}
        await ledger.user.create(ROLES, "", {"metadata": {"name": "all"}, "aggregationRule": selectors})

        def held() -> list[str]:
            found = ledger.user.get(ROLES, "", "all")
            assert found is not None
            return [one["resources"][0] for one in found.get("rules") or ()]

        async with Running(ledger, [ClusterRoleAggregation(ledger.client("aggregation"))]):
            assert held() == ["pods", "secrets"]
            await role(ledger, "a", "configmaps", "pods", labels=selected)
            await settled()
            assert held() == ["configmaps", "pods", "secrets"]
            await ledger.user.delete(ROLES, "", "b")
            await settled()
            assert held() == ["configmaps", "pods"]

    trio.run(scenario)
