#!/usr/bin/env python
"""Imports recorded incidents, serves them read-only, and compares /at/REVISION/... with each recorded snapshot.

    tools/run python tools/check_at.py ../shared/incidents/*        [-v: name the objects that differ]

Every resource of a snapshot is listed through the server as a client would. managedFields do not count. The figures are
of the whole path: import, log, history, HTTP.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from ssl import create_default_context
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """One snapshot against what the server showed at its revision."""

    name: str
    revision: str
    objects: int
    equal: int
    differ: list[str]
    missing: list[str]
    extra: list[str]


@contextmanager
def serving(folder: Path) -> Iterator[HTTPSConnection]:
    """A connection to `ledger serve --read-only` of the folder's imported log, as the admin."""
    with tempfile.TemporaryDirectory() as data_dir:
        audits = sorted(str(path) for path in folder.glob("audit*.jsonl.gz") if "webhook" not in path.name)
        ledger = [sys.executable, "-c", "import sys; from ledger.cli.main import main; sys.exit(main())"]
        imported = [*ledger, "replay", "import", *audits, "--base", str(folder / "base.json.gz"), "--data-dir", data_dir]
        subprocess.run(imported, check=True, capture_output=True)
        command = [*ledger, "serve", "--read-only", "--secure-port", "0", "--data-dir", data_dir]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().split("https://")[1].split()[0].rpartition(":")[2])
            context = create_default_context(cafile=f"{data_dir}/pki/ca.crt")
            context.load_cert_chain(f"{data_dir}/pki/admin.crt", f"{data_dir}/pki/admin.key")
            yield HTTPSConnection("127.0.0.1", port, context=context)
        finally:
            server.terminate()
            server.wait(timeout=20)


def check(folder: Path) -> list[Outcome]:
    """Every snapshot of a folder, oldest first."""
    paths = [*sorted(folder.glob("s[0-9]*.json.gz")), folder / "final.json.gz"]
    with serving(folder) as connection:
        return [compare(connection, path) for path in paths if path.exists()]


def compare(connection: HTTPSConnection, path: Path) -> Outcome:
    snapshot = json.loads(gzip.decompress(path.read_bytes()))
    revision = snapshot["resourceVersion"]
    outcome = Outcome(path.name.removesuffix(".json.gz"), revision, 0, 0, [], [], [])
    objects = equal = 0
    for resource, listed in snapshot["resources"].items():
        wanted = {identity(one): plain(one) for one in listed["items"]}
        shown = {identity(one): plain(one) for one in items(connection, f"/at/{revision}{listed['path']}")}
        objects += len(wanted)
        for name, one in wanted.items():
            if name not in shown:
                outcome.missing.append(f"{resource} {name}")
            elif shown[name] == one:
                equal += 1
            else:
                outcome.differ.append(f"{resource} {name}")
        outcome.extra.extend(f"{resource} {name}" for name in shown if name not in wanted)
    return outcome._replace(objects=objects, equal=equal)


def items(connection: HTTPSConnection, path: str) -> list[dict[str, Any]]:
    connection.request("GET", path, headers={"accept": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status in (200, 404), (path, body)
    return (json.loads(body)["items"] or []) if answer.status == 200 else []


def identity(obj: dict[str, Any]) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def plain(obj: dict[str, Any]) -> dict[str, Any]:
    """Without managedFields, and without what a list of built-ins leaves out of its items."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**{name: value for name, value in obj.items() if name not in ("kind", "apiVersion")}, "metadata": metadata}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    for folder in filter(Path.is_dir, options.folders):
        print(folder.name)
        for one in check(folder):
            share = one.equal / one.objects
            print(
                f"  {one.name:6} rv {one.revision:6} {one.equal:4} of {one.objects:4} equal {share:8.2%}"
                f"   differ {len(one.differ)}   missing {len(one.missing)}   extra {len(one.extra)}"
            )
            for title in ("differ", "missing", "extra") if options.verbose else ():
                for name in getattr(one, title):
                    print(f"         {title} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
