"""Fields of features that are off: dropped from new objects, kept where the old object uses them already."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from itertools import product
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.paths import every


def drop_disabled_fields(definition: ResourceDefinition, obj: Object, old: Object | None) -> None:
    """Follows the dropDisabled* functions of the registry strategies; the list is data/disabled_fields.json."""
    fields = definition.plans.get("disabled")
    if fields is None:
        fields = definition.plans["disabled"] = _Fields(_paths(f"{definition.group}/{definition.resource}"))
    if not fields.keys and not fields.below:
        return
    found: dict[str, list[tuple[dict[str, Any], str]]] = {}
    fields.find(obj, found)
    for path, holders in found.items():
        if old is None or next(every(old, path), None) is None:
            for holder, key in holders:
                del holder[key]


class _Fields:
    """Paths of fields as a tree, so that what they share is gone down once."""

    __slots__ = ("below", "keys", "through")

    def __init__(self, paths: Iterable[tuple[str, str, str]] = ()) -> None:
        self.through = False  # a list, whose elements are gone through
        self.keys: dict[str, str] = {}  # the fields that are off here, each with its path
        self.below: dict[str, _Fields] = {}
        for parent, key, path in paths:
            place = self
            for step in parent.split(".") if parent else ():
                place = place.below.setdefault(step, _Fields())
                place.through = step.endswith("[]")
            place.keys[key] = path

    def find(self, value: Any, found: dict[str, list[tuple[dict[str, Any], str]]]) -> None:
        """Adds who holds one of the fields, and its key there, to what is found at its path."""
        if not isinstance(value, dict):
            return
        for key, path in self.keys.items():
            if key in value:
                found.setdefault(path, []).append((value, key))
        for step, fields in self.below.items():
            child = value.get(step.removesuffix("[]"))
            if not fields.through:
                if child is not None:
                    fields.find(child, found)
            elif isinstance(child, list):
                for one in child:
                    fields.find(one, found)


@cache
def _paths(resource: str) -> list[tuple[str, str, str]]:
    """(path of the holder, key, whole path) of each field that is off."""
    rules = _rules()
    found = []
    for root, fields in rules["resources"].get(resource, {}).items():
        for field in fields if isinstance(fields, list) else rules["types"][fields]:
            for path in _spelled_out(f"{root}.{field}" if root else field):
                parent, _, key = path.rpartition(".")
                found.append((parent, key, path))
    return found


def _spelled_out(path: str) -> Iterator[str]:
    words = [(f"{{{word}}}", choices) for word, choices in _rules()["words"].items() if f"{{{word}}}" in path]
    for chosen in product(*(choices for _, choices in words)):
        spelled = path
        for (word, _), choice in zip(words, chosen, strict=True):
            spelled = spelled.replace(word, choice)
        yield spelled


@cache
def _rules() -> dict[str, Any]:
    return json.loads(resources.files("ledger.scheme").joinpath("data/disabled_fields.json").read_bytes())
