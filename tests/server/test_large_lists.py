"""A list of more than a slice is sent while it is read; whatever its form, it says the same."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.served import Served

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
NAMES = [f"large-{number}" for number in range(8)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data_dir: Path = tmp_path_factory.mktemp("large")
    with Served(data_dir, "--durability", "relaxed", "--controllers", "none") as served:
        for number, name in enumerate(NAMES):
            made = {"metadata": {"name": name, "labels": {"n": str(number)}}, "data": {"text": "x" * 100_000}}
            assert served.ask(f"POST {CONFIGMAPS}", made)[0] == 201
        yield served


def ask(server: Served, path: str, **headers: str) -> tuple[dict[str, str], bytes]:
    connection = server.connect()
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body
    return {name.lower(): value for name, value in response.getheaders()}, body


def names(document: Any) -> list[str]:
    return [one["metadata"]["name"] for one in document["items"]]


def test_it_is_chunked_and_whole(server: Served) -> None:
    headers, body = ask(server, CONFIGMAPS)
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers
    assert body.startswith(b'{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"')
    assert body.endswith(b"}]}\n")
    assert names(json.loads(body)) == NAMES


def test_it_says_the_same_gzipped_and_pretty(server: Served) -> None:
    plain = json.loads(ask(server, CONFIGMAPS)[1])
    headers, zipped = ask(server, CONFIGMAPS, accept_encoding="gzip")
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(zipped)) == plain
    pretty = ask(server, f"{CONFIGMAPS}?pretty=true")[1]
    assert json.loads(pretty) == plain
    assert pretty.count(b"\n") > len(NAMES)


def test_its_pages_make_it_up(server: Served) -> None:
    found, token, left = [], "", []
    while True:
        page = json.loads(ask(server, f"{CONFIGMAPS}?limit=5&continue={token}")[1])
        found += names(page)
        left.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert found == NAMES
    assert left == [3, None]


def test_an_empty_list_is_empty(server: Served) -> None:
    headers, body = ask(server, "/api/v1/namespaces/nowhere/configmaps")
    assert int(headers["content-length"]) == len(body)
    assert body.endswith(b'"items":[]}\n')
    assert names(json.loads(ask(server, f"{CONFIGMAPS}?labelSelector=n%3D3")[1])) == [NAMES[3]]


@pytest.mark.parametrize("query", ["", "?includeObject=Object", "?includeObject=None", "?limit=110"])
@pytest.mark.parametrize("form", ["Table", "PartialObjectMetadataList"])
def test_what_is_made_in_turns_says_the_same_as_what_is_made_at_once(many: Served, form: str, query: str) -> None:
    path = f"/api/v1/namespaces/kube-public/configmaps{query}"
    accept = f"application/json;as={form};v=v1;g=meta.k8s.io"
    made_in_turns = json.loads(ask(many, path, Accept=accept)[1])
    at_once = json.loads(ask(many, f"{path}{'&' if query else '?'}pretty=true", Accept=accept)[1])
    for document in (made_in_turns, at_once):
        document["metadata"].pop("continue", None)
        for row in document.get("rows", ()):
            row["cells"].pop()  # the age
    assert made_in_turns == at_once
    assert len(made_in_turns["rows" if form == "Table" else "items"]) == (110 if "limit" in query else 230)


@pytest.fixture(scope="module")
def many(server: Served) -> Served:
    for number in range(230):
        made = {"metadata": {"name": f"m{number}", "annotations": {"a": "<&>"}}}
        assert server.ask("POST /api/v1/namespaces/kube-public/configmaps", made)[0] == 201
    return server
