"""Measures this server, and the real one beside it: `tools/run python tools/bench/bench.py [--quick] [--rounds N]`.

With KUBE_APISERVER and ETCD naming those binaries, each round runs both servers, one after the other and in turn first, on
the same machine, disk and load; the table has the median of the rounds and ledger's ratio to the real one. Figures of one
machine say little, ratios of one run more. A round takes about a minute and a half for each server, with --quick (smaller
collections, shorter runs) half of that; the measures on a store of 100,000 objects take several minutes more, most of
them to fill it, and have a number of rounds of their own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from measures import QUICK, Note, Size, serving, stocked
from servers import LEDGER, REPOSITORY, Ledger, Real, Server, real_is_there

EXAMPLE = REPOSITORY / "docs" / "examples" / "crashloop"


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


def output(*arguments: str) -> str:
    done = subprocess.run([*LEDGER, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"ledger {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def timed(*arguments: str) -> float:
    began = time.perf_counter()
    output(*arguments)
    return time.perf_counter() - began


Figures = dict[str, dict[tuple[str, str], list[float]]]  # by server, then by what and unit: a figure a round


def run(rounds: int, stock_rounds: int, size: Size, folder: Path) -> Figures:
    figures: Figures = defaultdict(lambda: defaultdict(list))

    def served(server: Server, note: Note) -> None:
        serving(server, size, note)
        server.stop()
        if isinstance(server, Ledger):
            replay(server.data_dir, server.folder / "import", note)

    turns(rounds, "serving", served, folder, figures)
    turns(stock_rounds, "stock", lambda server, note: stocked(server, size, note), folder, figures)
    return figures


def turns(rounds: int, title: str, measure: Callable[[Server, Note], None], folder: Path, figures: Figures) -> None:
    """`rounds` times each server, freshly made, in turn the first."""
    kinds: Sequence[type[Server]] = (Ledger, Real) if real_is_there() else (Ledger,)
    for number in range(rounds):
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            print(f"{title}, round {number + 1} of {rounds}: {kind.name}", file=sys.stderr, flush=True)

            def note(what: str, value: float, unit: str, name: str = kind.name) -> None:
                figures[name][what, unit].append(value)

            place = folder / f"{kind.name}-{title}-{number}"
            with kind(place) as server:
                measure(server, note)
            shutil.rmtree(place)


def table(figures: Figures) -> str:
    """What, each server's median, and ledger's ratio to the real one."""
    ours, real = figures[Ledger.name], figures.get(Real.name, {})
    rows = [f"{'':48} {Ledger.name:>14} {Real.name if real else '':>16} {'ratio' if real else '':>8}"]
    for what, unit in dict.fromkeys([*ours, *real]):
        mine, theirs = (median(by[what, unit]) if (what, unit) in by else None for by in (ours, real))
        ratio = f"{mine / theirs:8.2f}" if mine and theirs else ""
        rows.append(f"{what:48} {shown(mine, unit):>14} {shown(theirs, unit):>16} {ratio}".rstrip())
    return "\n".join(rows)


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.1f} {unit}" if value >= 10 else f"{value:,.2f} {unit}"


def commit() -> str:
    ask = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(ask, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=1, help="rounds; the table has their medians (1)")
    parser.add_argument("--stock-rounds", type=int, default=1, help="rounds on a store of 100,000 objects (1)")
    parser.add_argument("--quick", action="store_true", help="smaller collections and shorter runs")
    parser.add_argument("--dir", type=Path, help="where to make the scratch folder (default: the system's)")
    given = parser.parse_args()
    size = QUICK if given.quick else Size()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ledger-bench-", dir=given.dir) as scratch:
        figures = run(given.rounds, given.stock_rounds, size, Path(scratch))
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, commit {commit()}, "
          f"{given.rounds} round(s){', quick' * given.quick}, {time.monotonic() - began:.0f} s\n")  # fmt: skip
    print(table(figures))


if __name__ == "__main__":
    main()
