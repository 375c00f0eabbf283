"""Label and field selectors: text or object in, a function over a dict out.

A selector is parsed once a request and asked once an object, so a label selector is compiled to closures and `matches` is
a plain attribute.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.label_parser import parse_requirements
from ledger.apimachinery.label_requirement import Labels, Matcher, Requirement, SelectorError, requirement


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
        for one in self.requirements:
            if one.key == key and one.operator in ("=", "==", "in") and len(one.values) == 1:
                return one.values[0]
        return None


def parse_label_selector(text: str) -> LabelSelector:
    """The selector that `text` writes ("" selects everything). Raises SelectorError."""
    return _selector(parse_requirements(text))


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

    def check(self, extra: Collection[str] = (), refusal: str = "field label not supported") -> None:
        """Raises SelectorError for a field that is not selectable: `extra` are those the resource itself declares.

        A resource that declares none gets apimachinery's default text, the others that of their conversion functions,
        which `refusal` begins.
        """
        for one in self.requirements:
            if one.field in ("metadata.name", "metadata.namespace") or one.field in extra:
                continue
            if extra:
                raise SelectorError(f"{refusal}: {one.field}")
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
