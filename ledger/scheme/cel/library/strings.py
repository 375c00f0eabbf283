"""The extended strings library, version 2 (ext/strings.go of cel-go), and sets and regular expressions."""

from __future__ import annotations

from typing import Any

from ledger.scheme.cel.functions import overload, overloads
from ledger.scheme.cel.library.formatting import format_text
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.values import contains, no_such_overload
from ledger.scheme.go_patterns import PatternError, compiled

_QUOTED = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
# What Go's unicode.IsSpace calls a space.
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def char_at(text: str, place: int) -> str:
    if not 0 <= place <= len(text):
        raise CelError(f"index out of range: {place}")
    return text[place : place + 1]


def index_of(text: str, part: str, start: int = 0) -> int:
    if part == "":
        return start
    if not 0 <= start < max(len(text), 1):
        raise CelError(f"index out of range: {start}")
    return text.find(part, start)


def last_index_of(text: str, part: str, start: int | None = None) -> int:
    if part == "":
        return len(text) if start is None else start
    if start is None:
        return text.rfind(part)
    if not 0 <= start < len(text):
        raise CelError(f"index out of range: {start}")
    return text.rfind(part, 0, start + len(part))


def lower(text: str) -> str:
    return "".join(one.lower() if one.isascii() else one for one in text)


def upper(text: str) -> str:
    return "".join(one.upper() if one.isascii() else one for one in text)


def replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count)


def split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if separator == "":
        parts = list(text)
        return parts if count < 0 or len(parts) <= count else [*parts[: count - 1], "".join(parts[count - 1 :])]
    return text.split(separator, count - 1 if count > 0 else -1)


def substring(text: str, start: int, end: int | None = None) -> str:
    if end is None:
        if not 0 <= start <= len(text):
            raise CelError(f"index out of range: {start}")
        return text[start:]
    if start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    for place in (start, end):
        if not 0 <= place <= len(text):
            raise CelError(f"index out of range: {place}")
    return text[start:end]


def join(parts: list[Any], separator: str = "") -> str:
    if not all(isinstance(one, str) for one in parts):
        raise no_such_overload()
    return separator.join(parts)


def quote(text: str) -> str:
    inside = "".join(_QUOTED.get(one, "\\" + one if one in '"\\' else one) for one in text)
    return f'"{inside}"'


def find(text: str, pattern: str) -> str:
    match = _pattern(pattern).search(text)
    return "" if match is None else match.group()


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match.group() for match in _pattern(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def _pattern(pattern: str) -> Any:
    try:
        return compiled(pattern)
    except PatternError as error:
        raise CelError(f"Illegal regex: {error}") from None


def includes_all(one: list[Any], other: list[Any]) -> bool:
    return all(contains(each, one) for each in other)


OVERLOADS = [
    overload("string.charAt(int): string", char_at),
    *overloads(index_of, "string.indexOf(string): int", "string.indexOf(string, int): int"),
    *overloads(last_index_of, "string.lastIndexOf(string): int", "string.lastIndexOf(string, int): int"),
    overload("string.lowerAscii(): string", lower),
    overload("string.upperAscii(): string", upper),
    *overloads(replace, "string.replace(string, string): string", "string.replace(string, string, int): string"),
    *overloads(split, "string.split(string): list(string)", "string.split(string, int): list(string)"),
    *overloads(substring, "string.substring(int): string", "string.substring(int, int): string"),
    overload("string.trim(): string", lambda text: text.strip(_SPACES)),
    overload("string.format(list(dyn)): string", format_text),
    overload("::strings.quote(string): string", quote),
    *overloads(join, "list(string).join(): string", "list(string).join(string): string"),
    overload("string.find(string): string", find),
    *overloads(find_all, "string.findAll(string): list(string)", "string.findAll(string, int): list(string)"),
    overload("::sets.contains(list(T), list(T)): bool", includes_all),
    overload(
        "::sets.equivalent(list(T), list(T)): bool",
        lambda one, other: includes_all(one, other) and includes_all(other, one),
    ),
    overload(
        "::sets.intersects(list(T), list(T)): bool", lambda one, other: any(contains(each, other) for each in one)
    ),
]
