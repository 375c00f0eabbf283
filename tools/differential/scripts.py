"""Scenes that are no life of one kind: scripts/*.yaml, each a namespace and a row of steps.

A step is [what it is about, method, path, body, {type: PATCH's media type below application/, query, headers}]. A path may
begin with one of the scene's `places`: short names for the paths of collections.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from exchange import Step


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    namespace: str
    clear: list[str]  # collections that a run leaves something in
    steps: list[list[Any]]
    places: dict[str, str] = field(default_factory=dict)

    def path(self, short: str) -> str:
        first, slash, rest = short.partition("/")
        return f"{self.places[first]}{slash}{rest}" if first in self.places else short


def read_script(path: Path) -> Script:
    return Script(path.stem, **yaml.safe_load(path.read_text()))


def script_steps(script: Script) -> Iterator[Step]:
    body = {"metadata": {"name": script.namespace}}
    yield Step("namespace", "POST", "/api/v1/namespaces", body)
    account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
    yield Step("account", "POST", f"/api/v1/namespaces/{script.namespace}/serviceaccounts", account)
    for about, method, path, *rest in script.steps:
        given, more = (*rest, None, None)[:2]
        yield step(about, method, script.path(path), given, **(more or {}))


def step(about: str, method: str, path: str, body: Any, type: str = "", **more: dict[str, str]) -> Step:
    headers = {"content-type": f"application/{type}"} if type else {}
    return Step(about, method, path, body, query=more.get("query", {}), headers=headers | more.get("headers", {}))


def script_clearing(script: Script) -> Iterator[Step]:
    space = f"/api/v1/namespaces/{script.namespace}"
    at_once = {"gracePeriodSeconds": 0}
    for path in [*map(script.path, script.clear), f"{space}/configmaps", f"{space}/serviceaccounts"]:
        yield Step("clear", "DELETE", path, at_once)
    yield Step("clear namespace", "DELETE", space)
    finalized = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": script.namespace}, "spec": {}}
    yield Step("finalize namespace", "PUT", f"{space}/finalize", finalized)
