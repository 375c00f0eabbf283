"""`ledger serve --workers 2`, as processes: who answers what, that each request leaves one event, and every way to die."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.apimachinery.http import Headers, Request
from ledger.apimachinery.resource import Key
from ledger.projections.store import Store
from ledger.registry.api_services import ApiServices
from ledger.replay.verify import verify
from ledger.server.worker import reads_of
from tests.served import STOP_S, Served

FLAGS = ("--workers", "2", "--controllers", "none", "--durability", "relaxed")
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CONNECTIONS = 6


async def no_body() -> bytes:
    return b""


@pytest.mark.parametrize(
    "line, here",
    [
        ("GET    /api/v1/pods", True),
        ("GET    /api/v1/namespaces/ns/pods/a", True),
        ("GET    /apis/apps/v1/namespaces/ns/deployments/a/scale", True),
        ("GET    /apis/example.com/v1/namespaces/ns/widgets/a/status", True),
        ("GET    /at/890/api/v1/pods", True),
        ("GET    /api/v1/watch/pods", True),
        ("GET    /apis", True),
        ("GET    /openapi/v3", True),
        ("GET    /version", True),
        ("HEAD   /api/v1/pods", False),
        ("POST   /api/v1/namespaces/ns/pods", False),
        ("DELETE /api/v1/namespaces/ns/pods/a", False),
        ("GET    /api/v1/namespaces/ns/pods/a/log", False),
        ("GET    /api/v1/namespaces/ns/pods/a/exec", False),
        ("GET    /api/v1/namespaces/ns/services/a/proxy/x", False),
        ("GET    /api/v1/proxy/nodes/a", False),
        ("GET    /api/v1/watch", False),
        ("GET    /readyz", False),
        ("GET    /metrics", False),
        ("GET    /.well-known/openid-configuration", False),
        ("GET    /ledger/", False),
    ],
)
def test_what_a_worker_answers_itself(line: str, here: bool) -> None:
    method, path = line.split()
    assert reads_of(ApiServices())(Request(method, path, "", Headers(), no_body)) is here


def test_what_concerns_an_extension_server_is_the_writers() -> None:
    services = ApiServices()
    spec = {"group": "ext.example.com", "version": "v1", "service": {"namespace": "ns", "name": "s"}}
    name = "v1.ext.example.com"
    services.load(
        [(Key("apiregistration.k8s.io", "apiservices", "", name), {"metadata": {"name": name}, "spec": spec})]
    )
    here = reads_of(services)

    def answered_here(path: str) -> bool:
        return here(Request("GET", path, "", Headers(), no_body))

    assert answered_here("/api/v1/pods")
    assert not answered_here("/apis/ext.example.com/v1/things")
    assert not answered_here("/apis")


@contextlib.contextmanager
def serving(data_dir: Path, *flags: str) -> Iterator[Served]:
    with Served(data_dir, *FLAGS, *flags) as server:
        yield server


def workers_of(server: Served) -> list[int]:
    tasks = Path(f"/proc/{server.process.pid}/task").iterdir()  # a process is the child of the thread that began it
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]


class Client:
    """One connection, so that all it asks goes to the same worker."""

    def __init__(self, server: Served, **headers: str) -> None:
        self.connection = server.connect(admin=not headers)
        self.headers = {"Content-Type": "application/json"} | headers
        self.connection.connect()

    def ask(self, line: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        method, path = line.split()
        sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        self.connection.request(method, path, sent, self.headers | headers)
        response = self.connection.getresponse()
        answer = response.read()
        is_json = (response.getheader("Content-Type") or "").startswith("application/json")
        return response.status, json.loads(answer) if is_json and answer else answer


def clients(server: Served, count: int = CONNECTIONS, **headers: str) -> list[Client]:
    """Connections to all workers."""
    found = [Client(server, **headers) for _ in range(count)]
    for one in found:
        one.ask("GET /version")
    return found


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"k": "v"}} | more


def test_whoever_is_asked_knows_what_was_written_before(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text("secret,jane,jane\n")
    with serving(tmp_path / "data", "--token-auth-file", str(tokens)) as server:
        admins, janes = clients(server), clients(server, Authorization="Bearer secret")
        for number, writer in enumerate(admins):
            status, made = writer.ask(f"POST {CONFIGMAPS}", config_map(f"a{number}"))
            assert status == 201
            for reader in admins:
                assert reader.ask(f"GET {CONFIGMAPS}/a{number}") == (200, made)
                status, listed = reader.ask(f"GET {CONFIGMAPS}?labelSelector=!none")
                names = [one["metadata"]["name"] for one in listed["items"]]
                assert (status, names) == (
                    200,
                    [*(f"a{n}" for n in range(number + 1)), "kube-root-ca.crt"][: len(names)],
                )
                assert f"a{number}" in names
        role = {
            "metadata": {"name": "reads"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
        }
        assert admins[0].ask(f"POST {RBAC}/clusterroles", role)[0] == 201
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads"}
        binding = {"metadata": {"name": "reads"}, "roleRef": reference, "subjects": [{"kind": "User", "name": "jane"}]}
        assert [one.ask(f"GET {CONFIGMAPS}/a0")[0] for one in janes] == [403] * len(janes)
        assert admins[1].ask(f"POST {RBAC}/clusterrolebindings", binding)[0] == 201
        assert [one.ask(f"GET {CONFIGMAPS}/a0")[0] for one in janes] == [200] * len(janes)
        assert admins[2].ask(f"DELETE {RBAC}/clusterrolebindings/reads")[0] == 200
        assert [one.ask(f"GET {CONFIGMAPS}/a0")[0] for one in janes] == [403] * len(janes)


def test_a_new_kind_is_served_by_all_at_once(tmp_path: Path) -> None:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {"group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"}}
    crd = {"metadata": {"name": "widgets.example.com"}, "spec": spec | {"versions": [version]}}
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    with serving(tmp_path / "data") as server:
        all_of_them = clients(server)
        assert all_of_them[0].ask(f"POST {crds}", crd)[0] == 201
        established = False
        while not established:
            crd = all_of_them[0].ask(f"GET {crds}/widgets.example.com")[1]
            conditions = crd["status"]["conditions"] or ()
            established = any((one["type"], one["status"]) == ("Established", "True") for one in conditions)
        widgets = "/apis/example.com/v1/namespaces/default/widgets"
        assert [one.ask(f"GET {widgets}")[0] for one in all_of_them] == [200] * CONNECTIONS
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        assert all_of_them[1].ask(f"POST {widgets}", widget)[0] == 201
        assert [one.ask(f"GET {widgets}/w")[0] for one in all_of_them] == [200] * CONNECTIONS


def test_every_watch_tells_every_change_in_order(tmp_path: Path) -> None:
    changes = 60
    with serving(tmp_path / "data") as server:
        admins = clients(server)
        head = admins[0].ask(f"GET {CONFIGMAPS}")[1]["metadata"]["resourceVersion"]
        watches = [server.connect() for _ in range(CONNECTIONS)]
        answers = []
        for watch in watches:
            watch.request("GET", f"{CONFIGMAPS}?watch=1&resourceVersion={head}")
            answers.append(watch.getresponse())
        written = []
        for number in range(changes):
            body = config_map(f"a{number % 7}", data={"n": str(number)})
            line = f"POST {CONFIGMAPS}" if number < 7 else f"PUT {CONFIGMAPS}/a{number % 7}"
            status, made = admins[number % CONNECTIONS].ask(line, body)
            assert status in (200, 201)
            written.append((made["metadata"]["name"], made["metadata"]["resourceVersion"]))
        for answer in answers:
            events = [json.loads(answer.readline()) for _ in range(changes)]
            metadata = [one["object"]["metadata"] for one in events]
            assert [(one["name"], one["resourceVersion"]) for one in metadata] == written
            assert [one["type"] for one in events] == ["ADDED"] * 7 + ["MODIFIED"] * (changes - 7)


def test_connections_go_to_all_workers(tmp_path: Path) -> None:
    """Long-lived ones do not all stay with whoever wakes first; by turns, but for what a busy machine does to that."""
    with serving(tmp_path / "data") as server:
        before = [files_of(pid) for pid in workers_of(server)]
        kept, held = [], [0]
        while min(held) < 3 and len(kept) < 200:
            kept += clients(server, 4)
            held = [len(files_of(pid) - then) for pid, then in zip(workers_of(server), before, strict=True)]
        assert len(kept) <= sum(held) and min(held) >= 3, held


def files_of(pid: int) -> set[str]:
    """The sockets of a process, by what /proc says of them."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(each)
            if target.startswith("socket:"):
                found.add(target)
    return found


