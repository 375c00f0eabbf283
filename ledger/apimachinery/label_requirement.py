"""One condition on one label: checked, printed and compiled to a closure (labels.Requirement in k8s.io/apimachinery)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ledger.apimachinery.field import FieldError, invalid, not_supported
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


BINARY_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
_OPERATORS = (*BINARY_OPERATORS, "exists", "!")


def _int64(text: str) -> int | None:
    """strconv.ParseInt(text, 10, 64), or None."""
    if not re.fullmatch("[+-]?[0-9]+", text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None
