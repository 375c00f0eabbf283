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


def writes(scenario: str) -> Iterator[tuple[Step, Any, Any]]:
    """Every write with the object as it stood before, where an answer showed it: (step, before or None, answer)."""
    last: dict[str, Any] = {}
    for step in steps(scenario):
        request, answer = step.get("request") or {}, step["response"].get("body")
        method, path = request.get("method"), request.get("path", "")
        if not isinstance(answer, dict):
            continue
        name = answer.get("metadata", {}).get("name")
        key = f"{path}/{name}" if method == "POST" else path.removesuffix("/status")
        if method in ("POST", "PUT", "PATCH"):
            yield step, last.get(key), answer
        if (request.get("query") or {}).get("dryRun") or step["response"]["status"] >= 300:
            continue
        if path.endswith(("/scale", "/binding", "/eviction")):
            last.pop(path.rpartition("/")[0], None)  # changed, and nobody has seen how
        elif answer.get("kind") not in ("PartialObjectMetadata", "Table", "Status"):
            last[key] = answer
