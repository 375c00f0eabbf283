"""What worker processes bring: `tools/run python tools/bench/workers.py [--workers 1,2] [--rounds 3] [--dir D]`.

Lists, GETs, watches and creates with each number of workers in turn, with the CPU an operation costs the writer and the
workers apart: wall-clock rates on a machine of few cores say how the load generator and the servers share them, CPU says
what more cores would bring. So the load is thin: lists and watches are thrown away undecrypted (`drain.py`), GETs come
from `wrk` where it is installed (a third of the CPU of `load.py`).

The last column is what 16 cores could carry by that CPU alone: so many workers as there are cores but for one, and the
writer on a core of its own; whichever is full first.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

from measures import BIG, MADE, Load, create_many, load, make_namespaces, revision_of
from servers import TICKS_S, TOKEN, Ledger, stat

CORES = 16


class Figure(NamedTuple):
    rate: float  # operations a second
    writer_us: float  # CPU an operation, of the one process there is where there are no workers
    workers_us: float
    load_us: float


class Spread(Ledger):
    """A server with worker processes."""

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.processes[0].pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def cpu_apart(self) -> tuple[float, float]:
        return cpu_s(self.processes[0].pid), sum(map(cpu_s, self.children()))


def cpu_s(pid: int) -> float:
    return sum(map(int, stat(pid)[11:13])) / TICKS_S


class Meter:
    """CPU of writer, workers and generators from one moment to another."""

    def __init__(self, server: Spread) -> None:
        self.server, self.began = server, time.perf_counter()
        self.before = (*server.cpu_apart(), children_s())

    def figure(self, count: float, seconds: float | None = None) -> Figure:
        after = (*self.server.cpu_apart(), children_s())
        spent = [(end - start) / count * 1e6 for start, end in zip(self.before, after, strict=True)]
        return Figure(count / (seconds or time.perf_counter() - self.began), *spent)


def children_s() -> float:
    """Of the generators, which are our children and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def reads(server: Spread, path: str, connections: int, seconds: float) -> Figure:
    meter = Meter(server)
    if wrk := shutil.which("wrk"):
        url = f"https://127.0.0.1:{server.port}{path}"
        flags = f"-t1 -c{connections} -d{seconds:.0f}s --timeout 20s".split()
        said = subprocess.run(
            [wrk, *flags, "-H", f"Authorization: Bearer {TOKEN}", url], capture_output=True, text=True, check=True
        ).stdout
        assert "Non-2xx" not in said, said
        found = re.search(r"(\d+) requests in ([\d.]+)s", said)
        assert found is not None, said
        return meter.figure(int(found[1]), float(found[2]))
    result, _ = load(server, what="list", path=path, connections=connections, seconds=seconds)
    return meter.figure(result["done"], result["seconds"])


def listed(server: Spread, connections: int, seconds: float) -> Figure:
    meter = Meter(server)
    with Load(server, program="drain.py", what="list", path=BIG, connections=connections, seconds=seconds) as running:
        result = running.result()
    return meter.figure(result["done"], result["seconds"])


def watched(server: Spread, watchers: int, changes: int, objects: int) -> Figure:
    events = watchers * changes
    event_bytes = len(server.ask("GET", f"{BIG}/b{objects - 1}")[1])  # and a little more: a type, the framing
    path = f"{BIG}?watch=true&resourceVersion={revision_of(server, BIG)}"
    spec = {"what": "watch", "path": path, "connections": watchers, "bytes": changes * event_bytes}
    with Load(server, program="drain.py", **spec) as watching:
        watching.told()
        meter, began = Meter(server), time.time()
        load(server, what="patch", path=BIG, prefix="b", objects=objects, first=objects, count=changes, connections=4)
        result = watching.result()
    assert result["complete"], "events were lost"
    return meter.figure(events, result["last"] - began)


def measure(server: Spread, objects: int, seconds: float, watchers: int) -> dict[str, Figure]:
    make_namespaces(server, "big", "made")
    create_many(server, BIG, objects)
    found = {
        f"list of {objects:,}": listed(server, 4, seconds),
        "get, 32 clients": reads(server, f"{BIG}/b7", 32, seconds),
        f"watch event, {watchers:,} watchers": watched(server, watchers, 100, objects),
    }
    meter = Meter(server)
    result, _ = load(server, what="create", path=MADE, prefix="m", connections=16, seconds=seconds)
    return found | {"create, 16 clients": meter.figure(result["done"], result["seconds"])}


def with_cores(figure: Figure, workers: int) -> float:
    """Operations a second that the CPU of so many cores is enough for."""
    if workers <= 1:
        return 1e6 / figure.writer_us
    return min((CORES - 1) * 1e6 / max(figure.workers_us, 0.01), 1e6 / max(figure.writer_us, 0.01))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, measured in turn (1,2)")
    parser.add_argument("--rounds", type=int, default=3, help="the table has their medians (3)")
    parser.add_argument("--objects", type=int, default=10_000, help="in the list (10000)")
    parser.add_argument("--watchers", type=int, default=1000, help="(1000)")
    parser.add_argument("--seconds", type=float, default=4, help="of each load (4)")
    parser.add_argument("--dir", type=Path, help="where to make the scratch folder (default: the system's)")
    given = parser.parse_args()
    numbers = [int(one) for one in given.workers.split(",")]
    figures: dict[tuple[str, int], list[Figure]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ledger-bench-", dir=given.dir) as scratch:
        for turn in range(given.rounds):
            for number in numbers:
                Spread.more_flags = ("--workers", str(number))
                folder = Path(scratch) / f"{turn}-{number}"
                with Spread(folder) as server:
                    for what, figure in measure(server, given.objects, given.seconds, given.watchers).items():
                        figures[what, number].append(figure)
                shutil.rmtree(folder)
    print(
        f"{'':30} {'workers':>7} {'a second':>10} {'writer us':>10} {'workers us':>10} {'load us':>9} {'16 cores':>12}"
    )
    for (what, number), some in sorted(figures.items()):
        middle = Figure(*(median(values) for values in zip(*some, strict=True)))
        columns = " ".join(f"{value:>10,.1f}" for value in middle[:3])
        print(f"{what:30} {number:>7} {columns} {middle.load_us:>9,.1f} {with_cores(middle, number):>10,.0f}/s")


if __name__ == "__main__":
    main()
