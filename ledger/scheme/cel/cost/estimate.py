"""The cost of a checked expression (Cost of cel-go/checker/cost.go): a walk that tracks where values come from.

A value that comes from the schema is as large as that says; to know where it comes from, the walk keeps the path of each
part ("self", "spec", "@items"). What an expression makes is as large as what it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ledger.scheme.cel.cost.calls import LIST, MAP, MESSAGE, Estimate, Part, Sized, call_estimate
from ledger.scheme.cel.cost.interval import EMPTY, NOTHING, ONE, UNKNOWN, Interval, exactly, total
from ledger.scheme.cel.cost.macros import ACCUMULATOR, loop_of
from ledger.scheme.cel.cost.sizes import ITEMS, KEYS, VALUES, Shape
from ledger.scheme.cel.syntax import (
    Bind,
    Call,
    Comprehension,
    Expr,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Message,
    Select,
)
from ledger.scheme.cel.types import DYN, Type, list_of

Path = tuple[str, ...]
_SCALAR = frozenset({"bool", "double", "int", "uint", "google.protobuf.Duration", "google.protobuf.Timestamp"})


class Entry(NamedTuple):
    """The sizes of a container's entries."""

    is_list: bool
    key: Interval
    value: Interval

    def union(self, other: Entry) -> Entry:
        return Entry(self.is_list, self.key.union(other.key), self.value.union(other.value))


class Local(NamedTuple):
    """A variable of a macro."""

    path: Path
    type: Type
    size: Interval | None = None
    entry: Entry | None = None


def estimate(one: Expr, types: Mapping[int, Type], self_shape: Shape) -> Interval:
    """The least and the most an expression costs. `types`: of its parts, by their id."""
    return _Walk(types, self_shape).cost(one)


