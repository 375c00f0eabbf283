#!/usr/bin/env python
"""Imports recorded incidents and compares the state at each recorded snapshot with what the snapshot holds.

    tools/run python tools/check_incidents.py ../shared/incidents/*        [-v: name the objects that differ]
    tools/run python tools/check_incidents.py --serve ../shared/incidents/*        the same through `ledger serve`

With --serve each folder is imported into a ledger, the ledger is served, and every resource of a snapshot is listed at
/at/REVISION/...: what a kubectl that was pointed there would get. A folder holds audit*.jsonl.gz, base.json.gz,
s*.json.gz and final.json.gz. managedFields do not count.
"""

from __future__ import annotations

import argparse
import base64
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import yaml

from ledger.apimachinery.resource import Key, Object, Schema
from ledger.log.event import EXISTENCE, Change
from ledger.projections.unknowable import Gap, ResourceGap, gaps, resource_gaps, schema_gaps
from ledger.replay.importer.base import Base, read_base
from ledger.replay.importer.report import Report
from ledger.replay.importer.run import import_log
from ledger.replay.importer.stored import Known, State, apply_change
from ledger.replay.kinds import CRDS
from ledger.replay.reread import reread
from ledger.scheme.scheme import Scheme, builtin


@dataclass(slots=True)
class Comparison:
    """One snapshot against the imported state at its revision, and against what the import lists as unknowable."""

    name: str
    revision: int
    objects: int
    equal: int = 0
    differ: list[Key] = field(default_factory=list)
    missing: list[Key] = field(default_factory=list)
    extra: list[Key] = field(default_factory=list)
    listed: set[Key] = field(default_factory=set)  # objects, of the snapshot or the state, that are unknowable
    listed_equal: list[Key] = field(default_factory=list)  # of those, what came back equal all the same
    unlisted: list[Key] = field(default_factory=list)  # what is not equal and not listed
    beyond: list[Key] = field(default_factory=list)  # of the listed, what differs in other fields than it is listed for

    @property
    def share(self) -> float:
        return self.equal / self.objects

    @property
    def knowable(self) -> int:
        """How many of the snapshot's objects the import does not list."""
        return self.objects - len(self.listed & self._expected)

    @property
    def knowable_share(self) -> float:
        return (self.equal - len(self.listed_equal)) / self.knowable if self.knowable else 1.0

    _expected: set[Key] = field(default_factory=set)

    def expect(self, snapshot: Base) -> None:
        self._expected = set(snapshot.objects)

    def add(self, key: Key, found: Object | None, expected: Object | None, fields: tuple[str, ...] = ()) -> None:
        """Counts one object: as it was found, as it should be (None: not there), and what it is listed for."""
        equal = found is not None and expected is not None and comparable(found) == comparable(expected)
        self.equal += equal
        if not equal:
            place = self.differ if found and expected else self.missing if expected else self.extra
            place.append(key)
        if fields:
            self.listed.add(key)
            if equal:
                self.listed_equal.append(key)
            elif EXISTENCE not in fields and not (found and expected and only_in(found, expected, fields)):
                self.beyond.append(key)
        elif not equal:
            self.unlisted.append(key)

    def line(self) -> str:
        return (
            f"  {self.name:6} rv {self.revision:<6} {self.equal:4} of {self.objects:4} equal {self.share:8.2%}"
            f"   differ: {by_resource(self.differ)}   missing: {by_resource(self.missing)}"
            f"   extra: {by_resource(self.extra)}\n"
            f"         not listed:  {self.equal - len(self.listed_equal):4} of {self.knowable:4} equal"
            f" {self.knowable_share:8.2%}   not equal and not listed: {by_resource(self.unlisted)}\n"
            f"         listed:      {len(self.listed):4}, of which {len(self.listed_equal)} came back equal:"
            f" {by_resource(self.listed_equal)}   differ beyond what they are listed for: {by_resource(self.beyond)}"
        )


def by_resource(keys: Iterable[Key]) -> str:
    counts = Counter(key.resource for key in keys)
    return ", ".join(f"{resource} {count}" for resource, count in sorted(counts.items())) or "-"


