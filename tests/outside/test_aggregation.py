"""APIServices with a service behind them, against an extension server that the test plays."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.outside.servers import Asked, Line, Server, as_json, own_address, server_context
from tests.served import Served
from tests.wire.wire_server import Certificates

ADDRESS = own_address()
pytestmark = pytest.mark.skipif(
    not ADDRESS, reason="only loopback addresses here, which no EndpointSlice of Kubernetes may hold"
)
PATIENCE_S = 20
SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
NAME = "v1.cheese.example.com"
ROOT = "/apis/cheese.example.com/v1"
RESOURCES = {
    "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "cheese.example.com/v1",
    "resources": [
        {
            "name": "bries", "singularName": "brie", "namespaced": True, "kind": "Brie", "verbs": ["get", "list"],
            "shortNames": ["br"],
        },
        {"name": "bries/status", "singularName": "", "namespaced": True, "kind": "Brie", "verbs": ["get"]},
    ],
}  # fmt: skip
SWAGGER = {
    "swagger": "2.0",
    "paths": {
        f"{ROOT}/bries": {
            "get": {"responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/Brie"}}}}
        },
        "/apis/other/v1/x": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/Others"}}}}},
    },
    "definitions": {
        "Brie": {"type": "object", "properties": {"metadata": {"$ref": "#/definitions/io.k8s.api.core.v1.Pod"}}},
        "io.k8s.api.core.v1.Pod": {"type": "object", "description": "not the one you know"},
        "Others": {"type": "object"},
    },
}
OPENAPI_V3 = {"paths": {
    "apis/cheese.example.com/v1": {"serverRelativeURL": "/openapi/v3/apis/cheese.example.com/v1?hash=ABC"},
    "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=EVIL"},
}}  # fmt: skip


@dataclass
class Extension:
    """What the extension server does; a test changes it."""

    aggregated: bool = False
    status: int = 200  # of everything under its root
    asked: list[Asked] = field(default_factory=list)

    def __call__(self, line: Line, asked: Asked) -> None:
        path, _, query = asked.target.partition("?")
        if not path.startswith(("/apis/cheese.example.com/v1/",)):
            self._documents(line, asked, path)
            return
        self.asked.append(asked)
        if asked.headers.get("upgrade"):
            line.answer(101, b"", "Connection: Upgrade", f"Upgrade: {asked.headers['upgrade']}")
            line.send(line.some().upper())
        elif "watch=" in query:
            line.answer(200, b"", "Content-Type: application/json", "Transfer-Encoding: chunked")
            line.chunks(b'{"type":"ADDED","object":{}}\n')
            line.until(b"never")
        elif path.endswith("/moved"):
            line.answer(302, b"", "Location: /elsewhere")
        else:
            as_json(line, self.status, {"kind": "Brie", "method": asked.method, "target": asked.target})

    def _documents(self, line: Line, asked: Asked, path: str) -> None:
        accepts = asked.headers.get("accept", "")
        if self.status != 200:
            line.answer(self.status, b"no")
        elif path == "/apis" and self.aggregated and "APIGroupDiscoveryList" in accepts:
            entry = {"resource": "goudas", "scope": "Cluster", "singularResource": "gouda", "verbs": ["get"]}
            items = [
                {"metadata": {"name": "cheese.example.com"}, "versions": [{"version": "v1", "resources": [entry]}]}
            ]
            body = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items}
            kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            line.answer(200, json.dumps(body).encode(), f"Content-Type: {kind}")
        elif path == ROOT:
            as_json(line, 200, RESOURCES)
        elif path == "/openapi/v3":
            as_json(line, 200, OPENAPI_V3)
        elif path == "/openapi/v3/apis/cheese.example.com/v1":
            as_json(line, 200, {"openapi": "3.0.0", "info": {"title": "cheese"}})
        elif path == "/openapi/v2":
            as_json(line, 200, SWAGGER)
        else:
            line.answer(404, b"404 page not found\n")


@dataclass
class World:
    served: Served
    extension: Extension
    certificates: Certificates

    def until(self, ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
        """The first answer that is wanted: controllers take a moment."""
        end = time.monotonic() + PATIENCE_S
        while not wanted(found := ask()):
            assert time.monotonic() < end, found
        return found

    def condition(self, name: str = NAME) -> dict[str, Any]:
        found = self.served.ask(f"GET {SERVICES}/{name}")[1]
        return next(iter(found.get("status", {}).get("conditions", ())), {})

    def until_reason(self, reason: str, name: str = NAME) -> dict[str, Any]:
        found: dict[str, Any] = self.until(lambda: self.condition(name), lambda one: one.get("reason") == reason)
        return found


def api_service(name: str, service: str, **more: Any) -> dict[str, Any]:
    version, _, group = name.partition(".")
    spec = {"group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 10}
    return {"metadata": {"name": name}, "spec": {**spec, "service": {"namespace": "default", "name": service}, **more}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("aggregation")
    certificates = Certificates(folder)
    certificates.make("ext", signer="ca", names=("cheese.default.svc",))
    extension = Extension()
    with Served(folder / "data", "--controllers", "none") as served:
        context = server_context(certificates, "ext", served.data_dir / "pki" / "front-proxy-ca.crt")
        with Server(extension, ADDRESS, context) as server:
            world = World(served, extension, certificates)
            ca = base64.b64encode(Path(certificates.files("ca")[0]).read_bytes()).decode()
            assert served.ask(f"POST {SERVICES}", api_service(NAME, "cheese", caBundle=ca))[0] == 201
            assert world.until_reason("ServiceNotFound")["message"] == 'service/cheese in "default" is not present'
            _, answer = served.ask(f"GET {ROOT}/bries")
            assert answer == "service unavailable\n"
            service = {"metadata": {"name": "cheese"}, "spec": {"ports": [{"name": "web", "port": 443}]}}
            assert served.ask("POST /api/v1/namespaces/default/services", service)[0] == 201
            text = 'cannot find endpointslices for service/cheese in "default"'
            assert world.until_reason("EndpointsNotFound")["message"] == text
            slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
            body = {
                "metadata": {"name": "c", "labels": {"kubernetes.io/service-name": "cheese"}},
                "addressType": "IPv4", "ports": [{"name": "web", "port": server.port}], "endpoints": [],
            }  # fmt: skip
            assert served.ask(f"POST {slices}", body)[0] == 201
            text = 'endpointslices for service/cheese in "default" have no addresses with port name "web"'
            assert world.until_reason("MissingEndpoints")["message"] == text
            body["endpoints"] = [{"addresses": [ADDRESS]}]
            assert served.ask(f"PUT {slices}/c", body)[0] == 200
            assert world.until_reason("Passed")["message"] == "all checks passed"
            yield world


def test_requests_are_passed_on_for_their_user(world: World) -> None:
    status, answer = world.served.ask(f"GET {ROOT}/namespaces/default/bries/a%20b?x=2&a=1", x_remote_user="evil")
    assert status == 200 and answer["target"] == f"{ROOT}/namespaces/default/bries/a%20b?a=1&x=2"
    asked = world.extension.asked[-1]
    assert asked.headers["x-remote-user"] == "kubernetes-admin"
    assert asked.headers["x-remote-group"] == "system:authenticated"  # the last of several
    assert asked.headers["x-remote-extra-authentication.kubernetes.io%2fcredential-id"].startswith("X509SHA256=")
    assert asked.certificate == "front-proxy-client" and asked.headers["audit-id"]
    refusal = "the backend attempted to redirect this request, which is not permitted"
    assert world.served.ask(f"GET {ROOT}/moved") == (502, refusal)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert world.served.ask(f"{method} {ROOT}/bries", {"big": "x" * 1000})[1]["method"] == method
    assert world.served.ask(f"GET {ROOT}/bries", impersonate_user="bob")[0] == 403


def test_a_watch_streams_and_an_upgrade_tunnels(world: World) -> None:
    connection = world.served.connect()
    connection.request("GET", f"{ROOT}/bries?watch=1")
    response = connection.getresponse()
    assert response.readline() == b'{"type":"ADDED","object":{}}\n'
    connection.close()
    connection = world.served.connect()
    connection.request("GET", f"{ROOT}/bries/tunnel", headers={"Connection": "Upgrade", "Upgrade": "shout"})
    line = connection.sock
    assert isinstance(line, ssl.SSLSocket)
    head = b""
    while b"\r\n\r\n" not in head:
        head += line.recv(1)
    assert head.startswith(b"HTTP/1.1 101")
    line.sendall(b"loud")
    assert line.recv(4) == b"LOUD"
    connection.close()


def test_its_kinds_stand_in_every_discovery_document(world: World) -> None:
    ask = world.served.ask
    groups = ask("GET /apis")[1]["groups"]
    assert groups[0]["name"] == "apiregistration.k8s.io" and groups[-1]["name"] == "cheese.example.com"
    assert ask("GET /apis/cheese.example.com")[1]["preferredVersion"]["groupVersion"] == "cheese.example.com/v1"
    assert ask(f"GET {ROOT}")[1] == RESOURCES
    entry = _aggregated(world, "bries")
    assert entry["freshness"] == "Current"
    assert entry["resources"] == [
        {
            "resource": "bries", "responseKind": {"group": "", "version": "", "kind": "Brie"}, "scope": "Namespaced",
            "singularResource": "brie", "verbs": ["get", "list"], "shortNames": ["br"],
            "subresources": [
                {"subresource": "status", "responseKind": {"group": "", "version": "", "kind": "Brie"}, "verbs": ["get"]}
            ],
        }
    ]  # fmt: skip
    assert "cheese" not in json.dumps(ask("GET /at/1/apis")[1])


def _aggregated(world: World, resource: str, freshness: str = "Current") -> dict[str, Any]:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    def ask() -> dict[str, Any]:
        items = world.served.ask("GET /apis", accept=accept)[1]["items"]
        found: dict[str, Any] = next(one for one in items if one["metadata"]["name"] == "cheese.example.com")
        entry: dict[str, Any] = found["versions"][0]
        return entry

    return world.until(  # type: ignore[no-any-return]
        ask, lambda one: one["freshness"] == freshness and resource in json.dumps(one)
    )


def test_its_openapi_is_merged(world: World) -> None:
    ask = world.served.ask
    has_path = f"{ROOT}/bries"
    document = world.until(lambda: ask("GET /openapi/v2")[1], lambda one: has_path in one["paths"])
    assert "/apis/other/v1/x" not in document["paths"] and "Others" not in document["definitions"]
    brie = document["definitions"]["Brie"]
    assert brie["properties"]["metadata"] == {"$ref": "#/definitions/io.k8s.api.core.v1.Pod_v2"}
    assert document["definitions"]["io.k8s.api.core.v1.Pod"]["properties"]
    paths = ask("GET /openapi/v3")[1]
    paths = (json.loads(paths) if isinstance(paths, str) else paths)["paths"]
    assert paths["apis/cheese.example.com/v1"]["serverRelativeURL"].endswith("?hash=ABC")
    assert "EVIL" not in paths["api/v1"]["serverRelativeURL"]
    found = ask("GET /openapi/v3/apis/cheese.example.com/v1?hash=ABC")[1]
    assert found["info"] == {"title": "cheese"}
    assert ask("GET /openapi/v3/api/v1")[1]["openapi"] == "3.0.0"


def test_what_stops_answering_is_unavailable_and_stale(world: World) -> None:
    world.extension.aggregated = True
    try:
        touched = {"metadata": {"annotations": {"look": "again"}}}
        patch = "application/merge-patch+json"
        world.served.ask(f"PATCH {SERVICES}/{NAME}", touched, Content_Type=patch)
        assert _aggregated(world, "goudas")["resources"][0]["responseKind"] == {"group": "", "version": "", "kind": ""}
        world.extension.status = 500
        world.served.ask(f"PATCH {SERVICES}/{NAME}", {"metadata": {"annotations": None}}, Content_Type=patch)
        message = world.until_reason("FailedDiscoveryCheck")["message"]
        assert message.startswith(f"failing or missing response from https://{ADDRESS}:")
        assert message.endswith(f"{ROOT}: 500")
        assert world.served.ask(f"GET {ROOT}/bries") == (503, "service unavailable\n")
        _aggregated(world, "goudas", "Stale")
    finally:
        world.extension.status, world.extension.aggregated = 200, False
    world.until_reason("Passed")


def test_the_server_must_be_who_it_should_be(world: World) -> None:
    name = "v1.wine.example.com"
    body = api_service(name, "cheese", caBundle=base64.b64encode(_pem(world, "stranger")).decode())
    assert world.served.ask(f"POST {SERVICES}", body)[0] == 201
    message = world.until_reason("FailedDiscoveryCheck", name)["message"]
    assert "tls: failed to verify certificate: x509: certificate signed by unknown authority" in message
    body = {"spec": {"caBundle": None, "insecureSkipTLSVerify": True}}
    patch = "application/merge-patch+json"
    assert world.served.ask(f"PATCH {SERVICES}/{name}", body, Content_Type=patch)[0] == 200
    world.until(lambda: world.condition(name)["message"], lambda text: text.endswith("/apis/wine.example.com/v1: 404"))
    assert world.served.ask(f"DELETE {SERVICES}/{name}")[0] == 200
    assert world.served.ask("GET /apis/wine.example.com/v1/x")[0] == 404
    assert "wine" not in json.dumps(world.served.ask("GET /apis")[1])


def _pem(world: World, name: str) -> bytes:
    return Path(world.certificates.files(name)[0]).read_bytes()


def test_extension_servers_are_told_whom_to_trust(world: World) -> None:
    pki = world.served.data_dir / "pki"
    path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    wanted = {
        "client-ca-file": (pki / "ca.crt").read_text(),
        "requestheader-client-ca-file": (pki / "front-proxy-ca.crt").read_text(),
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
    assert world.served.ask(f"GET {path}")[1]["data"] == wanted
    data = {"requestheader-allowed-names": '["another"]', "client-ca-file": _pem(world, "ca").decode(), "more": "1"}
    world.served.ask(f"PUT {path}", {"metadata": {"name": path.rpartition("/")[2]}, "data": data})
    found = world.until(lambda: world.served.ask(f"GET {path}")[1]["data"], lambda one: len(one) == 7)
    assert found["requestheader-allowed-names"] == '["another","front-proxy-client"]' and found["more"] == "1"
    assert found["client-ca-file"] == _pem(world, "ca").decode() + wanted["client-ca-file"]


def test_a_front_proxy_may_say_who_asks(world: World) -> None:
    pki = world.served.data_dir / "pki"

    def whoami(certificate: str, key: str, **headers: str) -> Any:
        context = ssl.create_default_context(cafile=str(world.served.ca))
        context.load_cert_chain(certificate, key)
        connection = world.served.connect(admin=False)
        connection._context = context  # type: ignore[attr-defined]
        body = json.dumps({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"})
        named = {name.replace("_", "-"): text for name, text in headers.items()} | {"Content-Type": "application/json"}
        connection.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body, named)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return answer["status"]["userInfo"] if response.status == 201 else response.status

    proxy = (str(pki / "front-proxy-client.crt"), str(pki / "front-proxy-client.key"))
    found = whoami(*proxy, X_Remote_User="alice", X_Remote_Group="devs", **{"X-Remote-Extra-a%2fb": "c"})
    assert found == {"username": "alice", "groups": ["devs", "system:authenticated"], "extra": {"a/b": ["c"]}}
    assert whoami(*proxy) == 401, "its certificate is nobody's identity"
    admin = (str(pki / "admin.crt"), str(pki / "admin.key"))
    assert whoami(*admin, X_Remote_User="alice")["username"] == "kubernetes-admin"
