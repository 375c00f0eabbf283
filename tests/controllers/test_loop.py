"""The loop under all controllers: each thing once, another try after a failure, and nobody can end anybody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import trio
import trio.testing

from ledger.apimachinery.status import StatusError
from ledger.controllers.loop import BACKOFF_FIRST_S, Queue
from ledger.projections.api import View
from ledger.projections.watch import WatchItem
from tests.controllers.ledger import Ledger, Running, settled


class Recording:
    """Looks at the names of ConfigMaps; `sync` does what the test says and notes when it was called."""

    name = "recording"

    def __init__(self, sync: Callable[[str, int], float | None]) -> None:
        self.calls: list[tuple[str, float]] = []
        self._sync = sync

    def begin(self, view: View) -> Iterable[str]:
        return ["at the start"]

    def observe(self, item: WatchItem) -> Iterable[str]:
        return [item.key.name] if item.key.resource == "configmaps" else []

    async def sync(self, thing: Any) -> float | None:
        self.calls.append((thing, trio.current_time()))
        return self._sync(thing, len(self.calls))

    @property
    def things(self) -> list[str]:
        return [thing for thing, _ in self.calls]


def refuse(_thing: str, call: int) -> None:
    if call <= 4:
        raise StatusError(409, "Conflict", "somebody else was quicker")


def fail(_thing: str, _call: int) -> None:
    raise ZeroDivisionError


def test_a_thing_that_changes_often_is_looked_at_once() -> None:
    async def scenario() -> None:
        queue = Queue()
        queue.add(["a", "b", "a"])
        queue.add(["b"])
        assert [await queue.next(), await queue.next()] == ["a", "b"]
        with trio.move_on_after(1) as scope:
            await queue.next()
        assert scope.cancelled_caught

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_sooner_of_two_appointments_counts() -> None:
    async def scenario() -> None:
        queue = Queue()
        queue.add_later("a", 10)
        queue.add_later("a", 5)
        queue.add_later("a", 20)
        start = trio.current_time()
        await queue.next()
        assert trio.current_time() - start == 5

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_failure_is_tried_again_later_and_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger, recording = Ledger(tmp_path), Recording(refuse)
        async with Running(ledger, [recording]):
            await trio.sleep(1)
        times = [when for _, when in recording.calls]
        waits = [round((after - before) / BACKOFF_FIRST_S) for before, after in pairwise(times)]
        assert waits == [1, 2, 4, 8]

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0.01))


def test_a_controller_that_always_fails_disturbs_no_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger, broken, sound = Ledger(tmp_path), Recording(fail), Recording(lambda thing, call: None)
        await ledger.namespace("ns")
        async with Running(ledger, [broken, sound]):
            await ledger.config_map("ns", "a")
            await settled()
            assert sound.things == ["at the start", "a"]

    trio.run(scenario)


def test_a_controller_may_ask_to_look_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger, recording = Ledger(tmp_path), Recording(lambda thing, call: 60.0 if call == 1 else None)
        start = trio.current_time()
        async with Running(ledger, [recording]):
            await trio.sleep(3600)
        assert [round(when - start) for _, when in recording.calls] == [0, 60]

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0.01))
