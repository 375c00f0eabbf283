"""What kube-apiserver's own controllers say of FlowSchemas and APIServices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from ledger.apimachinery.resource import GVR, Object
from ledger.controllers.availability import API_SERVICE, LocalAvailability
from ledger.controllers.dangling import FLOW_SCHEMA, MANAGER, PRIORITY_LEVEL, DanglingFlowSchemas
from tests.controllers.ledger import Ledger, Running, settled


def condition(ledger: Ledger, gvr: GVR, name: str) -> tuple[Any, ...]:
    found = ledger.user.get(gvr, "", name)
    assert found is not None
    (one,) = found["status"]["conditions"]
    return one["type"], one["status"], one["reason"], one["message"]


def test_a_flow_schema_dangles_until_its_priority_level_exists(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        async with Running(ledger, [DanglingFlowSchemas(ledger.client(MANAGER))]):
            spec: Object = {"priorityLevelConfiguration": {"name": "gold"}}
            await ledger.user.create(FLOW_SCHEMA, "", {"metadata": {"name": "a"}, "spec": spec})
            await settled()
            text = 'This FlowSchema references the PriorityLevelConfiguration object named "gold"'
            dangling = ("Dangling", "True", "NotFound", f"{text} but there is no such object")
            assert condition(ledger, FLOW_SCHEMA, "a") == dangling
            level: Object = {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
            await ledger.user.create(PRIORITY_LEVEL, "", {"metadata": {"name": "gold"}, "spec": level})
            await settled()
            assert condition(ledger, FLOW_SCHEMA, "a") == ("Dangling", "False", "Found", f"{text} and it exists")
            found = ledger.user.get(FLOW_SCHEMA, "", "a")
            assert found is not None
            owners = [(one["manager"], one["operation"]) for one in found["metadata"]["managedFields"]]
            assert (MANAGER, "Apply") in owners
            await ledger.user.delete(PRIORITY_LEVEL, "", "gold")
            await settled()
            assert condition(ledger, FLOW_SCHEMA, "a") == dangling

    trio.run(scenario)


def test_a_local_api_service_stays_available(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        spec: Object = {"group": "g.example.com", "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 5}
        name = "v1.g.example.com"
        async with Running(ledger, [LocalAvailability(ledger.client("kube-apiserver"))]):
            await ledger.user.create(API_SERVICE, "", {"metadata": {"name": name}, "spec": spec})

            def broken(service: Object) -> Object:
                service["status"]["conditions"] = [{"type": "Available", "status": "False", "reason": "R"}]
                return service

            await ledger.user.update(API_SERVICE, "", name, broken, "status")
            await settled()
            available = ("Available", "True", "Local", "Local APIServices are always available")
            assert condition(ledger, API_SERVICE, name) == available

    trio.run(scenario)
