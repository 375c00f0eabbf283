"""Measures this server, and the real one beside it: `tools/run python tools/bench/bench.py [--quick] [--rounds N]`.

With KUBE_APISERVER and ETCD naming those binaries, each round runs both servers, one after the other and in turn first, on
the same machine, disk and load; the table has the median of the rounds and ledger's ratio to the real one. Figures of one
machine say little, ratios of one run more. A round takes about a minute for each server, with --quick (smaller
collections, shorter runs) half of that.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from servers import LEDGER, REPOSITORY, TOKEN, Ledger, Real, Server, real_is_there

LOAD = [sys.executable, str(Path(__file__).with_name("load.py"))]
EXAMPLE = REPOSITORY / "docs" / "examples" / "crashloop"
MADE = "/api/v1/namespaces/made/configmaps"
BIG = "/api/v1/namespaces/big/configmaps"

Note = Callable[[str, float, str], None]  # what, value, unit


@dataclass(frozen=True, slots=True)
class Size:
    seconds: float = 5.0  # of each closed loop
    objects: int = 10_000  # in the big collection
    watchers: int = 1000
    watched: int = 100  # changes that each watcher is told of
    lists: int = 5


QUICK = Size(seconds=2.0, objects=2000, watchers=200, watched=50, lists=3)


def load(server: Server, **spec: Any) -> tuple[dict[str, Any], float]:
    """What the generator tells, and the server's CPU seconds meanwhile."""
    spec = {"port": server.port, "ca": str(server.ca), "token": TOKEN, "connections": 16, **spec}
    before = server.cpu_s()
    done = subprocess.run(LOAD, input=json.dumps(spec), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the load generator failed: {done.stderr}")
    result = json.loads(done.stdout)
    if result["errors"]:
        raise SystemExit(f"{server.name}: {result['errors']} of {spec['what']} failed: {result['first_error']}")
    return result, server.cpu_s() - before


def measure(server: Server, size: Size, note: Note) -> None:
    """Everything that is asked over HTTP; `note` is told each figure."""
    note("start to ready", server.ready_s, "s")
    for namespace in ("made", "big"):
        server.ask("POST", "/api/v1/namespaces", json.dumps({"metadata": {"name": namespace}}))
    time.sleep(2)  # what a start leaves to do is done
    note("resident memory, idle", server.resident_mib(), "MiB")
    closed_loops(server, size, note)
    load(server, what="create", namespace="big", prefix="b", count=size.objects, connections=64)
    lists(server, size, note, f"{size.objects:,}", BIG)
    if isinstance(server, Ledger):
        past(server, size, note)
    watches(server, size, note)
    note("resident memory, loaded", server.resident_mib(), "MiB")


def closed_loops(server: Server, size: Size, note: Note) -> None:
    made = 0
    for clients in (1, 16, 64):
        made += rates(
            server, note, f"create, {clients} client{'s' * (clients > 1)}", what="create", path=MADE, prefix="m",
            first=made, connections=clients, seconds=size.seconds,
        )  # fmt: skip
    objects = min(made, 1000)
    for what in ("get", "patch"):
        title = {"get": "get", "patch": "merge patch"}[what]
        spec = {"path": MADE, "prefix": "m", "objects": objects, "seconds": size.seconds}
        rates(server, note, f"{title}, 16 clients", what=what, **spec)


def rates(server: Server, note: Note, title: str, **spec: Any) -> int:
    """Notes requests a second, CPU a request and the 99th percentile; the number of requests."""
    result, cpu = load(server, **spec)
    count = int(result["done"])
    note(title, count / result["seconds"], "/s")
    note(f"{title}: server CPU", cpu / count * 1e6, "us")
    note(f"{title}: p99", result["p99_ms"], "ms")
    return count


def lists(server: Server, size: Size, note: Note, count: str, path: str) -> None:
    for title, query in ((f"list of {count}", ""), ("page of 500", "?limit=500")):
        result, cpu = load(server, what="list", path=path + query, count=size.lists, connections=1)
        note(title, result["p50_ms"], "ms")
        note(f"{title}: server CPU", cpu / size.lists * 1e3, "ms")


def past(server: Server, size: Size, note: Note) -> None:
    """The same questions to a moment after which every object has changed."""
    _, listed = server.ask("GET", f"{BIG}?limit=1")
    revision = json.loads(listed)["metadata"]["resourceVersion"]
    load(server, what="patch", path=BIG, prefix="b", objects=size.objects, count=size.objects, connections=64)
    at = f"/at/{revision}{BIG}"
    spec = {"prefix": "b", "objects": min(1000, size.objects), "seconds": size.seconds}
    rates(server, note, "as-of get, 16 clients", what="get", path=at, **spec)
    lists(server, size, lambda what, value, unit: note(f"as-of {what}", value, unit), f"{size.objects:,}", at)


def watches(server: Server, size: Size, note: Note) -> None:
    """Every watcher is told of every change; CPU is the server's, the writes' own included."""
    spec = {"port": server.port, "ca": str(server.ca), "token": TOKEN, "what": "watch"}
    events = size.watchers * size.watched
    _, listed = server.ask("GET", f"{BIG}?limit=1")
    since = json.loads(listed)["metadata"]["resourceVersion"]
    spec |= {"connections": size.watchers, "count": events, "path": f"{BIG}?watch=true&resourceVersion={since}"}
    with subprocess.Popen(LOAD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdin is not None and watching.stdout is not None
        watching.stdin.write(json.dumps(spec))
        watching.stdin.close()
        if not json.loads(watching.stdout.readline()).get("ready"):
            raise SystemExit(f"{server.name}: the watches did not begin")
        began = time.time()
        cpu = server.cpu_s()
        spec = {"objects": size.objects, "first": 10 * size.objects, "count": size.watched, "connections": 4}
        load(server, what="patch", path=BIG, prefix="b", **spec)
        result = json.loads(watching.stdout.readline())
    if result["events"] < events:
        raise SystemExit(f"{server.name}: {result['events']} of {events} watch events came")
    title = f"{size.watchers:,} watchers"
    note(f"{title}: events delivered", events / (result["last"] - began), "/s")
    note(f"{title}: server CPU an event", (server.cpu_s() - cpu) / events * 1e6, "us")


def replay(data_dir: Path, scratch: Path, note: Note) -> None:
    """Import of the bundled log, then verify and rebuild of the log that the load left."""
    with gzip.open(EXAMPLE / "audit.jsonl.gz") as log:
        count = sum(1 for _ in log)
    arguments = [str(EXAMPLE / "audit.jsonl.gz"), "--base", str(EXAMPLE / "base.json.gz"), "--data-dir", str(scratch)]
    empty = timed("version")
    note("import", count / (timed("replay", "import", *arguments) - empty), "events/s")
    total = json.loads(output("replay", "info", "--data-dir", str(data_dir), "-o", "json"))["events"]
    for what in ("verify", "rebuild"):
        note(what, total / (timed("replay", what, "--data-dir", str(data_dir)) - empty), "events/s")
    size = sum(path.stat().st_blocks * 512 for path in data_dir.glob("*.mdb"))
    note("disk an event", size / total, "bytes")


def output(*arguments: str) -> str:
    done = subprocess.run([*LEDGER, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"ledger {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def timed(*arguments: str) -> float:
    began = time.perf_counter()
    output(*arguments)
    return time.perf_counter() - began


def run(rounds: int, size: Size, folder: Path) -> dict[str, dict[tuple[str, str], list[float]]]:
    """By server, then by what and unit: a figure a round."""
    figures: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    kinds: Sequence[type[Server]] = (Ledger, Real) if real_is_there() else (Ledger,)
    for number in range(rounds):
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            print(f"round {number + 1} of {rounds}: {kind.name}", file=sys.stderr, flush=True)

            def note(what: str, value: float, unit: str, name: str = kind.name) -> None:
                figures[name][what, unit].append(value)

            place = folder / f"{kind.name}-{number}"
            with kind(place) as server:
                measure(server, size, note)
            if isinstance(server, Ledger):
                replay(server.data_dir, folder / f"import-{number}", note)
    return figures


def table(figures: dict[str, dict[tuple[str, str], list[float]]]) -> str:
    """What, each server's median, and ledger's ratio to the real one."""
    ours, real = figures[Ledger.name], figures.get(Real.name, {})
    rows = [f"{'':38} {Ledger.name:>14} {Real.name if real else '':>16} {'ratio' if real else '':>8}"]
    for (what, unit), values in ours.items():
        mine, others = median(values), real.get((what, unit))
        theirs, ratio = (shown(median(others), unit), f"{mine / median(others):8.2f}") if others else ("", "")
        rows.append(f"{what:38} {shown(mine, unit):>14} {theirs:>16} {ratio}".rstrip())
    return "\n".join(rows)


def shown(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.1f} {unit}" if value >= 10 else f"{value:,.2f} {unit}"


def commit() -> str:
    ask = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(ask, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=1, help="rounds; the table has their medians (1)")
    parser.add_argument("--quick", action="store_true", help="smaller collections and shorter runs")
    parser.add_argument("--dir", type=Path, help="where to make the scratch folder (default: the system's)")
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ledger-bench-", dir=given.dir) as scratch:
        figures = run(given.rounds, size, Path(scratch))
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, commit {commit()}, "
          f"{given.rounds} round(s){', quick' * given.quick}, {time.monotonic() - began:.0f} s\n")  # fmt: skip
    print(table(figures))


if __name__ == "__main__":
    main()
