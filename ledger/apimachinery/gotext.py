"""How Go prints values: error texts that clients see contain them."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.field import quoted


def verb_v(value: Any) -> str:
    """fmt's %v of decoded JSON: map[a:1 b:[x y]], <nil>, true."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{verb_v(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(verb_v, value))}]"
    if isinstance(value, float):
        return float_text(value)
    return str(value)


def float_text(value: float) -> str:
    """fmt's %v of a float64: 3, 0.5, 1e+21, 1e-05."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}"


def type_of(value: Any) -> str:
    """reflect.TypeOf of decoded JSON, printed."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case dict():
            return "map[string]interface {}"
        case list():
            return "[]interface {}"
        case str():
            return "string"
        case int():
            return "int64"
        case _:
            return "float64"


def json_kind(value: Any) -> str:
    """What encoding/json calls a value it cannot unmarshal."""
    match value:
        case bool():
            return "bool"
        case dict():
            return "object"
        case list():
            return "array"
        case str():
            return "string"
        case _:
            return "number"


def same(left: Any, right: Any) -> bool:
    """Equality of decoded JSON as Go has it: true is not 1, and 1 is not 1.0, at any depth."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def sharp_v(value: Any) -> str:
    """fmt's %#v of decoded JSON: "x", map[string]interface {}{"a":1}, interface {}(nil)."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        members = ", ".join(f"{quoted(key)}:{sharp_v(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{members}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(sharp_v, value))}}}"
    return verb_v(value)
