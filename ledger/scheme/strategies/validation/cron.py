"""Cron schedules and time zones, with the complaints of robfig/cron's standard parser and of Go's time package."""

from __future__ import annotations

import re
import zoneinfo
from functools import cache

from ledger.apimachinery.field import quoted

_MONTHS = {
    name: at
    for at, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_DAYS = {name: at for at, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
# Lowest and highest value of each field, and names for them.
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_INT_MAX = 2**63 - 1


class _Wrong(ValueError):
    """Its text is the complaint."""


def schedule_error(schedule: str) -> str:
    """What is wrong with a schedule, or nothing."""
    try:
        _check_schedule(schedule)
    except _Wrong as wrong:
        return str(wrong)
    return ""


def _check_schedule(schedule: str) -> None:
    if schedule.startswith(("TZ=", "CRON_TZ=")):
        head, space, schedule = schedule.partition(" ")
        if not space:
            raise _Wrong("invalid schedule format: runtime error: slice bounds out of range [:-1]")
        name = head.partition("=")[2]
        error = location_error(name)
        if error:
            raise _Wrong(f"provided bad location {name}: {error}")
        schedule = schedule.strip()
    if schedule.startswith("@"):
        _check_descriptor(schedule)
        return
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise _Wrong(f"expected exactly {len(_FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]")
    for text, (low, high, names) in zip(fields, _FIELDS, strict=True):
        for expression in filter(None, text.split(",")):
            _check_range(expression, low, high, names)


def _check_descriptor(text: str) -> None:
    if text in _DESCRIPTORS:
        return
    if not text.startswith("@every "):
        raise _Wrong(f"unrecognized descriptor: {text}")
    error = _duration_error(text.removeprefix("@every "))
    if error:
        raise _Wrong(f"failed to parse duration {text}: {error}")


def _check_range(expression: str, low: int, high: int, names: dict[str, int]) -> None:
    limits, *steps = expression.split("/")
    ends = limits.split("-")
    if ends[0] in ("*", "?"):
        start, end = low, high
    else:
        start = _number(ends[0], names)
        if len(ends) > 2:
            raise _Wrong(f"too many hyphens: {expression}")
        end = _number(ends[1], names) if len(ends) == 2 else start
    if len(steps) > 1:
        raise _Wrong(f"too many slashes: {expression}")
    step = _number(steps[0], {}) if steps else 1
    if steps and len(ends) == 1:
        end = high
    if start < low:
        raise _Wrong(f"beginning of range ({start}) below minimum ({low}): {expression}")
    if end > high:
        raise _Wrong(f"end of range ({end}) above maximum ({high}): {expression}")
    if start > end:
        raise _Wrong(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise _Wrong(f"step of range should be a positive number: {expression}")


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    parsing = f"failed to parse int from {text}: strconv.Atoi: parsing {quoted(text)}"
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise _Wrong(f"{parsing}: invalid syntax")
    value = int(text)
    if not -_INT_MAX - 1 <= value <= _INT_MAX:
        raise _Wrong(f"{parsing}: value out of range")
    if value < 0:
        raise _Wrong(f"negative number ({value}) not allowed: {text}")
    return value


def _duration_error(text: str) -> str:
    """time.ParseDuration's complaint."""
    rest, shown = text.lstrip("+-") if text[:1] in "+-" and text[1:2] not in "+-" else text, quoted(text)
    if rest == "0" and text:
        return ""
    if not rest:
        return f"time: invalid duration {shown}"
    while rest:
        number = re.match(r"[0-9]*(\.[0-9]*)?", rest)
        if number is None or not re.search("[0-9]", number[0]):
            return f"time: invalid duration {shown}"
        rest = rest[number.end() :]
        unit = re.match("[^.0-9]*", rest)
        name = unit[0] if unit else ""
        if not name:
            return f"time: missing unit in duration {shown}"
        if name not in ("ns", "us", "µs", "μs", "ms", "s", "m", "h"):
            return f"time: unknown unit {quoted(name)} in duration {shown}"
        rest = rest[len(name) :]
    return ""


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def location_error(name: str) -> str:
    """time.LoadLocation's complaint; where no zones are installed every name will do."""
    if name in ("", "UTC", "Local"):
        return ""
    if ".." in name.split("/") or name[0] in "/\\":
        return "time: invalid location name"
    zones = _zones()
    return f"unknown time zone {name}" if zones and name not in zones else ""
