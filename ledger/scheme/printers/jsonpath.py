"""Kubernetes' dialect of JSONPath, as CRD columns use it: .spec.a, ['a'], [0], [*], [1:3], [0,2], ..a, [?(@.type=="Ready")].

A path is parsed once into steps; a step takes the values found so far and gives the next ones. Follows the parser and
evaluator of k8s.io/client-go/util/jsonpath: a key that is missing gives no value, an index beyond a list is an error.
`{range}` has no use in a column and is an error when it is evaluated.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from ledger.scheme.printers.jsonpath_steps import (
    JSONPathError,
    Step,
    constant,
    field,
    filtered,
    identifier,
    run,
    sliced,
    union,
    walked,
    wildcard,
)

_DICT_KEY = re.compile(r"'([^']*)'")
_SLICE = re.compile(r"(-?[0-9]*)(:-?[0-9]*)?(:-?[0-9]*)?")
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+?)", re.DOTALL)
_TERMINATORS = frozenset(" \t\r\n.,[]$@{}")


def find(path: str, obj: Any) -> list[Any]:
    """The values at a path in decoded JSON, in order; none where it leads nowhere. Raises JSONPathError."""
    results = [run(steps, [obj]) for steps in parse(path)]
    return results[0] if results else []


@lru_cache(1024)
def parse(path: str) -> tuple[tuple[Step, ...], ...]:
    """The steps of a path; more than one group where it closes its braces itself. Raises JSONPathError."""
    return _Parser("{" + path + "}").groups()


class _Parser:
    """Reads a template; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def groups(self) -> tuple[tuple[Step, ...], ...]:
        found: list[tuple[Step, ...]] = []
        while self.at < len(self.text):
            start = self.text.find("{", self.at)
            if start != self.at:
                end = len(self.text) if start < 0 else start
                found.append((constant(self.text[self.at : end]),))
                self.at = end
                continue
            self.at += 1
            found.append(tuple(self.action()))
        return tuple(found)

    def action(self) -> list[Step]:
        """What is between braces; the opening one is read already."""
        steps: list[Step] = []
        while True:
            rest = self.text[self.at : self.at + 3]
            one = rest[:1]
            if one == "}":
                self.at += 1
                return steps
            if rest == "[?(":
                steps.append(self.filter())
            elif rest[:2] == "..":
                steps += self.recursion(bool(steps) and steps[-1] is walked)
            elif one in ("", "\r", "\n"):
                raise JSONPathError("unclosed action")
            elif one in " @$":
                self.at += 1
            elif one == "[":
                steps += self.array()
            elif one in "\"'":
                steps.append(self.quoted())
            elif one == ".":
                self.at += 1
                steps.append(self.field())
            elif one in "+-" or one.isdigit():
                steps.append(self.number())
            elif one == "_" or one.isalpha():
                steps.append(self.word())
            else:
                raise JSONPathError(f"unrecognized character in action: U+{ord(one):04X} '{one}'")

    def recursion(self, doubled: bool) -> list[Step]:
        if doubled:
            raise JSONPathError("invalid multiple recursive descent")
        self.at += 2
        following = self.text[self.at : self.at + 1]
        return [walked, self.field()] if following == "_" or following.isalnum() else [walked]

    def field(self) -> Step:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in _TERMINATORS:
            self.at += 2 if self.text[self.at] == "\\" else 1
        name = self.text[start : self.at]
        return wildcard if name == "*" else field(name.replace("\\", ""))

    def word(self) -> Step:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in _TERMINATORS:
            self.at += 1
        word = self.text[start : self.at]
        return constant(word == "true") if word in ("true", "false") else identifier(word)

    def number(self) -> Step:
        found = re.compile(r"[+-]?[0-9.]*").match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        for kind in (int, float):
            try:
                return constant(kind(found[0]))
            except ValueError:
                continue
        raise JSONPathError(f"cannot parse number {found[0]}")

    def quoted(self) -> Step:
        mark, start = self.text[self.at], self.at + 1
        self.at = start
        while True:
            one = self.text[self.at : self.at + 1]
            if one in ("", "\n"):
                raise JSONPathError("unterminated quoted string")
            self.at += 1
            if one == mark and self.text[self.at - 2] != "\\":
                return constant(re.sub(r"\\(.)", r"\1", self.text[start : self.at - 1]))

    def array(self) -> list[Step]:
        """What is in brackets; a bracket inside quotes ends it too, as upstream."""
        end = self.text.find("]", self.at)
        inside = self.text[self.at + 1 : end]
        if end < 0 or "\n" in inside:
            raise JSONPathError("unterminated array")
        self.at = end + 1
        parts = inside.split(",")
        if len(parts) > 1:
            return [union([_steps_of(f"[{part.strip(' ')}]") for part in parts])]
        if key := _DICT_KEY.fullmatch(inside):
            return _steps_of(f".{key[1]}")
        return [_slice(":" if inside == "*" else inside)]

    def filter(self) -> Step:
        self.at += len("[?(")
        text = self.text[self.at : self._filter_end()]
        self.at += len(text) + 1
        if self.text[self.at : self.at + 1] != "]":
            raise JSONPathError("unclosed array expect ]")
        self.at += 1
        compared = _COMPARISON.fullmatch(text)
        if compared is None:
            return filtered(_steps_of(text), "exists", [])
        return filtered(_steps_of(compared[1]), compared[2], _steps_of(compared[3]))

    def _filter_end(self) -> int:
        """Where the closing parenthesis is; those inside the first quoted text do not count."""
        mark, closed = "", False
        for at in range(self.at, len(self.text)):
            one = self.text[at]
            if one == "\n":
                break
            if one in "\"'":
                if mark:
                    closed = closed or (one == mark and self.text[at - 1] != "\\")
                else:
                    mark = one
            elif one == ")" and bool(mark) == closed:
                return at
        raise JSONPathError("unterminated filter")


def _steps_of(text: str) -> list[Step]:
    """The steps of a path within a path."""
    groups = _Parser("{" + text + "}").groups()
    return list(groups[0])


def _slice(text: str) -> Step:
    """[start:end:step]; a lone index is the slice that ends after it."""
    found = _SLICE.fullmatch(text)
    if found is None:
        raise JSONPathError(f"invalid array index {text}")
    start, end, step = (_index(part) for part in found.groups())
    if found[2] is None:
        return sliced(start, (start or 0) + 1, step, single=True)
    return sliced(start, end, step, single=False)


def _index(text: str | None) -> int | None:
    digits = (text or "").removeprefix(":")
    if not digits:
        return None
    try:
        return int(digits)
    except ValueError:
        raise JSONPathError(f"array index {digits} is not a number") from None
