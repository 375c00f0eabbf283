"""Ages as kubectl shows them: duration.HumanDuration, case by case."""

from __future__ import annotations

import pytest

from ledger.scheme.printers.durations import between, human, since

_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86400
_YEAR = 365 * _DAY


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-2,                                 "<invalid>"),
        (-1.9,                               "0s"),
        (0.999,                              "0s"),
        (119,                                "119s"),
        (2 * _MINUTE,                        "2m"),
        (2 * _MINUTE + 5,                    "2m5s"),
        (10 * _MINUTE - 1,                   "9m59s"),
        (10 * _MINUTE + 59,                  "10m"),
        (3 * _HOUR - 1,                      "179m"),
        (3 * _HOUR,                          "3h"),
        (7 * _HOUR + 59 * _MINUTE + 59,      "7h59m"),
        (8 * _HOUR + 59 * _MINUTE,           "8h"),
        (2 * _DAY - 1,                       "47h"),
        (2 * _DAY + 30 * _MINUTE,            "2d"),
        (8 * _DAY - 1,                       "7d23h"),
        (8 * _DAY + 23 * _HOUR,              "8d"),
        (2 * _YEAR - 1,                      "729d"),
        (2 * _YEAR,                          "2y"),
        (8 * _YEAR - 1,                      "7y364d"),
        (8 * _YEAR + 200 * _DAY,             "8y"),
    ],
)  # fmt: skip
def test_human_durations(seconds: float, expected: str) -> None:
    assert human(int(seconds * 1_000_000)) == expected


def test_no_time_is_unknown_and_no_real_time_is_invalid() -> None:
    assert since(None, 0) == since("", 0) == "<unknown>"
    assert since("yesterday", 0) == since(7, 0) == "<invalid>"
    assert since("1970-01-01T00:00:00.5Z", 3_000_000) == "2s"
    assert between("2026-01-01T00:00:00Z", "2026-01-01T00:02:03Z") == "2m3s"
