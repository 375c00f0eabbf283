"""Where the microseconds of a GET go: a whole server in this process, under load, and then once more under cProfile.

    tools/run python tools/bench/where.py                     both protocols
    PYTHONPATH=OTHER/CHECKOUT tools/run python tools/bench/where.py

Each row is the CPU time of one request, spent in a room of ours or in a library on its behalf; what C functions take is
their callers'. The profile gives the shares, the run without it the sum. A busy machine stretches everything alike, so
compare shares, calls, and runs made one after the other.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import http.client
import json
import pstats
import ssl
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import trio

import ledger
from ledger.auth.certificates import ensure_credentials
from ledger.projections.store import Store
from ledger.server.app import build
from ledger.server.config import Config
from ledger.server.serve import new_suffix, new_uid, now_us
from ledger.wire.config import WireConfig
from ledger.wire.listener import serve

LOAD = [sys.executable, str(Path(__file__).with_name("load.py"))]
OURS = str(Path(ledger.__file__).parent) + "/"
LIBRARIES = {"/trio/": "trio", "/OpenSSL/": "TLS", "/h2/": "h2", "/hpack/": "h2", "/hyperframe/": "h2"}
MAPS = "/api/v1/namespaces/default/configmaps"
RBAC = "/apis/rbac.authorization.k8s.io/v1/"
ROLE = {"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]}
BINDING = {
    "metadata": {"name": "reader"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
    "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "devs"}],
}
TOKENS = 'admin-token,admin,1,"system:masters"\ndev-token,dev,2,"devs"\n'


async def measure(folder: Path, seconds: float) -> None:
    tokens = folder / "tokens.csv"
    tokens.write_text(TOKENS)
    credentials = ensure_credentials(folder / "pki")
    config = Config(data_dir=folder, controllers=("none",), token_auth_file=tokens)
    drain = trio.Event()
    wire = WireConfig(
        bind=["127.0.0.1:0"],
        certificate_file=str(credentials.serving.certificate),
        key_file=str(credentials.serving.key),
        client_ca_file=str(credentials.ca.certificate),
        drain=drain,
    )
    with Store.open(folder) as store:
        app = build(config, store, credentials, clock=now_us, new_uid=new_uid, new_suffix=new_suffix, draining=drain)
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(partial(serve, wire, app.handler))
            port = int(address.rpartition(":")[2])
            await app.start(nursery, port)
            common = {"port": port, "ca": wire.client_ca_file, "connections": 32, "path": MAPS, "prefix": "a"}
            load = partial(run_load, common)
            await load(what="create", token="admin-token", count=100)
            for path, body in (("clusterroles", ROLE), ("clusterrolebindings", BINDING)):
                await trio.to_thread.run_sync(post, port, wire.client_ca_file, RBAC + path, body)
            gc.freeze()
            for http2 in (False, True):
                get = partial(load, what="get", token="dev-token", objects=100, http2=http2)
                await get(seconds=1)
                await report(get, seconds, "HTTP/2" if http2 else "HTTP/1.1")
            drain.set()
            await app.stop()
            nursery.cancel_scope.cancel()


async def report(get: Any, seconds: float, title: str) -> None:
    begun = time.process_time()
    done = (await get(seconds=seconds))["done"]
    us = (time.process_time() - begun) / done * 1e6
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    profiled = (await get(seconds=seconds))["done"]
    profile.disable()
    times, calls = by_room(pstats.Stats(profile))
    total = sum(times.values())
    print(f"\n{title}: {us:.0f} us of CPU and {sum(calls.values()) / profiled:.0f} calls a request")
    for room, spent in times.most_common():
        print(f"  {room:<14}{spent / total:>6.0%}{spent / total * us:>8.0f} us{calls[room] / profiled:>8.0f} calls")


def by_room(stats: Any) -> tuple[Counter[str], Counter[str]]:
    """Seconds and calls by room or library; of C functions, by that of their callers."""
    times: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for (file, _, _), (_, count, own, _, callers) in stats.stats.items():
        if file != "~":
            times[room_of(file)] += own
            calls[room_of(file)] += count
            continue
        for (caller, _, _), (_, count_from, own_from, _) in callers.items():
            times[room_of(caller)] += own_from
            calls[room_of(caller)] += count_from
    return times, calls


def room_of(file: str) -> str:
    if file.startswith(OURS):
        return file.removeprefix(OURS).partition("/")[0]
    return next((name for part, name in LIBRARIES.items() if part in file), "other")


async def run_load(common: dict[str, Any], **spec: Any) -> dict[str, Any]:
    made = await trio.run_process(LOAD, stdin=json.dumps(common | spec).encode(), capture_stdout=True)
    told: dict[str, Any] = json.loads(made.stdout)
    if told.get("errors"):
        raise SystemExit(f"{told['errors']} of {spec['what']} failed: {told['first_error']}")
    return told


def post(port: int, ca: str, path: str, body: object) -> None:
    connection = http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=ca))
    headers = {"Authorization": "Bearer admin-token", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    assert connection.getresponse().status == 201
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trio.run(measure, Path(folder), asked.seconds)


if __name__ == "__main__":
    main()
