"""pods/log, exec, attach, portforward and the proxies, against a kubelet and a pod that the test plays."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.outside.servers import Asked, Line, Server, own_address, server_context
from tests.served import Served
from tests.wire.wire_server import Certificates

PODS = "/api/v1/namespaces/default/pods"
ADDRESS = own_address()
needs_address = pytest.mark.skipif(
    not ADDRESS, reason="only loopback addresses here, to which no proxy of Kubernetes connects"
)
PAGE = b'<!DOCTYPE html><A HREF="/x?a=1&amp;b=2">one</A><img src=\'rel.png\'><script>"<a href=\\"/no\\">"</script>'


def kubelet(line: Line, asked: Asked) -> None:
    """Logs, and streams that are echoed in capitals."""
    path = asked.target.partition("?")[0]
    if path.startswith("/containerLogs/") and "follow=true" in asked.target:
        line.answer(200, b"", "Content-Type: text/plain", "Transfer-Encoding: chunked")
        line.chunks(b"one\n", b"two\n")
        if "tailLines=0" not in asked.target:
            line.chunks(b"")
        else:
            line.until(b"never")
    elif path.startswith("/containerLogs/") and "limitBytes=404" in asked.target:
        line.answer(404, b'the server could not find the requested resource ( pods "a" )')
    elif path.startswith("/containerLogs/"):
        line.answer(200, b"a line of the log\n", "Content-Type: text/plain")
    elif asked.headers.get("upgrade") == "SPDY/3.1" and "command=no" not in asked.target:
        line.answer(
            101, b"early", "Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io"
        )
        while data := line.some():
            line.send(data.upper())
    elif asked.headers.get("upgrade"):
        line.answer(403, b"you may not", "Content-Type: text/plain")
    else:
        line.answer(200, f"{asked.method} {asked.target}".encode())


def pod(line: Line, asked: Asked) -> None:
    """A web server in a pod."""
    path, _, query = asked.target.partition("?")
    if path == "/page":
        line.answer(200, PAGE, "Content-Type: text/html; charset=utf-8", "Access-Control-Allow-Origin: *")
    elif path == "/zipped":
        line.answer(200, gzip.compress(PAGE), "Content-Type: text/html", "Content-Encoding: gzip")
    elif path == "/moved":
        line.answer(302, b"", f"Location: {query}")
    elif path == "/broken":
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        line.socket.shutdown(socket.SHUT_RDWR)
    elif path == "/chatty":  # a body where none may be, and an answer to nothing
        line.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nunaskedHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        )
    elif path == "/gone":
        line.socket.shutdown(socket.SHUT_RDWR)
    elif path == "/stream":
        line.answer(200, b"", "Transfer-Encoding: chunked", "X-More: 1")
        line.chunks(b"one ", b"two", b"")
    else:
        line.answer(201 if asked.method == "POST" else 200, asked.body, f"X-Asked: {asked.method} {asked.target}")


@dataclass
class World:
    served: Served
    kubelet: Server
    pod: Server
    secure_pod: Server

    def raw(self, head: str) -> ssl.SSLSocket:
        """A connection on which this head was sent, with Host and credentials."""
        context = ssl.create_default_context(cafile=str(self.served.ca))
        pki = self.served.data_dir / "pki"
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        plain = socket.create_connection(("127.0.0.1", self.served.port), timeout=20)
        secure = context.wrap_socket(plain, server_hostname="127.0.0.1")
        secure.sendall(("\r\n".join([*head.split("\n"), "Host: ledger", "", ""])).encode())
        return secure

    def answer(self, line: str, body: Any = None, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self.served.connect()
        method, path = line.split()
        connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        found = response.read()
        connection.close()
        return response, found


@pytest.fixture(scope="module", params=[(), ("--workers", "2")], ids=["alone", "workers"])
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("outside")
    certificates = Certificates(folder)
    crt, key = certificates.files("client")
    ca = certificates.files("ca")[0]
    flags = ("--kubelet-client-certificate", crt, "--kubelet-client-key", key, "--kubelet-certificate-authority", ca)
    context = server_context(certificates, clients=Path(ca))
    where = ADDRESS or "127.0.0.1"
    with (
        Server(kubelet, "127.0.0.1", context) as node,
        Server(pod, where) as web,
        Server(pod, where, server_context(certificates, "stranger")) as secure,
        Served(folder / "data", "--controllers", "none", *flags, *request.param) as served,
    ):
        world = World(served, node, web, secure)
        populate(world)
        yield world


def populate(world: World) -> None:
    ask = world.served.ask
    for name, port in (("here", world.kubelet.port), ("dead", 1), ("lost", 0)):
        assert ask("POST /api/v1/nodes", {"metadata": {"name": name}})[0] == 201
        addresses = [{"type": "Hostname", "address": "localhost"}] if port else [{"type": "Odd", "address": "x"}]
        status = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
        assert ask(f"PUT /api/v1/nodes/{name}/status", {"metadata": {"name": name}, "status": status})[0] == 200
    ask("POST /api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    for name, node in (("a", "here"), ("dead", "dead"), ("lost", "lost"), ("waiting", "")):
        container = {"name": "c", "image": "i", "ports": [{"containerPort": world.pod.port}]}
        body = {"metadata": {"name": name}, "spec": {"containers": [container], **({"nodeName": node} if node else {})}}
        assert ask(f"POST {PODS}", body)[0] == 201
    address = ADDRESS or "127.0.0.1"
    status = {"podIP": address, "podIPs": [{"ip": address}]}
    assert ask(f"PUT {PODS}/a/status", {"metadata": {"name": "a"}, "status": status})[0] == 200
    ports = [{"name": "web", "port": 80}, {"name": "tls", "port": 443}]
    service = {"metadata": {"name": "s"}, "spec": {"ports": ports}}
    assert ask("POST /api/v1/namespaces/default/services", service)[0] == 201
    if ADDRESS:
        reference = {"kind": "Pod", "name": "a", "namespace": "default"}
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        numbers = [{"name": "web", "port": world.pod.port}, {"name": "tls", "port": world.secure_pod.port}]
        body = {
            "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
            "addressType": "IPv4", "ports": numbers, "endpoints": [{"addresses": [ADDRESS], "targetRef": reference}],
        }  # fmt: skip
        assert ask(f"POST {slices}", body)[0] == 201


# -- logs


def test_a_log_is_the_kubelets(world: World) -> None:
    response, text = world.answer(f"GET {PODS}/a/log?tailLines=5&timestamps=true&sinceTime=2026-01-01T01:00:00%2B01:00")
    assert (response.status, response.getheader("content-type"), text) == (200, "text/plain", b"a line of the log\n")
    asked = world.kubelet.asked[-1]
    assert asked.target == "/containerLogs/default/a/c?sinceTime=2026-01-01T00%3A00%3A00Z&tailLines=5&timestamps=true"
    assert asked.certificate == "client"


def test_a_log_is_followed_as_it_grows(world: World) -> None:
    response, text = world.answer(f"GET {PODS}/a/log?follow=true")
    assert (response.status, text) == (200, b"one\ntwo\n")
    connection = world.served.connect()
    connection.request("GET", f"{PODS}/a/log?follow=true&tailLines=0")
    response = connection.getresponse()
    assert response.read(8) == b"one\ntwo\n"  # and the rest is not there yet
    connection.close()


NOBODY = "dial tcp 127.0.0.1:1: connect: connection refused"
REFUSALS = [
    # request                                        code  message
    (f"GET {PODS}/waiting/log",                       204, ""),
    (f"GET {PODS}/none/log",                          404, 'pods "none" not found'),
    (f"GET {PODS}/a/log?container=x",                 400, "container x is not valid for pod a"),
    (f"GET {PODS}/lost/log",                          500, "no preferred addresses found; known addresses: [{Odd x}]"),
    (f"GET {PODS}/dead/log",                          500, f'Get "https://localhost:1/containerLogs/default/dead/c": {NOBODY}'),
    (f"GET {PODS}/a/log?limitBytes=404",              404, "the server could not find the requested resource ( pods/log a)"),
    (f"POST {PODS}/a/exec?command=ls",                400, "Upgrade request required"),
    (f"POST {PODS}/waiting/exec?command=ls",          400, "pod waiting does not have a host assigned"),
    (f"GET {PODS}/a/proxy/?dryRun=All",               400, "dryRun is not supported"),
    (f"GET {PODS}/waiting/proxy/",                    400, "address not allowed"),
    ("GET /api/v1/nodes/here/proxy/stats",            400, "address not allowed"),
    ("GET /api/v1/nodes/none/proxy/stats",            404, 'nodes "none" not found'),
    ("GET /api/v1/namespaces/default/services/s:81/proxy/", 503, 'no service port 81 found for service "s"'),
    ("GET /api/v1/namespaces/default/services/s:no/proxy/", 503, 'no endpoints available for service "s"'),
    ("GET /api/v1/namespaces/default/services/none/proxy/", 503, 'no endpoints available for service "none"'),
    (f"GET /at/1{PODS}/a/proxy/x",                    405, "/at/1 serves what was recorded; nodes can be asked only now"),
]  # fmt: skip


@pytest.mark.parametrize("line, code, message", REFUSALS)
def test_what_cannot_be_reached_is_refused_in_upstreams_words(world: World, line: str, code: int, message: str) -> None:
    status, answer = world.served.ask(line)
    assert (status, answer["message"] if answer else "") == (code, message)


# -- tunnels

UPGRADE = "POST {path} HTTP/1.1\nConnection: Upgrade\nUpgrade: SPDY/3.1\nX-Stream-Protocol-Version: v4.channel.k8s.io"


def _until(line: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        more = line.recv(1)
        assert more, data
        data += more
    return data


def test_exec_becomes_a_tunnel(world: World) -> None:
    head = UPGRADE.format(path=f"{PODS}/a/exec?command=z+b&command=c&stdin=true&stdout=1&container=c&tty=false")
    with world.raw(head) as line:
        answer = _until(line, b"\r\n\r\n").lower()
        assert answer.startswith(b"http/1.1 101") and b"x-stream-protocol-version: v4.channel.k8s.io" in answer
        assert _until(line, b"early") == b"early"
        for message in (b"\x80\x03 first", b"second" * 50_000):
            threading.Thread(target=line.sendall, args=(message,)).start()
            received = b""
            while len(received) < len(message):
                received += line.recv(65536)
            assert received == message.upper()
    asked = world.kubelet.asked[-1]
    assert asked.target == "/exec/default/a/c?command=z+b&command=c&input=1&output=1"
    assert asked.method == "POST" and asked.headers["x-forwarded-for"] == "127.0.0.1"
    assert "authorization" not in asked.headers and asked.certificate == "client"


def test_a_refused_upgrade_is_told_as_it_was_said(world: World) -> None:
    with world.raw(UPGRADE.format(path=f"{PODS}/a/exec?command=no")) as line:
        assert _until(line, b"you may not").startswith(b"HTTP/1.1 403")
    with world.raw(UPGRADE.format(path=f"{PODS}/dead/attach")) as line:
        answer = _until(line, b"refused")
        assert b"error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused" in answer


def test_a_portforward_asks_for_its_ports(world: World) -> None:
    with world.raw(UPGRADE.format(path=f"{PODS}/a/portforward?ports=80&ports=81")) as line:
        _until(line, b"early")
    assert world.kubelet.asked[-1].target == "/portForward/default/a?port=80%2C81"


def test_whoever_may_only_get_may_not_exec(world: World) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}]
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    world.served.ask(f"POST {roles}/roles", {"metadata": {"name": "getter"}, "rules": rules})
    binding = {
        "metadata": {"name": "getter"},
        "subjects": [{"kind": "User", "name": "bob"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "getter"},
    }
    world.served.ask(f"POST {roles}/rolebindings", binding)
    status, answer = world.served.ask(f"GET {PODS}/a/exec?command=ls", impersonate_user="bob")
    assert (status, answer["message"]) == (403, 'pods "a" is forbidden: ')
    status, answer = world.served.ask(f"POST {PODS}/a/exec?command=ls", impersonate_user="bob")
    assert status == 403 and 'cannot create resource "pods/exec"' in answer["message"]


def test_the_end_of_the_server_ends_tunnels(tmp_path: Path) -> None:
    context = server_context(Certificates(tmp_path))
    with Server(kubelet, "127.0.0.1", context) as node, Served(tmp_path / "data", "--controllers", "none") as served:
        world = World(served, node, node, node)
        populate(world)
        with world.raw(UPGRADE.format(path=f"{PODS}/a/exec?command=ls")) as line:
            _until(line, b"early")
            assert served.stop() == (0, "")
            assert line.recv(1) == b""


# -- proxies


@needs_address
@pytest.mark.parametrize(
    "place", ["pods/a", "pods/a:{port}", "services/s:80", "services/s:web", "services/https:s:443"]
)
def test_a_proxy_passes_everything_on(world: World, place: str) -> None:
    base = f"/api/v1/namespaces/default/{place.format(port=world.pod.port)}/proxy"
    server = world.secure_pod if "https" in place else world.pod
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        body = b"" if method in ("GET", "OPTIONS") else b"x" * 100_000
        response, found = world.answer(
            f"{method} {base}/some%20where/?b=2&a=1&a=%2F", body, x_mine="1", authorization="no"
        )
        assert response.status == (201 if method == "POST" else 200)
        assert response.getheader("x-asked") == f"{method} /some%20where/?b=2&a=1&a=%2F"
        assert found == body
        asked = server.asked[-1]
        assert asked.headers["x-mine"] == "1" and "authorization" not in asked.headers
        assert asked.headers["x-forwarded-uri"] == f"{base}/some%20where/"
        assert asked.headers["x-forwarded-for"] == "127.0.0.1"
    response, _ = world.answer(f"HEAD {base}/x")
    assert (response.status, response.getheader("x-asked")) == (200, "HEAD /x")


@needs_address
def test_a_body_of_any_length_streams_through(world: World) -> None:
    connection = world.served.connect()
    connection.request("POST", f"{PODS}/a/proxy/upload", iter([b"y" * 1_000_000] * 8), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    response = connection.getresponse()
    assert response.status == 201 and len(response.read()) == 8_000_000
    connection.close()
    response, found = world.answer(f"GET {PODS}/a/proxy/stream")
    assert (response.status, response.getheader("x-more"), found) == (200, "1", b"one two")


@needs_address
def test_pages_and_redirects_lead_through_the_proxy_again(world: World) -> None:
    base = f"{PODS}/a/proxy"
    turned = (
        f'<!DOCTYPE html><a href="{base}/x?a=1&amp;b=2">one</A><img src="rel.png"><script>"<a href=\\"/no\\">"</script>'
    ).encode()
    response, page = world.answer(f"GET {base}/page")
    assert (page, response.getheader("access-control-allow-origin")) == (turned, None)
    response, page = world.answer(f"GET {base}/zipped")
    assert gzip.decompress(page) == turned
    for given, wanted in [
        ("/there/", f"{base}/there/"), ("there", "there"), ("http://elsewhere/x", "http://elsewhere/x"),
        (f"http://{ADDRESS}:{world.pod.port}/x", f"{base}/x"), (f"{base}/x", f"{base}/x"),
    ]:  # fmt: skip
        response, _ = world.answer(f"GET {base}/moved?{given}")
        assert (response.status, response.getheader("location")) == (302, wanted)
    response, _ = world.answer(f"GET {base}?q=1")
    assert (response.status, response.getheader("location")) == (301, f"{base}/?q=1")


@needs_address
def test_a_pod_that_breaks_off_is_told(world: World) -> None:
    status, answer = world.served.ask(f"GET {PODS}/a/proxy/gone")
    assert (status, answer["reason"]) == (503, "ServiceUnavailable")
    assert answer["message"].startswith("error trying to reach service: ")
    with pytest.raises(http.client.IncompleteRead):
        world.answer(f"GET {PODS}/a/proxy/broken")
    assert world.answer(f"GET {PODS}/a/proxy/ok")[0].status == 200
    status, answer = world.served.ask(f"GET {PODS}/a:1/proxy/x")
    wanted = f"error trying to reach service: dial tcp {ADDRESS}:1: connect: connection refused"
    assert (status, answer["message"]) == (503, wanted)


@needs_address
def test_what_a_pod_says_unasked_is_nobodys_answer(world: World) -> None:
    for _ in range(3):
        assert world.answer(f"HEAD {PODS}/a/proxy/chatty")[0].status == 200
        response, found = world.answer(f"GET {PODS}/a/proxy/stream")
        assert (response.status, found) == (200, b"one two")


def test_each_leaves_one_event(world: World) -> None:
    world.served.ask(f"GET {PODS}/a/log?limitBytes=7")
    _, found = world.served.ask("GET /ledger/info")
    events = [one for one in found["last"] if one["uri"].endswith("limitBytes=7")]
    assert len(events) == 1 and events[0]["code"] == 200
    assert json.dumps(events[0])
