"""What is asked of a server over HTTP, and which figures are noted.

Every measure takes a running server, and a `note` that is told each figure. CPU is the server's, user and system time of
all its processes, for everything that happened meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import TOKEN, Ledger, Server

LOAD = "load.py"
MADE = "/api/v1/namespaces/made/configmaps"
BIG = "/api/v1/namespaces/big/configmaps"
STOCK = "/api/v1/namespaces/stock/configmaps"
RARE = 10  # objects that the label selector finds

Note = Callable[[str, float, str], None]  # what, value, unit


@dataclass(frozen=True, slots=True)
class Size:
    seconds: float = 5.0  # of each closed loop
    objects: int = 10_000  # in the big collection
    watchers: int = 1000
    watched: int = 100  # changes that each watcher is told of
    lists: int = 5
    stock: int = 100_000  # objects in the store of the last measures


QUICK = Size(seconds=2.0, objects=2000, watchers=200, watched=50, lists=3, stock=10_000)


def serving(server: Server, size: Size, note: Note) -> None:
    """An empty server, single requests, a big collection, watchers."""
    note("start to ready, empty", server.ready_s, "s")
    make_namespaces(server, "made", "big")
    time.sleep(2)  # what a start leaves to do is done
    memory(server, "idle", note)
    closed_loops(server, size, note)
    disk(server, note)
    create_many(server, BIG, size.objects)
    lists(server, size, note, f"{size.objects:,}", BIG)
    if isinstance(server, Ledger):
        past(server, size, note)
    watches(server, size, note)


def stocked(server: Server, size: Size, note: Note) -> None:
    """A store with `size.stock` objects: starting on it, its memory, and a GET among heavy traffic."""
    make_namespaces(server, "stock", "made")
    create_many(server, STOCK, size.stock)
    server.stop()
    server.begin()
    title = f"{size.stock:,} objects"
    note(f"start to ready, {title}", server.ready_s, "s")
    load(server, what="list", path=STOCK, count=1, connections=1)
    memory(server, title, note)
    among_heavy_traffic(server, size, note)


def make_namespaces(server: Server, *names: str) -> None:
    for name in names:
        server.ask("POST", "/api/v1/namespaces", json.dumps({"metadata": {"name": name}}))


def create_many(server: Server, path: str, count: int) -> None:
    load(server, what="create", path=path, prefix="b", count=count, connections=64, rare=max(1, count // RARE))


def memory(server: Server, when: str, note: Note) -> None:
    """Resident pages; those that are a process's own besides, since pages of a mapped file are the kernel's to drop."""
    resident, own = server.resident_mib()
    note(f"resident memory, {when}", resident, "MiB")
    note(f"  of it no file's, {when}", own, "MiB")


def load(server: Server, **spec: Any) -> tuple[dict[str, Any], float]:
    """What the generator tells, and the server's CPU seconds meanwhile."""
    before = server.cpu_s()
    with Load(server, **spec) as running:
        result = running.result()
    return result, server.cpu_s() - before


