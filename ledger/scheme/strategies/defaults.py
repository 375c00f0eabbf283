"""Defaulting: what a client leaves out and every reader finds (SetDefaults_* in k8s.io/kubernetes/pkg/apis).

ledger/scheme/data/defaults.json names a type for each kind, and for each type, in the order they are applied:
`make` (values that must exist), `call` (functions), `set` (path -> value where missing; a path ending in "?" also where
it is zero), `when` (the same under a condition), `then` (functions again), `in` (path -> type of what is found there).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.strategies.default_functions import FUNCTIONS
from ledger.scheme.strategies.paths import every, get, put


@cache
def _rules() -> dict[str, Any]:
    return json.loads(resources.files("ledger.scheme").joinpath("data/defaults.json").read_bytes())


def default(definition: ResourceDefinition, version: Version | str, obj: Object, now: str | None = None) -> None:
    """Fill in the defaults of `obj`, in place, as the given version knows them.

    `obj` has been normalised for its Go type (zero values gone where Go leaves them out). `now` (RFC 3339) is needed
    only where a default is a time; without it such fields stay empty. Applied twice it changes nothing.
    """
    name = version if isinstance(version, str) else version.name
    kind = definition.kind if isinstance(version, str) else version.kind.kind
    default_kind(definition.gvr(name).api_version, kind, obj, now)


def default_kind(api_version: str, kind: str, obj: Object, now: str | None = None) -> None:
    """The same for an object that is no resource (TokenRequest)."""
    type_name = _rules()["kinds"].get(f"{api_version}/{kind}")
    if type_name:
        _apply(type_name, obj, now)


def _apply(type_name: str, value: Any, now: str | None) -> None:
    rule: Mapping[str, Any] = _rules()["types"][type_name]
    if not isinstance(value, dict):
        return
    _set(value, rule.get("make", {}))
    for name in rule.get("call", ()):
        FUNCTIONS[name](value, now)
    _set(value, rule.get("set", {}))
    for condition in rule.get("when", ()):
        if all(get(value, path) == wanted for path, wanted in condition.items() if path != "set"):
            _set(value, condition["set"])
    for name in rule.get("then", ()):
        FUNCTIONS[name](value, now)
    for path, child_type in rule.get("in", {}).items():
        for child in every(value, path):
            _apply(child_type, child, now)


def _set(value: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for path, default_value in defaults.items():
        found = get(value, path.removesuffix("?"))
        if found is None or (path.endswith("?") and found in ("", 0)):
            put(value, path.removesuffix("?"), deepcopy(default_value))
