"""Events go an hour after they were last written, and stay in the log."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from ledger.apimachinery.resource import GVR
from ledger.controllers.event_ttl import EventTtl
from tests.controllers.ledger import Ledger, Running

EVENTS = GVR("", "v1", "events")


async def write_event(ledger: Ledger, name: str) -> None:
    involved = {"kind": "Pod", "namespace": "ns", "name": "p"}
    await ledger.user.create(EVENTS, "ns", {"metadata": {"name": name}, "involvedObject": involved, "reason": "Tested"})


def test_an_event_lives_an_hour_after_it_was_last_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)
        await ledger.namespace("ns")
        await write_event(ledger, "before-the-start")
        controller = EventTtl(ledger.client("ttl"), ledger.store.time_of)
        async with Running(ledger, [controller]):
            await trio.sleep(1800)
            await write_event(ledger, "later")
            await ledger.user.update(EVENTS, "ns", "before-the-start", lambda live: {**live, "count": 2})
            await trio.sleep(3590)
            assert ledger.names(EVENTS) == ["before-the-start", "later"]
            await trio.sleep(30)
            assert ledger.names(EVENTS) == []
        assert len(list(ledger.store.events_of_user("ttl"))) == 1

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0.01))
