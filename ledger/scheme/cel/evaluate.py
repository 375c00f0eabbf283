"""A checked expression as a Python function of its variables.

Each part becomes a closure once; evaluating is calling the outermost. Errors are raised, but `&&`, `||`, `all` and
`exists` hide one when another operand decides. Work inside of loops is counted, so that no expression runs for long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ledger.scheme.cel.library import optionals
from ledger.scheme.cel.library.lists import sort_by
from ledger.scheme.cel.library.standard import TYPE_NAMES
from ledger.scheme.cel.syntax import (
    Bind,
    Call,
    CelError,
    Comprehension,
    Expr,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Message,
    Select,
)
from ledger.scheme.cel.types import UINT
from ledger.scheme.cel.values import MISSING, NOTHING, MessageValue, Optional, Uint, equal, find, no_such_overload

COST_MAX = 1_000_000  # as PerCallLimit in apiserver/pkg/apis/cel, in parts evaluated inside of loops
OUT_OF_BUDGET = "operation cancelled: actual cost limit exceeded"


class Frame:
    """The variables of one evaluation, and what is left of its budget."""

    __slots__ = ("left", "variables")

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = dict(variables)
        self.left = COST_MAX

    def spend(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise CelError(OUT_OF_BUDGET)


Run = Callable[[Frame], Any]


def plan(one: Expr) -> Run:
    """The function that evaluates this part. It raises CelError."""
    return _PLANS[type(one)](one)


def _literal(one: Literal) -> Run:
    value = Uint(one.value) if one.type == UINT else one.value
    return lambda frame: value


def _named(name: str) -> Run:
    def run(frame: Frame) -> Any:
        value = frame.variables.get(name, MISSING)
        if value is MISSING:
            value = TYPE_NAMES.get(name, MISSING)
        if value is MISSING:
            raise CelError(f"no such attribute(s): {name}")
        return value

    return run


def _ident(one: Ident) -> Run:
    return _named(one.name.removeprefix("."))


def _select(one: Select) -> Run:
    if one.name:
        return _named(one.name)
    operand, name = plan(one.operand), one.field
    if one.test:
        return lambda frame: _present(operand(frame), name)
    if one.optional:
        return lambda frame: _optional_field(operand(frame), name)

    def run(frame: Frame) -> Any:
        return _field(operand(frame), name)

    return run


def _field(target: Any, name: str) -> Any:
    if isinstance(target, Mapping):
        value = target.get(name, MISSING)
        if value is MISSING:
            raise CelError(f"no such key: {name}")
        return value
    if isinstance(target, Optional):
        return _optional_field(target, name)
    if isinstance(target, list):
        raise CelError("unsupported index type 'string' in list")
    raise CelError(f"no such key: {name}")


def _optional_field(target: Any, name: str) -> Optional:
    if isinstance(target, Optional):
        return _optional_field(target.value, name) if target.present else NOTHING
    if not isinstance(target, Mapping):
        return NOTHING
    value = target.get(name, MISSING)
    return NOTHING if value is MISSING else Optional(True, value)


def _present(target: Any, name: str) -> bool:
    return _optional_field(target, name).present


# --- calls ---
def _call(one: Call) -> Run:
    special = _OPERATORS.get(one.function)
    if special is not None:
        return special(*map(plan, one.arguments))
    arguments = [plan(each) for each in ([one.target] if one.target is not None else []) + one.arguments]
    overloads = one.overloads
    deeds = {each.do for each in overloads}
    if len(deeds) == 1 and one.function in _TOTAL:
        return _direct(overloads[0].do, arguments)

    def run(frame: Frame) -> Any:
        values = [each(frame) for each in arguments]
        for candidate in overloads:
            if candidate.fits(values):
                return candidate.do(*values)
        raise no_such_overload()

    return run


def _direct(do: Callable[..., Any], arguments: list[Run]) -> Run:
    """For functions that refuse what does not fit them by themselves."""
    if len(arguments) == 2:
        first, second = arguments
        return lambda frame: do(first(frame), second(frame))
    return lambda frame: do(*(each(frame) for each in arguments))


def _and(left: Run, right: Run) -> Run:
    return _decided(left, right, False)


def _or(left: Run, right: Run) -> Run:
    return _decided(left, right, True)


def _decided(left: Run, right: Run, decides: bool) -> Run:
    """One side with the deciding value decides, whatever the other side is, an error included."""

    def run(frame: Frame) -> bool:
        try:
            value = left(frame)
            if value is decides:
                return decides
            if not isinstance(value, bool):
                raise no_such_overload()
        except CelError:
            if right(frame) is decides:
                return decides
            raise
        value = right(frame)
        if not isinstance(value, bool):
            raise no_such_overload()
        return value

    return run


def _ternary(condition: Run, yes: Run, no: Run) -> Run:
    def run(frame: Frame) -> Any:
        value = condition(frame)
        if not isinstance(value, bool):
            raise no_such_overload()
        return yes(frame) if value else no(frame)

    return run


_OPERATORS: dict[str, Callable[..., Run]] = {
    "_&&_": _and,
    "_||_": _or,
    "_?_:_": _ternary,
    "_==_": lambda left, right: lambda frame: equal(left(frame), right(frame)),
    "_!=_": lambda left, right: lambda frame: not equal(left(frame), right(frame)),
}
_TOTAL = frozenset(
    ("_+_", "_-_", "_*_", "_/_", "_%_", "_<_", "_<=_", "_>_", "_>=_", "-_", "!_", "@in", "size", "_[?_]")
)


# --- aggregates ---
def _list(one: ListOf) -> Run:
    elements = [plan(each) for each in one.elements]
    if not one.optional:
        return lambda frame: [each(frame) for each in elements]

    def run(frame: Frame) -> list[Any]:
        found = []
        for place, each in enumerate(elements):
            value = each(frame)
            if place not in one.optional:
                found.append(value)
            elif not isinstance(value, Optional):
                raise CelError(f"cannot initialize optional list element from non-optional value {value}")
            elif value.present:
                found.append(value.value)
        return found

    return run


def _entries(frame: Frame, entries: Iterable[tuple[Any, Run, bool]]) -> Iterable[tuple[Any, Any]]:
    for key, each, optional in entries:
        value = each(frame)
        if not optional:
            yield key, value
        elif not isinstance(value, Optional):
            raise CelError(f"cannot initialize optional entry '{key}' from non-optional value {value}")
        elif value.present:
            yield key, value.value


def _map(one: MapOf) -> Run:
    planned = [(plan(key), plan(value), optional) for key, value, optional in one.entries]

    def run(frame: Frame) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in _entries(frame, ((key(frame), value, optional) for key, value, optional in planned)):
            if find(found, key) is not MISSING:
                raise CelError(f"insert failed: key {key} already exists")
            found[key] = value
        return found

    return run


def _message(one: Message) -> Run:
    planned = [(name, plan(value), optional) for name, value, optional, _ in one.fields]
    return lambda frame: MessageValue(one.name, dict(_entries(frame, planned)))


# --- macros ---
def _comprehension(one: Comprehension) -> Run:
    over, step = plan(one.range), plan(one.step)
    condition = None if one.filter is None else plan(one.filter)
    cost, gather = _size(one.step), _GATHER[one.kind]

    def run(frame: Frame) -> Any:
        found = over(frame)
        outer, frame.variables = frame.variables, dict(frame.variables)
        try:
            return gather(_turns(frame, found, one.variables, condition, cost), lambda: step(frame))
        finally:
            frame.variables = outer

    return run


def _turns(frame: Frame, found: Any, names: list[str], condition: Run | None, cost: int) -> Iterable[tuple[Any, Any]]:
    """(key or index, element) of each turn, with the variables set to it."""
    if isinstance(found, list):
        pairs: Iterable[tuple[Any, Any]] = enumerate(found)
        only = 1
    elif isinstance(found, Mapping):
        pairs, only = list(found.items()), 0
    else:
        raise no_such_overload()
    for pair in pairs:
        frame.spend(cost)
        if len(names) == 2:
            frame.variables[names[0]], frame.variables[names[1]] = pair
        else:
            frame.variables[names[0]] = pair[only]
        if condition is None or _truth(condition(frame)):
            yield pair[0], pair[only] if len(names) == 1 else pair[1]


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise no_such_overload()
    return value


Turns = Iterable[tuple[Any, Any]]
Step = Callable[[], Any]


def _until(decides: bool) -> Callable[[Turns, Step], bool]:
    def gather(turns: Turns, step: Step) -> bool:
        error: CelError | None = None
        for _ in turns:
            try:
                value = _truth(step())
            except CelError as raised:
                if str(raised) == OUT_OF_BUDGET:
                    raise
                error = error or raised
                continue
            if value is decides:
                return decides
        if error is not None:
            raise error
        return not decides

    return gather


def _inserted(turns: Turns, step: Step) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for _ in turns:
        entries = step()
        if not isinstance(entries, Mapping):
            raise no_such_overload()
        for key, value in entries.items():
            if find(found, key) is not MISSING:
                raise CelError(f"insert failed: key {key} already exists")
            found[key] = value
    return found


_GATHER: dict[str, Callable[[Turns, Step], Any]] = {
    "all": _until(False),
    "exists": _until(True),
    "exists_one": lambda turns, step: sum(_truth(step()) for _ in turns) == 1,
    "filter": lambda turns, step: [element for _, element in turns if _truth(step())],
    "map": lambda turns, step: [step() for _ in turns],
    "transformList": lambda turns, step: [step() for _ in turns],
    "transformMap": lambda turns, step: {key: step() for key, _ in turns},
    "transformMapEntry": _inserted,
}


def _bind(one: Bind) -> Run:
    value, body = plan(one.value), plan(one.body)
    cost = _size(one.body)

    def with_name(frame: Frame, bound: Any) -> Any:
        outer, frame.variables = frame.variables, {**frame.variables, one.name: bound}
        try:
            return body(frame)
        finally:
            frame.variables = outer

    def sorted_by(frame: Frame) -> list[Any]:
        found = value(frame)
        if not isinstance(found, list):
            raise no_such_overload()
        frame.spend(cost * len(found))
        return sort_by(found, [with_name(frame, each) for each in found])

    def mapped(frame: Frame) -> Any:
        target = value(frame)
        if not isinstance(target, Optional):
            raise no_such_overload()
        if not target.present:
            return NOTHING
        result = with_name(frame, optionals.value_of(target))
        return Optional(True, result) if one.kind == "optMap" else result

    return sorted_by if one.kind == "sortBy" else mapped


def _size(one: Any) -> int:
    """How many parts an expression has."""
    if isinstance(one, list | tuple):
        return sum(map(_size, one))
    if type(one) not in _PLANS:
        return 0
    inside = [getattr(one, name) for name in one.__slots__ if name != "overloads"]
    return 1 + sum(map(_size, inside))


_PLANS: dict[type, Callable[[Any], Run]] = {
    Literal: _literal,
    Ident: _ident,
    Select: _select,
    Call: _call,
    ListOf: _list,
    MapOf: _map,
    Message: _message,
    Comprehension: _comprehension,
    Bind: _bind,
}
