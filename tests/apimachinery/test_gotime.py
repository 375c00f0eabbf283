"""Times are read and refused as Go's time.Parse does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.apimachinery import gotime

_LAYOUT = "2006-01-02T15:04:05Z07:00"


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00.999Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01T0:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-02-29T23:59:59-00:30", "2024-03-01T00:29:59Z"),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", None),  # Go's zero time
    ],
)
def test_time(written: str, printed: str | None) -> None:
    assert gotime.time(written) == printed


def test_micro_time_needs_its_six_decimals() -> None:
    assert gotime.micro_time("2024-01-01T02:00:00.123456+02:00") == "2024-01-01T00:00:00.123456Z"
    with pytest.raises(gotime.TimeError, match=r'cannot parse "Z" as "\.000000"'):
        gotime.micro_time("2024-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("yesterday", f'parsing time "yesterday" as "{_LAYOUT}": cannot parse "yesterday" as "2006"'),
        ("2024-01-01", f'parsing time "2024-01-01" as "{_LAYOUT}": cannot parse "" as "T"'),
        ("2024-13-01T00:00:00Z", 'parsing time "2024-13-01T00:00:00Z": month out of range'),
        ("2023-02-29T00:00:00Z", 'parsing time "2023-02-29T00:00:00Z": day out of range'),
        ("2024-01-01T00:00:00Zx", 'parsing time "2024-01-01T00:00:00Zx": extra text: "x"'),
        (
            "2024-01-01T00:00:00",
            f'parsing time "2024-01-01T00:00:00" as "{_LAYOUT}": cannot parse "" as "Z07:00"',
        ),
    ],
)
def test_what_is_no_time(written: str, why: str) -> None:
    with pytest.raises(gotime.TimeError) as refused:
        gotime.time(written)
    assert str(refused.value) == why


@given(st.integers(0, 253402300799 + 62135596800 - 1))
def test_the_calendar_is_pythons(since_year_one: int) -> None:
    seconds = since_year_one - 62135596800
    shown = gotime.format_seconds(seconds)
    assert gotime.parse(shown, gotime.RFC3339) == (seconds, 0)
    if seconds >= 0:
        assert shown == datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
