"""ClusterRole aggregation: admin, edit, view and the like hold the rules of all roles their selectors find.

Follows pkg/controller/clusterroleaggregation in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.selectors import label_selector_from
from ledger.apimachinery.status import StatusError
from ledger.controllers.client import Client
from ledger.projections.api import View
from ledger.projections.watch import WatchItem

ROLES = GroupResource("rbac.authorization.k8s.io", "clusterroles")


class ClusterRoleAggregation:
    name = "clusterrole-aggregation-controller"

    def __init__(self, client: Client) -> None:
        self.client = client

    def begin(self, view: View) -> Iterable[str]:
        return _aggregated(view)

    def observe(self, item: WatchItem) -> Iterator[str]:
        """A change of any role may concern every role that aggregates."""
        if (item.key.group, item.key.resource) == ROLES:
            with self.client.store.view() as view:
                yield from _aggregated(view)

    async def sync(self, name: str) -> float | None:
        key = Key(*ROLES, "", name)
        with self.client.store.view() as view:
            stored = view.get(key)
            role: Object | None = None if stored is None else orjson.loads(stored.body)
            if role is None or not role.get("aggregationRule"):
                return None
            rules = _rules(role, view)
        try:
            await self.client.edit(key, lambda live: _with_rules(live, rules))
        except StatusError as error:
            if error.reason != "NotFound":
                raise
        return None


def _aggregated(view: View) -> list[str]:
    return [stored.key.name for stored in view.scan(ROLES) if b'"aggregationRule"' in stored.body]


def _rules(role: Object, view: View) -> list[dict[str, Any]]:
    """The rules of all selected roles, by selector and then by name, each once."""
    found: list[dict[str, Any]] = []
    own = role["metadata"]["name"]
    for given in role["aggregationRule"].get("clusterRoleSelectors") or ():
        selector = label_selector_from(given)
        for stored in view.scan(ROLES):
            if stored.key.name != own and selector.matches(stored.labels):
                found += [rule for rule in orjson.loads(stored.body).get("rules") or () if rule not in found]
    return found


def _with_rules(live: Object, rules: list[dict[str, Any]]) -> Object | None:
    if (live.get("rules") or []) == rules:
        return None
    return {**live, "rules": rules}
