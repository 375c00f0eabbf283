"""kill -9 under load, again and again: `tools/run python tools/soak/kill9.py --rounds 50 --seed N`.

Each round starts `ledger serve` on the same data directory, lets several clients write and read over connections that are
kept alive, and kills it at a moment of chance. Then it opens the log and checks:

    lost       what was acknowledged (2xx) is there: each object is what its last answered write left, and a write that
               was under way is there whole or not at all
    events     every request that was answered has exactly one event (its Audit-Id), whether it wrote, read or was refused,
               and no other has two
    verify     the hash chain is whole, and all projections are what the log folds to

Prints one line a round; ends with status 1 at the first finding. Needs nothing but the project.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.apimachinery.resource import Key
from ledger.log.lmdb_engine import LmdbEngine
from ledger.projections.store import Store
from ledger.registry.body import decode
from ledger.replay.verify import verify

SERVE = [sys.executable, "-c", "import sys; from ledger.cli.main import main; sys.exit(main())", "serve"]
REPOSITORY = Path(__file__).resolve().parents[2]
PATH = "/api/v1/namespaces/default/configmaps"
WRITERS = 12
ANSWERS = (20, 800)  # how many before the kill
LOAD_S_MAX = 20.0  # the kill comes then at the latest
GONE: dict[str, str] = {}  # what a deleted object's data are; no live one has none

Data = dict[str, str]


class Finding(Exception):
    """Something acknowledged was not kept."""


@dataclass(slots=True)
class Answered:
    """What one client saw."""

    writes: list[str] = field(default_factory=list)  # audit ids of writes
    reads: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # of requests that were answered as they should be, with an error
    left: dict[str, Data] = field(default_factory=dict)  # object -> its data after the last answered write
    under_way: tuple[str, Data] | None = None  # object, and what it becomes if the kill came too late

    def count(self) -> int:
        return len(self.writes) + len(self.reads) + len(self.refused)


class Client(threading.Thread):
    """Writes and reads objects of its own until the connection breaks."""

    def __init__(self, number: int, round_number: int, seed: int, connection: http.client.HTTPSConnection) -> None:
        super().__init__()
        self.prefix = f"r{round_number}-c{number}-"
        self.chance = random.Random(seed)
        self.connection = connection
        self.answered = Answered()
        self.fault = ""

    def run(self) -> None:
        try:
            while not self.fault:
                self.step()
        except (OSError, http.client.HTTPException):
            pass  # the kill; what was under way stays noted

    def step(self) -> None:
        live = [name for name, data in self.answered.left.items() if data]
        what = self.chance.choice(
            ["create", "create", "update", "patch", "delete", "get", "get", "list", "missing", "taken"]
            if live
            else ["create"]
        )
        name = self.prefix + str(len(self.answered.left)) if what == "create" else self.chance.choice(live)
        data = {"n": str(self.chance.getrandbits(64)), "filler": "x" * self.chance.randrange(2000)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        match what:
            case "create":
                self.write("POST", PATH, name, data, body)
            case "update":
                self.write("PUT", f"{PATH}/{name}", name, data, body)
            case "patch":
                self.write("PATCH", f"{PATH}/{name}", name, data, {"data": data})
            case "delete":
                self.write("DELETE", f"{PATH}/{name}", name, GONE)
            case "get":
                self.read(f"{PATH}/{name}")
            case "list":
                self.read(f"{PATH}?limit=20")
            case "missing":
                self.answered.refused.append(self.send("GET", f"{PATH}/{name}-not", expected=404))
            case "taken":
                self.answered.refused.append(self.send("POST", PATH, body, expected=409))

    def write(self, method: str, path: str, name: str, data: Data, body: Any = None) -> None:
        self.answered.under_way = name, data
        self.answered.writes.append(self.send(method, path, body))
        self.answered.left[name] = data
        self.answered.under_way = None

    def read(self, path: str) -> None:
        self.answered.reads.append(self.send("GET", path))

    def send(self, method: str, path: str, body: Any = None, expected: int = 0) -> str:
        """The Audit-Id of an answer (2xx, or as expected). Raises OSError or HTTPException when there is none."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self.connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": kind})
        response = self.connection.getresponse()
        text = response.read()
        if response.status != expected and (expected or response.status >= 300):
            self.fault = f"{method} {path}: {response.status} {text[:300].decode()}"
            raise OSError(self.fault)
        return response.headers["Audit-Id"]


