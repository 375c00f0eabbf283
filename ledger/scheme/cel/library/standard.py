"""Operators and conversions (cel.StandardFunctions of cel-go)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ledger.scheme.cel import types
from ledger.scheme.cel.functions import overload, overloads
from ledger.scheme.cel.library.times import duration_text, parse_duration, parse_timestamp, timestamp_text
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type
from ledger.scheme.cel.values import (
    INT_MAX,
    SECOND,
    UINT_MAX,
    Duration,
    GroupedList,
    Timestamp,
    Uint,
    checked_duration,
    checked_int,
    checked_timestamp,
    checked_uint,
    compare,
    contains,
    conversion_error,
    equal,
    index,
    no_such_overload,
    type_of,
)
from ledger.scheme.go_patterns import PatternError, compiled


def add(one: Any, other: Any) -> Any:
    kinds = (type(one), type(other))
    if kinds == (int, int):
        return checked_int(one + other)
    if kinds == (Uint, Uint):
        return checked_uint(one + other)
    if kinds in ((float, float), (str, str), (bytes, bytes)):
        return one + other
    if kinds == (Duration, Duration):
        return checked_duration(one.nanos + other.nanos)
    if kinds in ((Timestamp, Duration), (Duration, Timestamp)):
        return checked_timestamp(one.nanos + other.nanos)
    if isinstance(one, list) and isinstance(other, list):
        return one.plus(other) if isinstance(one, GroupedList) else [*one, *other]
    raise no_such_overload()


def subtract(one: Any, other: Any) -> Any:
    kinds = (type(one), type(other))
    if kinds == (int, int):
        return checked_int(one - other)
    if kinds == (Uint, Uint):
        return checked_uint(one - other)
    if kinds == (float, float):
        return one - other
    if kinds in ((Duration, Duration), (Timestamp, Timestamp)):
        return checked_duration(one.nanos - other.nanos)
    if kinds == (Timestamp, Duration):
        return checked_timestamp(one.nanos - other.nanos)
    raise no_such_overload()


def multiply(one: Any, other: Any) -> Any:
    kinds = (type(one), type(other))
    if kinds == (int, int):
        return checked_int(one * other)
    if kinds == (Uint, Uint):
        return checked_uint(one * other)
    if kinds == (float, float):
        return one * other
    raise no_such_overload()


def divide(one: Any, other: Any) -> Any:
    kinds = (type(one), type(other))
    if kinds == (float, float):
        if other == 0:
            return math.nan if one == 0 or math.isnan(one) else math.copysign(math.inf, one) * math.copysign(1, other)
        return one / other
    if kinds not in ((int, int), (Uint, Uint)):
        raise no_such_overload()
    if other == 0:
        raise CelError("division by zero")
    quotient = abs(one) // abs(other)
    return checked_int(quotient if (one < 0) == (other < 0) else -quotient) if kinds[0] is int else Uint(quotient)


def modulo(one: Any, other: Any) -> Any:
    kinds = (type(one), type(other))
    if kinds not in ((int, int), (Uint, Uint)):
        raise no_such_overload()
    if other == 0:
        raise CelError("modulus by zero")
    rest = abs(one) % abs(other)
    return (-rest if one < 0 else rest) if kinds[0] is int else Uint(rest)


def negate(one: Any) -> Any:
    if type(one) is int:
        return checked_int(-one)
    if isinstance(one, float):
        return -one
    raise no_such_overload()


def invert(one: Any) -> bool:
    if not isinstance(one, bool):
        raise no_such_overload()
    return not one


def size(one: Any) -> int:
    if isinstance(one, str | bytes | list | Mapping):
        return len(one)
    raise no_such_overload()


def matches(text: str, pattern: str) -> bool:
    try:
        return compiled(pattern).search(text) is not None
    except PatternError as error:
        raise CelError(str(error)) from None


def to_int(value: Any) -> int:
    if isinstance(value, Timestamp):
        return value.nanos // SECOND
    if isinstance(value, Duration):
        return value.nanos
    if isinstance(value, float):
        if math.isnan(value) or not -(2.0**63) < value < 2.0**63:
            raise CelError("integer overflow")
        return int(value)
    if isinstance(value, str):
        return _number(value, "int", -(1 << 63), INT_MAX)
    return checked_int(int(value))


def to_uint(value: Any) -> Uint:
    if isinstance(value, float):
        if math.isnan(value) or not 0 <= value < 2.0**64:
            raise CelError("unsigned integer overflow")
        return Uint(int(value))
    if isinstance(value, str):
        return Uint(_number(value, "uint", 0, UINT_MAX))
    return checked_uint(int(value))


def _number(text: str, kind: str, low: int, high: int) -> int:
    digits = text[1:] if text[:1] in ("-", "+") and kind == "int" else text
    if not (digits.isascii() and digits.isdigit() and low <= int(text) <= high):
        raise conversion_error(text, kind)
    return int(text)


def to_double(value: Any) -> float:
    if isinstance(value, str):
        try:
            if "_" in value or value.strip() != value:
                raise ValueError(value)
            return float(value)
        except ValueError:
            raise conversion_error(value, "double") from None
    return float(value)


def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise conversion_error(value, "bool")


def to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, int):
        return str(int(value))
    raise conversion_error(value, "string")


def double_text(value: float) -> str:
    """strconv.FormatFloat(value, 'g', -1, 64)."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    digits, _, exponent = f"{value!r}".partition("e")
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, _, fraction = digits.partition(".")
    fraction = "" if fraction == "0" else fraction
    power = int(exponent or 0) + len(whole) - 1
    significant = (whole + fraction).lstrip("0")
    if not significant:
        return f"{sign}0"
    power -= len(whole + fraction) - len(significant)
    significant = significant.rstrip("0")
    if -4 <= power < 6:
        if power < 0:
            return f"{sign}0.{'0' * (-power - 1)}{significant}"
        padded = significant.ljust(power + 1, "0")
        rest = padded[power + 1 :]
        return f"{sign}{padded[: power + 1]}{'.' + rest if rest else ''}"
    mantissa = significant[0] + ("." + significant[1:] if len(significant) > 1 else "")
    return f"{sign}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def same(value: Any) -> Any:
    return value


