"""Lists: Kubernetes' own functions and cel-go's (library/lists.go of k8s.io/apiserver, ext/lists.go of cel-go)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from ledger.scheme.cel.functions import overload, overloads
from ledger.scheme.cel.library.standard import add
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.values import Duration, Uint, compare, contains, equal, type_of

RANGE_MAX = 1_000_000
_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_ZEROS: dict[str, Any] = {"int": 0, "uint": Uint(0), "double": 0.0, "duration": Duration(0)}


def is_sorted(found: list[Any]) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(found))


def extreme(found: list[Any], sign: int, name: str) -> Any:
    if not found:
        raise CelError(f"{name} called on empty list")
    best = found[0]
    for one in found[1:]:
        if compare(one, best) == sign:
            best = one
    return best


def index_of(found: list[Any], value: Any) -> int:
    return next((place for place, one in enumerate(found) if equal(one, value)), -1)


def last_index_of(found: list[Any], value: Any) -> int:
    return next((place for place in range(len(found) - 1, -1, -1) if equal(found[place], value)), -1)


def slice_of(found: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise CelError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise CelError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(found):
        raise CelError(f"cannot slice({start}, {end}), list is length {len(found)}")
    return found[start:end]


def flatten(found: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    return list(_flat(found, depth))


def _flat(found: list[Any], depth: int) -> Iterator[Any]:
    for one in found:
        if isinstance(one, list) and depth:
            yield from _flat(one, depth - 1)
        else:
            yield one


def sort(found: list[Any]) -> list[Any]:
    return sort_by(found, found)


def sort_by(found: list[Any], keys: list[Any]) -> list[Any]:
    if keys and not isinstance(keys[0], int | float | bool | str | bytes | Duration):
        if not hasattr(keys[0], "nanos"):
            raise CelError("list elements must be comparable")
    if len({type_of(one).name for one in keys}) > 1:
        raise CelError("list elements must have the same type")

    def by_keys(one: tuple[Any, Any], other: tuple[Any, Any]) -> int:
        return compare(one[0], other[0])

    return [value for _, value in sorted(zip(keys, found, strict=True), key=cmp_to_key(by_keys))]


def distinct(found: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for one in found:
        if not contains(one, kept):
            kept.append(one)
    return kept


def numbers(count: int) -> list[int]:
    if count < 0:
        raise CelError(f"lists.range: size must be non-negative, got {count}")
    if count > RANGE_MAX:
        raise CelError(f"lists.range: size {count} exceeds maximum allowed ({RANGE_MAX})")
    return list(range(count))


def total(zero: Any) -> Any:
    def summed(found: list[Any]) -> Any:
        result = zero
        for place, one in enumerate(found):
            result = one if place == 0 else add(result, one)
        return result

    return summed


OVERLOADS = [
    *overloads(is_sorted, *(f"list({one}).isSorted(): bool" for one in _COMPARABLE)),
    *(overload(f"list({one}).sum(): {one}", total(zero)) for one, zero in _ZEROS.items()),
    *overloads(lambda found: extreme(found, 1, "max"), *(f"list({one}).max(): {one}" for one in _COMPARABLE)),
    *overloads(lambda found: extreme(found, -1, "min"), *(f"list({one}).min(): {one}" for one in _COMPARABLE)),
    overload("list(A).indexOf(A): int", index_of),
    overload("list(A).lastIndexOf(A): int", last_index_of),
    overload("list(T).slice(int, int): list(T)", slice_of),
    *overloads(flatten, "list(list(T)).flatten(): list(T)", "list(dyn).flatten(int): list(dyn)"),
    *overloads(sort, *(f"list({one}).sort(): list({one})" for one in _COMPARABLE)),
    *overloads(
        sort_by,
        *(f"list(T).@sortByAssociatedKeys(list({one})): list(T)" for one in _COMPARABLE),
    ),
    overload("::lists.range(int): list(int)", numbers),
    overload("list(T).reverse(): list(T)", lambda found: found[::-1]),
    overload("list(T).distinct(): list(T)", distinct),
]
