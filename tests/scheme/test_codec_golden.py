"""Upstream's own fixtures: every kind of k8s.io/api with every field filled, as JSON, YAML and protobuf.

They are read from the Go module cache, where `go mod download k8s.io/api@v0.37.2` puts them.
"""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from ledger.apimachinery import json_codec, yaml_codec, yaml_text
from ledger.apimachinery.negotiation import JSON, PROTOBUF, YAML
from ledger.apimachinery.resource import GVK, split_api_version
from ledger.scheme import protobuf, types
from ledger.scheme.codec import decode
from ledger.scheme.normalize import normal_form

_CACHE = Path(os.environ.get("GOMODCACHE") or Path(os.environ.get("GOPATH") or Path.home() / "go") / "pkg/mod")
_FIXTURES = sorted((_CACHE / "k8s.io/api@v0.37.2/testdata/HEAD").glob("*.json"))

pytestmark = pytest.mark.skipif(not _FIXTURES, reason="k8s.io/api@v0.37.2 is not in the Go module cache")


@pytest.mark.parametrize("fixture", _FIXTURES, ids=lambda path: path.stem)
def test_fixture(fixture: Path) -> None:
    text, wire, yaml = (
        fixture.read_bytes(),
        fixture.with_suffix(".pb").read_bytes(),
        fixture.with_suffix(".yaml").read_bytes(),
    )
    obj = orjson.loads(text)
    if fixture.stem == "core.v1.WatchEvent":  # the one fixture that names no kind
        assert protobuf.envelope("", "", protobuf.encode_message(GVK("", "v1", "WatchEvent"), obj) or b"") == wire
        return
    gvk = GVK(*split_api_version(obj["apiVersion"]), obj["kind"])

    assert json_codec.dumps(normal_form(types.type_of(gvk) or "", obj, known=True)) == json_codec.dumps(obj)
    assert protobuf.encode(gvk, obj) == wire
    assert yaml_text.dumps(obj) == yaml
    assert yaml_codec.loads(yaml) == obj
    for body, content_type in ((text, JSON), (yaml, YAML), (wire, PROTOBUF)):
        read = decode(body, content_type, gvk, validation="Strict")
        assert json_codec.dumps(read.obj) == json_codec.dumps(obj)
