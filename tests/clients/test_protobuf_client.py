"""What Go clients send: protobuf bodies over one HTTP/2 connection, and informers that ask for a list in a watch."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import h2.connection
import h2.events
import pytest

from ledger.apimachinery.resource import GVK
from ledger.scheme import protobuf
from tests.served import Served

PROTOBUF = "application/vnd.kubernetes.protobuf"
WATCH = f"{PROTOBUF};stream=watch"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
INFORMER = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
Object = dict[str, Any]


class GoClient:
    """One HTTP/2 connection of the admin's, on which requests and watches go side by side."""

    def __init__(self, server: Served) -> None:
        context = ssl.create_default_context(cafile=str(server.ca))
        context.load_cert_chain(server.data_dir / "pki" / "admin.crt", server.data_dir / "pki" / "admin.key")
        context.set_alpn_protocols(["h2", "http/1.1"])
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.http2 = h2.connection.H2Connection()
        self.http2.initiate_connection()
        self.heads: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()

    def ask(self, line: str, obj: Object | None = None, accept: str = f"{PROTOBUF},application/json") -> int:
        """Sends "METHOD PATH" with an object as protobuf; the stream its answer comes on."""
        method, path = line.split()
        stream = self.http2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        fields += [("accept", accept), ("content-type", PROTOBUF)]
        self.http2.send_headers(stream, fields, end_stream=obj is None)
        if obj is not None:
            self.http2.send_data(stream, encoded(obj), end_stream=True)
        self.socket.sendall(self.http2.data_to_send())
        self.bodies[stream] = b""
        return stream

    def answer(self, stream: int) -> tuple[int, Object]:
        """The status and the object, which has to be in protobuf."""
        while stream not in self.ended:
            self.receive()
        assert self.heads[stream]["content-type"] == PROTOBUF, self.bodies[stream]
        return int(self.heads[stream][":status"]), decoded(self.bodies[stream])

    def events(self, stream: int) -> Iterator[tuple[str, Object]]:
        """The events of a watch, each a length and a WatchEvent."""
        while True:
            while (
                len(self.bodies[stream]) < 4 + int.from_bytes(self.bodies[stream][:4], "big") or not self.bodies[stream]
            ):
                self.receive()
            assert self.heads[stream]["content-type"] == WATCH
            size = 4 + int.from_bytes(self.bodies[stream][:4], "big")
            frame, self.bodies[stream] = self.bodies[stream][4:size], self.bodies[stream][size:]
            kind, raw_extension = fields_of(frame)
            yield kind.decode(), decoded(fields_of(raw_extension)[0])

    def receive(self) -> None:
        data = self.socket.recv(1 << 16)
        assert data, "the server closed the connection"
        for event in self.http2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.heads[event.stream_id] = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += event.data
                self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                self.ended.add(event.stream_id)
        self.socket.sendall(self.http2.data_to_send())


def gvk_of(version: str, kind: str) -> GVK:
    group, _, bare = version.rpartition("/")
    return GVK(group, bare, kind)


def encoded(obj: Object) -> bytes:
    body = protobuf.encode(gvk_of(obj["apiVersion"], obj["kind"]), obj)
    assert body is not None
    return body


def decoded(body: bytes) -> Object:
    version, kind, raw = protobuf.open_envelope(body)
    return {"apiVersion": version, "kind": kind, **protobuf.decode(gvk_of(version, kind), raw)}


def fields_of(message: bytes) -> list[bytes]:
    """The length-delimited fields of a message that has no others, in order."""
    found, at = [], 0
    while at < len(message):
        assert message[at] & 7 == 2
        at, size, shift = at + 1, 0, 0
        while True:
            byte = message[at]
            size, at, shift = size | (byte & 127) << shift, at + 1, shift + 7
            if byte < 128:
                break
        found.append(message[at : at + size])
        at += size
    return found


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoClient]:
    flags = ("--durability", "relaxed", "--controllers", "none")
    with Served(tmp_path_factory.mktemp("served") / "data", *flags) as server:
        yield GoClient(server)


