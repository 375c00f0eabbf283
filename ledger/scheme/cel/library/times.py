"""Durations and timestamps: read, written, and taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from fractions import Fraction
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.scheme.cel.functions import Overload, overload
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.values import INT_MAX, SECOND, Duration, Timestamp, checked_timestamp, conversion_error

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"([+-]?)((?:{_PART.pattern})+|0)")
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> Duration:
    """As Go's time.ParseDuration reads it. Raises CelError."""
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise conversion_error(text, "google.protobuf.Duration")
    nanos = sum(int(Fraction(number) * _UNITS[unit]) for number, unit in _PART.findall(match[2]))
    if nanos > INT_MAX:
        raise conversion_error(text, "google.protobuf.Duration")
    return Duration(-nanos if match[1] == "-" else nanos)


def duration_text(value: Duration) -> str:
    """In seconds, with no more digits than there are."""
    whole, rest = divmod(abs(value.nanos), SECOND)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{'-' if value.nanos < 0 else ''}{whole}{fraction if rest else ''}s"


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339. Raises CelError."""
    match = _TIMESTAMP.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        moment = datetime.fromisoformat(match[1] + ("+00:00" if match[3] == "Z" else match[3]))
    except ValueError:
        raise conversion_error(text, "google.protobuf.Timestamp") from None
    nanos = int(f"{match[2] or '':0<9}"[:9])
    return checked_timestamp((moment - _EPOCH) // timedelta(seconds=1) * SECOND + nanos)


def timestamp_text(value: Timestamp) -> str:
    seconds, nanos = divmod(value.nanos, SECOND)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S').zfill(19)}{fraction}Z"


def _zone(name: str) -> tzinfo:
    offset = re.fullmatch(r"([+-]?)(\d\d):(\d\d)", name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CelError(f"unknown time zone {name}") from None


_OF_DATES: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda moment: moment.year,
    "getMonth": lambda moment: moment.month - 1,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfWeek": lambda moment: moment.isoweekday() % 7,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
    "getMilliseconds": lambda moment: moment.microsecond // 1000,
}
_OF_DURATIONS: dict[str, Callable[[int], int]] = {
    "getHours": lambda nanos: nanos // (3600 * SECOND),
    "getMinutes": lambda nanos: nanos // (60 * SECOND),
    "getSeconds": lambda nanos: nanos // SECOND,
    "getMilliseconds": lambda nanos: nanos // 10**6 % 1000,
}


def _overloads() -> list[Overload]:
    found = []
    for name, part in _OF_DATES.items():

        def taken(moment: Timestamp, zone: str = "UTC", part: Callable[[datetime], int] = part) -> int:
            local = (_EPOCH + timedelta(microseconds=moment.nanos // 1000)).astimezone(_zone(zone))
            return part(local)

        found.append(overload(f"timestamp.{name}(): int", taken))
        found.append(overload(f"timestamp.{name}(string): int", taken))
    for name, whole in _OF_DURATIONS.items():

        def counted(duration: Duration, whole: Callable[[int], int] = whole) -> int:
            count = whole(abs(duration.nanos))
            return -count if duration.nanos < 0 else count

        found.append(overload(f"duration.{name}(): int", counted))
    return found


OVERLOADS = _overloads()
