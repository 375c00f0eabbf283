"""Dotted paths into objects: "spec.replicas", "spec.containers[].ports[]", "" for the object itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=4096)
def _steps(path: str) -> tuple[tuple[str, bool], ...]:
    """("spec", False), ("containers", True): each key, and whether its value is a list to go through."""
    return tuple((step.removesuffix("[]"), step.endswith("[]")) for step in path.split(".")) if path else ()


def every(value: Any, path: str) -> Iterator[Any]:
    """The values at `path`, in order; what is missing or null is left out."""
    found = [value]
    for key, through in _steps(path):
        children = [child for one in found if isinstance(one, dict) and (child := one.get(key)) is not None]
        if through:
            found = [item for child in children if isinstance(child, list) for item in child if item is not None]
        else:
            found = children
        if not found:
            break
    return iter(found)


def get(value: Any, path: str, default: Any = None) -> Any:
    """The value at a path without lists; `default` where it is missing or null."""
    for key, _ in _steps(path):
        value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return default
    return value


def put(obj: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path without lists; maps on the way are made."""
    *parents, last = (key for key, _ in _steps(path))
    for key in parents:
        child = obj.get(key)
        if child is None:
            child = obj[key] = {}
        obj = child
    obj[last] = value


def restore(obj: dict[str, Any], old: dict[str, Any], path: str) -> None:
    """Make the value at `path` what it is in `old`, absent included."""
    before = get(old, path)
    if before is not None:
        put(obj, path, before)
        return
    parent, _, last = path.rpartition(".")
    holder = get(obj, parent) if parent else obj
    if isinstance(holder, dict):
        holder.pop(last, None)
