"""What the log costs, without HTTP: `tools/run python tools/bench/log_bench.py [--events N] [--dir D]`.

Prints a table: durable appends a second with 1, 16 and 64 writers (also while the trio thread is busy reading), GET and
LIST now and as of a past revision, a note, folding the log again, and bytes on disk. Ends by itself after half a minute.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.event import Change, Event
from ledger.projections.store import Store
from ledger.replay.rebuild import rebuild
from ledger.replay.verify import verify

PODS = GroupResource("", "pods")
FILLER = b"x" * 1600
OBJECTS = 10_000


def event_of(number: int, verb: str) -> Event:
    at = 1_700_000_000_000_000 + number * 100
    return Event(
        audit_id=f"{(number * 2654435761) % (1 << 32):08x}-9f0c-4e0a-8a55-{number:012x}",
        received=at,
        answered=at + 900,
        verb=verb,
        uri=f"/api/v1/namespaces/ns-{number % 20}/pods/pod-{number % OBJECTS}",
        user=User("system:serviceaccount:shop:deployer", groups=("system:serviceaccounts", "system:authenticated")),
        code=200,
        source_ips=("10.0.0.17",),
        user_agent="kubectl/v1.37.2 (linux/amd64) kubernetes/abcdef0",
        api_version="v1",
        resource="pods",
        namespace=f"ns-{number % 20}",
        name=f"pod-{number % OBJECTS}",
        annotations={"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "RBAC: allowed by ..."},
    )


def change_of(number: int) -> Change:
    name, uid = f"pod-{number % OBJECTS}", f"{number % OBJECTS:08x}-0000-4000-8000-000000000000"
    body = b'{"metadata":{"name":"%b","namespace":"ns-%d","uid":"%b","labels":{"app":"web"}},"spec":{"filler":"%b"}}'
    return Change(
        Key("", "pods", f"ns-{number % 20}", name),
        body % (name.encode(), number % 20, uid.encode(), FILLER),
        uid=uid,
        api_version="v1",
        kind="Pod",
        labels={"app": "web", "pod-template-hash": "5d4f8c7b9"},
        fields={"spec.nodeName": f"node-{number % 7}", "status.phase": "Running"},
    )


class Bench:
    def __init__(self, store: Store) -> None:
        self.store, self.number = store, 0

    async def appends(self, writers: int, each: int, *, busy: bool = False) -> tuple[float, float]:
        """(appends a second, CPU microseconds an append)."""

        async def write() -> None:
            for _ in range(each):
                self.number += 1
                await self.store.append(event_of(self.number, "update"), [change_of(self.number)])

        async def read_on() -> None:
            """A loop that is never idle: what a busy server leaves to the writer thread."""
            while True:
                for number in range(50):
                    with self.store.view() as view:
                        view.get(change_of(number).key)
                await trio.lowlevel.checkpoint()

        start, cpu = time.perf_counter(), time.process_time()
        async with trio.open_nursery() as nursery:
            if busy:
                nursery.start_soon(read_on)
            async with trio.open_nursery() as writing:
                for _ in range(writers):
                    writing.start_soon(write)
            nursery.cancel_scope.cancel()
        count = writers * each
        return count / (time.perf_counter() - start), (time.process_time() - cpu) / count * 1e6

    def get(self, revision: int | None = None) -> None:
        with self.store.view(revision) as view:
            view.get(Key("", "pods", "ns-7", "pod-7"))

    def list(self, revision: int | None = None) -> None:
        with self.store.view(revision) as view:
            for _ in view.scan(PODS):
                pass


def timed_us(action: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - start) / times * 1e6


def row(what: str, value: str) -> None:
    print(f"{what:<48} {value:>22}", flush=True)


async def run(data_dir: Path, events: int) -> None:
    with Store.open(data_dir) as store:
        bench = Bench(store)
        await bench.appends(64, OBJECTS // 64 + 1)
        past = store.head()
        for writers, each in ((1, 300), (16, 150), (64, events // 64)):
            rate, cpu_us = await bench.appends(writers, each)
            row(f"durable appends, {writers} writers", f"{rate:,.0f}/s, {cpu_us:.0f} us CPU")
        rate, _ = await bench.appends(64, 20, busy=True)
        row("durable appends, 64 writers, loop busy", f"{rate:,.0f}/s")
        row("note", f"{timed_us(lambda: store.note(event_of(1, 'get')), 5000):.1f} us")
        await trio.sleep(0.1)
        row("GET", f"{timed_us(bench.get, 20_000):.1f} us")
        row("GET as of a past revision", f"{timed_us(lambda: bench.get(past), 20_000):.1f} us")
        row("LIST 10k", f"{timed_us(bench.list, 5) / 1e3:.1f} ms")
        row(
            "LIST 10k as of the last revision but 20",
            f"{timed_us(lambda: bench.list(store.head() - 20), 5) / 1e3:.1f} ms",
        )
        row("LIST 10k as of before most changes", f"{timed_us(lambda: bench.list(past), 5) / 1e3:.1f} ms")
        start = time.perf_counter()
        report = verify(store)
        assert report.intact, report.damage
        row("verify", f"{report.events / (time.perf_counter() - start):,.0f} events/s")
    start = time.perf_counter()
    rebuilt = rebuild(data_dir)
    row("rebuild", f"{rebuilt.position / (time.perf_counter() - start):,.0f} events/s")
    file_bytes = sum(path.stat().st_blocks * 512 for path in data_dir.iterdir())
    row("disk", f"{file_bytes / rebuilt.position:,.0f} bytes an event")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=20_000, help="appends of the run with 64 writers")
    parser.add_argument("--dir", type=Path, default=None, help="where to make the scratch data directory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ledger-bench-", dir=given.dir) as scratch:
        trio.run(run, Path(scratch), given.events)


if __name__ == "__main__":
    main()
