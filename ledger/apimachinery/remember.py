"""Memory of pure functions whose argument a peer wrote: bounded in entries and in what one entry may hold.

A cache of 4096 entries is small only while its keys are: a URI or a header may have a megabyte, and nobody has to be
allowed anything to send 4096 different ones.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

CHARS_MAX = 1024  # of a text that is remembered

_P = ParamSpec("_P")
_R = TypeVar("_R")


def remembered(entries_max: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Like functools.lru_cache for a function whose first argument is a text; a long text is worked out every time."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        cached: Callable[..., _R] = lru_cache(entries_max)(function)
        plain: Callable[..., _R] = function

        @wraps(function)
        def call(text: str, *more: Any, **named: Any) -> _R:
            return cached(text, *more, **named) if len(text) <= CHARS_MAX else plain(text, *more, **named)

        return call  # type: ignore[return-value]

    return decorate


class Passed(set[Hashable]):
    """What a check had nothing to say of: looked up instead of checked again. Who adds to it keeps entries small."""

    def __init__(self, entries_max: int) -> None:
        super().__init__()
        self.entries_max = entries_max

    def keep(self, entry: Hashable) -> None:
        if len(self) >= self.entries_max:
            self.clear()
        self.add(entry)
