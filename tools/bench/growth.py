"""What a long history costs: `tools/run python tools/bench/growth.py [--events 10000,1000000] [--keep D]`.

Fills a ledger of each of these lengths without HTTP, through the log: always the same 10,000 objects; of ten events nine are
reads and one changes an object, or one in two with --writes 0.5. Then it takes the CPU time of a GET, a LIST, a page and a
create, now and as of a moment in the middle of the history, in each ledger in turn, so that a busy machine strikes all alike;
at the end it prints the quickest of each, with the ratios to the first length. With --keep the ledgers stay, and a later run
has only to measure.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import trio
from log_bench import OBJECTS, PODS, change_of, event_of

from ledger.apimachinery.resource import Key
from ledger.log.api import Entry
from ledger.projections.store import Store

A_COMMIT = 2000  # events
PAGE = 500
REPEATS = 25  # rounds; the quickest of each counts


class Growing:
    """A ledger that grows; `number` events so far, `revision` the last one made."""

    def __init__(self, store: Store, writes: float) -> None:
        self.store, self.writes = store, writes
        self.number, self.revision = store.last_position(), store.head()
        self.due = 0.0

    def grow(self, upto: int) -> None:
        while self.number < upto:
            self.store.append_imported([self.entry() for _ in range(min(A_COMMIT, upto - self.number))])

    def entry(self) -> Entry:
        self.number += 1
        self.due += self.writes
        if self.number > OBJECTS and self.due < 1:  # the objects come first
            return Entry(event_of(self.number, "get"), ())
        self.due -= 1
        self.revision += 1
        return Entry(event_of(self.number, "update"), (replace(change_of(self.revision), revision=self.revision),))

    async def creates(self, count: int) -> float:
        """CPU microseconds of an append that makes an object, with 16 at a time."""

        made = self.store.head()

        async def write(first: int) -> None:
            for number in range(first, count, 16):
                name = f"new-{made}-{number}"
                change = replace(change_of(number), key=Key("", "configmaps", "made", name), expect=0)
                await self.store.append(event_of(number, "create"), [change])

        began = time.process_time()
        async with trio.open_nursery() as nursery:
            for first in range(16):
                nursery.start_soon(write, first)
        return (time.process_time() - began) / count * 1e6

    def get(self, revision: int | None) -> None:
        for number in range(200):
            with self.store.view(revision) as view:
                assert view.get(change_of(number * 37).key) is not None

    def rows(self, revision: int | None, limit: int) -> None:
        """As a list handler reads them: slice by slice."""
        after, left = None, limit
        while left > 0:
            with self.store.view(revision) as view:
                if limit == PAGE and after is None:
                    view.remaining(PODS, "", after)
                found = view.joined(PODS, "", after, "v1", lambda stored: stored.body, left)
            after, left = found.last, left - found.rows
            if after is None:
                return


def cpu_us(action: Callable[[], object], each: int = 1) -> float:
    began = time.process_time()
    action()
    return (time.process_time() - began) / each * 1e6


Figures = dict[str, float]  # CPU microseconds by what was done


async def measure(ledger: Growing) -> Figures:
    past = ledger.revision // 2 if ledger.revision > 2 * OBJECTS else OBJECTS
    found = {}
    for when, revision in (("now", None), ("as of the middle", past)):
        found[f"GET {when}"] = cpu_us(lambda revision=revision: ledger.get(revision), 200)  # type: ignore[misc]
        found[f"page of 500 {when}"] = cpu_us(lambda revision=revision: ledger.rows(revision, PAGE))  # type: ignore[misc]
        found[f"LIST of 10,000 {when}"] = cpu_us(lambda revision=revision: ledger.rows(revision, OBJECTS))  # type: ignore[misc]
    found["create"] = await ledger.creates(320)
    ledger.revision = ledger.store.head()
    return found


def filled(store: Store, length: int, writes: float) -> Growing:
    """The ledger at that length, or at the one it has if that is more."""
    ledger, began = Growing(store, writes), time.monotonic()
    ledger.grow(length)
    took = time.monotonic() - began
    size = sum(store.engine.table_bytes(name) for name in ("events", "changes", "state", "history", "audit"))
    told = f"{ledger.number:,} events, {ledger.revision:,} changes, {size / ledger.number:,.0f} bytes an event"
    print(f"{told}, filled in {took:.0f} s", flush=True)
    return ledger


async def run(folder: Path, lengths: list[int], writes: float) -> None:
    with ExitStack() as stores:
        ledgers = []
        for length in lengths:
            store = stores.enter_context(Store.open(folder / f"{length}-{writes}", durability="relaxed"))
            store.slices = None  # each list is read: what was kept of the last one costs nothing at any length
            ledgers.append(filled(store, length, writes))
        rounds = [[await measure(ledger) for ledger in ledgers] for _ in range(REPEATS)]
    quickest = [{what: min(each[n][what] for each in rounds) for what in rounds[0][n]} for n in range(len(lengths))]
    print("\n" + " " * 34 + "".join(f"{length:>18,}" for length in lengths))
    for what in quickest[0]:
        cells = [f"{table[what]:9,.1f} us {table[what] / quickest[0][what]:5.2f}" for table in quickest]
        print(f"{what:34} {' '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", default="10000,1000000", help="lengths of the log (10000,1000000)")
    parser.add_argument("--writes", type=float, default=0.1, help="share of events that change an object (0.1)")
    parser.add_argument("--keep", type=Path, help="where the ledgers are made and stay (default: a scratch directory)")
    given = parser.parse_args()
    lengths = [int(one) for one in given.events.split(",")]
    with tempfile.TemporaryDirectory(prefix="ledger-growth-") as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        trio.run(run, folder, lengths, given.writes)


if __name__ == "__main__":
    main()
