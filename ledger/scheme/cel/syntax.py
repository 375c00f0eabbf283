"""What a parsed expression is made of. `at` is the place that messages about a part point at, in characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ledger.scheme.cel.types import Type


class CelError(Exception):
    """An expression does not compile, or cannot be evaluated; the text is cel-go's."""


@dataclass(slots=True)
class Literal:
    at: int
    value: Any
    type: Type


@dataclass(slots=True)
class Ident:
    at: int
    name: str


@dataclass(slots=True)
class Select:
    at: int
    operand: Expr
    field: str
    test: bool = False  # has(operand.field)
    optional: bool = False  # operand.?field
    name: str = ""  # the checker found that this is a variable with dots in its name


@dataclass(slots=True)
class Call:
    """`target.function(arguments)`, `function(arguments)`, or an operator by its name: `_+_`, `_[_]`, `_?_:_`."""

    at: int
    function: str
    arguments: list[Expr]
    target: Expr | None = None
    overloads: list[Any] = field(default_factory=list)  # what the checker found it may mean


@dataclass(slots=True)
class ListOf:
    at: int
    elements: list[Expr]
    optional: frozenset[int]  # which elements are written `?x`


@dataclass(slots=True)
class MapOf:
    at: int
    entries: list[tuple[Expr, Expr, bool]]  # key, value, whether written `?key: value`


@dataclass(slots=True)
class Message:
    """`Name{field: value}`."""

    at: int
    name: str
    fields: list[tuple[str, Expr, bool, int]]  # name, value, whether optional, place of the colon


@dataclass(slots=True)
class Comprehension:
    """A macro over a list or map: all, exists, exists_one, map, filter, transformList, transformMap, ..."""

    at: int
    kind: str
    range: Expr
    variables: list[str]  # one, or index and value
    filter: Expr | None
    step: Expr
    step_at: int = 0  # where the macro stands, for what does not fit it


@dataclass(slots=True)
class Bind:
    """One name for one value: `cel.bind`, and what optMap, optFlatMap and sortBy are made of."""

    at: int
    kind: str  # optMap, optFlatMap, bind, sortBy
    name: str
    value: Expr
    body: Expr


Expr = Literal | Ident | Select | Call | ListOf | MapOf | Message | Comprehension | Bind


def names(one: Any) -> Iterator[str]:
    """The names that an expression, or any part of it, stands on; those of its own macros' variables included."""
    if isinstance(one, Ident):
        yield one.name.removeprefix(".")
    elif isinstance(one, list | tuple):
        for each in one:
            yield from names(each)
    elif isinstance(one, Expr):
        for part in one.__slots__:
            if part != "overloads":
                yield from names(getattr(one, part))


@dataclass(slots=True)
class Source:
    """An expression's text, and what was found wrong with it so far."""

    text: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def report(self, at: int, message: str) -> None:
        self.found.append((at, message))

    def check(self) -> None:
        """Raises CelError when something was found: every finding with its line, and a mark under the place."""
        if self.found:
            ordered = sorted(self.found, key=lambda one: one[0])
            raise CelError("\n".join(self._shown(at, message) for at, message in ordered[:100]))

    def _shown(self, at: int, message: str) -> str:
        if at < 0:
            return f"ERROR: <input>:-1:0: {message}"
        line, column = self.text.count("\n", 0, at) + 1, at - (self.text.rfind("\n", 0, at) + 1)
        snippet = self.text.split("\n")[line - 1].replace("\t", " ")
        dots = "".join("．" if ord(one) > 0x7F else "." for one in snippet[:column])
        mark = "＾" if column < len(snippet) and ord(snippet[column]) > 0x7F else "^"
        return f"ERROR: <input>:{line}:{column + 1}: {message}\n | {snippet}\n | {dots}{mark}"
