"""Whether an expression makes sense by its types, and what its parts mean (checker/checker.go of cel-go)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ledger.scheme.cel import types
from ledger.scheme.cel.functions import Functions, Overload
from ledger.scheme.cel.library.standard import TYPE_NAMES
from ledger.scheme.cel.library.times import parse_duration, parse_timestamp
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
    Source,
)
from ledger.scheme.cel.types import BOOL, DYN, ERROR, INT, Substitutions, Type
from ledger.scheme.go_patterns import PatternError, compiled

Messages = Callable[[str], Type | None]
_REPEATED = ("map", "transformList")


def check(
    source: Source,
    expression: Expr,
    variables: Mapping[str, Type],
    functions: Functions,
    messages: Messages,
    parts: dict[int, Type] | None = None,
) -> Type:
    """The type the expression gives. Marks calls with their overloads. Raises CelError with all that is wrong.

    `parts`: where to note the types of all parts, by their id.
    """
    checker = _Checker(source, dict(variables), functions, messages)
    found = checker.known.apply(checker.check(expression), free_to_dyn=True)
    if parts is not None:
        parts |= {part: checker.known.apply(one, free_to_dyn=True) for part, one in checker.parts.items()}
    source.check()
    for at, function, text in checker.literals:
        if not _readable(function, text):
            source.report(at, f"invalid {function} argument")
    source.found += checker.mixed()
    source.check()
    return found


class _Checker:
    def __init__(self, source: Source, variables: dict[str, Type], functions: Functions, messages: Messages) -> None:
        self.source, self.variables, self.functions, self.messages = source, variables, functions, messages
        self.known = Substitutions()
        self.parts: dict[int, Type] = {}
        self.literals: list[tuple[int, str, str]] = []  # constant arguments that have a form of their own
        self.literal_elements: list[list[tuple[int, Type]]] = []  # of each list, of the keys and values of each map
        self.formatting = 0  # inside of so many calls of format(), whose arguments may be mixed

    def check(self, one: Expr) -> Type:
        found = self.parts[id(one)] = _CHECKS[type(one)](self, one)
        return found

    def resolved(self, one: Expr) -> Type:
        return self.known.apply(self.check(one))

    def literal(self, one: Literal) -> Type:
        return one.type

    def variable(self, name: str) -> Type | None:
        found = self.variables.get(name.removeprefix("."))
        if found is None and name in TYPE_NAMES:
            return types.type_of(TYPE_NAMES[name])
        return found

    def ident(self, one: Ident) -> Type:
        found = self.variable(one.name)
        return self.undeclared(one.at, one.name) if found is None else found

    def undeclared(self, at: int, name: str) -> Type:
        self.source.report(at, f"undeclared reference to '{name}' (in container '')")
        return ERROR

    # --- fields ---
    def select(self, one: Select) -> Type:
        name = None if one.test or one.optional else dotted(one)
        if name is not None and (found := self.variable(name)) is not None:
            one.name = name.removeprefix(".")
            return found
        result = self.field(one)
        return BOOL if one.test else self.known.apply(result)

    def field(self, one: Select) -> Type:
        target = self.resolved(one.operand)
        optional = target.name == "optional_type"
        if optional:
            (target,) = target.parameters
        result = ERROR
        if target.name == "map":
            result = target.parameters[1]
        elif target.fields is not None:
            result = target.fields(one.field) or ERROR
            if result is ERROR:
                self.source.report(one.at, f"undefined field '{one.field}'")
        elif target.is_parameter:
            self.known.assignable([DYN], [target])
            result = DYN
        elif target.is_dyn:
            result = DYN
        elif target.nullable and not target.parameters and target.name not in types.PLAIN:
            self.source.report(one.at, f"unexpected failed resolution of '{target.name}'")
        else:
            self.source.report(one.at, f"type '{target.described()}' does not support field selection")
            result = DYN
        return types.optional_of(result) if optional or one.optional else result

    # --- calls ---
    def call(self, one: Call) -> Type:
        self.formatting += one.function == "format"
        given = [self.check(each) for each in one.arguments]
        self.formatting -= one.function == "format"
        if one.target is not None:
            prefix = dotted(one.target)
            name = f"{prefix}.{one.function}"
            if prefix is not None and name.removeprefix(".") in self.functions:
                one.function, one.target = name, None
        if one.target is not None:
            given.insert(0, self.check(one.target))
        one.function = one.function.removeprefix(".")
        candidates = self.functions.get(one.function)
        if candidates is None:
            return self.undeclared(one.at, one.function)
        if one.function in ("_&&_", "_||_"):
            return self.logical(one, given)
        return self.resolve(one, candidates, given)

    def logical(self, one: Call, given: list[Type]) -> Type:
        result = BOOL
        for argument, found in zip(one.arguments, given, strict=True):
            result = result if self.wanted(BOOL, found, argument.at) else ERROR
        return result

    def wanted(self, wanted: Type, found: Type, at: int) -> bool:
        if self.known.assignable([found], [wanted]):
            return True
        self.source.report(at, f"expected type '{wanted.described()}' but found '{found.described()}'")
        return False

    def resolve(self, one: Call, candidates: tuple[Overload, ...], given: list[Type]) -> Type:
        """The type of the overloads that fit; dyn where several do and differ."""
        member = one.target is not None
        result: Type | None = None
        for candidate in candidates:
            if candidate.member != member or len(candidate.parameters) != len(given):
                continue
            wanted, gives = self.instance(candidate)
            if self.known.assignable(given, wanted):
                one.overloads.append(candidate)
                gives = self.known.apply(gives)
                result = gives if result is None or result == gives else DYN
        if result is None:
            self.mismatch(one.at, one.function, given, member)
            return ERROR
        self.remember(one)
        return result

    def mismatch(self, at: int, function: str, given: list[Type], member: bool) -> None:
        shown = [self.known.apply(each, free_to_dyn=True).described() for each in given]
        target = f"{shown.pop(0)}." if member else ""
        signature = f"{target}({', '.join(shown)})"
        self.source.report(at, f"found no matching overload for '{function}' applied to '{signature}'")

    def instance(self, candidate: Overload) -> tuple[list[Type], Type]:
        """An overload's parameters and result with type parameters of its own."""
        labels = sorted(_labels((*candidate.parameters, candidate.result)))
        if not labels:
            return list(candidate.parameters), candidate.result
        fresh = {label: self.known.fresh() for label in labels}
        return [_renamed(each, fresh) for each in candidate.parameters], _renamed(candidate.result, fresh)

    def remember(self, one: Call) -> None:
        place = {"duration": 0, "timestamp": 0, "matches": -1}.get(one.function)
        if place is not None and one.arguments and (one.target is not None or place == 0):
            argument = one.arguments[place]
            if isinstance(argument, Literal) and isinstance(argument.value, str):
                self.literals.append((argument.at, one.function, argument.value))

    # --- aggregates ---
    def list_of(self, one: ListOf) -> Type:
        joined: Type | None = None
        found: list[tuple[int, Type]] = []
        for place, each in enumerate(one.elements):
            element = self.check(each)
            if place in one.optional:
                element = self.unwrapped(element, each.at)
            found.append((each.at, element))
            joined = self.joined(joined, element)
        self.alike(found)
        return types.list_of(self.known.fresh() if joined is None else joined)

    def map_of(self, one: MapOf) -> Type:
        key_type: Type | None = None
        value_type: Type | None = None
        keys: list[tuple[int, Type]] = []
        values: list[tuple[int, Type]] = []
        for key, value, optional in one.entries:
            keys.append((key.at, self.check(key)))
            key_type = self.joined(key_type, keys[-1][1])
            found = self.check(value)
            if optional:
                found = self.unwrapped(found, value.at)
            values.append((value.at, found))
            value_type = self.joined(value_type, found)
        self.alike(keys)
        self.alike(values)
        return types.map_of(key_type or self.known.fresh(), value_type or self.known.fresh())

    def alike(self, found: list[tuple[int, Type]]) -> None:
        """Elements of one literal must be of one type, which is known when all is checked."""
        if not self.formatting:
            self.literal_elements.append(found)

    def mixed(self) -> Iterator[tuple[int, str]]:
        """What differs from the first element of its literal."""
        for found in self.literal_elements:
            known = [(at, self.known.apply(one, free_to_dyn=True)) for at, one in found]
            for at, one in known[1:]:
                if one != known[0][1]:
                    yield at, f"expected type '{known[0][1].described()}' but found '{one.described()}'"
                    break

    def unwrapped(self, found: Type, at: int) -> Type:
        found = self.known.apply(found)
        if found.name == "optional_type":
            return found.parameters[0]
        if not found.is_dyn:
            wanted = types.optional_of(found).described()
            self.source.report(at, f"expected type '{wanted}' but found '{found.described()}'")
        return found

    def joined(self, before: Type | None, found: Type) -> Type:
        if before is None:
            return found
        return types.most_general(before, found) if self.known.assignable([before], [found]) else DYN

    def message(self, one: Message) -> Type:
        found = self.messages(one.name.removeprefix("."))
        if found is None:
            return self.undeclared(one.at, one.name)
        assert found.fields is not None
        for name, value, optional, at in one.fields:
            given = self.check(value)
            wanted = found.fields(name)
            if wanted is None:
                self.source.report(at, f"undefined field '{name}'")
                continue
            if optional:
                given = self.unwrapped(given, value.at)
            if not self.known.assignable([wanted], [given]):
                shown = self.known.apply(given, free_to_dyn=True).described()
                text = f"expected type of field '{name}' is '{wanted.described()}' but provided type is '{shown}'"
                self.source.report(at, text)
        return found

    # --- macros ---
    def comprehension(self, one: Comprehension) -> Type:
        over = self.resolved(one.range)
        first, second = self.elements(one, over)
        names = dict(zip(one.variables, (first, second) if len(one.variables) == 2 else (first,), strict=False))
        outer, self.variables = self.variables, {**self.variables, **names}
        try:
            return self.known.apply(self.body(one, first))
        finally:
            self.variables = outer

    def elements(self, one: Comprehension, over: Type) -> tuple[Type, Type]:
        """What the variables stand for: elements, or indexes and elements; keys, or keys and values."""
        if over.name == "list":
            element = over.parameters[0]
            return (INT, element) if len(one.variables) == 2 else (element, DYN)
        if over.name == "map":
            return over.parameters[0], over.parameters[1]
        if over.is_dyn or over.is_parameter:
            self.known.assignable([DYN], [over])
            return DYN, DYN
        text = f"expression of type '{over.described()}' cannot be range of a comprehension"
        self.source.report(one.range.at, f"{text} (must be list, map, or dynamic)")
        return ERROR, ERROR

    def body(self, one: Comprehension, first: Type) -> Type:
        if one.kind in ("all", "exists"):
            self.wanted(BOOL, self.check(one.step), one.step.at)
            return BOOL
        if one.kind == "exists_one":
            self.chosen(one, self.check(one.step), INT)
            return BOOL
        if one.kind == "filter":
            result = types.list_of(first)
            self.chosen(one, self.check(one.step), result)
            return result
        condition = None if one.filter is None else self.check(one.filter)
        step = self.check(one.step)
        if one.kind in _REPEATED:
            result = types.list_of(step)
        elif one.kind == "transformMap":
            result = types.map_of(first, step)
        else:
            result = self.known.apply(step)
            if result.name != "map" and not result.is_dyn:
                self.mismatch(one.step_at, "cel.@mapInsert", [types.map_of(DYN, DYN), result], False)
                result = ERROR
        if condition is not None:
            self.chosen(one, condition, result)
        return result

    def chosen(self, one: Comprehension, condition: Type, result: Type) -> None:
        """The step is taken only when the condition holds: a ternary, as the macro expands to."""
        if not self.known.assignable([condition], [BOOL]):
            self.mismatch(one.step_at, "_?_:_", [condition, result, result], False)

    def bind(self, one: Bind) -> Type:
        target = self.resolved(one.value)
        inner, listed = DYN, one.kind == "sortBy"
        if target.name == ("list" if listed else "optional_type"):
            inner = target.parameters[0]
        elif not target.is_dyn and not target.is_parameter:
            for function in ("@sortByAssociatedKeys",) if listed else ("hasValue", "value"):
                self.mismatch(one.at, function, [target], True)
        outer, self.variables = self.variables, {**self.variables, one.name: inner}
        try:
            body = self.resolved(one.body)
        finally:
            self.variables = outer
        if listed:
            call = Call(one.at, "@sortByAssociatedKeys", [], target=one.value)
            return self.resolve(call, self.functions[call.function], [target, types.list_of(body)])
        return types.optional_of(body) if one.kind == "optMap" else body


