"""Times as Go reads and prints them: metav1.Time (seconds) and metav1.MicroTime (microseconds), always UTC.

Kubernetes accepts what Go's time.Parse accepts ("2024-1-2T3:04:05Z" is refused, "2024-01-02T3:04:05+02:00" is not) and
answers with time.ParseError's text, which clients see.
"""

from __future__ import annotations

import json
import re

from ledger.apimachinery.remember import remembered

RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"

_PLAIN = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{6})?Z"
)
_ZERO = -62135596800  # 0001-01-01T00:00:00Z, Go's zero time, which prints as null


class TimeError(ValueError):
    """The text is no time; the message is time.ParseError's."""


@remembered(8192)
def time(text: str) -> str | None:
    """metav1.Time in canonical form, None for Go's zero time; raises TimeError."""
    plain = _PLAIN.fullmatch(text)
    if plain and not plain[1] and not text.startswith("000"):
        return text
    seconds, _ = parse(text, RFC3339)
    return format_seconds(seconds) if (seconds, _) != (_ZERO, 0) else None


@remembered(8192)
def micro_time(text: str) -> str | None:
    """metav1.MicroTime in canonical form, None for Go's zero time; raises TimeError."""
    plain = _PLAIN.fullmatch(text)
    if plain and plain[1] and not text.startswith("000"):
        return text
    seconds, nanos = parse(text, RFC3339_MICRO)
    return format_micros(seconds, nanos) if (seconds, nanos) != (_ZERO, 0) else None


def format_seconds(seconds: int) -> str:
    """Seconds since 1970 as RFC 3339, whole seconds, UTC."""
    days, rest = divmod(seconds, 86400)
    year, month, day = _civil(days)
    return f"{year:04d}-{month:02d}-{day:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}Z"


def format_micros(seconds: int, nanos: int) -> str:
    """Seconds since 1970 and nanoseconds as RFC 3339 with six decimals, UTC."""
    return f"{format_seconds(seconds)[:-1]}.{nanos // 1000:06d}Z"


def parse(text: str, layout: str) -> tuple[int, int]:
    """(seconds since 1970, nanoseconds) of a time in one of the two layouts above; raises TimeError."""
    return _Parser(text, layout).run()


class _Parser:
    """time.Parse for the elements these layouts have; `rest` is what is still to be read."""

    def __init__(self, text: str, layout: str) -> None:
        self.text, self.layout, self.rest = text, layout, text

    def run(self) -> tuple[int, int]:
        year = self.year()
        self.literal("-")
        month = self.number("01", 1, 12, "month")
        self.literal("-")
        day = self.number("02", 0, 99, "day")
        self.literal("T")
        hour = self.number("15", 0, 23, "hour", fixed=False)
        self.literal(":")
        minute = self.number("04", 0, 59, "minute")
        self.literal(":")
        second = self.number("05", 0, 59, "second")
        nanos = self.fraction()
        offset = self.zone()
        if self.rest:
            raise self.refused(f": extra text: {_quoted(self.rest)}")
        if not 1 <= day <= _days_in(year, month):
            raise self.refused(": day out of range")
        seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
        return seconds, nanos

    def year(self) -> int:
        if len(self.rest) < 4 or not self.rest[:4].isascii() or not self.rest[:4].isdigit():
            raise self.unreadable("2006", self.rest)
        year, self.rest = int(self.rest[:4]), self.rest[4:]
        return year

    def literal(self, one: str) -> None:
        if not self.rest.startswith(one):
            raise self.unreadable(one, self.rest)
        self.rest = self.rest[1:]

    def number(self, element: str, low: int, high: int, name: str, fixed: bool = True) -> int:
        held = self.rest
        length = len(_digits(held[:2]))
        if length == 0 or (fixed and length == 1):
            raise self.unreadable(element, held)
        number, self.rest = int(held[:length]), held[length:]
        if not low <= number <= high:
            raise self.refused(f": {name} out of range")
        return number

    def fraction(self) -> int:
        held = self.rest
        if self.layout == RFC3339_MICRO:
            if len(held) < 7 or held[0] not in ".," or len(_digits(held[1:7])) < 6:
                raise self.unreadable(".000000", held)
            digits = held[1:7]
        elif held[:1] in (".", ",") and _digits(held[1:2]):
            digits = _digits(held[1:])
        else:
            return 0
        self.rest = held[1 + len(digits) :]
        return int(digits[:9].ljust(9, "0"))

    def zone(self) -> int:
        """Seconds east of UTC."""
        held = self.rest
        if held.startswith("Z"):
            self.rest = held[1:]
            return 0
        hours, minutes = held[1:3], held[4:6]
        if len(held) < 6 or held[3] != ":" or len(_digits(hours)) < 2 or len(_digits(minutes)) < 2:
            raise self.unreadable("Z07:00", held)
        self.rest = held[6:]
        if int(hours) > 24:
            raise self.refused(": time zone offset hour out of range")
        if int(minutes) > 60:
            raise self.refused(": time zone offset minute out of range")
        if held[0] not in "+-":
            raise self.unreadable("Z07:00", held)
        offset = int(hours) * 3600 + int(minutes) * 60
        return offset if held[0] == "+" else -offset

    def unreadable(self, element: str, at: str) -> TimeError:
        asked = f"parsing time {_quoted(self.text)} as {_quoted(self.layout)}"
        return TimeError(f"{asked}: cannot parse {_quoted(at)} as {_quoted(element)}")

    def refused(self, why: str) -> TimeError:
        return TimeError(f"parsing time {_quoted(self.text)}{why}")


def _digits(text: str) -> str:
    """The leading ASCII digits."""
    end = 0
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    return text[:end]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar (years from 0, which datetime cannot do)."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def _civil(days: int) -> tuple[int, int, int]:
    """(year, month, day) of days since 1970-01-01."""
    era, of_era_day = divmod(days + 719468, 146097)
    of_era = (of_era_day - of_era_day // 1460 + of_era_day // 36524 - of_era_day // 146096) // 365
    of_year = of_era_day - (365 * of_era + of_era // 4 - of_era // 100)
    month_index = (5 * of_year + 2) // 153
    day = of_year - (153 * month_index + 2) // 5 + 1
    month = month_index + (3 if month_index < 10 else -9)
    return era * 400 + of_era + (month <= 2), month, day
