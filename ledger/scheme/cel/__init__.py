"""CEL, the language of validation rules and admission policies, as kube-apiserver speaks it.

    rules = Environment({"self": DYN, "oldSelf": DYN})
    program = rules.compile("self.replicas <= self.maxReplicas")     # CelError: does not compile, in cel-go's words
    program.evaluate({"self": obj, "oldSelf": old})                  # CelError: cannot be evaluated
    program.result                                                   # the type it gives: BOOL

Values are what JSON gives (see `values` for the others). Written here and not taken from the C++ library with Python
bindings, because that one has neither Kubernetes' functions nor the two-variable macros, its messages differ from
cel-go's where clients see them, and types made from schemas cannot be declared to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.scheme.cel.checker import Messages, check
from ledger.scheme.cel.evaluate import Frame, Run, plan
from ledger.scheme.cel.functions import Functions, Overload, table
from ledger.scheme.cel.library import BASE
from ledger.scheme.cel.parser import parse
from ledger.scheme.cel.syntax import CelError, Expr, Source, names
from ledger.scheme.cel.types import BOOL, DYN, STRING, Type
from ledger.scheme.cel.values import escaped

__all__ = ["BOOL", "DYN", "STRING", "CelError", "Environment", "Program", "Type", "compile", "escaped"]

COMPILED_MAX = 4096  # programs an environment remembers


class Program:
    """A compiled expression. `result` is the type it gives, dyn where only the values can say; `names`: what it reads."""

    __slots__ = ("_run", "expression", "names", "result")

    def __init__(self, expression: str, result: Type, names: frozenset[str], run: Run) -> None:
        self.expression, self.result, self.names, self._run = expression, result, names, run

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """The value, given its variables. Raises CelError."""
        try:
            return self._run(Frame(bindings))
        except RecursionError:
            raise CelError("expression recursion limit exceeded") from None


class Environment:
    """Which variables, functions and messages expressions may use."""

    def __init__(
        self,
        variables: Mapping[str, Type],
        functions: Iterable[Overload] = (),
        messages: Messages = lambda name: None,
    ) -> None:
        more = tuple(functions)
        self._variables = dict(variables)
        self._functions: Functions = table(*BASE.values(), more) if more else BASE
        self._messages = messages
        self._compiled: dict[str, Program] = {}

    def compile(self, expression: str) -> Program:
        """Parsed, checked, and ready. Raises CelError with every finding and the place of each."""
        known = self._compiled.get(expression)
        if known is not None:
            return known
        source = Source(expression)
        try:
            parsed = parse(source)
            result = check(source, parsed, self._variables, self._functions, self._messages)
            program = Program(expression, result, frozenset(names(parsed)), plan(parsed))
        except RecursionError:
            raise CelError("ERROR: <input>:-1:0: expression recursion limit exceeded: 250") from None
        if len(self._compiled) >= COMPILED_MAX:
            self._compiled.clear()
        self._compiled[expression] = program
        return program

    def checked(self, expression: str) -> tuple[Expr, dict[int, Type]]:
        """An expression that compiles, as a tree, and the types of its parts by their id."""
        source, types = Source(expression), dict[int, Type]()
        parsed = parse(source)
        check(source, parsed, self._variables, self._functions, self._messages, types)
        return parsed, types


def compile(expression: str, variables: Mapping[str, Type]) -> Program:
    """One expression with these variables. Who compiles many keeps an Environment."""
    return Environment(variables).compile(expression)
