"""Defaulting: what a client leaves out and every reader finds (SetDefaults_* in k8s.io/kubernetes/pkg/apis).

ledger/scheme/data/defaults.json names a type for each kind, and for each type, in the order they are applied:
`make` (values that must exist), `call` (functions), `set` (path -> value where missing; a path ending in "?" also where
it is zero), `when` (the same under a condition), `then` (functions again), `in` (path -> type of what is found there).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.strategies.default_functions import FUNCTIONS, Function
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
    plan = definition.plans.get(("defaults", name, kind))
    if plan is None:
        type_name = _rules()["kinds"].get(f"{definition.gvr(name).api_version}/{kind}")
        plan = definition.plans["defaults", name, kind] = _plan(type_name) if type_name else _NOTHING
    if plan is not _NOTHING:
        plan.apply(obj, now)


def default_kind(api_version: str, kind: str, obj: Object, now: str | None = None) -> None:
    """The same for an object that is no resource (TokenRequest)."""
    type_name = _rules()["kinds"].get(f"{api_version}/{kind}")
    if type_name:
        _plan(type_name).apply(obj, now)


class _Setting(NamedTuple):
    """A value that must be at a path."""

    path: str
    value: Any
    zero_too: bool  # "" and 0 count as missing

    def put(self, obj: dict[str, Any]) -> None:
        found = get(obj, self.path)
        if found is None or (self.zero_too and found in ("", 0)):
            put(obj, self.path, deepcopy(self.value))


@dataclass(slots=True)
class _Plan:
    """The defaults of one type, read once."""

    made: list[_Setting]
    first: list[Function]
    set: list[_Setting]
    when: list[tuple[list[tuple[str, Any]], list[_Setting]]]
    then: list[Function]
    inside: list[tuple[str, _Plan]]

    def apply(self, value: Any, now: str | None) -> None:
        if not isinstance(value, dict):
            return
        for setting in self.made:
            setting.put(value)
        for function in self.first:
            function(value, now)
        for setting in self.set:
            setting.put(value)
        for conditions, settings in self.when:
            if all(get(value, path) == wanted for path, wanted in conditions):
                for setting in settings:
                    setting.put(value)
        for function in self.then:
            function(value, now)
        for path, plan in self.inside:
            for child in every(value, path):
                plan.apply(child, now)


_NOTHING = _Plan([], [], [], [], [], [])


@cache
def _plan(type_name: str) -> _Plan:
    rule: Mapping[str, Any] = _rules()["types"][type_name]
    return _Plan(
        _settings(rule.get("make", {})),
        [FUNCTIONS[name] for name in rule.get("call", ())],
        _settings(rule.get("set", {})),
        [
            ([(path, wanted) for path, wanted in condition.items() if path != "set"], _settings(condition["set"]))
            for condition in rule.get("when", ())
        ],
        [FUNCTIONS[name] for name in rule.get("then", ())],
        [(path, _plan(child_type)) for path, child_type in rule.get("in", {}).items()],
    )


def _settings(defaults: Mapping[str, Any]) -> list[_Setting]:
    return [_Setting(path.removesuffix("?"), value, path.endswith("?")) for path, value in defaults.items()]
