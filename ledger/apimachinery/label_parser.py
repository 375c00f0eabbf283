"""The text grammar of label selectors: `app in (web, api), !canary, tier>1`.

Tokens, points of failure and words are those of k8s.io/apimachinery/pkg/labels: a message is what a 400 answer shows.
"""

from __future__ import annotations

from ledger.apimachinery.field import invalid
from ledger.apimachinery.label_requirement import BINARY_OPERATORS, Requirement, SelectorError, requirement
from ledger.apimachinery.names import is_qualified_name


def parse_requirements(text: str) -> list[Requirement]:
    """The requirements in the order of the text. Raises SelectorError."""
    return _Parser(text).requirements()


_SYMBOLS = frozenset("=!(),><")
_SPACES = frozenset(" \t\r\n")
_KINDS = {literal: literal for literal in (*_SYMBOLS, "==", "!=", "in", "notin")}
_END, _IDENTIFIER = "", "identifier"


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, literal) pairs, the last of kind _END."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        start = position
        if text[position] in _SPACES:
            position += 1
        elif text[position] in _SYMBOLS:
            position += 2 if text[position : position + 2] in _KINDS else 1  # the longest operator: "==" before "="
            literal = text[start:position]
            tokens.append((_KINDS[literal], literal))
        else:
            while position < len(text) and text[position] not in _SYMBOLS and text[position] not in _SPACES:
                position += 1
            literal = text[start:position]
            tokens.append((_KINDS.get(literal, _IDENTIFIER), literal))
    return [*tokens, (_END, "")]


class _Parser:
    """Recursive descent over the tokens, with upstream's points of failure and words."""

    def __init__(self, text: str) -> None:
        self._items = _tokens(text)
        self._position = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            kind, literal = self._peek()
            if kind == _END:
                return found
            if kind not in (_IDENTIFIER, "!"):
                raise SelectorError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            kind, literal = self._next()
            if kind == _END:
                return found
            if kind != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            kind, literal = self._peek()
            if kind not in (_IDENTIFIER, "!"):
                raise SelectorError(f"found '{literal}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        key, operator = self._key()
        if operator:
            return requirement(key, operator, ())
        operator = self._operator()
        values = self._values() if operator in ("in", "notin") else self._exact_value()
        return requirement(key, operator, sorted(values))

    def _key(self) -> tuple[str, str]:
        operator = ""
        kind, literal = self._next()
        if kind == "!":
            operator = "!"
            kind, literal = self._next()
        if kind != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        if complaints := is_qualified_name(literal):
            raise SelectorError(str(invalid("<nil>", literal, "; ".join(complaints))))  # <nil>: there is no field path
        if self._peek()[0] in (_END, ","):
            operator = operator or "exists"
        return literal, operator

    def _operator(self) -> str:
        kind, literal = self._next(values=False)
        operators = {"in": "in", "notin": "notin", "=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt"}
        if kind not in operators:
            raise SelectorError(f"found '{literal}', expected: {', '.join(BINARY_OPERATORS)}")
        return operators[kind]

    def _values(self) -> set[str]:
        kind, literal = self._next()
        if kind != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        kind, literal = self._peek()
        if kind == ")":
            self._next()
            return {""}
        if kind not in (_IDENTIFIER, ","):
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        values = self._value_list()
        if self._next()[0] != ")":
            raise SelectorError(f"found '{literal}', expected: ')'")
        return values

    def _value_list(self) -> set[str]:
        """Up to the closing parenthesis; a missing value ("a,,b") is the empty string."""
        values: set[str] = set()
        while True:
            kind, literal = self._next()
            if kind == _IDENTIFIER:
                values.add(literal)
                kind, literal = self._peek()
                if kind == ")":
                    return values
                if kind != ",":
                    raise SelectorError(f"found '{literal}', expected: ',' or ')'")
            elif kind == ",":
                following = self._peek()[0]
                if not values or following in (",", ")"):
                    values.add("")
                if following == ")":
                    return values
            else:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")

    def _exact_value(self) -> set[str]:
        if self._peek()[0] in (_END, ","):
            return {""}
        kind, literal = self._next()
        if kind != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        return {literal}

    def _peek(self) -> tuple[str, str]:
        return self._as_value(self._items[self._position])

    def _next(self, values: bool = True) -> tuple[str, str]:
        # The end is never passed: whoever reads it stops, with a result or an error.
        item = self._items[min(self._position, len(self._items) - 1)]
        self._position += 1
        return self._as_value(item) if values else item

    @staticmethod
    def _as_value(item: tuple[str, str]) -> tuple[str, str]:
        """Outside an operator's place "in" and "notin" are plain words."""
        return (_IDENTIFIER, item[1]) if item[0] in ("in", "notin") else item
