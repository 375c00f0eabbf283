"""The types of CEL and how one stands for another (checker/types.go of cel-go).

Types have a text form, which the tables of functions are written in: `list(string)`, `map(K, V)`, `optional_type(T)`.
A single capital letter is a type parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

TYPE_PARAMETER = "?"  # the name of the types that stand for any other; the parameter's own name is in `label`
NULLABLE = frozenset({"google.protobuf.Duration", "google.protobuf.Timestamp"})
PLAIN = frozenset({"bool", "int", "uint", "double", "string", "bytes", "dyn", "null_type", "error", *NULLABLE})


@dataclass(frozen=True, slots=True)
class Type:
    """One type. A message has `fields`: what the type of a field is by its name, None where there is no such field."""

    name: str
    parameters: tuple[Type, ...] = ()
    label: str = ""
    fields: Callable[[str], Type | None] | None = field(default=None, compare=False)

    @property
    def is_dyn(self) -> bool:
        return self.name in ("dyn", "error")

    @property
    def is_parameter(self) -> bool:
        return self.name == TYPE_PARAMETER

    @property
    def nullable(self) -> bool:
        return self.fields is not None or self.name in NULLABLE or not (self.name in PLAIN or self.name in _NESTED)

    def __str__(self) -> str:
        """As cel-go's Type.String writes it."""
        name = self.label if self.is_parameter else self.name
        return f"{name}({', '.join(map(str, self.parameters))})" if self.parameters else name

    def described(self) -> str:
        """As the checker's messages write it."""
        name = _SPOKEN.get(self.name, self.label if self.is_parameter else self.name)
        inside = ", ".join(one.described() for one in self.parameters)
        return f"{name}({inside})" if self.parameters else name


_NESTED = frozenset({"list", "map", "type", TYPE_PARAMETER})
_SPOKEN = {
    "google.protobuf.Duration": "duration",
    "google.protobuf.Timestamp": "timestamp",
    "null_type": "null",
    "error": "!error!",
}

BOOL, INT, UINT, DOUBLE, STRING, BYTES = map(Type, ("bool", "int", "uint", "double", "string", "bytes"))
DYN, NULL, ERROR = Type("dyn"), Type("null_type"), Type("error")
DURATION, TIMESTAMP = Type("google.protobuf.Duration"), Type("google.protobuf.Timestamp")
_SHORT = {"duration": DURATION, "timestamp": TIMESTAMP, "null": NULL}


def list_of(element: Type) -> Type:
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def type_of(one: Type) -> Type:
    return Type("type", (one,))


def optional_of(one: Type) -> Type:
    return Type("optional_type", (one,))


def parameter(label: str) -> Type:
    return Type(TYPE_PARAMETER, (), label)


def message(name: str, fields: Mapping[str, Type] | Callable[[str], Type | None]) -> Type:
    """A type with fields; selecting another field does not compile."""
    return Type(name, (), "", fields.get if isinstance(fields, Mapping) else fields)


def parse(text: str) -> Type:
    """The type that a text form says. `duration`, `timestamp` and `null` are short names."""
    text = text.strip()
    if not text.endswith(")"):
        return parameter(text) if len(text) == 1 and text.isupper() else _SHORT.get(text) or Type(text)
    name, _, inside = text[:-1].partition("(")
    return Type(name, tuple(parse(one) for one in split(inside)))


def split(text: str) -> list[str]:
    """The parts between the commas that are not inside brackets; none of an empty text."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]] if text.strip() else []


class Substitutions:
    """What type parameters have been found to stand for."""

    def __init__(self) -> None:
        self._found: dict[str, Type] = {}
        self._count = 0

    def fresh(self) -> Type:
        self._count += 1
        return parameter(f"_var{self._count - 1}")

    def apply(self, one: Type, free_to_dyn: bool = False) -> Type:
        """The type with its parameters replaced; those that stand for nothing yet stay, or become dyn."""
        if one.is_parameter:
            found = self._found.get(one.label)
            if found is not None:
                return self.apply(found, free_to_dyn)
            return DYN if free_to_dyn else one
        if not one.parameters:
            return one
        return Type(one.name, tuple(self.apply(each, free_to_dyn) for each in one.parameters), one.label, one.fields)

    def assignable(self, given: list[Type], wanted: list[Type]) -> bool:
        """Whether all of `given` may be used as `wanted`. What that says of parameters is kept when they may."""
        before = dict(self._found)
        if len(given) == len(wanted) and all(map(self._assignable, given, wanted)):
            return True
        self._found = before
        return False

    def _assignable(self, one: Type, other: Type) -> bool:
        if other.is_parameter:
            valid, known = self._substitute(one, other)
            if valid or known:
                return valid
        if one.is_parameter:
            return self._substitute(other, one)[0]
        if one.is_dyn or other.is_dyn:
            return True
        if one == NULL:
            return other == NULL or other.nullable
        if other == NULL:
            return one.nullable
        if one.name == "type":
            return other.name == "type"
        if one.name != other.name or len(one.parameters) != len(other.parameters):
            return False
        return all(map(self._assignable, one.parameters, other.parameters))

    def _substitute(self, one: Type, variable: Type) -> tuple[bool, bool]:
        """(whether `variable` may stand for `one`, whether it stood for something already)."""
        if one == variable:
            return True, True
        found = self._found.get(variable.label)
        if found is not None:
            if one == found:
                return True, True
            if not self._assignable(one, found):
                return False, True
            general = most_general(one, found)
            if not self._occurs(variable, general):
                self._found[variable.label] = general
            return True, True
        if self._occurs(variable, one):
            return False, False
        self._found[variable.label] = one
        return True, False

    def _occurs(self, variable: Type, one: Type) -> bool:
        if one == variable:
            return True
        if one.is_parameter:
            found = self._found.get(one.label)
            return found is not None and self._occurs(variable, found)
        return any(self._occurs(variable, each) for each in one.parameters)


def most_general(one: Type, other: Type) -> Type:
    """The less specific of two types that go together."""
    return one if _less_specific(one, other) else other


def _less_specific(one: Type, other: Type) -> bool:
    if one.name == "dyn" or one.is_parameter:
        return True
    if other.name == "dyn" or other.is_parameter or one.name != other.name:
        return False
    if one.name == "type":
        return True
    return len(one.parameters) == len(other.parameters) and all(map(_less_specific, one.parameters, other.parameters))
