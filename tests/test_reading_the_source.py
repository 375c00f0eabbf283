"""docs/reading-the-source.md against the code: the page's steps occur in the trace of a real request, in that order."""

from __future__ import annotations

import http.client
import json
import random
import re
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
import trio

import ledger
from ledger.auth.certificates import Credentials, ensure_credentials
from ledger.projections.store import Store
from ledger.server.app import build
from ledger.server.config import Config
from ledger.server.serve import new_suffix, new_uid, now_us
from ledger.wire.config import WireConfig
from ledger.wire.listener import serve

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reading-the-source.md"
STEP = re.compile(r"^\d+\. `ledger/(\S+\.py): ([\w.]+)`", re.MULTILINE)
SOURCE = str(Path(ledger.__file__).parent) + "/"

ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web"},
    "spec": {"containers": [{"name": "web", "image": "nginx"}]},
}

Step = tuple[str, str]  # file below ledger/, function


def steps_of_the_page() -> list[Step]:
    return [(file, function) for file, function in STEP.findall(PAGE.read_text())]


class Recording:
    """Calls of functions in ledger/, in the order of their beginning, while `on`. All threads that begin later count."""

    def __init__(self) -> None:
        self.on = False
        self.calls: list[Step] = []

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if self.on and event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            code = frame.f_code
            self.calls.append((code.co_filename.removeprefix(SOURCE), code.co_qualname.replace(".<locals>", "")))


@contextmanager
def recording() -> Iterator[Recording]:
    found = Recording()
    threading.setprofile(found)
    sys.setprofile(found)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def post(connection: http.client.HTTPSConnection, path: str, body: object) -> int:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    return response.status


def connection_of_the_admin(address: str, credentials: Credentials) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(credentials.ca.certificate))
    context.load_cert_chain(credentials.admin.certificate, credentials.admin.key)
    host, _, port = address.rpartition(":")
    return http.client.HTTPSConnection(host, int(port), context=context, timeout=20)


async def post_a_pod(data_dir: Path, found: Recording) -> int:
    """Runs a whole server, creates a pod over TLS, and records what that one request calls; its status."""
    credentials = ensure_credentials(data_dir / "pki")
    config = Config(data_dir=data_dir, controllers=("none",), shutdown_grace_s=1)
    drain = trio.Event()
    with Store.open(data_dir) as store:
        app = build(config, store, credentials, clock=now_us, new_uid=new_uid, new_suffix=new_suffix, draining=drain)
        wire = WireConfig(
            bind=["127.0.0.1:0"],
            certificate_file=str(credentials.serving.certificate),
            key_file=str(credentials.serving.key),
            client_ca_file=str(credentials.ca.certificate),
            drain=drain,
            grace_s=1,
        )
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(partial(serve, wire, app.handler))
            await app.start(nursery, int(address.rpartition(":")[2]))
            connection = connection_of_the_admin(address, credentials)
            ask = partial(trio.to_thread.run_sync, post, connection)
            assert await ask("/api/v1/namespaces/default/serviceaccounts", ACCOUNT) in (201, 409)
            found.on = True
            status = await ask("/api/v1/namespaces/default/pods", POD)
            found.on = False
            connection.close()
            drain.set()
            nursery.cancel_scope.deadline = trio.current_time() + 2
            await app.stop()
    return status


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    with recording() as found:
        assert trio.run(post_a_pod, tmp_path_factory.mktemp("ledger"), found) == 201
    return found.calls


def test_every_step_of_the_page_is_taken_in_that_order(trace: list[Step]) -> None:
    remaining = iter(trace)
    for step in steps_of_the_page():
        assert step in remaining, f"{step} does not come where the page has it" + (
            "" if step in trace else ": it is not called at all"
        )


def test_the_page_passes_through_every_room_that_a_write_needs() -> None:
    rooms = {file.partition("/")[0] for file, _ in steps_of_the_page()}
    assert rooms >= {"wire", "pipeline", "auth", "handlers", "scheme", "admission", "registry", "log", "projections"}


def test_two_steps_exchanged_would_be_noticed(trace: list[Step]) -> None:
    steps = steps_of_the_page()
    seed = random.randrange(1 << 32)
    print("seed", seed)
    place = random.Random(seed).randrange(len(steps) - 1)
    first, second = steps[place], steps[place + 1]
    assert trace.index(first) < trace.index(second)
