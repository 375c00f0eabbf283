"""Validation errors with a field path, worded as k8s.io/apimachinery/pkg/util/validation/field words them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# type -> (text before the value, StatusCause reason)
_TYPES = {
    "NotFound": ("Not found", "FieldValueNotFound"),
    "Required": ("Required value", "FieldValueRequired"),
    "Duplicate": ("Duplicate value", "FieldValueDuplicate"),
    "Invalid": ("Invalid value", "FieldValueInvalid"),
    "NotSupported": ("Unsupported value", "FieldValueNotSupported"),
    "Forbidden": ("Forbidden", "FieldValueForbidden"),
    "TooLong": ("Too long", "FieldValueTooLong"),
    "TooMany": ("Too many", "FieldValueTooMany"),
    "Internal": ("Internal error", "InternalError"),
    "TypeInvalid": ("Invalid value", "FieldValueTypeInvalid"),
}
_WITHOUT_VALUE = {"Required", "Forbidden", "TooLong", "Internal"}
OMITTED: Any = object()  # a value that is not to be shown (field.OmitValueType)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One finding about one field: `str()` is Go's Error(), `body()` the part after the path."""

    type: str  # a key of _TYPES
    field: str  # "spec.containers[0].name"
    value: Any = None
    detail: str = ""

    @property
    def reason(self) -> str:
        return _TYPES[self.type][1]

    def body(self) -> str:
        text = _TYPES[self.type][0]
        hidden = self.type in _WITHOUT_VALUE or self.value is OMITTED
        if not hidden and not (self.type == "TooMany" and self.value is None):
            text += f": {_shown(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.body()}"


def _shown(value: Any) -> str:
    """A value as Go's %v or %q would print it in field.Error."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def quoted(text: str) -> str:
    """Go's %q of a string (strconv.Quote)."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_quoted_character, text))}"'


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_ESCAPES |= {'"': '\\"', "\\": "\\\\"}


def _quoted_character(one: str) -> str:
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable():
        return one
    code = ord(one)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("Required", field, detail=detail)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("Invalid", field, value, detail)


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError("Duplicate", field, value)


def not_supported(field: str, value: Any, supported: Iterable[str], *, as_given: bool = False) -> FieldError:
    """`supported` is listed sorted, as the sets of most callers upstream are, or else in the order given."""
    values = ", ".join(quoted(one) for one in (supported if as_given else sorted(supported)))
    return FieldError("NotSupported", field, value, f"supported values: {values}" if values else "")


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError("Forbidden", field, detail=detail)


def too_long(field: str, limit: int) -> FieldError:
    unit = "byte" if limit == 1 else "bytes"
    return FieldError(
        "TooLong", field, detail=f"may not be more than {limit} {unit}" if limit >= 0 else "value is too long"
    )


def too_many(field: str, count: int | None, limit: int) -> FieldError:
    unit = "item" if limit == 1 else "items"
    return FieldError(
        "TooMany", field, count, f"must have at most {limit} {unit}" if limit >= 0 else "has too many items"
    )