def dotted(one: Expr) -> str | None:
    """`a.b.c` as a name; None for what is more than names and dots."""
    if isinstance(one, Ident):
        return one.name
    if isinstance(one, Select) and not one.test and not one.optional:
        before = dotted(one.operand)
        return None if before is None else f"{before}.{one.field}"
    return None


def _labels(found: tuple[Type, ...]) -> set[str]:
    return {one.label for one in found if one.is_parameter}.union(*(_labels(one.parameters) for one in found))


def _renamed(one: Type, fresh: Mapping[str, Type]) -> Type:
    if one.is_parameter:
        return fresh[one.label]
    if not one.parameters:
        return one
    return Type(one.name, tuple(_renamed(each, fresh) for each in one.parameters))


def _readable(function: str, text: str) -> bool:
    read: dict[str, Callable[[str], Any]] = {
        "duration": parse_duration,
        "timestamp": parse_timestamp,
        "matches": compiled,
    }
    try:
        read[function](text)
    except (CelError, PatternError):
        return False
    return True


_CHECKS: dict[type, Callable[[_Checker, Any], Type]] = {
    Literal: _Checker.literal,
    Ident: _Checker.ident,
    Select: _Checker.select,
    Call: _Checker.call,
    ListOf: _Checker.list_of,
    MapOf: _Checker.map_of,
    Message: _Checker.message,
    Comprehension: _Checker.comprehension,
    Bind: _Checker.bind,
}
