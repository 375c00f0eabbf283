"""The steps a JSONPath is made of: each takes the values found so far and gives the next ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ledger.apimachinery import gotext

Values = list[Any]
Step = Callable[[Values], Values]


class JSONPathError(ValueError):
    """A path that cannot be parsed, or that does not fit the value."""


def run(steps: Sequence[Step], values: Values) -> Values:
    """What a sequence of steps finds."""
    for step in steps:
        values = step(values)
    return values


def constant(value: Any) -> Step:
    return lambda values: [value] * len(values)


def identifier(name: str) -> Step:
    def refuse(values: Values) -> Values:
        raise JSONPathError(f"unrecognized identifier {name}")

    return refuse


def field(name: str) -> Step:
    return lambda values: [one[name] for one in values if isinstance(one, dict) and name in one]


def union(parts: Sequence[Sequence[Step]]) -> Step:
    return lambda values: [found for steps in parts for found in run(steps, values)]


def wildcard(values: Values) -> Values:
    """Every member of the values."""
    return [member for one in values for member in _members(one)]


def walked(values: Values) -> Values:
    """The values that have members, and those below them, each before its members."""
    found: Values = []
    for one in values:
        members = _members(one)
        if members:
            found.append(one)
            found += walked(members)
    return found


def sliced(start: int | None, end: int | None, step: int | None, *, single: bool) -> Step:
    """Every `step`-th element from start up to end; negative ends count from the list's own. `single`: one index."""

    def of_one(elements: Any) -> Values:
        if not isinstance(elements, list):
            raise JSONPathError(f"{gotext.type_of(elements)} is not array or slice")
        length = len(elements)
        first = (start or 0) + (length if start is not None and start < 0 else 0)
        last = length if end is None else end
        if last < 0 or (last == 0 and single):
            last += length
        if first == last:
            return []
        if not 0 <= first < length:
            raise JSONPathError(f"array index out of bounds: index {first}, length {length}")
        if not 0 <= last <= length:
            raise JSONPathError(f"array index out of bounds: index {last - 1}, length {length}")
        if first > last:
            raise JSONPathError(f"starting index {first} is greater than ending index {last}")
        if step is not None and step <= 0:
            raise JSONPathError("step must be > 0")
        return elements[first : last : step or 1]

    def all_of(values: Values) -> Values:
        found: Values = []
        for one in values:
            if one is None:
                continue
            elements = of_one(one)
            if not elements:
                return found  # an empty slice ends the whole step upstream
            found += elements
        return found

    return all_of


def filtered(left: Sequence[Step], operator: str, right: Sequence[Step]) -> Step:
    """The elements of lists for which the comparison holds, or for which `left` finds anything ("exists")."""

    def passes(element: Any) -> bool:
        if operator == "exists":
            try:
                return bool(run(left, [element]))
            except JSONPathError:
                return True  # upstream answers with what it was given, which is something
        sides = [run(steps, [element]) for steps in (left, right)]
        if not all(sides):
            return False
        if any(len(side) > 1 for side in sides):
            raise JSONPathError("can only compare one element at a time")
        return _compare(sides[0][0], operator, sides[1][0])

    def step(values: Values) -> Values:
        found: Values = []
        for one in values:
            if not isinstance(one, list):
                raise JSONPathError(f"{gotext.verb_v(one)} is not array or slice and cannot be filtered")
            found += [element for element in one if passes(element)]
        return found

    return step


def _members(value: Any) -> Values:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, str):
        return list(value.encode())  # Go sees the bytes of a string
    return value if isinstance(value, list) else []


_COMPARABLE = {bool: "bool", int: "int", str: "string", float: "float"}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _compare(left: Any, operator: str, right: Any) -> bool:
    """Comparison as Go's templates have it: both of one kind, and booleans have no order."""
    kinds = {_kind(left), _kind(right)}
    compare = _OPERATORS.get(operator)
    if compare is None:
        raise JSONPathError(f"unrecognized filter operator {operator}")
    if "" in kinds or (kinds == {"bool"} and operator not in ("==", "!=")):
        raise JSONPathError("invalid type for comparison")
    if len(kinds) > 1:
        raise JSONPathError("incompatible types for comparison")
    return compare(left, right)


def _kind(value: Any) -> str:
    if isinstance(value, float):
        return "float"
    return _COMPARABLE.get(type(value), "")
