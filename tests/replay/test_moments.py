"""Every form of a moment, and the text for each that is none."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from ledger.projections.store import Store
from ledger.replay.moments import duration_text, parse_duration, resolve
from ledger.replay.past import Past, ReplayError
from tests.replay.recording import Imported, Recording, obj

# Ten writes, a second apart from 21:16:00, of revisions 10, 20, ... 100; between them reads; the log ends at 21:16:30.
IDS: list[str] = []


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    log = Recording()
    for number in range(10):
        log.create(obj("configmaps", f"c{number}", 10 * (number + 1)), at=number)
    IDS[:] = [record["auditID"] for record in log.records]
    log.add("list", "configmaps", at=30)
    store = Imported([log.write(tmp_path_factory.mktemp("log") / "audit.jsonl")]).stored(Store.memory())
    return Past(store, now=0)


@pytest.mark.parametrize(
    "given, revision",
    [
        ("rv:40", 40),
        ("40", 40),
        ("45", 45),  # a hole: the state is that of 40
        ("start", 0),
        ("end", 100),
        ("now", 100),
        ("2025-11-22T21:16:03.5Z", 40),
        ("2025-11-22T22:16:03.5+01:00", 40),
        ("2025-11-22T21:16:03.5", 40),
        ("2025-11-22 21:16:03.5", 40),
        ("2025-11-23", 100),
        ("unix:1763846163.5", 40),
        ("21:16:03.5", 40),
        ("21:17", 100),
        ("-27s", 40),  # in a finished log, from its end
        ("-27s500ms", 30),
        ("start+3500ms", 40),
        ("end-27s", 40),
        ("40+1", 50),  # that many changes later: revisions have holes
        ("rv:40-2", 20),
        ("40-1s", 30),
        ("@base", 60),
        ("@base+1s", 70),
        ("@base-2", 40),
    ],
)
def test_a_moment_is_a_revision(past: Past, given: str, revision: int) -> None:
    assert resolve(past, given, {"base": 60}).revision == revision


def test_requests_are_moments_and_so_are_their_neighbours(past: Past) -> None:
    request = IDS[3][:8]
    for given, revision in (
        (request, 40),
        (f"before {request}", 30),
        (f"before:{request}", 30),
        (f"after:{request}", 50),
    ):
        assert resolve(past, given).revision == revision
    assert resolve(past, IDS[3]).echo() == f'at rv 40, 2025-11-22T21:16:03.010Z (from "{IDS[3]}")'


def test_a_time_without_a_zone_is_of_the_zone_asked_for(past: Past) -> None:
    assert resolve(past, "22:16:03.5", zone=timezone(timedelta(hours=1))).revision == 40


@pytest.mark.parametrize(
    "given, message",
    [
        (
            "yesterday",
            '"yesterday" is not a moment. Try 2026-11-21T21:17:00Z, -24h, rv:924, @base or "before 748bd20d".',
        ),
        ("rv:4x", '"rv:4x" is not a moment.'),
        ("", '"" is not a moment.'),
        ("25:61", '"25:61" is not a moment.'),
        ("2025-13-45", '"2025-13-45" is not a moment.'),
        ("40+", '"40+" is not a moment.'),
        ("-5", '"-5" is not a moment.'),
        ("1763846233", "revision 1763846233 is after the log's last one, 100. A Unix time is written unix:1763846233."),
        ("101", "revision 101 is after the log's last one, 100."),
        (
            "-15m",
            "-15m is before the log. It is finished, so -15m counts from its end, 21:16:30Z; it starts at 21:16:00Z. "
            "Use start, or up to -30s.",
        ),
        ("2025-11-21T00:00:00Z", "2025-11-21T00:00:00Z is before the log, which starts at 2025-11-22T21:16:00Z."),
        ("@s9", 'there is no mark "@s9" in this log. Marks: @base.'),
        ("deadbeef", 'no request in the log begins with "deadbeef".'),
        ("before nothing!", '"nothing!"'),
    ],
)
def test_what_is_no_moment_says_what_would_be(past: Past, given: str, message: str) -> None:
    with pytest.raises(ReplayError) as raised:
        resolve(past, given, {"base": 60})
    assert message in str(raised.value)


def test_too_few_digits_of_a_request_tell_how_many_match(past: Past) -> None:
    letter = next(one for one in IDS if one[0] in "abcdef")[0]
    with pytest.raises(ReplayError, match=r"matches \d+ requests?; give 6 digits or more"):
        resolve(past, f"before {letter}")


@pytest.mark.parametrize(
    "text, seconds",
    [("15m", 900), ("2h30m", 9000), ("3d", 259200), ("1.5s", 1.5), ("200ms", 0.2), ("1d2h3m4s5ms", 93784.005)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == round(seconds * 1_000_000)


@pytest.mark.parametrize("text", ["", "5", "m", "5x", "5m3h", "-5m"])
def test_what_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


def test_a_duration_prints_as_it_is_read() -> None:
    assert duration_text(parse_duration("3m45s") or 0) == "3m45s"
