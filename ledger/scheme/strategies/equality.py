"""When two values are the same for a strategy (equality.Semantic of k8s.io/apimachinery)."""

from __future__ import annotations

from typing import Any


def same(new: Any, old: Any) -> bool:
    """Equal, where null, missing and an empty list are one; `{}` and missing differ, as a pointer and nil do.

    Both sides have been normalised, so quantities and times are canonical text already.
    """
    if new is old:
        return True
    if isinstance(new, dict) and isinstance(old, dict):
        for key, value in new.items():
            before = old.get(key)
            # Most values are text: not worth a call each.
            if value is not before and (value != before if type(value) is str else not same(value, before)):
                return False
        return new.keys() >= old.keys() or all(same(None, old[key]) for key in old.keys() - new.keys())
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(map(same, new, old))
    if new in (None, []) and old in (None, []):
        return True
    return type(new) is type(old) and bool(new == old)
