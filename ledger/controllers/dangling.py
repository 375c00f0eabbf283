"""Tells of each FlowSchema whether the priority level it names exists (condition Dangling).

kube-apiserver does this itself, with server-side apply. Follows syncOne and presyncFlowSchemaStatus in
pkg/util/flowcontrol/apf_controller.go of k8s.io/apiserver.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.apimachinery.field import quoted
from ledger.apimachinery.resource import GVR, GroupResource, Object
from ledger.apimachinery.times import rfc3339
from ledger.controllers.client import Client
from ledger.projections.api import View
from ledger.projections.watch import WatchItem
from ledger.scheme.custom import condition

GROUP = "flowcontrol.apiserver.k8s.io"
FLOW_SCHEMA = GVR(GROUP, "v1", "flowschemas")
PRIORITY_LEVEL = GVR(GROUP, "v1", "prioritylevelconfigurations")
MANAGER = "api-priority-and-fairness-config-consumer-v1"


class DanglingFlowSchemas:
    name = "flow-schema-controller"

    def __init__(self, client: Client) -> None:
        self.client = client

    def begin(self, view: View) -> Iterable[str]:
        return [stored.key.name for stored in view.scan(GroupResource(GROUP, FLOW_SCHEMA.resource))]

    def observe(self, item: WatchItem) -> Iterable[str]:
        """A schema that changed; all of them when a priority level may have come or gone."""
        if item.key.group != GROUP:
            return ()
        if item.key.resource == FLOW_SCHEMA.resource:
            return (item.key.name,)
        with self.client.store.view() as view:
            return self.begin(view)

    async def sync(self, name: str) -> float | None:
        schema = self.client.get(FLOW_SCHEMA, "", name)
        if schema is None:
            return None
        level = schema["spec"]["priorityLevelConfiguration"]["name"]
        text = f"This FlowSchema references the PriorityLevelConfiguration object named {quoted(level)}"
        wanted = {"status": "False", "reason": "Found", "message": f"{text} and it exists"}
        if self.client.get(PRIORITY_LEVEL, "", level) is None:
            wanted = {"status": "True", "reason": "NotFound", "message": f"{text} but there is no such object"}
        found = condition(schema, "Dangling") or {}
        if wanted.items() <= found.items():
            return None
        told = {"type": "Dangling", "lastTransitionTime": rfc3339(self.client.now()), **wanted}
        config: Object = {"metadata": {"name": name}, "status": {"conditions": [told]}}
        await self.client.apply(FLOW_SCHEMA, "", config, "status")
        return None