class Load:
    """The generator at work, in a process of its own. A context manager; leaving it ends the process."""

    def __init__(self, server: Server, program: str = LOAD, **spec: Any) -> None:
        self.name, self.what = server.name, spec["what"]
        spec = {"port": server.port, "ca": str(server.ca), "token": TOKEN, "connections": 16, **spec}
        command = [sys.executable, str(Path(__file__).with_name(program))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(spec))
        self.process.stdin.close()

    def told(self) -> dict[str, Any]:
        """The next line it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: the load generator failed at {self.what}")
        told: dict[str, Any] = json.loads(line)
        return told

    def result(self) -> dict[str, Any]:
        result = self.told()
        if result.get("errors"):
            raise SystemExit(f"{self.name}: {result['errors']} of {self.what} failed: {result['first_error']}")
        return result

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def closed_loops(server: Server, size: Size, note: Note) -> None:
    made = 0
    for clients in (1, 16, 64):
        made += rates(
            server, note, f"create, {clients} client{'s' * (clients > 1)}", what="create", path=MADE, prefix="m",
            first=made, connections=clients, seconds=size.seconds,
        )  # fmt: skip
    spec = {"path": MADE, "prefix": "m", "objects": min(made, 1000), "seconds": size.seconds}
    rates(server, note, "get, HTTP/1.1, 32 clients", what="get", connections=32, **spec)
    rates(server, note, "get, HTTP/2, 32 clients", what="get", connections=32, http2=True, **spec)
    for what, title in (("update", "update"), ("patch", "merge patch"), ("apply", "server-side apply")):
        rates(server, note, f"{title}, 16 clients", what=what, **spec)


def rates(server: Server, note: Note, title: str, **spec: Any) -> int:
    """Notes requests a second, CPU a request and the 99th percentile; the number of requests."""
    result, cpu = load(server, **spec)
    count = int(result["done"])
    note(title, count / result["seconds"], "/s")
    note(f"{title}: server CPU", cpu / count * 1e6, "us")
    note(f"{title}: p99", result["p99_ms"], "ms")
    return count


def disk(server: Server, note: Note) -> None:
    """Bytes on disk after the single requests, which each server stores in its own way."""
    for what, size_bytes, count in server.disk():
        note(what, size_bytes / count, "bytes")


def lists(server: Server, size: Size, note: Note, count: str, path: str) -> None:
    titles = (
        (f"list of {count}", ""),
        ("page of 500", "?limit=500"),
        (f"list of {RARE} by label", "?labelSelector=rare"),
    )
    for title, query in titles:
        times = size.lists * (1 if not query else 4)
        result, cpu = load(server, what="list", path=path + query, count=times, connections=1)
        note(title, result["p50_ms"], "ms")
        note(f"{title}: server CPU", cpu / times * 1e3, "ms")


def past(server: Server, size: Size, note: Note) -> None:
    """The same questions to a moment after which every object has changed."""
    revision = revision_of(server, BIG)
    load(server, what="patch", path=BIG, prefix="b", objects=size.objects, count=size.objects, connections=64)
    at = f"/at/{revision}{BIG}"
    spec = {"prefix": "b", "objects": min(1000, size.objects), "seconds": size.seconds}
    rates(server, note, "as-of get, 32 clients", what="get", path=at, connections=32, **spec)
    lists(server, size, lambda what, value, unit: note(f"as-of {what}", value, unit), f"{size.objects:,}", at)


def revision_of(server: Server, path: str) -> str:
    _, listed = server.ask("GET", f"{path}?limit=1")
    revision: str = json.loads(listed)["metadata"]["resourceVersion"]
    return revision


def watches(server: Server, size: Size, note: Note) -> None:
    """Every watcher is told of every change; CPU is the server's, the writes' own included."""
    events = size.watchers * size.watched
    path = f"{BIG}?watch=true&resourceVersion={revision_of(server, BIG)}"
    title = f"{size.watchers:,} watchers"
    with Load(server, what="watch", path=path, connections=size.watchers, count=events) as watching:
        if not watching.told().get("ready"):
            raise SystemExit(f"{server.name}: the watches did not begin")
        memory(server, title, note)
        began, cpu = time.time(), server.cpu_s()
        spec = {"objects": size.objects, "first": 10 * size.objects, "count": size.watched, "connections": 4}
        load(server, what="patch", path=BIG, prefix="b", **spec)
        result = watching.result()
    if result["events"] < events:
        raise SystemExit(f"{server.name}: {result['events']} of {events} watch events came")
    note(f"{title}: events delivered", events / (result["last"] - began), "/s")
    note(f"{title}: server CPU an event", (server.cpu_s() - cpu) / events * 1e6, "us")


def among_heavy_traffic(server: Server, size: Size, note: Note) -> None:
    """How long a GET takes while everything is listed again and again and 64 clients write."""
    with ExitStack() as others:
        others.enter_context(Load(server, what="list", path=STOCK, connections=1, seconds=size.seconds * 3))
        others.enter_context(
            Load(server, what="create", path=MADE, prefix="h", connections=64, seconds=size.seconds * 3)
        )
        time.sleep(size.seconds / 2)  # all of it is under way
        spec = {"path": STOCK, "prefix": "b", "objects": 1000, "connections": 8, "seconds": size.seconds}
        result, _ = load(server, what="get", **spec)
    note("get beside a list of all and 64 writers: p50", result["p50_ms"], "ms")
    note("get beside a list of all and 64 writers: p99", result["p99_ms"], "ms")
