"""Functions as tables: what a function takes and gives, written as text, beside what it does.

overload("string.startsWith(string): bool", str.startswith)
overload("quantity(string): kubernetes.Quantity", quantity)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.scheme.cel import types
from ledger.scheme.cel.types import Type
from ledger.scheme.cel.values import Duration, Optional, Timestamp, Uint


@dataclass(frozen=True, slots=True)
class Overload:
    """One meaning of a function. A member's first parameter is what it is called on."""

    name: str
    member: bool
    parameters: tuple[Type, ...]
    result: Type
    do: Callable[..., Any]
    accepts: tuple[Callable[[Any], bool] | None, ...]  # of each parameter's values at run time; None: any

    def fits(self, arguments: list[Any]) -> bool:
        return len(arguments) == len(self.accepts) and all(
            accept is None or accept(value) for accept, value in zip(self.accepts, arguments, strict=True)
        )


Functions = Mapping[str, tuple[Overload, ...]]


def overload(signature: str, do: Callable[..., Any]) -> Overload:
    """`function(T, ...): R`, or `T.function(T, ...): R` for a member; names of functions may have dots after `::`."""
    call, _, result = signature.rpartition("): ")
    target, name, inside = _parts(call)
    parameters = tuple(types.parse(one) for one in [*([target] if target else []), *types.split(inside)])
    return Overload(name, bool(target), parameters, types.parse(result), do, tuple(map(_acceptance, parameters)))


def overloads(do: Callable[..., Any], *signatures: str) -> list[Overload]:
    """The same deed under several signatures."""
    return [overload(one, do) for one in signatures]


def table(*libraries: Iterable[Overload]) -> Functions:
    """All overloads by their function's name."""
    found: dict[str, list[Overload]] = {}
    for library in libraries:
        for one in library:
            found.setdefault(one.name, []).append(one)
    return {name: tuple(each) for name, each in found.items()}


def _parts(call: str) -> tuple[str, str, str]:
    """(the target's type or "", the name, what is inside of the brackets) of `target.name(inside`."""
    if call.startswith("::"):
        name, _, inside = call[2:].partition("(")
        return "", name, inside
    depth = opening = 0
    for place in range(len(call) - 1, -1, -1):
        depth += (call[place] == ")") - (call[place] == "(")
        if depth == -1:
            opening = place
            break
    before, inside = call[:opening], call[opening + 1 :]
    target, _, name = before.rpartition(".")
    return target, name, inside


_CLASSES: dict[str, Callable[[Any], bool]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: type(value) is int,
    "uint": lambda value: isinstance(value, Uint),
    "double": lambda value: isinstance(value, float),
    "string": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, bytes),
    "null_type": lambda value: value is None,
    "list": lambda value: isinstance(value, list),
    "map": lambda value: isinstance(value, Mapping),
    "type": lambda value: isinstance(value, Type),
    "optional_type": lambda value: isinstance(value, Optional),
    types.DURATION.name: lambda value: isinstance(value, Duration),
    types.TIMESTAMP.name: lambda value: isinstance(value, Timestamp),
}


def _acceptance(one: Type) -> Callable[[Any], bool] | None:
    if one.is_parameter or one.is_dyn:
        return None
    known = _CLASSES.get(one.name)
    if known is not None:
        return known
    name = one.name
    return lambda value: getattr(getattr(value, "cel_type", None), "name", "") == name
