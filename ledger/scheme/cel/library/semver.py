"""Semantic versions (library/semverlib.go of k8s.io/apiserver)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ledger.scheme.cel.functions import overload, overloads
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type

_NUMBER = r"(0|[1-9]\d*)"
_WORD = r"[0-9A-Za-z-]+"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORD}(?:\.{_WORD})*))?(?:\+({_WORD}(?:\.{_WORD})*))?")


@dataclass(frozen=True, slots=True)
class Semver:
    numbers: tuple[int, int, int]
    before: tuple[str, ...] = ()  # the parts of a pre-release

    cel_type = Type("kubernetes.Semver")


def parse(text: str, normalize: bool = False) -> Semver:
    if normalize:
        text = _normalized(text)
    match = _VERSION.fullmatch(text)
    if match is None:
        raise CelError(_complaint(text))
    before = tuple(match[4].split(".")) if match[4] else ()
    if any(one.isdigit() and len(one) > 1 and one[0] == "0" for one in before):
        raise CelError(f'Numeric PreRelease version must not contain leading zeroes "{match[4]}"')
    return Semver((int(match[1]), int(match[2]), int(match[3])), before)


def _complaint(text: str) -> str:
    if not text:
        return "Version string empty"
    parts = text.split(".", 2)
    if len(parts) != 3:
        return "No Major.Minor.Patch elements found"
    for name, part in zip(("major", "minor"), parts, strict=False):
        if not part.isdigit():
            return f'Invalid character(s) found in {name} number "{part}"'
        if len(part) > 1 and part[0] == "0":
            return f'{name.capitalize()} number must not contain leading zeroes "{part}"'
    return f'Invalid character(s) found in patch number "{parts[2]}"'


def _normalized(text: str) -> str:
    text = text.removeprefix("v")
    core, separator, rest = re.match(r"([^-+]*)([-+]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    numbers = [one.lstrip("0") or "0" if one else one for one in core.split(".")]
    return ".".join([*numbers, *["0"] * (3 - len(numbers))]) + separator + rest


def is_semver(text: str, normalize: bool = False) -> bool:
    try:
        parse(text, normalize)
    except CelError:
        return False
    return True


def compare(one: Semver, other: Semver) -> int:
    if one.numbers != other.numbers:
        return 1 if one.numbers > other.numbers else -1
    if not one.before or not other.before:
        return bool(other.before) - bool(one.before)
    mine, theirs = [[_key(part) for part in each.before] for each in (one, other)]
    return (mine > theirs) - (mine < theirs)


def _key(part: str) -> tuple[Any, ...]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


_S = "kubernetes.Semver"
OVERLOADS = [
    *overloads(parse, f"semver(string): {_S}", f"semver(string, bool): {_S}"),
    *overloads(is_semver, "isSemver(string): bool", "isSemver(string, bool): bool"),
    overload(f"{_S}.isGreaterThan({_S}): bool", lambda one, other: compare(one, other) > 0),
    overload(f"{_S}.isLessThan({_S}): bool", lambda one, other: compare(one, other) < 0),
    overload(f"{_S}.compareTo({_S}): int", compare),
    overload(f"{_S}.major(): int", lambda one: one.numbers[0]),
    overload(f"{_S}.minor(): int", lambda one: one.numbers[1]),
    overload(f"{_S}.patch(): int", lambda one: one.numbers[2]),
]
