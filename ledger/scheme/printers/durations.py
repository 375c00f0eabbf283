"""How long ago, in two or three significant figures: "5s", "3m20s", "2d4h" (duration.HumanDuration of apimachinery)."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.times import parse_rfc3339

_MICROSECONDS = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY
UNKNOWN, INVALID = "<unknown>", "<invalid>"


def human(microseconds: int) -> str:
    """The duration; "<invalid>" below -1 second, as clocks may differ by one."""
    seconds = int(microseconds / _MICROSECONDS)  # towards zero, as Go converts
    if seconds < -1:
        return INVALID
    if seconds < 2 * _MINUTE:
        return f"{max(seconds, 0)}s"
    if seconds < 10 * _MINUTE:
        return _two(seconds, _MINUTE, "m", 1, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two(seconds, _HOUR, "h", _MINUTE, "m")
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two(seconds, _DAY, "d", _HOUR, "h")
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two(seconds, _YEAR, "y", _DAY, "d")
    return f"{seconds // _YEAR}y"


def since(timestamp: Any, now: int) -> str:
    """How long before `now` (microseconds since 1970) an RFC 3339 time was; "<unknown>" where there is none."""
    if not timestamp:
        return UNKNOWN
    try:
        return human(now - parse_rfc3339(timestamp))
    except (TypeError, ValueError):
        return INVALID


def between(start: Any, end: Any) -> str:
    """The time from one RFC 3339 time to another."""
    try:
        return human(parse_rfc3339(end) - parse_rfc3339(start))
    except (TypeError, ValueError):
        return INVALID


def _two(seconds: int, unit: int, name: str, smaller_unit: int, smaller_name: str) -> str:
    whole, rest = divmod(seconds, unit)
    smaller = rest // smaller_unit
    return f"{whole}{name}{smaller}{smaller_name}" if smaller else f"{whole}{name}"
