"""Discovery answers as a real kube-apiserver 1.37.2 does, byte for byte where bytes are hashed."""

from __future__ import annotations

import json

import pytest

from ledger.apimachinery.http import Handler
from ledger.handlers.discovery import discovery_handler
from ledger.handlers.root import root_handler
from ledger.handlers.version import version_handler
from ledger.scheme.runtime_config import RuntimeConfig
from ledger.scheme.scheme import Scheme, builtin
from tests.handlers.corpus import CORPUS, failures, request, send

DEFAULT = builtin()
EVERYTHING = builtin(RuntimeConfig.parse("api/all=true"))
SCENARIOS = [  # the last one was recorded with its port left in
    ("scenarios/discovery/groups.json", DEFAULT, "192.0.2.1:6443"),
    ("scenarios/discovery/aggregated.json", DEFAULT, "192.0.2.1:6443"),
    ("scenarios/discovery/resources-core-and-workloads.json", DEFAULT, "192.0.2.1:6443"),
    ("scenarios/discovery/version-and-health.json", DEFAULT, "192.0.2.1:6443"),
    ("scenarios-api-all/groups-and-resources.json", EVERYTHING, "192.0.2.1:37463"),
]


def discovering(scheme: Scheme = DEFAULT, address: str = "192.0.2.1:6443") -> Handler:
    return discovery_handler(lambda _: scheme, address)


@pytest.mark.shared
@pytest.mark.parametrize("file, scheme, address", SCENARIOS, ids=[one[0] for one in SCENARIOS])
def test_recorded_exchanges(file: str, scheme: Scheme, address: str) -> None:
    def handler_for(path: str) -> Handler | None:
        if path.startswith("/api"):
            return discovering(scheme, address)
        return version_handler() if path.startswith("/version") else None

    if not (CORPUS / file).exists():
        pytest.skip("no recorded corpus beside the checkout")
    differing, compared = failures(json.loads((CORPUS / file).read_text()), handler_for)
    assert compared
    assert differing == []


@pytest.mark.parametrize(
    "line, accept, status, content_type",
    [
        ("GET  /api", "", 200, "application/json"),
        ("GET  /api", "application/yaml", 200, "application/yaml"),
        ("GET  /api", "application/vnd.kubernetes.protobuf", 200, "application/vnd.kubernetes.protobuf"),
        ("GET  /apis/apps/v1", "application/vnd.kubernetes.protobuf", 200, "application/vnd.kubernetes.protobuf"),
        ("GET  /apis", "text/html, application/json;q=0.5", 200, "application/json"),
        ("GET  /apis", "text/html", 406, "application/json"),
        ("GET  /apis/apps", "application/json;as=Table;v=v1;g=meta.k8s.io", 406, "application/json"),
        ("POST /apis", "application/json", 200, "application/json"),  # upstream's aggregator looks at no method
        ("POST /api", "application/json", 405, "application/json"),
        ("POST /apis/apps/v1", "application/json", 405, "application/json"),
        ("GET  /apis/none", "application/json", 404, "text/plain; charset=utf-8"),
        ("GET  /apis/none/v1", "application/json", 404, "text/plain; charset=utf-8"),
        ("GET  /apis/apps/v0", "application/json", 404, "application/json"),
    ],
)
def test_formats_and_methods(line: str, accept: str, status: int, content_type: str) -> None:
    method, path = line.split()
    answer = send(discovering(), request(method, path, headers={"accept": accept}))
    assert (answer.status, dict(answer.headers)["content-type"]) == (status, content_type)


def test_curl_and_browsers_get_indented_json() -> None:
    answers = {
        agent: send(discovering(), request("GET", "/apis/apps", headers={"user-agent": agent})).body
        for agent in ("curl/8.0", "Mozilla/5.0 (X11)", "kubectl/v1.37.2")
    }
    assert [b"\n" in body for body in answers.values()] == [True, True, False]
    plain = send(discovering(), request("GET", "/apis/apps", "pretty=false", {"user-agent": "curl/8.0"}))
    assert plain.body == answers["kubectl/v1.37.2"]


def test_the_root_lists_groups_versions_and_what_else_there_is() -> None:
    answer = send(root_handler(lambda _: DEFAULT, lambda: ["/healthz"]), request("GET", "/"))
    paths = json.loads(answer.body)["paths"]
    assert paths == sorted(paths)
    assert {"/api/v1", "/apis/apps", "/apis/autoscaling/v2", "/healthz", "/openapi/v3"} <= set(paths)
