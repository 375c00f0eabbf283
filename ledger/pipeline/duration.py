"""Go's time.ParseDuration: "1m30s", "250ms", "-1.5h", with its error texts, which clients get to see."""

from __future__ import annotations

import re

from ledger.apimachinery.field import quoted

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]*)(\.[0-9]*)?([^0-9.]*)")


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError with Go's text: `time: missing unit in duration "5"`."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    seconds = 0.0
    while rest:
        match = _PART.match(rest)
        assert match is not None
        whole, fraction, unit = match.group(1), match.group(2) or "", match.group(3)
        if not whole and fraction in ("", "."):
            raise ValueError(f"time: invalid duration {quoted(text)}")
        if not unit:
            raise ValueError(f"time: missing unit in duration {quoted(text)}")
        if unit not in _SECONDS:
            raise ValueError(f"time: unknown unit {quoted(unit)} in duration {quoted(text)}")
        seconds += float(f"{whole or '0'}{fraction}") * _SECONDS[unit]
        rest = rest[match.end() :]
    if seconds > 9223372036.854775807:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    return sign * seconds
