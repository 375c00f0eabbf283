"""What all controllers share: following the log, a queue of what to look at, and another try after a failure.

A controller says which things a change concerns; each is put into its queue once, however often it changes, and `sync`
brings the world in line with it. `sync` looks at the state as it is then, never at the change, so that a missed or
repeated call does no harm and a restart begins by looking at everything once.
"""

from __future__ import annotations

import heapq
import logging
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Protocol

import trio

from ledger.apimachinery.status import StatusError
from ledger.log.api import Compacted
from ledger.projections.api import View
from ledger.projections.store import Store
from ledger.projections.watch import WatchItem

BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.005, 60.0

_log = logging.getLogger(__name__)


class Controller(Protocol):
    """`begin` and `observe` only name what is to be looked at; they read, but neither write nor wait."""

    name: str

    def begin(self, view: View) -> Iterable[Hashable]:
        """Everything to look at when the server starts."""
        ...

    def observe(self, item: WatchItem) -> Iterable[Hashable]:
        """What a committed change concerns."""
        ...

    async def sync(self, thing: Any) -> float | None:
        """Brings the world in line; seconds after which to look again, None: at the next change."""
        ...


class Queue:
    """Things to look at, each at most once; some of them later."""

    def __init__(self) -> None:
        self._ready: OrderedDict[Hashable, None] = OrderedDict()
        self._later: list[tuple[float, int, Hashable]] = []
        self._due: dict[Hashable, float] = {}
        self._count = 0
        self._wake = trio.Event()

    def add(self, things: Iterable[Hashable]) -> None:
        for thing in things:
            self._ready[thing] = None
        if self._ready:
            self._wake.set()

    def add_later(self, thing: Hashable, delay_s: float) -> None:
        """Once more after a while; the sooner of two appointments counts."""
        at = trio.current_time() + delay_s
        if at < self._due.get(thing, float("inf")):
            self._due[thing] = at
            self._count += 1
            heapq.heappush(self._later, (at, self._count, thing))
            self._wake.set()

    async def next(self) -> Hashable:
        while True:
            self._collect_due()
            if self._ready:
                return self._ready.popitem(last=False)[0]
            self._wake = trio.Event()
            until = self._later[0][0] if self._later else float("inf")
            with trio.move_on_at(until):
                await self._wake.wait()

    def _collect_due(self) -> None:
        now = trio.current_time()
        while self._later and self._later[0][0] <= now:
            at, _, thing = heapq.heappop(self._later)
            if self._due.get(thing) == at:
                del self._due[thing]
                self._ready[thing] = None


async def run(store: Store, controllers: Sequence[Controller]) -> None:
    """Runs controllers until cancelled. None of them can end the others, or the server."""
    if not controllers:
        return
    queues = [Queue() for _ in controllers]
    async with trio.open_nursery() as nursery:
        for controller, queue in zip(controllers, queues, strict=True):
            nursery.start_soon(_work, controller, queue)
        while True:
            try:
                await _follow(store, controllers, queues)
                nursery.cancel_scope.cancel()
                return  # the log was closed
            except Compacted:
                _log.warning("controllers fell behind the log; they look at everything again")


async def _follow(store: Store, controllers: Sequence[Controller], queues: Sequence[Queue]) -> None:
    with store.view() as view:
        for controller, queue in zip(controllers, queues, strict=True):
            queue.add(controller.begin(view))
        revision = view.revision
    with store.follow(revision) as watcher:
        while items := await watcher.next_batch():
            for controller, queue in zip(controllers, queues, strict=True):
                for item in items:
                    queue.add(_observed(controller, item))


def _observed(controller: Controller, item: WatchItem) -> list[Hashable]:
    try:
        return list(controller.observe(item))
    except Exception:
        _log.exception("%s could not read revision %d", controller.name, item.revision)
        return []


async def _work(controller: Controller, queue: Queue) -> None:
    failures: dict[Hashable, int] = {}
    while True:
        thing = await queue.next()
        try:
            again_s = await controller.sync(thing)
            failures.pop(thing, None)
        except Exception as error:
            count = failures[thing] = failures.get(thing, 0) + 1
            again_s = min(BACKOFF_FIRST_S * 2 ** min(count - 1, 20), BACKOFF_MAX_S)
            _tell(controller, thing, error, count, again_s)
        if again_s is not None:
            queue.add_later(thing, again_s)


def _tell(controller: Controller, thing: Hashable, error: Exception, count: int, again_s: float) -> None:
    """A lost race is daily business; an error of ours is told with its traceback, the first time."""
    if isinstance(error, StatusError):
        if count > 3:
            _log.warning("%s: %s: %s; again in %.3g s", controller.name, thing, error.message, again_s)
    else:
        _log.error("%s: %s; again in %.3g s", controller.name, thing, again_s, exc_info=error if count == 1 else None)