def events_by_audit_id(data_dir: Path) -> dict[str, list[int]]:
    """The codes of the events of each audit id; opening the log takes over what is in journals."""
    found: dict[str, list[int]] = {}
    with Store.open(data_dir) as store:
        assert verify(store).intact
        for event in store.events():
            found.setdefault(event.audit_id, []).append(event.code)
    return found


def asked_in_many_ways(client: Client, mark: str) -> dict[str, int]:
    """Requests with audit ids of their own: what each was answered."""
    too_large = b'{"metadata":{"name":"%s"}}' + b" " * (4 << 20)
    lines: list[tuple[str, Any]] = [
        ("GET /api/v1/namespaces/default", None),
        (f"GET {CONFIGMAPS}", None),
        ("GET /api/v1/namespaces/none", None),
        ("GET /apis", None),
        ("GET /nonsense", None),
        ("GET /readyz", None),
        ("HEAD /api/v1/namespaces", None),
        (f"POST {CONFIGMAPS}", config_map(f"small-{mark}")),
        (f"POST {CONFIGMAPS}", config_map(f"large-{mark}", data={"k": "v" * 100_000})),
        (f"POST {CONFIGMAPS}", b"no json"),
        (f"POST {CONFIGMAPS}", too_large),
        (f"DELETE {CONFIGMAPS}/small-{mark}", None),
        ("GET /api/v1/namespaces/default/pods/none/log", None),
    ]
    answered = {}
    for number, (line, body) in enumerate(lines):
        audit_id = f"{mark}-{number:04}"
        with contextlib.suppress(OSError, http.client.HTTPException):  # cut off while it sent too much
            answered[audit_id] = client.ask(line, body, **{"Audit-Id": audit_id})[0]
        client.connection.close()  # the answer to what is too large ends it; the next request opens another
    return answered


