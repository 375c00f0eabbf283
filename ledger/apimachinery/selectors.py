"""Label and field selectors: text or object in, a function over a dict out.

`app in (web, api), !canary` is tokenised and parsed as k8s.io/apimachinery/pkg/labels does, error texts included: they
are what a 400 answer shows. A selector is parsed once a request and asked once an object, so every requirement is
compiled to a closure and `matches` is a plain attribute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.apimachinery.field import FieldError, invalid, not_supported, quoted
from ledger.apimachinery.names import is_label_value, is_qualified_name

Labels = Mapping[str, str]
Matcher = Callable[[Labels], bool]


class SelectorError(ValueError):
    """A selector that cannot be understood; the text is the message of a 400 BadRequest."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `values` are sorted and without doubles."""

    key: str
    operator: str  # in, notin, =, ==, !=, gt, lt, exists, !
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        joined = ",".join(self.values)
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({joined})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{joined}"
            case _:
                return f"{self.key}{self.operator}{joined}"

    def matcher(self) -> Matcher:
        key, values = self.key, frozenset(self.values)
        match self.operator:
            case "exists":
                return lambda labels: key in labels
            case "!":
                return lambda labels: key not in labels
            case "=" | "==" | "in":
                if len(values) == 1:
                    (only,) = values
                    return lambda labels: labels.get(key) == only
                return lambda labels: labels.get(key) in values
            case "!=" | "notin":
                return lambda labels: labels.get(key) not in values
            case "gt":
                bound = int(self.values[0])
                return lambda labels: (number := _int64(labels.get(key, ""))) is not None and number > bound
            case _:
                bound = int(self.values[0])
                return lambda labels: (number := _int64(labels.get(key, ""))) is not None and number < bound


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that must all hold, sorted by key. `str()` is the canonical text."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False  # selects no object at all (a null LabelSelector)
    matches: Matcher = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "matches", _never if self.nothing else _all_of([r.matcher() for r in self.requirements])
        )

    @property
    def empty(self) -> bool:
        """True when it selects everything."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def exact(self, key: str) -> str | None:
        """The one value `key` must have, or None."""
        for requirement in self.requirements:
            if requirement.key == key and requirement.operator in ("=", "==", "in") and len(requirement.values) == 1:
                return requirement.values[0]
        return None


def parse_label_selector(text: str) -> LabelSelector:
    """The selector that `text` writes ("" selects everything). Raises SelectorError."""
    return _selector(_Parser(text).requirements())


def label_selector_from(selector: Mapping[str, Any] | None) -> LabelSelector:
    """The selector of a LabelSelector object: null selects nothing, {} everything. Raises SelectorError."""
    if selector is None:
        return LabelSelector(nothing=True)
    labels = selector.get("matchLabels") or {}
    requirements = [requirement(key, "=", [value]) for key, value in labels.items()]
    for expression in selector.get("matchExpressions") or ():
        operator = expression.get("operator", "")
        if operator not in _OBJECT_OPERATORS:
            raise SelectorError(f"{quoted(operator)} is not a valid label selector operator")
        values = expression.get("values") or ()
        requirements.append(requirement(expression.get("key", ""), _OBJECT_OPERATORS[operator], values))
    return _selector(requirements)


def label_selector_of(labels: Labels) -> LabelSelector:
    """Exactly these labels, unchecked: the selector of a Service or ReplicationController."""
    return _selector([Requirement(key, "=", (value,)) for key, value in labels.items()])


def requirement(key: str, operator: str, values: Iterable[str]) -> Requirement:
    """A checked Requirement (labels.NewRequirement). Raises SelectorError, several findings joined as [a, b]."""
    values = list(values)
    errors: list[FieldError] = []
    if complaints := is_qualified_name(key):
        errors.append(invalid("key", key, "; ".join(complaints)))
    errors += _wrong_values(operator, values)
    for index, value in enumerate(values):
        if complaints := is_label_value(value):
            errors.append(invalid(f"values[{index}][{key}]", value, "; ".join(complaints)))
    if errors:
        texts = list(dict.fromkeys(map(str, errors)))
        raise SelectorError(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    return Requirement(key, operator, tuple(sorted(values)))


def _wrong_values(operator: str, values: list[str]) -> list[FieldError]:
    match operator:
        case "in" | "notin" if not values:
            return [invalid("values", values, "for 'in', 'notin' operators, values set can't be empty")]
        case "=" | "==" | "!=" if len(values) != 1:
            return [invalid("values", values, "exact-match compatibility requires one single value")]
        case "exists" | "!" if values:
            return [invalid("values", values, "values set must be empty for exists and does not exist")]
        case "gt" | "lt":
            text = "for 'Gt', 'Lt' operators, "
            errors = [] if len(values) == 1 else [invalid("values", values, f"{text}exactly one value is required")]
            return errors + [
                invalid(f"values[{index}]", value, f"{text}the value must be an integer")
                for index, value in enumerate(values)
                if _int64(value) is None
            ]
        case _ if operator not in _OPERATORS:
            return [not_supported("operator", operator, _OPERATORS)]
    return []


_BINARY = ("in", "notin", "=", "==", "!=", "gt", "lt")
_OPERATORS = (*_BINARY, "exists", "!")
_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def _selector(requirements: list[Requirement]) -> LabelSelector:
    return LabelSelector(tuple(sorted(requirements, key=lambda one: one.key)))


def _all_of(matchers: list[Matcher]) -> Matcher:
    if not matchers:
        return lambda labels: True
    if len(matchers) == 1:
        return matchers[0]
    return lambda labels: all(matches(labels) for matches in matchers)


def _never(labels: Labels) -> bool:
    return False


def _int64(text: str) -> int | None:
    """strconv.ParseInt(text, 10, 64), or None."""
    if not re.fullmatch("[+-]?[0-9]+", text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


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
            raise SelectorError(f"found '{literal}', expected: {', '.join(_BINARY)}")
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


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    field: str  # "metadata.name"
    operator: str  # = or !=
    value: str

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{escape_field_value(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Requirements that must all hold on a flat dict of field path -> text; a field that is not there is ""."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(one.field, "") == one.value) == (one.operator == "=") for one in self.requirements)

    @property
    def empty(self) -> bool:
        return not self.requirements

    def exact(self, name: str) -> str | None:
        """The value `name` must have, or None."""
        for one in self.requirements:
            if one.field == name and one.operator == "=":
                return one.value
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def check(
        self, extra: Collection[str] = (), common: Collection[str] = ("metadata.name", "metadata.namespace")
    ) -> None:
        """Raises SelectorError for a field that is not selectable: `extra` are those the resource itself declares.

        A resource that declares none gets apimachinery's default text, the others that of their conversion functions.
        """
        for one in self.requirements:
            if one.field in common or one.field in extra:
                continue
            if extra:
                raise SelectorError(f"field label not supported: {one.field}")
            raise SelectorError(
                f'{quoted(one.field)} is not a known field selector: only "metadata.name", "metadata.namespace"'
            )


def parse_field_selector(text: str) -> FieldSelector:
    """`a=b,c!=d`; `\\,`, `\\=` and `\\\\` are escaped characters of a value. Raises SelectorError."""
    requirements: list[FieldRequirement] = []
    for term in sorted(re.findall(r"((?:[^,\\]|\\.|\\$)+)", text, re.DOTALL)):
        found = re.search("!=|==|=", term)
        if not found:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = "!=" if found[0] == "!=" else "="
        value = _unescaped(term[found.end() :])
        if term[: found.start()] or value:
            requirements.append(FieldRequirement(term[: found.start()], operator, value))
    return FieldSelector(tuple(requirements))


def escape_field_value(value: str) -> str:
    return re.sub(r"[\\,=]", r"\\\g<0>", value)


def _unescaped(value: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(value):
        character = value[position]
        if character == "\\":
            position += 1
            character = value[position : position + 1]
            if not character or character not in "\\,=":
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{character}")
        elif character in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(character)}")
        parts.append(character)
        position += 1
    return "".join(parts)