class _Walk:
    def __init__(self, types: Mapping[int, Type], shape: Shape) -> None:
        self.types, self.shape = dict(types), shape
        self.paths: dict[int, Path] = {}
        self.sizes: dict[int, Interval] = {}
        self.entries: dict[int, Entry] = {}
        self.locals: dict[str, list[Local]] = {}
        self.kept: list[Any] = []  # parts made here, which must live as long as their ids are used

    def cost(self, one: Expr) -> Interval:
        return _COSTS[type(one)](self, one)

    # --- what is known of a part ---
    def type(self, one: Expr) -> Type:
        if isinstance(one, Literal):
            return one.type
        local = self.local(one)
        return local.type if local is not None and local.type is not DYN else self.types.get(id(one), DYN)

    def local(self, one: Expr) -> Local | None:
        stack = self.locals.get(one.name) if isinstance(one, Ident) else None
        return stack[-1] if stack else None

    def path(self, one: Expr) -> Path:
        local = self.local(one)
        return local.path if local is not None else self.paths.get(id(one), ())

    def size(self, one: Expr) -> Interval | None:
        known = self.sizes.get(id(one))
        if known is not None:
            return known
        if (written := _written_size(one)) is not None:
            return written
        if (path := self.path(one)) and (shape := self.shape.at(path[1:])) is not None:
            self.sizes[id(one)] = Interval(0, shape.elements)
            return self.sizes[id(one)]
        if _is_scalar(self.type(one)):
            return ONE
        local = self.local(one)
        return local.size if local is not None else None

    def size_or_unknown(self, one: Expr) -> Interval:
        return self.size(one) or UNKNOWN

    def entry(self, one: Expr) -> Entry | None:
        known = self.entries.get(id(one))
        if known is None and (local := self.local(one)) is not None:
            return local.entry
        return known

    def copy(self, target: Expr, source: Expr) -> None:
        if (size := self.size(source)) is not None:
            self.sizes[id(target)] = size
        if (entry := self.entry(source)) is not None:
            self.entries[id(target)] = entry

    # --- parts that are no calls ---
    def literal(self, one: Literal) -> Interval:
        return NOTHING

    def ident(self, one: Ident) -> Interval:
        local = self.local(one)
        self.paths[id(one)] = local.path if local is not None else (one.name.removeprefix("."),)
        return ONE

    def select(self, one: Select) -> Interval:
        if one.name:  # a variable with dots in its name
            self.paths[id(one)] = (one.name,)
            return ONE
        cost = self.cost(one.operand)
        if one.test:
            return cost  # presence costs nothing (PresenceTestHasCost(false))
        if one.optional:
            return cost.plus(ONE)
        target = self.type(one.operand)
        self.paths[id(one)] = (*self.path(one.operand), one.field)
        return cost.plus(ONE) if target.name == "map" or target.fields is not None or target.is_parameter else cost

    def list_of(self, one: ListOf) -> Interval:
        cost, size = LIST, EMPTY if one.elements else NOTHING
        for each in one.elements:
            cost = cost.plus(self.cost(each))
            size = size.union(self.size_or_unknown(each))
        self.entries[id(one)] = Entry(True, ONE, size)
        return cost

    def map_of(self, one: MapOf) -> Interval:
        cost = MAP
        key_size = value_size = EMPTY if one.entries else NOTHING
        for key, value, _ in one.entries:
            cost = cost.plus(self.cost(key)).plus(self.cost(value))
            key_size = key_size.union(self.size_or_unknown(key))
            value_size = value_size.union(self.size_or_unknown(value))
        self.entries[id(one)] = Entry(False, key_size, value_size)
        return cost

    def message(self, one: Message) -> Interval:
        return total([MESSAGE, *(self.cost(value) for _, value, _, _ in one.fields)])

    # --- calls ---
    def call(self, one: Call) -> Interval:
        if one.function == "dyn":
            cost = ONE.plus(self.cost(one.arguments[0]))
            self.copy(one, one.arguments[0])
            return cost
        costs = [self.cost(each) for each in one.arguments]
        target = NOTHING if one.target is None else self.cost(one.target)
        found = self.operator(one, costs)
        if found is None:
            found = self.function(one)
            found = Estimate(found.cost.plus(total(costs)), found.size)
        size = found.size
        if one.function == "_[_]":
            size = self.indexed(one)
        if size is None:
            size = self.size(one)
        if size is not None:
            self.sizes[id(one)] = size
        return target.plus(found.cost)

    def operator(self, one: Call, costs: list[Interval]) -> Estimate | None:
        """Calls that need not evaluate all of their arguments."""
        if one.function in ("_&&_", "_||_"):
            whole = total(costs)
            return Estimate(Interval(costs[0].least, whole.most))
        if one.function == "_?_:_":
            yes, no = one.arguments[1:]
            if (entry := self.entry(yes)) is not None and (other := self.entry(no)) is not None:
                self.entries[id(one)] = entry.union(other)
            size = self.size_or_unknown(yes).union(self.size_or_unknown(no))
            return Estimate(costs[0].plus(costs[1].union(costs[2])), size)
        return None

    def function(self, one: Call) -> Estimate:
        """The range of all that the call may mean."""
        arguments = [self.part(each) for each in one.arguments]
        target = None if one.target is None else self.part(one.target)
        cost, size = EMPTY, None
        for takes in self.meanings(one):
            found = call_estimate(Sized(one.function, one.target is not None, takes, target, arguments))
            cost = cost.union(found.cost)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
        if one.function == "_+_" and (left := self.entry(one.arguments[0])) is not None:
            if (right := self.entry(one.arguments[1])) is not None:
                self.entries[id(one)] = left.union(right)
        return Estimate(cost, size)

    def meanings(self, one: Call) -> list[tuple[str, ...]]:
        """The types that each overload takes; of calls made here, those of their arguments."""
        if one.overloads:
            return [tuple(each.name for each in overload.parameters) for overload in one.overloads]
        return [tuple(self.type(each).name for each in one.arguments)]

    def part(self, one: Expr) -> Part:
        kind, path = self.type(one), self.path(one)
        if path and path[0] == ACCUMULATOR:
            path = ()
        inside = kind.parameters[0] if kind.parameters else None
        element = None
        if inside is not None and path and (shape := self.shape.at((*path[1:], ITEMS))) is not None:
            element = Interval(0, shape.elements)
        return Part(one, kind, self.size_or_unknown(one), element, inside)

    def indexed(self, one: Call) -> Interval | None:
        container = one.arguments[0]
        is_map = self.type(container).name == "map"
        self.paths[id(one)] = (*self.path(container), VALUES if is_map else ITEMS)
        entry = self.entry(container)
        return None if entry is None else entry.value

    # --- macros ---
    def comprehension(self, one: Comprehension) -> Interval:
        loop = loop_of(one)
        self.kept.append(loop)
        cost = self.cost(one.range).plus(self.cost(loop.start))
        accumulated = Local(self.path(loop.start), loop.accumulated, self.size(loop.start), self.entry(loop.start))
        self.push(ACCUMULATOR, accumulated)
        for name, local in zip(one.variables, self.variables(one), strict=True):
            self.push(name, local)
        each = self.cost(loop.condition).plus(self.cost(loop.step))
        step_entry = self.entry(loop.step)
        for name in one.variables:
            self.locals[name].pop()
        cost = cost.plus(self.cost(loop.result))
        self.locals[ACCUMULATOR].pop()
        count = self.size_or_unknown(one.range)
        if isinstance(loop.start, Literal):
            self.sizes[id(one)] = ONE
        else:
            self.sizes[id(one)] = count
            if step_entry is not None:
                self.entries[id(one)] = step_entry
        return cost.plus(count.times(each))

    def variables(self, one: Comprehension) -> list[Local]:
        """What the variables of a macro stand for: elements or keys; indexes and elements, or keys and values."""
        entry, path, kind = self.entry(one.range), self.path(one.range), self.type(one.range)
        is_list = entry.is_list if entry is not None else kind.name == "list"
        inside = kind.parameters or (DYN, DYN)
        key = Local((*path, "@indices" if is_list else KEYS), inside[0], entry.key if entry else None)
        value = Local((*path, ITEMS if is_list else VALUES), inside[-1], entry.value if entry else None)
        if len(one.variables) == 2:
            return [key, value]
        return [value if is_list else key]

    def push(self, name: str, local: Local) -> None:
        self.locals.setdefault(name, []).append(local)

    def bind(self, one: Bind) -> Interval:
        """optMap: `t.hasValue() ? optional.of(bind(v, t.value(), body)) : optional.none()`; optFlatMap without `of`."""
        if one.kind == "sortBy":
            return self.sorted_by(one)
        found = Call(one.at, "value", [], target=one.value)
        self.kept.append(found)
        has_value = self.cost(one.value).plus(ONE)
        bound = LIST.plus(self.cost(found))
        self.push(one.name, Local(self.path(found), DYN, self.size(found), self.entry(found)))
        taken = bound.plus(self.cost(one.body))
        self.locals[one.name].pop()
        if one.kind == "optMap":
            taken = taken.plus(ONE)
        return has_value.plus(taken.union(ONE))

    def sorted_by(self, one: Bind) -> Interval:
        """`bind(in, list, in.@sortByAssociatedKeys(in.map(x, key)))`."""
        source = Ident(one.at, "@__sortBy_input__")
        keys = Comprehension(one.at, "map", source, [one.name], None, one.body)
        call = Call(one.at, "@sortByAssociatedKeys", [keys], target=source)
        self.kept.append(call)
        self.types[id(keys)] = list_of(self.type(one.body))
        cost = LIST.plus(self.cost(one.value))
        kind = self.type(one.value)
        self.push(source.name, Local(self.path(one.value), kind, self.size(one.value), self.entry(one.value)))
        cost = cost.plus(self.cost(call))
        self.copy(one, call)
        self.locals[source.name].pop()
        return cost


def _written_size(one: Expr) -> Interval | None:
    if isinstance(one, Literal):
        return exactly(len(one.value)) if isinstance(one.value, str | bytes) else ONE
    if isinstance(one, ListOf):
        return exactly(len(one.elements))
    return exactly(len(one.entries)) if isinstance(one, MapOf) else None


def _is_scalar(kind: Type) -> bool:
    if kind.name == "optional_type":
        return _is_scalar(kind.parameters[0])
    return kind.name in _SCALAR


_COSTS: dict[type, Callable[[_Walk, Any], Interval]] = {
    Literal: _Walk.literal,
    Ident: _Walk.ident,
    Select: _Walk.select,
    Call: _Walk.call,
    ListOf: _Walk.list_of,
    MapOf: _Walk.map_of,
    Message: _Walk.message,
    Comprehension: _Walk.comprehension,
    Bind: _Walk.bind,
}