def test_every_request_leaves_one_event(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        answered = {}
        for number in range(4):
            answered |= asked_in_many_ways(Client(server), f"w{number}")
        codes = sorted(answered.values())
        assert codes.count(200) >= 20 and {201, 400, 404, 413} <= set(codes), codes
        assert server.stop() == (0, "")
        assert not (tmp_path / "data" / "ledger.socket").exists()
    found = events_by_audit_id(tmp_path / "data")
    assert {audit_id: found.get(audit_id) for audit_id in answered} == {one: [code] for one, code in answered.items()}


def test_what_the_writer_is_told_of_a_client_no_client_can_tell(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        pem = (tmp_path / "data" / "pki" / "admin.crt").read_text()
        forged = base64.b64encode(base64.b64decode("".join(pem.split("-----")[2].split()))).decode()
        nobody = Client(server, **{"Audit-Id": "forged", "X-Ledger-Certificate": forged, "X-Ledger-Client": "10.1.2.3"})
        assert nobody.ask(f"POST {CONFIGMAPS}", config_map("a"))[0] == 403
        assert server.stop() == (0, "")
    with Store.open(tmp_path / "data") as store:
        (event,) = store.events_with_audit_id("forged")
        assert (event.user.name, event.source_ips) == ("system:anonymous", ("127.0.0.1",))


def test_a_killed_worker_is_replaced_and_its_events_are_kept(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        before = workers_of(server)
        assert len(before) == 2
        answered = {}
        for round_, victim in enumerate(before):
            for number, client in enumerate(clients(server, 4)):
                for repeat in range(5):
                    audit_id = f"r{round_}-{number}-{repeat}"
                    answered[audit_id] = client.ask("GET /api/v1/namespaces", **{"Audit-Id": audit_id})[0]
            with dying(victim):
                os.kill(victim, signal.SIGKILL)
        while len(set(workers_of(server)) - set(before)) < 2 or server.ask("GET /readyz")[0] != 200:
            server.process.poll()
        assert server.ask(f"POST {CONFIGMAPS}", config_map("a"))[0] == 201
        status, errors = server.stop()
        assert (status, errors.count("it is started again")) == (0, 2)
    found = events_by_audit_id(tmp_path / "data")
    assert {one: found.get(one) for one in answered} == {one: [200] for one in answered}


def test_when_the_writer_is_killed_the_workers_end_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        answered = {}
        for number, client in enumerate(clients(server)):
            audit_id = f"write-{number}"
            answered[audit_id] = client.ask(f"POST {CONFIGMAPS}", config_map(f"a{number}"), **{"Audit-Id": audit_id})[0]
            for repeat in range(10):
                audit_id = f"read-{number}-{repeat}"
                answered[audit_id] = client.ask(f"GET {CONFIGMAPS}/a{number}", **{"Audit-Id": audit_id})[0]
        assert set(answered.values()) == {200, 201}
        with contextlib.ExitStack() as ends:
            for worker in workers_of(server):
                ends.enter_context(dying(worker))
            server.process.send_signal(signal.SIGKILL)
    found = events_by_audit_id(tmp_path / "data")
    assert {one: found.get(one) for one in answered} == {one: [code] for one, code in answered.items()}
    with serving(tmp_path / "data") as server:
        assert server.ask(f"GET {CONFIGMAPS}/a0")[0] == 200
        assert server.stop() == (0, "")


@contextlib.contextmanager
def dying(pid: int) -> Iterator[None]:
    """Leaving it waits until that process is gone."""
    process = os.pidfd_open(pid)
    try:
        yield
        poll = select.poll()
        poll.register(process, select.POLLIN)
        assert poll.poll(STOP_S * 1000), f"process {pid} goes on"
    finally:
        os.close(process)


def test_it_ends_in_order(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--shutdown-delay-duration", "100ms") as server:
        watch, idle = server.connect(), Client(server)
        watch.request("GET", f"{CONFIGMAPS}?watch=1&resourceVersion=0")
        answer = watch.getresponse()
        assert idle.ask("GET /readyz") == (200, b"ok")
        workers = workers_of(server)
        with contextlib.ExitStack() as ends:
            for worker in workers:
                ends.enter_context(dying(worker))
            assert server.stop() == (0, "")
        assert answer.read() == b""  # to its end, which is a proper one
        with pytest.raises(OSError, match="refused"):
            server.connect().connect()


def test_a_socket_with_a_long_name_is_reached_as_well(tmp_path: Path) -> None:
    deep = tmp_path / ("long-" * 20) / "data"
    with serving(deep) as server:
        assert server.ask(f"POST {CONFIGMAPS}", config_map("a"))[0] == 201
        assert server.ask("GET /metrics")[1].count("apiserver_request_total{") >= 1
        assert server.stop() == (0, "")
