"""Lists that are sets or maps: no element, or no key, may stand there twice (pkg/apiserver/schema/listtype)."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.field import FieldError, duplicate, invalid
from ledger.apimachinery.json_codec import dumps_sorted
from ledger.scheme.structural import Structural


def validate_lists(value: Any, node: Structural | None, path: str = "") -> list[FieldError]:
    """The duplicates anywhere in a value."""
    if node is None:
        return []
    errors: list[FieldError] = []
    if isinstance(value, dict):
        if node.additional is not None:
            for name in sorted(value):
                errors += validate_lists(value[name], node.additional, f"{path}[{name}]")
        for name in sorted(value.keys() & node.properties.keys()):
            errors += validate_lists(value[name], node.properties[name], f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        if node.list_type == "set":
            errors += [duplicate(f"{path}[{index}]", value[index]) for index in _repeated(value)]
        elif node.list_type == "map":
            errors += _map_errors(value, node.list_keys, path)
        for index, one in enumerate(value):
            errors += validate_lists(one, node.items, f"{path}[{index}]")
    return errors


def _map_errors(items: list[Any], keys: tuple[str, ...], path: str) -> list[FieldError]:
    for index, one in enumerate(items):
        if one is not None and not isinstance(one, dict):
            return [invalid(f"{path}[{index}]", one, "must be an object for an array of list-type map")]
    found = [{key: one[key] for key in keys if one is not None and key in one} for one in items]
    return [duplicate(f"{path}[{index}]", found[index]) for index in _repeated(found)]


def _repeated(items: list[Any]) -> list[int]:
    """Where each value that is there more than once stands the second time."""
    seen: dict[bytes, int] = {}
    places = []
    for index, one in enumerate(items):
        encoded = dumps_sorted(one)
        seen[encoded] = seen.get(encoded, 0) + 1
        if seen[encoded] == 2:
            places.append(index)
    return places