def the_type(value: Any) -> Type:
    found = type_of(value)
    return Type(found.name)


_ORDERED = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_NUMBERS = ("int", "uint", "double")
_PAIRS = [(one, one) for one in _ORDERED] + [(one, other) for one in _NUMBERS for other in _NUMBERS if one != other]


def _ordered(sign: str, holds: Any) -> list[Any]:
    return overloads(holds, *(f"_{sign}_({one}, {other}): bool" for one, other in _PAIRS))


OVERLOADS = [
    overload("_?_:_(bool, T, T): T", same),
    overload("_&&_(bool, bool): bool", same),
    overload("_||_(bool, bool): bool", same),
    overload("!_(bool): bool", invert),
    overload("@not_strictly_false(bool): bool", same),
    overload("_==_(A, A): bool", equal),
    overload("_!=_(A, A): bool", lambda one, other: not equal(one, other)),
    *_ordered("<", lambda one, other: compare(one, other) < 0),
    *_ordered("<=", lambda one, other: compare(one, other) <= 0),
    *_ordered(">", lambda one, other: compare(one, other) > 0),
    *_ordered(">=", lambda one, other: compare(one, other) >= 0),
    *overloads(
        add,
        *(f"_+_({one}, {one}): {one}" for one in ("bytes", "double", "duration", "int")),
        "_+_(duration, timestamp): timestamp",
        "_+_(timestamp, duration): timestamp",
        "_+_(string, string): string",
        "_+_(uint, uint): uint",
        "_+_(list(A), list(A)): list(A)",
    ),
    *overloads(
        subtract,
        *(f"_-_({one}, {one}): {one}" for one in ("double", "duration", "int", "uint")),
        "_-_(timestamp, duration): timestamp",
        "_-_(timestamp, timestamp): duration",
    ),
    *overloads(multiply, *(f"_*_({one}, {one}): {one}" for one in _NUMBERS)),
    *overloads(divide, *(f"_/_({one}, {one}): {one}" for one in _NUMBERS)),
    *overloads(modulo, "_%_(int, int): int", "_%_(uint, uint): uint"),
    *overloads(negate, "-_(int): int", "-_(double): double"),
    *overloads(index, "_[_](list(A), int): A", "_[_](map(A, B), A): B"),
    *overloads(contains, "@in(A, list(A)): bool", "@in(A, map(A, B)): bool"),
    *(
        overload(form.format(one), size)
        for one in ("string", "bytes", "list(A)", "map(A, B)")
        for form in ("size({}): int", "{}.size(): int")
    ),
    *overloads(to_bool, "bool(bool): bool", "bool(string): bool"),
    *overloads(lambda value: value if isinstance(value, bytes) else value.encode(), "bytes(bytes): bytes"),
    overload("bytes(string): bytes", str.encode),
    *overloads(to_double, *(f"double({one}): double" for one in ("double", "int", "string", "uint"))),
    *overloads(to_int, *(f"int({one}): int" for one in ("int", "double", "duration", "string", "timestamp", "uint"))),
    *overloads(to_uint, *(f"uint({one}): uint" for one in ("uint", "double", "int", "string"))),
    *overloads(
        to_string,
        *(
            f"string({one}): string"
            for one in ("string", "bool", "bytes", "double", "duration", "int", "timestamp", "uint")
        ),
    ),
    overload("timestamp(timestamp): timestamp", same),
    overload("timestamp(int): timestamp", lambda seconds: checked_timestamp(seconds * SECOND)),
    overload("timestamp(string): timestamp", parse_timestamp),
    overload("duration(duration): duration", same),
    overload("duration(int): duration", checked_duration),
    overload("duration(string): duration", parse_duration),
    overload("dyn(A): dyn", same),
    overload("type(A): type(A)", the_type),
    overload("string.matches(string): bool", matches),
    overload("matches(string, string): bool", matches),
    overload("string.contains(string): bool", lambda text, part: part in text),
    overload("string.startsWith(string): bool", str.startswith),
    overload("string.endsWith(string): bool", str.endswith),
]

# Names that are types: `type(x) == int`.
TYPE_NAMES = {
    one.name: one
    for one in (types.BOOL, types.INT, types.UINT, types.DOUBLE, types.STRING, types.BYTES, types.NULL)
    + (types.DURATION, types.TIMESTAMP, Type("list", (types.DYN,)), Type("map", (types.DYN, types.DYN)))
    + (Type("type", (types.DYN,)), types.optional_of(types.DYN))
}
