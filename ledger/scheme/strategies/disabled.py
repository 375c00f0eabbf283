"""Fields of features that are off: dropped from new objects, kept where the old object uses them already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import product
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.paths import every


def drop_disabled_fields(definition: ResourceDefinition, obj: Object, old: Object | None) -> None:
    """Follows the dropDisabled* functions of the registry strategies; the list is data/disabled_fields.json."""
    for parent, key, path in _paths(f"{definition.group}/{definition.resource}"):
        holders = [holder for holder in every(obj, parent) if isinstance(holder, dict) and key in holder]
        if holders and (old is None or next(every(old, path), None) is None):
            for holder in holders:
                del holder[key]


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
