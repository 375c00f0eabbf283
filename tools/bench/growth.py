"""What a long history costs: `tools/run python tools/bench/growth.py [--events 10000,1000000] [--dir D]`.

Fills a ledger without HTTP, through the log, to each of these lengths in turn: always the same 10,000 objects; of ten events
nine are reads and one changes an object, or one in two with --writes 0.5. At each length it takes the CPU time of a GET, a
LIST, a page and a create, now and as of a moment in the middle of the history; at the end it prints all, with the ratios
to the first length.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import trio
from log_bench import OBJECTS, PODS, change_of, event_of

from ledger.apimachinery.resource import Key
from ledger.log.api import Entry
from ledger.projections.store import Store

A_COMMIT = 2000  # events
PAGE = 500
REPEATS = 9  # of which the quickest counts


class Growing:
    """A ledger that grows; `number` events so far, `revision` the last one made."""

    def __init__(self, store: Store, writes: float) -> None:
        self.store, self.writes = store, writes
        self.number = self.revision = 0
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
                found = view.joined(PODS, "", after, "v1", lambda stored: stored.body, left)
                if limit == PAGE:
                    view.remaining(PODS, "", after)
            after, left = found.last, left - found.rows
            if after is None:
                return


def cpu_us(action: Callable[[], object], each: int = 1) -> float:
    quickest = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        action()
        quickest = min(quickest, time.process_time() - began)
    return quickest / each * 1e6


async def measure(ledger: Growing) -> dict[str, float]:
    past = ledger.revision // 2 if ledger.revision > 2 * OBJECTS else OBJECTS
    found = {}
    for when, revision in (("now", None), ("as of the middle", past)):
        found[f"GET {when}"] = cpu_us(lambda revision=revision: ledger.get(revision), 200)  # type: ignore[misc]
        found[f"page of 500 {when}"] = cpu_us(lambda revision=revision: ledger.rows(revision, PAGE))  # type: ignore[misc]
        found[f"LIST of 10,000 {when}"] = cpu_us(lambda revision=revision: ledger.rows(revision, OBJECTS))  # type: ignore[misc]
    found["create"] = min([await ledger.creates(320) for _ in range(REPEATS)])
    ledger.revision = ledger.store.head()
    return found


async def run(data_dir: Path, lengths: list[int], writes: float) -> None:
    with Store.open(data_dir, durability="relaxed") as store:
        ledger = Growing(store, writes)
        tables = []
        for length in lengths:
            began = time.monotonic()
            ledger.grow(length)
            print(f"{length:,} events, {ledger.revision:,} changes after {time.monotonic() - began:.0f} s", flush=True)
            tables.append(await measure(ledger))
            await store.noted()
            size = sum(store.engine.table_bytes(name) for name in ("events", "changes", "state", "history", "audit"))
            print(f"{size / store.last_position():,.0f} bytes an event", flush=True)
        print("\n" + " " * 34 + "".join(f"{length:>16,}" for length in lengths))
        for what in tables[0]:
            cells = [
                f"{table[what]:12,.1f} us" + (f" {table[what] / tables[0][what]:.2f}" if n else "")
                for n, table in enumerate(tables)
            ]
            print(f"{what:34} {'  '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", default="20000,1000000", help="lengths of the log, ascending (20000,1000000)")
    parser.add_argument("--writes", type=float, default=0.1, help="share of events that change an object (0.1)")
    parser.add_argument("--dir", type=Path, default=None, help="where to make the scratch data directory")
    given = parser.parse_args()
    lengths = [int(one) for one in given.events.split(",")]
    with tempfile.TemporaryDirectory(prefix="ledger-growth-", dir=given.dir) as scratch:
        trio.run(run, Path(scratch), lengths, given.writes)


if __name__ == "__main__":
    main()