def snapshots(folder: Path, scheme: Scheme) -> list[tuple[str, Base]]:
    found = [*sorted(folder.glob("s[0-9]*.json.gz")), folder / "final.json.gz"]
    read = [(path.name.removesuffix(".json.gz"), read_base(str(path), scheme)) for path in found]
    return sorted(read, key=lambda pair: pair[1].revision)


def check(folder: Path, scheme: Scheme, audit: list[str] | None = None) -> tuple[Report, list[Comparison]]:
    """Imports the folder's log on its base and compares every snapshot."""
    paths = audit or sorted(str(path) for path in folder.glob("audit*.jsonl.gz") if "webhook" not in path.name)
    report, entries = import_log(paths, read_base(str(folder / "base.json.gz"), scheme), scheme)
    given = [change for entry in entries for change in entry.changes]
    rules = resource_gaps(report.to_json())
    changes = sorted(given, key=lambda change: change.revision)
    state: State = {}
    last: dict[Key, Change] = {}
    comparisons = []
    done = 0
    for name, snapshot in snapshots(folder, scheme):
        while done < len(changes) and changes[done].revision <= snapshot.revision:
            apply_change(state, changes[done])
            last[changes[done].key] = changes[done]
            done += 1
        listed = gaps([*last.values(), *changes[done:]], snapshot.revision)
        comparisons.append(compare(name, snapshot, state, listed, [*rules, *schema_gaps(listed)]))
    check_order(given)
    return report, comparisons


def check_order(changes: list[Change]) -> None:
    """What the engine relies on: a revision is one change's, and each object's ascend as they come."""
    last: dict[Key, int] = {}
    assert len({change.revision for change in changes}) == len(changes)
    for change in changes:
        assert last.get(change.key, 0) < change.revision, change.key
        last[change.key] = change.revision


def compare(name: str, snapshot: Base, state: State, gaps: dict[Key, Gap], rules: list[ResourceGap]) -> Comparison:
    """`gaps` and `rules` are what the import lists as unknowable at that revision."""
    result = Comparison(name, snapshot.revision, len(snapshot.objects))
    result.expect(snapshot)
    for key, expected in snapshot.objects.items():
        found = shown(state, key) if key in state else None
        result.add(key, found, expected, listed_fields(key, snapshot.revision, gaps, rules))
    for key in state:
        if key not in snapshot.objects and key[:2] in snapshot.covered:
            result.add(key, shown(state, key), None, listed_fields(key, snapshot.revision, gaps, rules))
    return result


def listed_fields(key: Key, revision: int, gaps: dict[Key, Gap], rules: list[ResourceGap]) -> tuple[str, ...]:
    of_resource = [field for rule in rules if rule.covers(key, revision) for field in rule.fields]
    return (*of_resource, *(gaps[key].fields if key in gaps else ()))


def only_in(found: Object, expected: Object, fields: tuple[str, ...]) -> bool:
    """Whether the two are equal but for these fields."""
    if "*" in fields:
        fields = ("metadata", *{*found, *expected} - {"metadata", "apiVersion", "kind"})
    left, right = orjson.loads(comparable(found)), orjson.loads(comparable(expected))
    for path in fields:
        for obj in (left, right):
            inner, steps = obj, path.split(".")
            for step in steps[:-1]:
                inner = inner.get(step) or {}
            inner.pop(steps[-1], None)
    return bool(left == right)


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


