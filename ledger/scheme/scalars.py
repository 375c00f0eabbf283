"""Values whose Go types read their JSON themselves: Time, Quantity, IntOrString, opaque JSON.

A `Scalar` holds what a codec needs of such a type. `read` takes decoded JSON (never null) and gives the value as Go
prints it after reading; it raises `GoError` with Go's text where Go refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger.apimachinery import gotime, quantity
from ledger.scheme import types

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)


class GoError(ValueError):
    """Why Go refuses a value; `unmarshal` where it is an UnmarshalTypeError, whose text gains the field's name."""

    def __init__(self, text: str, unmarshal: tuple[str, str] | None = None) -> None:
        super().__init__(text)
        self.unmarshal = unmarshal  # ("number", "string"): what came, the Go type it was for


@dataclass(frozen=True, slots=True)
class Scalar:
    read: Callable[[Any], Any]
    zero: Any  # what the zero value prints as


def json_kind(value: Any) -> str:
    """What UnmarshalTypeError calls a decoded JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "number"


def cannot_unmarshal(what: str, go_type: str) -> GoError:
    return GoError(f"json: cannot unmarshal {what} into Go value of type {go_type}", (what, go_type))


def _read_time(value: Any) -> str | None:
    if type(value) is not str:
        raise cannot_unmarshal(json_kind(value), "string")
    try:
        return gotime.time(value)
    except gotime.TimeError as error:
        raise GoError(str(error)) from None


def _read_micro_time(value: Any) -> str | None:
    if type(value) is not str:
        raise cannot_unmarshal(json_kind(value), "string")
    try:
        return gotime.micro_time(value)
    except gotime.TimeError as error:
        raise GoError(str(error)) from None


def _read_quantity(value: Any) -> str:
    if type(value) is not str:
        # Numbers are read from their text; lists, objects and booleans fail as text that is no quantity.
        value = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else number_text(value)
    try:
        return quantity.canonical(value.strip(" \t\n\v\f\r\x85\xa0"))
    except quantity.QuantityError as error:
        raise GoError(str(error)) from None


def number_text(value: Any) -> str:
    """A number as it was written, as far as that is known; "{" for what is no number."""
    if isinstance(value, (dict, list)):
        return "{"
    return getattr(value, "text", None) or repr(value)


def _read_int_or_string(value: Any) -> int | str:
    if type(value) is str:
        return value
    if type(value) is int and value in INT32:
        return value
    kind = json_kind(value)
    raise cannot_unmarshal(f"number {number_text(value)}" if kind == "number" else kind, "int32")


def _read_opaque(value: Any) -> Any:
    return value


SCALARS: dict[str, Scalar] = {
    types.TIME: Scalar(_read_time, None),
    types.MICRO_TIME: Scalar(_read_micro_time, None),
    types.QUANTITY: Scalar(_read_quantity, "0"),
    types.INT_OR_STRING: Scalar(_read_int_or_string, 0),
    types.FIELDS_V1: Scalar(_read_opaque, None),
    types.RAW_EXTENSION: Scalar(_read_opaque, None),
    "k8s.io/apimachinery/pkg/runtime.Unknown": Scalar(_read_opaque, None),
}


def scalar(id: str) -> Scalar | None:
    """The rule of a type that reads its JSON itself; None for others, the JSON schema unions included."""
    if id.endswith(types.OPAQUE_SUFFIX):
        return SCALARS[types.RAW_EXTENSION]
    return SCALARS.get(id)
