"""Times as Kubernetes writes them; ours are microseconds since 1970 (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def _seconds(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(microseconds: int) -> str:
    """metav1.Time: whole seconds, "2026-11-22T21:17:13Z"."""
    return _seconds(microseconds // 1_000_000) + "Z"


def rfc3339_micro(microseconds: int) -> str:
    """metav1.MicroTime: "2026-11-22T21:17:13.601000Z"."""
    return f"{_seconds(microseconds // 1_000_000)}.{microseconds % 1_000_000:06d}Z"


def parse_rfc3339(text: str) -> int:
    """Microseconds of an RFC 3339 time with any zone and fraction. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)
