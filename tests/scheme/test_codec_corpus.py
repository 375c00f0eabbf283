"""Codecs against recorded exchanges with a real kube-apiserver: bodies it took and refused, and its YAML and protobuf."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.apimachinery import yaml_text
from ledger.apimachinery.resource import GVK, split_api_version
from ledger.apimachinery.status import StatusError
from ledger.scheme import protobuf, types
from ledger.scheme.codec import decode
from ledger.scheme.normalize import normalize
from ledger.scheme.protobuf_wire import wire_fields

_SCENARIOS = (Path(__file__).resolve().parents[2] / "../shared/corpus/scenarios").resolve()

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not _SCENARIOS.exists(), reason="../shared/corpus is not beside this checkout"),
]

_FILLED = {
    "uid": "00000000-0000-4000-8000-000000000000",
    "rv": "7",
    "time": "2024-01-01T00:00:00Z",
    "microtime": "2024-01-01T00:00:00.000001Z",
    "int": "7",
    "port": "30001",
    "number": "7",
    "ip": "10.0.0.9",
    "rand": "abcde",
    "hash": "abc",
}
_PLACEHOLDER = re.compile(rf"<({'|'.join(_FILLED)})(?::\w+)?>")
_PATH = re.compile(r"/(?:api/(v1)|apis/([^/]+/[^/]+))(?:/namespaces/[^/]+(?=/[^/]+))?/(.*)")


def filled_text(text: str) -> str:
    return _PLACEHOLDER.sub(lambda found: _FILLED[found[1]], text)


def filled(value: Any) -> Any:
    """The value with something of the right type for each placeholder."""
    if isinstance(value, str):
        whole = re.fullmatch(r"<(int|port|number)(?::\w+)?>", value)
        return int(_FILLED[whole[1]]) if whole else filled_text(value)
    if isinstance(value, list):
        return [filled(one) for one in value]
    return {filled_text(key): filled(one) for key, one in value.items()} if isinstance(value, dict) else value


def steps() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in sorted(_SCENARIOS.glob("*/*.json")):
        for step in json.loads(path.read_text())["steps"]:
            if "request" in step:
                yield f"{path.parent.name}/{path.stem} {step['n']}", step["request"], step["response"]


def kind_of(body: Any) -> GVK | None:
    if isinstance(body, dict) and body.get("kind") and body.get("apiVersion"):
        return GVK(*split_api_version(body["apiVersion"]), body["kind"])
    return None


def resource_of(request: dict[str, Any]) -> tuple[str, ...] | None:
    found = _PATH.fullmatch(request["path"])
    if not found:
        return None
    parts = found[3].split("/")
    return (found[1] or found[2], parts[0], *parts[2:])


def test_answers_are_in_normal_form_already() -> None:
    seen = 0
    for name, _, response in steps():
        gvk = kind_of(response.get("body"))
        if gvk is None or types.type_of(gvk) is None or gvk.kind == "Table" or gvk.kind.endswith("List"):
            continue
        obj = filled(response["body"])
        if "<any>" in json.dumps(response["body"]):
            continue  # nothing is known of what stood there
        assert json.dumps(normalize(gvk, obj)) == json.dumps(obj), name
        seen += 1
    assert seen > 1000


def test_yaml_and_protobuf_answers_of_an_object_follow_from_its_json_answer() -> None:
    last: dict[tuple[str, str], dict[str, Any]] = {}
    compared = 0
    for name, request, response in steps():
        if request["method"] != "GET" or response["status"] != 200:
            continue
        accept = (request.get("headers") or {}).get("accept") or ""
        key = (request["path"] + json.dumps(request.get("query")), accept.partition("as=")[2])
        if isinstance(response.get("body"), dict):
            last[key] = response["body"]
        elif key in last and "yaml" in response["headers"]["content-type"]:
            text = re.sub(r"(?<=: )<port:?\w*>$", _FILLED["port"], response["text"], flags=re.MULTILINE)
            text = re.sub(r"(nodePort: )\S+", rf"\g<1>{_FILLED['port']}", filled_text(text))
            assert yaml_text.dumps(filled(last[key])).decode() == text, name
            compared += 1
        elif key in last and "wire" in response:
            obj, gvk = filled(last[key]), kind_of(last[key])
            assert gvk is not None
            wire = protobuf.encode(gvk, obj)
            assert wire is not None and same(fields(wire[4:]), response["wire"]), name
            compared += 1
    assert compared > 60


def test_bodies_are_taken_and_refused_as_recorded() -> None:
    kinds: dict[tuple[str, ...], GVK] = {}
    for _, request, response in steps():
        resource, gvk = resource_of(request), kind_of(response.get("body"))
        if resource and gvk and request["method"] in ("POST", "PUT") and response["status"] in (200, 201):
            if gvk.kind != "Status":
                kinds.setdefault(resource, gvk)
    checked = 0
    for name, request, response in steps():
        expected = kinds.get(resource_of(request) or ())
        if expected is None or types.type_of(expected) is None or request["method"] not in ("POST", "PUT"):
            continue
        checked += check_body(name, request, response, expected)
    assert checked > 700


def check_body(name: str, request: dict[str, Any], response: dict[str, Any], expected: GVK) -> int:
    body = body_of(request)
    validation = (request.get("query") or {}).get("fieldValidation") or "Warn"
    message = (response.get("body") or {}).get("message", "")
    if b"{{" in body or b"$base" in body or validation not in ("Ignore", "Warn", "Strict") or response["status"] == 405:
        return 0
    content_type = (request.get("headers") or {}).get("content-type", "application/json") or ""
    try:
        warnings = decode(body, content_type, expected, validation=validation).warnings
    except StatusError as error:
        assert (response["status"], message) == (error.code, error.message), name
        return 1
    assert "cannot be handled as" not in message and "the object provided is unrecognized" not in message, name
    if response["status"] < 300:
        recorded = response["headers"].get("warning", [])
        recorded = [recorded] if isinstance(recorded, str) else recorded
        about_fields = [one for one in recorded if "unknown field" in one or "duplicate field" in one]
        assert [f"299 - {json.dumps(one)}" for one in warnings] == about_fields, name
    return 1


def body_of(request: dict[str, Any]) -> bytes:
    if "body_text" in request:
        return request["body_text"].encode() * request.get("body_times", 1)
    if "body_b64" in request:
        return base64.b64decode(request["body_b64"])
    return json.dumps(request.get("body"), separators=(",", ":")).encode()


# --- protobuf without a schema, in the form in which the scenarios hold it -------------------------------------------
def fields(data: bytes) -> list[list[Any]]:
    found = []
    for number, wire, value in wire_fields(data, 0, len(data)):
        if wire == 1:
            value = value.to_bytes(8, "little").hex()
        found.append([number, text_or_fields(data[value[0] : value[1]]) if wire == 2 else value])
    return found


def text_or_fields(raw: bytes) -> Any:
    if raw and all(byte >= 32 or byte in (9, 10, 13) for byte in raw):
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    try:
        return fields(raw) if raw else ""
    except (ValueError, IndexError):
        return raw.hex()


def same(ours: Any, recorded: Any) -> bool:
    if isinstance(recorded, str) and recorded.startswith("<int"):
        return True
    if isinstance(ours, list) and isinstance(recorded, list):
        return len(ours) == len(recorded) and all(map(same, ours, recorded))
    return bool(ours == filled(recorded))
