"""What kube-apiserver 1.37 answers to odd requests, word for word; found by playing both servers the same requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.served import Served

MAPS = "/api/v1/namespaces/default/configmaps"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/x.example.com/v1/namespaces/default/widgets"
OPTIONS = 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: '
TOKEN = "invalid continue token: continue key is not valid: "


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("answers"), "--durability", "relaxed", "--controllers", "none") as server:
        server.ask(f"POST {MAPS}", {"metadata": {"name": "a"}, "data": {"k": "v"}})
        yield server


def token(**fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("query, code, message", [
    ("resourceVersion=x", 400, 'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: '
     'parsing "x": invalid syntax'),
    ("resourceVersion=0&resourceVersionMatch=Exact", 422,
     f'{OPTIONS}Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    ("resourceVersion=1&resourceVersionMatch=X", 422,
     f'{OPTIONS}Unsupported value: "X": supported values: "Exact", "NotOlderThan", ""'),
    ("watch=1&sendInitialEvents=true&resourceVersion=1&resourceVersionMatch=Exact", 422,
     'ListOptions.meta.k8s.io "" is invalid: [resourceVersionMatch: Forbidden: sendInitialEvents requires setting '
     'resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "Exact": supported values: '
     '"NotOlderThan"]'),
    ("watch=1&continue=x", 422, f"{OPTIONS}Forbidden: resourceVersionMatch is forbidden when continue is provided"),
    ("continue=x", 400, f"{TOKEN}illegal base64 data at input byte 0"),
    ("continue=ab*c", 400, f"{TOKEN}illegal base64 data at input byte 2"),
    ("continue=" + token(v="v0", rv=1, start="a"), 400, f"{TOKEN}server does not recognize this encoded version v0"),
    ("continue=" + token(v="meta.k8s.io/v1", rv=0, start="a"), 400,
     f"{TOKEN}incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
    ("continue=" + token(v="meta.k8s.io/v1", rv=1, start=""), 400,
     f"{TOKEN}encoded start key empty (version meta.k8s.io/v1)"),
    ("continue=" + token(v="meta.k8s.io/v1", rv=1, start="../a"), 400, f"{TOKEN}../a"),
])  # fmt: skip
def test_a_list_that_cannot_be_had_says_why(server: Served, query: str, code: int, message: str) -> None:
    status, answer = server.ask(f"GET {MAPS}?{query}")
    assert (status, answer["message"]) == (code, message)


@pytest.mark.parametrize("body, content_type, query, code, message", [
    ([{"op": "remove", "path": "/apiVersion"}], "json-patch+json", "", 400,
     "the name of the object (a based on URL) was undeterminable: name must be provided"),
    ([{"op": "test", "path": "/kind", "value": "ConfigMap", "odd": 1}], "json-patch+json", "fieldValidation=Strict", 422,
     'strict decoding error: json patch unknown field "[0].odd"'),
    ([1], "apply-patch+yaml", "fieldManager=m", 400, "error decoding patch: error unmarshaling JSON: while decoding JSON: "
     "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    (None, "apply-patch+yaml", "fieldManager=m", 400, "invalid object type: /, Kind="),
])  # fmt: skip
def test_a_patch_that_is_none_says_why(
    server: Served, body: Any, content_type: str, query: str, code: int, message: str
) -> None:
    document = "null" if body is None else body
    sent = {"content_type": f"application/{content_type}"}
    status, answer = ask_raw(server, "PATCH", f"{MAPS}/a?{query}", document, **sent)
    assert status == code
    assert answer["message"].endswith(message)


def ask_raw(server: Served, method: str, path: str, body: Any, content_type: str) -> tuple[int, Any]:
    connection = server.connect()
    text = body if isinstance(body, str) else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": content_type})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


@pytest.mark.parametrize("body, message", [
    ('{"kind":"Odd","apiVersion":"v1"}', 'no kind "Odd" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"'),
    ("text", "couldn't get version/kind; json parse error: invalid character 'e' in literal true (expecting 'r')"),
])  # fmt: skip
def test_options_that_are_none_say_only_what_is_wrong(server: Served, body: str, message: str) -> None:
    status, answer = ask_raw(server, "DELETE", f"{MAPS}/a", body, "application/json")
    assert (status, answer["message"]) == (400, message)


@pytest.mark.parametrize("content_type, body", [
    ("strategic-merge-patch+json", {"metadata": {"name": "d"}, "spec": {"replicas": 4}}),
    ("merge-patch+json", {"spec": {"replicas": 4}}),
    ("json-patch+json", [{"op": "replace", "path": "/spec/replicas", "value": 4}]),
])  # fmt: skip
def test_a_scale_takes_patches_of_every_type(server: Served, content_type: str, body: Any) -> None:
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": pods}
    server.ask(f"POST {deployments}", {"metadata": {"name": "d"}, "spec": spec})
    status, scale = ask_raw(server, "PATCH", f"{deployments}/d/scale", body, f"application/{content_type}")
    assert (status, scale["spec"]) == (200, {"replicas": 4})
    server.ask(f"DELETE {deployments}/d?propagationPolicy=Background")


def test_a_custom_resource_without_replicas_can_be_given_some(server: Served) -> None:
    names = {"plural": "widgets", "kind": "Widget"}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"scale": scale}}
    spec = {"group": "x.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    server.ask(f"POST {DEFINITIONS}", {"metadata": {"name": "widgets.x.example.com"}, "spec": spec})
    widget = {"apiVersion": "x.example.com/v1", "kind": "Widget", "metadata": {"name": "w", "labels": {"a": "b"}}}
    while server.ask(f"POST {WIDGETS}", widget)[0] == 404:  # until the definition is established
        pass
    merge = "application/merge-patch+json"
    assert server.ask(f"GET {WIDGETS}/w/scale")[0] == 500
    empty = ask_raw(server, "PATCH", f"{WIDGETS}/w/scale", {}, merge)
    assert (empty[0], empty[1]["message"]) == (400, 'the spec replicas field ".spec.replicas" cannot be empty')
    given = ask_raw(server, "PATCH", f"{WIDGETS}/w/scale", {"spec": {"replicas": 3}}, merge)
    assert (given[0], given[1]["spec"]) == (200, {"replicas": 3})
    metadata = server.ask(f"GET {WIDGETS}/w")[1]["metadata"]
    assert [entry.get("subresource") for entry in metadata["managedFields"]] == [None]
    # A Scale without a resourceVersion replaces whatever there is.
    wanted = {"metadata": {"name": "w"}, "spec": {"replicas": 4}}
    assert server.ask(f"PUT {WIDGETS}/w/scale", wanted)[1]["spec"] == {"replicas": 4}
