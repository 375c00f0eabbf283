"""`'%s is %d'.format([...])` (ext/formatting.go of cel-go)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ledger.scheme.cel.library.times import duration_text, timestamp_text
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type
from ledger.scheme.cel.values import Duration, Timestamp, type_of


def format_text(pattern: str, arguments: list[Any]) -> str:
    """The pattern with its clauses replaced by the arguments, in order. Raises CelError."""
    parts, place, used = [], 0, 0
    while place < len(pattern):
        if pattern[place] != "%":
            parts.append(pattern[place])
            place += 1
            continue
        if pattern[place + 1 : place + 2] == "%":
            parts.append("%")
            place += 2
            continue
        precision, place = _precision(pattern, place + 1)
        if place >= len(pattern):
            raise CelError("unexpected end of string")
        if used >= len(arguments):
            raise CelError(f"index {used} out of range")
        parts.append(_clause(pattern[place], precision, arguments[used]))
        place, used = place + 1, used + 1
    return "".join(parts)


def _precision(pattern: str, place: int) -> tuple[int, int]:
    if pattern[place : place + 1] != ".":
        return 6, place
    end = place + 1
    while end < len(pattern) and pattern[end].isdigit():
        end += 1
    return int(pattern[place + 1 : end] or 0), end


def _clause(verb: str, precision: int, value: Any) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if verb == "s":
        return text_of(value)
    if verb == "d" and (whole or _unusual(value)):
        return text_of(value)
    if verb in "fe" and (whole or isinstance(value, float)):
        return _unusual(value) or f"{float(value):.{precision}{verb}}"
    if verb == "b" and isinstance(value, int):
        return f"{int(value):b}"
    if verb == "o" and whole:
        return f"{int(value):o}"
    if verb in "xX" and (whole or isinstance(value, str | bytes)):
        text = f"{int(value):x}" if whole else (value.encode() if isinstance(value, str) else value).hex()
        return text.upper() if verb == "X" else text
    raise CelError(_complaint(verb, value))


def _unusual(value: Any) -> str:
    if isinstance(value, float) and (math.isnan(value) or math.isinf(value)):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return ""


_WANTED = {
    "d": "decimal clause can only be used on ints, uints, and doubles",
    "f": "fixed-point clause can only be used on doubles, ints, and uints",
    "e": "scientific clause can only be used on doubles, ints, and uints",
    "b": "only ints, uints, and bools can be formatted as binary",
    "o": "octal clause can only be used on ints and uints",
    "x": "only ints, uints, bytes, and strings can be formatted as hex",
}


def _complaint(verb: str, value: Any) -> str:
    wanted = _WANTED.get(verb.lower() if verb == "X" else verb)
    if wanted is None:
        return f'could not parse formatting clause: unrecognized formatting clause "{verb}"'
    return f"error during formatting: {wanted}, was given {type_of(value).name}"


def text_of(value: Any) -> str:
    """A value as %s writes it."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, float):
        return _unusual(value) or repr(value).removesuffix(".0")
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, list):
        return f"[{', '.join(map(text_of, value))}]"
    if isinstance(value, Mapping):
        entries = sorted((text_of(key), text_of(one)) for key, one in value.items())
        return "{" + ", ".join(f"{key}: {one}" for key, one in entries) + "}"
    if isinstance(value, Type):
        return value.name
    raise CelError(
        f"error during formatting: string clause can only be used on strings, was given {type_of(value).name}"
    )
