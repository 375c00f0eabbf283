"""When two values are the same for a strategy (equality.Semantic of k8s.io/apimachinery)."""

from __future__ import annotations

from typing import Any


def same(new: Any, old: Any) -> bool:
    """Equal, where null, missing and an empty list are one; `{}` and missing differ, as a pointer and nil do.

    Both sides have been normalised, so quantities and times are canonical text already.
    """
    if isinstance(new, dict) and isinstance(old, dict):
        if new.keys() == old.keys():
            return all(same(value, old[key]) for key, value in new.items())
        return all(same(new.get(key), old.get(key)) for key in new.keys() | old.keys())
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(map(same, new, old))
    if new in (None, []) and old in (None, []):
        return True
    return type(new) is type(old) and bool(new == old)
