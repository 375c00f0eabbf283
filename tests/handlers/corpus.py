"""Recorded exchanges with a real kube-apiserver, played against handlers without a server in between."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest
import trio

from ledger.apimachinery.http import Handler, Headers, Request, RequestInfo, Response
from ledger.apimachinery.status import StatusError

CORPUS = Path(__file__).resolve().parents[2] / "../shared/corpus"


def checker() -> ModuleType:
    """check_corpus.py with its placeholders."""
    if not CORPUS.is_dir():
        pytest.skip("no recorded corpus beside the checkout")
    if str(CORPUS) not in sys.path:
        sys.path.append(str(CORPUS))
    spec = importlib.util.spec_from_file_location("check_corpus", CORPUS / "check_corpus.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def facts(name: str) -> Any:
    """A recorded dump (".json" or ".json.gz")."""
    file = CORPUS / "facts" / name
    if not file.exists():
        pytest.skip("no recorded facts beside the checkout")
    raw = file.read_bytes()
    return json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)


def request(method: str, path: str, query: str = "", headers: dict[str, str] | None = None) -> Request:
    async def no_body() -> bytes:
        return b""

    given = {"accept": "application/json", "user-agent": "corpus/1"} | (headers or {})
    pairs = [(name.lower(), value) for name, value in given.items() if value is not None]
    info = RequestInfo(is_resource=False, path=path, verb=method.lower())
    return Request(method, path, query, Headers(pairs), no_body, "127.0.0.1", info=info)


def send(handler: Handler, asked: Request) -> Response:
    """The answer; a StatusError becomes its Status in JSON."""
    try:
        return trio.run(handler, asked)
    except StatusError as error:
        return Response(error.code, [("content-type", "application/json")], json.dumps(error.status()).encode())


def failures(scenario: dict[str, Any], handler_for: Any) -> tuple[list[str], int]:
    """(what differs, how many steps were compared); steps for whose path `handler_for` gives None are left out."""
    check = checker()
    results: dict[int, Any] = {}
    differing, compared = [], 0
    bindings = check.Bindings()
    for step in scenario["steps"]:
        asked = check.resolve(step["request"], results)
        handler = handler_for(asked["path"])
        if handler is None:
            continue
        answer = send(
            handler,
            request(
                asked["method"], asked["path"], urlencode(asked.get("query", {}), doseq=True), asked.get("headers")
            ),
        )
        got: dict[str, Any] = {"status": answer.status, "headers": dict(answer.headers)}
        key, value = check.decode_body(
            got["headers"].get("content-type", ""), answer.body if asked["method"] != "HEAD" else b""
        )
        if key:
            got[key] = value
        results[step["n"]] = got
        compared += 1
        found = check.compare(step["response"], got, bindings)
        differing += [f"step {step['n']} {asked['method']} {asked['path']}: {line}" for line in found[:5]]
    return differing, compared
