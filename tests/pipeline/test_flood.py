"""Floods of refusals are counted, everything else is written as it is."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from ledger.apimachinery.http import User
from ledger.log.event import Event
from ledger.pipeline.flood import Flood
from tests.pipeline.requests import noting


def event(code: int, client: str = "192.0.2.1", received: int = 0) -> Event:
    return Event(f"id-{received}", received, received + 1, "get", "/api", User(""), code, source_ips=(client,))


@pytest.mark.parametrize("code, folded", [(200, False), (403, False), (504, False), (401, True), (429, True)])
def test_only_refusals_before_anybody_is_known_are_folded(code: int, folded: bool) -> None:
    written: list[Event] = []
    flood = Flood(noting(written), whole_per_interval=3)
    for number in range(100):
        flood.note(event(code, received=number))
    assert len(written) == (3 if folded else 100)
    flood.flush()
    assert sum(one.count for one in written) == 100


def test_a_folded_event_spans_its_flood() -> None:
    written: list[Event] = []
    flood = Flood(noting(written), whole_per_interval=0)
    for number in (10, 20, 30):
        flood.note(event(401, received=number))
    flood.flush()
    assert [(one.received, one.answered, one.count) for one in written] == [(10, 31, 3)]


def test_memory_is_bounded_whoever_knocks() -> None:
    written: list[Event] = []
    flood = Flood(noting(written), whole_per_interval=0, kinds_max=5)
    for number in range(1000):
        flood.note(event(401, client=f"192.0.2.{number}"))
    flood.flush()
    assert len(written) == 6
    assert sum(one.count for one in written) == 1000


def test_the_task_flushes_each_interval_and_at_its_end() -> None:
    written: list[Event] = []
    flood = Flood(noting(written), whole_per_interval=0)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood.flush_for_ever)
            await trio.testing.wait_all_tasks_blocked()
            flood.note(event(401))
            await trio.sleep(1.5)
            assert len(written) == 1
            flood.note(event(429))
            nursery.cancel_scope.cancel()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [one.code for one in written] == [401, 429]