def configmap(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str) -> Object:
    labels = {"app": name}
    containers = [{"name": "c", "image": "nginx", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


SERVICE_SPEC = {"ports": [{"port": 80, "targetPort": "http"}]}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": SERVICE_SPEC}
ROLE_RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


@pytest.mark.parametrize("path, obj, where, what", [
    (CONFIGMAPS, configmap("text", key="value"), ("data", "key"), "value"),
    (CONFIGMAPS, configmap("none"), ("metadata", "namespace"), "default"),
    ("/apis/apps/v1/namespaces/default/deployments", deployment("web"), ("spec", "strategy", "type"), "RollingUpdate"),
    ("/api/v1/namespaces/default/services", SERVICE, ("spec", "ports", 0, "targetPort"), "http"),
    ("/api/v1/namespaces/default/secrets",
     {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "AAH/"}}, ("data", "k"), "AAH/"),
    ("/apis/rbac.authorization.k8s.io/v1/clusterroles",
     {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [ROLE_RULE]},
     ("rules", 0, "verbs"), ["get"]),
    ("/apis/coordination.k8s.io/v1/namespaces/default/leases",
     {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
      "spec": {"holderIdentity": "me", "renewTime": "2026-11-23T10:00:00.123456Z"}},
     ("spec", "renewTime"), "2026-11-23T10:00:00.123456Z"),
])  # fmt: skip
def test_objects_go_in_and_come_out_as_protobuf(
    client: GoClient, path: str, obj: Object, where: tuple[str | int, ...], what: object
) -> None:
    status, made = client.answer(client.ask(f"POST {path}", obj))
    assert status == 201, made
    found: Any = made
    for step in where:
        found = found[step]
    assert found == what
    assert (made["apiVersion"], made["kind"]) == (obj["apiVersion"], obj["kind"])
    target = f"{path}/{obj['metadata']['name']}"
    assert client.answer(client.ask(f"GET {target}")) == (200, made)
    assert client.answer(client.ask(f"PUT {target}", made)) == (200, made)  # unchanged: not even its revision


@pytest.mark.parametrize("line, obj, status, reason", [
    (f"GET {CONFIGMAPS}/nobody",  None,              404, "NotFound"),
    (f"POST {CONFIGMAPS}",        configmap("Bad_"), 422, "Invalid"),
    (f"PUT {CONFIGMAPS}/other",   configmap("name"), 400, "BadRequest"),
])  # fmt: skip
def test_refusals_are_protobuf_as_well(
    client: GoClient, line: str, obj: Object | None, status: int, reason: str
) -> None:
    found, refusal = client.answer(client.ask(line, obj))
    assert (found, refusal["kind"], refusal["reason"], refusal["code"]) == (status, "Status", reason, status)


def test_an_informer_gets_its_list_in_the_watch_and_goes_on(client: GoClient) -> None:
    path = "/api/v1/namespaces/kube-public/configmaps"
    for name in ("a", "b"):
        assert client.answer(client.ask(f"POST {path}", configmap(name)))[0] == 201
    events = client.events(client.ask(f"GET {path}?{INFORMER}", accept=WATCH))
    initial = [next(events) for _ in range(3)]
    assert [(kind, obj["metadata"].get("name", "")) for kind, obj in initial] == [
        ("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", ""),
    ]  # fmt: skip
    assert initial[2][1]["metadata"]["annotations"] == {INITIAL_EVENTS_END: "true"}
    _, made = client.answer(client.ask(f"POST {path}", configmap("c", n="1")))
    client.answer(client.ask(f"PUT {path}/c", made | {"data": {"n": "2"}}))
    client.answer(client.ask(f"DELETE {path}/c"))
    told = [next(events) for _ in range(3)]
    assert [(kind, obj["data"]["n"]) for kind, obj in told] == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]
    revisions = [int(obj["metadata"]["resourceVersion"]) for _, obj in (initial[2], *told)]
    assert revisions == sorted(set(revisions))


def test_an_empty_collection_ends_its_initial_events_too(client: GoClient) -> None:
    path = "/api/v1/namespaces/kube-node-lease/configmaps"
    events = client.events(client.ask(f"GET {path}?{INFORMER}", accept=WATCH))
    kind, bookmark = next(events)
    assert (kind, bookmark["metadata"]["annotations"]) == ("BOOKMARK", {INITIAL_EVENTS_END: "true"})