class Soak:
    def __init__(self, data_dir: Path, seed: int, workers: int) -> None:
        self.data_dir, self.seed, self.workers = data_dir, seed, workers
        self.left: dict[str, Data] = {}  # all rounds' objects
        self.position = 0  # of the last event checked
        self.totals: Counter[str] = Counter()

    def round(self, number: int) -> str:
        """One line that tells of it. Raises Finding."""
        chance = random.Random(f"{self.seed}/{number}")
        command = [*SERVE, "--data-dir", str(self.data_dir), "--secure-port", "0", "--workers", str(self.workers)]
        server = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        try:
            port = port_of(server)
            clients = [Client(each, number, chance.getrandbits(64), self.connect(port)) for each in range(WRITERS)]
            for client in clients:
                client.start()
            self.until_answered(clients, chance.randrange(*ANSWERS))
            if self.workers > 1 and chance.random() < 0.7:
                os.kill(chance.choice(children(server.pid)), signal.SIGKILL)
                self.until_answered(clients, sum(one.answered.count() for one in clients) + chance.randrange(50))
        finally:
            server.kill()
            server.wait()
        for client in clients:
            client.join()
            client.connection.close()
        return f"round {number}: {self.check(clients)}"

    def until_answered(self, clients: list[Client], enough: int) -> None:
        latest = time.monotonic() + LOAD_S_MAX
        while sum(client.answered.count() for client in clients) < enough and time.monotonic() < latest:
            time.sleep(0.002)

    def connect(self, port: int) -> http.client.HTTPSConnection:
        pki = self.data_dir / "pki"
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        return http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)

    def check(self, clients: list[Client]) -> str:
        for client in clients:
            if client.fault:
                raise Finding(f"a request was refused: {client.fault}")
            self.left |= client.answered.left
        answered = {
            "writes": [each for client in clients for each in client.answered.writes],
            "reads": [each for client in clients for each in client.answered.reads],
            "refused requests": [each for client in clients for each in client.answered.refused],
        }
        with Store.open(self.data_dir) as store:
            self.check_objects(store, dict(each.answered.under_way for each in clients if each.answered.under_way))
            events = self.check_events(store, answered)
            taken_over = store.engine.taken_over if isinstance(store.engine, LmdbEngine) else 0
            report = verify(store)
        if not report.intact:
            raise Finding(f"verify: {report.damage}")
        counts = {what: len(audit_ids) for what, audit_ids in answered.items()}
        self.totals.update(counts | {"events": events, "of them out of the journal": taken_over})
        told = ", ".join(f"{count} {what}" for what, count in counts.items())
        return f"{told} answered, {events} events, {taken_over} out of the journal; log of {report.events} verified"

    def check_objects(self, store: Store, under_way: dict[str, Data]) -> None:
        with store.view() as view:
            for name in self.left | under_way:
                stored = view.get(Key("", "configmaps", "default", name))
                found: Data = GONE if stored is None else decode(stored)["data"]
                before = self.left.get(name, GONE)
                if found not in (before, under_way.get(name, before)):
                    raise Finding(f"lost: {name} should have n={before.get('n')}, and has n={found.get('n')}")
                self.left[name] = found

    def check_events(self, store: Store, answered: dict[str, list[str]]) -> int:
        counts: Counter[str] = Counter()
        with store.read() as read:
            for event in read.events(self.position, 1 << 40):
                counts[event.audit_id] += 1
                self.position = event.position
        if twice := [audit_id for audit_id, count in counts.items() if count > 1]:
            raise Finding(f"requests with more than one event: {twice[:3]}")
        for what, audit_ids in answered.items():
            if none := [audit_id for audit_id in audit_ids if not counts[audit_id]]:
                raise Finding(f"{len(none)} of {len(audit_ids)} {what} that were answered have no event: {none[:3]}")
        return counts.total()


def children(pid: int) -> list[int]:
    """The worker processes."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]


def port_of(server: subprocess.Popen[str]) -> int:
    """Where it listens, once it is ready."""
    assert server.stdout is not None
    greeting = [server.stdout.readline() for _ in range(3)]
    if not greeting[2]:
        raise Finding("the server did not start again")
    return int(greeting[0].split()[2].rpartition(":")[2])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--dir", type=Path, help="where to make the scratch data directory (default: the system's)")
    parser.add_argument("--workers", type=int, default=1, help="as of ledger serve; one of them is often killed first")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ledger-kill9-", dir=given.dir) as scratch:
        soak = Soak(Path(scratch) / "data", given.seed, given.workers)
        try:
            for number in range(1, given.rounds + 1):
                print(soak.round(number), flush=True)
        except Finding as finding:
            print(f"round {number}: {finding}", flush=True)
            return 1
    print(f"{given.rounds} rounds, nothing lost: {', '.join(f'{count} {what}' for what, count in soak.totals.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
