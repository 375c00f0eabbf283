"""OpenAPI documents equal upstream's, and are cached and redirected as upstream does it."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

import pytest

from ledger.handlers.openapi import openapi_handler
from ledger.scheme import openapi, openapi_v2, prose
from ledger.scheme.runtime_config import RuntimeConfig
from ledger.scheme.scheme import Scheme, builtin
from tests.handlers.corpus import facts, request, send

DEFAULT = builtin()
EVERYTHING = builtin(RuntimeConfig.parse("api/all=true"))
RECORDED = [(DEFAULT, ""), (EVERYTHING, "-api-all")]
HANDLER = openapi_handler(lambda _: DEFAULT)


def without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_prose(v) for k, v in value.items() if not (k == "description" and isinstance(v, str))}
    return [without_prose(one) for one in value] if isinstance(value, list) else value


@pytest.mark.shared
@pytest.mark.parametrize("scheme, suffix", RECORDED, ids=["default", "api-all"])
def test_every_v3_document_equals_the_recorded_one_but_for_prose(scheme: Scheme, suffix: str) -> None:
    recorded = facts(f"openapi-v3{suffix}.json.gz")["documents"]
    assert openapi.names(scheme) == sorted(recorded)
    for name, document in recorded.items():
        assert without_prose(openapi.build(scheme, name)) == without_prose(document), name


@pytest.mark.shared
@pytest.mark.parametrize("scheme, suffix", RECORDED, ids=["default", "api-all"])
def test_the_v2_document_equals_the_recorded_one_but_for_prose(scheme: Scheme, suffix: str) -> None:
    assert without_prose(openapi_v2.build(scheme)) == without_prose(facts(f"openapi-v2{suffix}.json.gz"))


@pytest.mark.shared
@pytest.mark.skipif(not prose.descriptions(), reason="kubernetes-validate is not installed")
def test_the_index_with_its_hashes_is_the_recorded_one() -> None:
    assert json.loads(openapi.index(DEFAULT)) == facts("openapi-v3.json.gz")["index"]


@pytest.mark.skipif(not prose.descriptions(), reason="kubernetes-validate is not installed")
def test_a_document_without_enumerations_is_upstreams_to_the_byte() -> None:
    found = openapi.document(DEFAULT, "apis/coordination.k8s.io/v1")
    assert found is not None
    assert hashlib.sha512(found.body).hexdigest().upper() == found.hash


def test_the_v2_document_for_older_go_clients_is_gnostics_protobuf() -> None:
    asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = send(HANDLER, request("GET", "/openapi/v2", headers={"accept": asked}))
    assert dict(answer.headers)["content-type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert answer.body.startswith(b"\n\x032.0\x12\x12\n\nKubernetes\x12\x041.37")  # swagger, info
    # Extensions are kept as YAML.
    assert b'group: ""\nkind: ConfigMap\nversion: v1\n' in answer.body
    assert b"x-kubernetes-list-map-keys\x12\t\x12\x07- name\n" in answer.body


def test_the_large_v2_document_goes_compressed_to_who_takes_it() -> None:
    plain = send(HANDLER, request("GET", "/openapi/v2"))
    small = send(HANDLER, request("GET", "/openapi/v2", headers={"accept-encoding": "gzip"}))
    assert dict(small.headers)["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body


def test_without_the_package_of_descriptions_the_addresses_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = openapi.address(DEFAULT, "apis/apps/v1").removesuffix("-PLAIN")
    monkeypatch.setattr(prose, "descriptions", dict)
    plain = openapi.document(builtin(), "apis/apps/v1")
    assert plain is not None
    assert plain.hash == f"{whole}-PLAIN"
    deployment = json.loads(plain.body)["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]
    assert "description" not in deployment


def test_a_group_version_served_in_part_describes_that_part_under_a_hash_of_its_own() -> None:
    partly = builtin(RuntimeConfig.parse("apps/v1/daemonsets=false"))
    found = openapi.document(partly, "apis/apps/v1")
    assert found is not None
    assert "daemonsets" not in "".join(json.loads(found.body)["paths"])
    assert found.hash == hashlib.sha512(found.body).hexdigest().upper()
    assert found.hash != openapi.address(DEFAULT, "apis/apps/v1")


def test_the_right_hash_is_cached_for_ever_and_an_old_one_redirected() -> None:
    today = openapi.url("apis/apps/v1", openapi.address(DEFAULT, "apis/apps/v1"))
    path, _, query = today.partition("?")
    fresh = send(HANDLER, request("GET", path, query))
    headers = dict(fresh.headers)
    assert (fresh.status, headers["cache-control"]) == (200, "public, immutable")
    stale = send(HANDLER, request("GET", path, "hash=00"))
    assert (stale.status, dict(stale.headers)["location"]) == (301, today)
    known = send(HANDLER, request("GET", path, query, {"if-none-match": headers["etag"]}))
    assert (known.status, known.body) == (304, b"")


@pytest.mark.parametrize(
    "path, accept, status",
    [
        ("/openapi/v3/none", "application/json", 404),
        ("/openapi/v3/apis/none/v1", "application/json", 404),
        ("/openapi/v3/version", "text/html", 406),
        ("/openapi/v3/version", "*/*", 200),
        ("/openapi/v2", "application/yaml", 406),
        ("/openapi", "application/json", 404),
    ],
)
def test_what_is_not_there(path: str, accept: str, status: int) -> None:
    assert send(HANDLER, request("GET", path, headers={"accept": accept})).status == status
