"""Optional values (cel.OptionalTypes of cel-go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.scheme.cel.functions import overload, overloads
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.values import MISSING, NOTHING, Duration, Optional, Timestamp, find, no_such_overload


def of_non_zero(value: Any) -> Optional:
    """Nothing for what says nothing: null, false, 0, "", an empty list or map."""
    if isinstance(value, Duration | Timestamp):
        return Optional(value.nanos != 0, value)
    return NOTHING if value is None or value is False or value in (0, "", b"", [], {}) else Optional(True, value)


def value_of(one: Optional) -> Any:
    if not one.present:
        raise CelError("optional.none() dereference")
    return one.value


def index(collection: Any, key: Any) -> Optional:
    """`collection[?key]`, and `.?key` of what may be nothing itself."""
    if isinstance(collection, Optional):
        return index(collection.value, key) if collection.present else NOTHING
    if isinstance(collection, Mapping):
        value = find(collection, key)
        return NOTHING if value is MISSING else Optional(True, value)
    if not isinstance(collection, list) or not isinstance(key, int | float) or isinstance(key, bool):
        raise no_such_overload()
    return Optional(True, collection[int(key)]) if 0 <= key < len(collection) and key == int(key) else NOTHING


OVERLOADS = [
    overload("::optional.of(V): optional_type(V)", lambda value: Optional(True, value)),
    overload("::optional.ofNonZeroValue(V): optional_type(V)", of_non_zero),
    overload("::optional.none(): optional_type(V)", lambda: NOTHING),
    overload("optional_type(V).value(): V", value_of),
    overload("optional_type(V).hasValue(): bool", lambda one: one.present),
    overload(
        "optional_type(V).or(optional_type(V)): optional_type(V)", lambda one, other: one if one.present else other
    ),
    overload("optional_type(V).orValue(V): V", lambda one, other: one.value if one.present else other),
    *overloads(
        index,
        "_[?_](list(V), int): optional_type(V)",
        "_[?_](optional_type(list(V)), int): optional_type(V)",
        "_[?_](map(K, V), K): optional_type(V)",
        "_[?_](optional_type(map(K, V)), K): optional_type(V)",
    ),
    overload("_[_](optional_type(list(V)), int): optional_type(V)", index),
    overload("_[_](optional_type(map(K, V)), K): optional_type(V)", index),
]
