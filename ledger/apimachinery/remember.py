"""Memory of pure functions whose argument a peer wrote: bounded in entries and in what one entry may hold.

A cache of 4096 entries is small only while its keys are: a URI or a header may have a megabyte, and nobody has to be
allowed anything to send 4096 different ones.
"""

from __future__ import annotations

from collections.abc import Callable
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
