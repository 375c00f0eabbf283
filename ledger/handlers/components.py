"""componentstatuses: what kube-apiserver said of its neighbours before health endpoints; deprecated, still asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import GVK, GroupResource, Object
from ledger.apimachinery.status import not_found
from ledger.handlers.api import Api
from ledger.handlers.resources import Verb
from ledger.registry.registry import Call

STATUS, STATUS_LIST = GVK("", "v1", "ComponentStatus"), GVK("", "v1", "ComponentStatusList")


class Component(NamedTuple):
    name: str  # as kube-apiserver has it: controller-manager, scheduler, etcd-0
    healthy: str  # True, False or Unknown
    message: str


def component_statuses(components: Sequence[Component]) -> Verb:
    """get and list."""

    async def read(api: Api, call: Call) -> Response:
        statuses = {one.name: _status(one) for one in components}
        if call.name and call.name not in statuses:
            raise not_found(GroupResource("", "componentstatus"), call.name)
        wanted = [statuses[call.name]] if call.name else list(statuses.values())
        if (table := api.encoder.table(call, wanted)) is not None:
            return table
        if not call.name:
            answer: Object = {"kind": STATUS_LIST.kind, "apiVersion": "v1", "metadata": {}}
            return api.encoder.plain(call.request, STATUS_LIST, {**answer, "items": list(statuses.values())}, 200)
        one: Object = {"kind": STATUS.kind, "apiVersion": "v1", **statuses[call.name]}
        return api.encoder.plain(call.request, STATUS, one, 200)

    return read


def _status(component: Component) -> Object:
    condition = {"type": "Healthy", "status": component.healthy, "message": component.message}
    return {"metadata": {"name": component.name}, "conditions": [condition]}
