"""Recorded exchanges with kube-apiserver, beside the checkout; tests that use them are skipped where there are none."""

from __future__ import annotations

import copy
import functools
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).resolve().parents[2] / "../shared/corpus"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no recorded exchanges at {CORPUS}")

Step = dict[str, Any]


def steps(scenario: str) -> list[Step]:
    """The steps of "list/selectors"; none where the recordings are missing."""
    path = CORPUS / "scenarios" / f"{scenario}.json"
    return json.loads(path.read_text())["steps"] if path.exists() else []


def scenarios(area: str) -> list[str]:
    return sorted(f"{area}/{path.stem}" for path in (CORPUS / "scenarios" / area).glob("*.json"))


def message(step: Step) -> str:
    """The message of a refused request."""
    return str(step["response"]["body"]["message"])


@functools.cache
def _documents() -> dict[str, Any]:
    with gzip.open(CORPUS / "facts/openapi-v3.json.gz") as packed:
        return dict(json.load(packed)["documents"])


@functools.cache
def schema(api_version: str, kind: str) -> Any:
    """The OpenAPI schema of a kind, every $ref replaced by the dict it names (so it may be cyclic); None if unknown."""
    document = _documents().get(f"apis/{api_version}" if "/" in api_version else f"api/{api_version}")
    if document is None:
        return None
    schemas = _resolved(api_version)
    group, _, version = api_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    for found in schemas.values():
        if wanted in found.get("x-kubernetes-group-version-kind", ()):
            return found
    return None


@functools.cache
def _resolved(api_version: str) -> dict[str, Any]:
    document = _documents()[f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"]
    schemas = copy.deepcopy(document["components"]["schemas"])

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value and isinstance(value["$ref"], str):
                return schemas[value["$ref"].rsplit("/", 1)[1]]
            for key, member in value.items():
                value[key] = resolve(member)
        elif isinstance(value, list):
            value[:] = [resolve(member) for member in value]
        return value

    for one in schemas.values():
        resolve(one)
    return dict(schemas)


def unlabelled(value: Any) -> Any:
    """A recorded body without the numbers of its placeholders ("<uid:2>" -> "<uid>")."""
    if isinstance(value, dict):
        return {key: unlabelled(member) for key, member in value.items()}
    if isinstance(value, list):
        return [unlabelled(member) for member in value]
    return value


def walk(scenario: str) -> Iterator[tuple[Step, Any, Any]]:
    """Every write of a scenario with the last answer for the same path before it: (step, before, after)."""
    last: dict[str, Any] = {}
    for step in steps(scenario):
        request, response = step.get("request") or {}, step["response"]
        body = response.get("body")
        if not isinstance(body, dict) or response.get("status", 500) >= 300 or "metadata" not in body:
            continue
        name = body["metadata"].get("name")
        path = request.get("path", "")
        if request.get("method") == "POST" and path.count("/") and name:
            path = f"{path}/{name}"
        yield step, last.get(path), body
        if (request.get("query") or {}).get("dryRun") is None:
            last[path] = body
