"""What cel-go makes of a macro: a loop with an accumulator, whose parts cost like any other expressions.

    list.all(x, p)        from true, while not false: result && p
    list.exists(x, p)     from false, while not true: result || p
    list.exists_one(x, p) from 0: p ? result + 1 : result; at the end result == 1
    list.map(x, f, t)     from []: f ? result + [t] : result
    map.transformMap(k, v, t)  from {}: cel.@mapInsert(result, k, t)

Sources: cel-go/parser/macro.go, cel-go/ext/comprehensions.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.scheme.cel.syntax import Call, Comprehension, Expr, Ident, ListOf, Literal, MapOf
from ledger.scheme.cel.types import BOOL, DYN, INT, Type, list_of, map_of

ACCUMULATOR = "@result"


@dataclass(frozen=True, slots=True)
class Loop:
    """A macro as a loop. `accumulated`: the type of the accumulator."""

    start: Expr
    condition: Expr
    step: Expr
    result: Expr
    accumulated: Type


def loop_of(one: Comprehension) -> Loop:
    match one.kind:
        case "all":
            return _until(one, True, "_&&_", _result())
        case "exists":
            return _until(one, False, "_||_", Call(one.at, "!_", [_result()]))
        case "exists_one":
            found = Call(one.at, "_+_", [_result(), Literal(one.at, 1, INT)])
            counted = Call(one.at, "_==_", [_result(), Literal(one.at, 1, INT)])
            return Loop(Literal(one.at, 0, INT), _always(one), _chosen(one, one.step, found), counted, INT)
        case "filter":
            element = ListOf(one.at, [Ident(one.at, one.variables[0])], frozenset())
            return _gathered(one, _chosen(one, one.step, _appended(one, element)))
        case "transformMap":
            inserted = Call(one.at, "cel.@mapInsert", [_result(), Ident(one.at, one.variables[0]), one.step])
            return _mapped(one, inserted)
        case "transformMapEntry":
            return _mapped(one, Call(one.at, "cel.@mapInsert", [_result(), one.step]))
    step: Expr = _appended(one, ListOf(one.at, [one.step], frozenset()))
    return _gathered(one, step if one.filter is None else _chosen(one, one.filter, step))


def _result() -> Ident:
    return Ident(-1, ACCUMULATOR)


def _always(one: Comprehension) -> Expr:
    return Literal(one.at, True, BOOL)


def _until(one: Comprehension, start: bool, join: str, going_on: Expr) -> Loop:
    condition = Call(one.at, "@not_strictly_false", [going_on])
    return Loop(Literal(one.at, start, BOOL), condition, Call(one.at, join, [_result(), one.step]), _result(), BOOL)


def _chosen(one: Comprehension, condition: Expr, step: Expr) -> Expr:
    return Call(one.at, "_?_:_", [condition, step, _result()])


def _appended(one: Comprehension, element: Expr) -> Expr:
    return Call(one.at, "_+_", [_result(), element])


def _gathered(one: Comprehension, step: Expr) -> Loop:
    return Loop(ListOf(one.at, [], frozenset()), _always(one), step, _result(), list_of(DYN))


def _mapped(one: Comprehension, inserted: Expr) -> Loop:
    step = inserted if one.filter is None else _chosen(one, one.filter, inserted)
    return Loop(MapOf(one.at, []), _always(one), step, _result(), map_of(DYN, DYN))