def served(folder: Path, scheme: Scheme) -> Iterator[Comparison]:
    """The folder's snapshots compared with what `ledger serve` answers at their revisions."""
    with tempfile.TemporaryDirectory(prefix="ledger-incident-") as directory:
        paths = [str(path) for path in folder.glob("audit*.jsonl.gz") if "webhook" not in path.name]
        ledger = [sys.executable, "-c", "import sys; from ledger.cli.main import main; sys.exit(main())"]
        imported = ["replay", "import", *paths, "--base", str(folder / "base.json.gz"), "--data-dir", directory]
        imported += ["--redact", "none"]  # to compare with
        subprocess.run([*ledger, *imported], check=True, stdout=subprocess.DEVNULL)
        config = f"{directory}/kubeconfig"
        flags = ["--data-dir", directory, "--read-only", "--secure-port", "0", "--kubeconfig", config]
        server = subprocess.Popen([*ledger, "serve", *flags], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            for outcome, snapshot, listed in _through(config, folder, scheme):
                asked = ["replay", "info", "--unknowable", "--at", str(snapshot.revision), "-o", "json", "-q"]
                told = subprocess.run([*ledger, *asked, "--data-dir", directory], check=True, stdout=subprocess.PIPE)
                yield _compare_listed(outcome, snapshot, listed, orjson.loads(told.stdout))
        finally:
            server.terminate()
            server.wait()


def _through(config: str, folder: Path, scheme: Scheme) -> Iterator[tuple[Comparison, Base, dict[Key, Object]]]:
    cluster = yaml.safe_load(Path(config).read_text())
    url = cluster["clusters"][0]["cluster"]["server"]
    user = cluster["users"][0]["user"]
    context = ssl._create_unverified_context()
    with tempfile.NamedTemporaryFile("wb") as pem:
        pem.write(b"".join(base64.b64decode(user[name]) for name in ("client-certificate-data", "client-key-data")))
        pem.flush()
        context.load_cert_chain(pem.name)
    for name, snapshot in snapshots(folder, scheme):
        result = Comparison(name, snapshot.revision, len(snapshot.objects))
        listed: dict[Key, Object] = {}
        for (group, version), resource in snapshot.paths:
            prefix = f"apis/{group}/{version}" if group else f"api/{version}"
            address = f"{url}/at/{snapshot.revision}/{prefix}/{resource}"
            with urllib.request.urlopen(address, context=context) as answer:
                items = orjson.loads(answer.read())["items"]
            for item in items:
                meta = item["metadata"]
                listed[Key(group, resource, meta.get("namespace", ""), meta["name"])] = item
        yield result, snapshot, listed


def _compare_listed(result: Comparison, snapshot: Base, listed: dict[Key, Object], unknowable: Object) -> Comparison:
    """`unknowable` is what `ledger replay info --unknowable -o json` answers."""
    result.expect(snapshot)
    told = {
        (one["object"]["gvr"], one["object"].get("namespace", ""), one["object"]["name"]): tuple(one["fields"])
        for one in unknowable["objects"]
    }
    for key in snapshot.objects.keys() | listed.keys():
        expected = snapshot.objects.get(key)
        found = listed.get(key)
        if found and expected:  # items of built-ins carry no kind
            found = {**{name: expected[name] for name in ("apiVersion", "kind")}, **found}
        gvr = f"{key.group}/{key.resource}" if key.group else key.resource
        fields = told.get((gvr, key.namespace, key.name), ())
        for one in unknowable["resources"]:
            if (one["group"], one["resource"]) == key[:2] and one["namespace"] in ("", key.namespace):
                fields = (*fields, *one["fields"])
        result.add(key, found, expected, fields)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--audit", nargs="+", help="these log files instead of the folder's own")
    parser.add_argument("--serve", action="store_true", help="compare what `ledger serve` answers, not the fold")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    scheme = builtin()
    for folder in options.folders:
        if not (folder / "base.json.gz").exists():
            continue
        if options.serve:
            print(f"{folder.name}, through /at/REVISION:")
            for one in served(folder, scheme):
                report_on(one, options.verbose)
            continue
        begun = time.monotonic()
        report, comparisons = check(folder, scheme, options.audit)
        print(
            f"{folder.name}: {report.records} records, changes known {report.known}, inferred {report.inferred}, "
            f"unknown {report.unknown}, unplaced {len(report.unplaced)}, {time.monotonic() - begun:.1f} s"
        )
        for one in comparisons:
            report_on(one, options.verbose)
    return 0


def report_on(one: Comparison, verbose: bool) -> None:
    print(one.line())
    for what in ("differ", "missing", "extra", "unlisted", "beyond", "listed_equal") if verbose else ():
        for key in getattr(one, what):
            print(f"      {what:10} {key}")


if __name__ == "__main__":
    sys.exit(main())
