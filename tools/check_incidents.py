#!/usr/bin/env python
"""Imports recorded incidents and compares the state at each recorded snapshot with what the snapshot holds.

    tools/run python tools/check_incidents.py ../shared/incidents/*        [-v: name the objects that differ]

A folder holds audit*.jsonl.gz, base.json.gz, s*.json.gz and final.json.gz. managedFields do not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from ledger.apimachinery.resource import Key, Object, Schema
from ledger.log.event import Change
from ledger.replay.importer.base import Base, read_base
from ledger.replay.importer.report import Report
from ledger.replay.importer.run import import_log
from ledger.replay.importer.stored import Known, State, apply_change
from ledger.replay.kinds import CRDS
from ledger.replay.reread import reread
from ledger.scheme.scheme import Scheme, builtin


@dataclass(slots=True)
class Comparison:
    """One snapshot against the imported state at its revision."""

    name: str
    revision: int
    objects: int
    equal: int = 0
    differ: list[Key] = field(default_factory=list)
    missing: list[Key] = field(default_factory=list)
    extra: list[Key] = field(default_factory=list)
    unadmitted: list[Key] = field(default_factory=list)  # of those, what the import believed to know

    @property
    def share(self) -> float:
        return self.equal / self.objects

    def line(self) -> str:
        def by_resource(keys: list[Key]) -> str:
            counts = Counter(key.resource for key in keys)
            return ", ".join(f"{resource} {count}" for resource, count in sorted(counts.items())) or "-"

        return (
            f"  {self.name:6} rv {self.revision:<6} {self.equal:4} of {self.objects:4} equal {self.share:8.2%}"
            f"   differ: {by_resource(self.differ)}   missing: {by_resource(self.missing)}"
            f"   extra: {by_resource(self.extra)}   not admitted: {len(self.unadmitted)}"
        )


def snapshots(folder: Path, scheme: Scheme) -> list[tuple[str, Base]]:
    found = [*sorted(folder.glob("s[0-9]*.json.gz")), folder / "final.json.gz"]
    read = [(path.name.removesuffix(".json.gz"), read_base(str(path), scheme)) for path in found]
    return sorted(read, key=lambda pair: pair[1].revision)


def check(folder: Path, scheme: Scheme, audit: list[str] | None = None) -> tuple[Report, list[Comparison]]:
    """Imports the folder's log on its base and compares every snapshot."""
    paths = audit or sorted(str(path) for path in folder.glob("audit*.jsonl.gz") if "webhook" not in path.name)
    report, entries = import_log(paths, read_base(str(folder / "base.json.gz"), scheme), scheme)
    given = [change for entry in entries for change in entry.changes]
    changes = iter(sorted(given, key=lambda change: change.revision))
    state: State = {}
    comparisons = []
    waiting = next(changes, None)
    for name, snapshot in snapshots(folder, scheme):
        while waiting is not None and waiting.revision <= snapshot.revision:
            apply_change(state, waiting)
            waiting = next(changes, None)
        comparisons.append(compare(name, snapshot, state))
    check_order(given)
    return report, comparisons


def check_order(changes: list[Change]) -> None:
    """What the engine relies on: a revision is one change's, and each object's ascend as they come."""
    last: dict[Key, int] = {}
    assert len({change.revision for change in changes}) == len(changes)
    for change in changes:
        assert last.get(change.key, 0) < change.revision, change.key
        last[change.key] = change.revision


def compare(name: str, snapshot: Base, state: State) -> Comparison:
    result = Comparison(name, snapshot.revision, len(snapshot.objects))
    for key, expected in snapshot.objects.items():
        known = state.get(key)
        if known is None:
            result.missing.append(key)
        elif comparable(shown(state, key)) == comparable(expected):
            result.equal += 1
        else:
            result.differ.append(key)
            if not known.unsure:
                result.unadmitted.append(key)
    result.extra = [key for key in state if key not in snapshot.objects and key[:2] in snapshot.covered]
    result.unadmitted += [key for key in result.extra if not state[key].unsure]
    return result


def shown(state: State, key: Key) -> Object:
    known = state[key]
    obj = known.decoded()
    obj["metadata"]["resourceVersion"] = str(known.revision)
    crd = state.get(Key(*CRDS, "", f"{key.resource}.{key.group}"))
    return reread({"apiVersion": known.api_version, "kind": known.kind, **obj}, schema_of(crd, known.api_version))


def schema_of(crd: Known | None, api_version: str) -> Schema | None:
    """The schema that a custom object is read through at that moment."""
    versions = (crd.decoded().get("spec") or {}).get("versions") or () if crd else ()
    name = api_version.rpartition("/")[2]
    return next((one["schema"]["openAPIV3Schema"] for one in versions if one["name"] == name), None)


def comparable(obj: Object) -> bytes:
    meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return orjson.dumps({**obj, "metadata": meta}, option=orjson.OPT_SORT_KEYS)


def difference(left: object, right: object, path: str = "") -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from difference(left.get(name), right.get(name), f"{path}.{name}")
    elif left != right:
        yield f"{path}: {str(left)[:70]} | {str(right)[:70]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--audit", nargs="+", help="these log files instead of the folder's own")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    scheme = builtin()
    for folder in options.folders:
        if not (folder / "base.json.gz").exists():
            continue
        begun = time.monotonic()
        report, comparisons = check(folder, scheme, options.audit)
        print(
            f"{folder.name}: {report.records} records, changes known {report.known}, inferred {report.inferred}, "
            f"unknown {report.unknown}, unplaced {len(report.unplaced)}, {time.monotonic() - begun:.1f} s"
        )
        for one in comparisons:
            print(one.line())
            if options.verbose:
                for what in ("differ", "missing", "extra", "unadmitted"):
                    for key in getattr(one, what):
                        print(f"      {what:10} {key}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
