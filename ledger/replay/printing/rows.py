"""Rows of `log`, `history` and `info --quality`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ledger.apimachinery.resource import Key
from ledger.apimachinery.times import rfc3339, rfc3339_micro
from ledger.log.event import Event
from ledger.replay.classify import CLASSES
from ledger.replay.lives import FieldValue, Version
from ledger.replay.overview import Doubt
from ledger.replay.printing.table import Column
from ledger.replay.requests import Happening, Tally
from ledger.replay.text import LONG_VALUE, change_text, did, happening_text, value_text, what, who
from ledger.replay.unknowable import Unknowable

HOW = {"known": "", "inferred": "~", "unknown": "?"}
Clock = Callable[[int], str]  # a time, in microseconds, as it is printed

LOG_COLUMNS = [
    Column("REV", align=">"),
    Column("TIME (UTC)"),
    Column("WHO", 8),
    Column("DID"),
    Column("WHAT", 12, "middle"),
    Column("CHANGE", 12, "middle"),
    Column("REQUEST"),
]


def time_of_day(time: int) -> str:
    return rfc3339_micro(time)[11:-4]


def full_time(time: int) -> str:
    return rfc3339_micro(time)


def day_and_time(time: int) -> str:
    return rfc3339(time)[:10] + " " + time_of_day(time)


def request_id(event: Event, cuts: bool) -> str:
    return event.audit_id[:8] if cuts else event.audit_id


def log_row(found: Happening, clock: Clock, cuts: bool, *, namespaced: bool) -> list[str]:
    """`cuts`: long values and ids may be shortened."""
    event = found.event
    return [
        str(found.revision) if found.revision else "-",
        clock(event.answered),
        who(event),
        did(event),
        what(found, namespaced=namespaced),
        happening_text(found, LONG_VALUE if cuts else 0),
        request_id(event, cuts),
    ]


def tally_text(tally: Tally, total: str = "") -> str:
    """4 intents, 1 refused.  Hidden: 235 reactions, 326 status writes (--class all)"""
    shown = ", ".join(_count(kind, tally.shown[kind]) for kind in CLASSES if tally.shown[kind]) or "no requests"
    hidden = ", ".join(_count(kind, tally.hidden[kind]) for kind in CLASSES if tally.hidden[kind])
    text = f"{shown}{' so far' if 'more' in total else ''}."
    if hidden:
        text += f"  Hidden: {hidden} (--class all)"
    if tally.noise:
        text += f"  Noise hidden: {tally.noise} field{'s' if tally.noise != 1 else ''} (--noise show)"
    return text


_PLURALS = {
    "intent": "intents",
    "reaction": "reactions",
    "heartbeat": "heartbeats",
    "event": "events",
    "read": "reads",
    "review": "reviews",
}


def _count(kind: str, count: int) -> str:
    word = {"status": "status write" + ("s" if count != 1 else "")}.get(kind, kind)
    return f"{count:,} {_PLURALS.get(kind, word) if count != 1 else word}"


HISTORY_COLUMNS = [
    Column("REV", align=">"),
    Column("TIME (UTC)"),
    Column("CHANGE", 20, "middle"),
    Column("WHO", 8),
    Column("DID"),
    Column("REQUEST"),
    Column("HOW"),
]
VALUE_COLUMNS = [Column("VALUE", 12, "middle") if column.name == "CHANGE" else column for column in HISTORY_COLUMNS]


def version_row(version: Version, clock: Clock, cuts: bool) -> list[str]:
    text = change_text(version.change, LONG_VALUE if cuts else 0)
    if version.life > 1 and version.change.what == "created":
        text = f"created again (life {version.life})"
    return _history_row(version, text, clock, cuts)


def value_row(found: FieldValue, clock: Clock, cuts: bool) -> list[str]:
    """A value that may have changed is `?`, with what was known of it before."""
    text = value_text(found.value, LONG_VALUE if cuts else 0)
    if found.perhaps and found.value == found.previous:
        text = f"? (before: {text})"
    return _history_row(found.version, text, clock, cuts)


def _history_row(version: Version, text: str, clock: Clock, cuts: bool) -> list[str]:
    how = "schema" if version.reread else HOW[version.change.confidence]
    event = version.event
    if event is None:
        return [str(version.revision), "-", text, "-", "-", "-", how]
    by = [who(event), did(event), request_id(event, cuts)]
    return [str(version.revision), clock(event.answered), text, *by, how]


DOUBT_COLUMNS = [
    Column("REV", align=">"),
    Column("TIME (UTC)"),
    Column("WHAT", 16, "middle"),
    Column("CONFIDENCE"),
    Column("WHY", 20),
]


GAP_COLUMNS = [Column("WHAT", 16, "middle"), Column("SINCE", align=">"), Column("FIELDS", 20), Column("WHY", 20)]


def gap_rows(found: Unknowable) -> Iterator[list[str]]:
    """Resources first: of those, objects may be missing, too."""
    for one in found.resources:
        where = f"{one.namespace}/{one.resource}" if one.namespace else str(one.resource)
        yield [where, str(one.after + 1), ", ".join(one.fields), one.why]
    for key, gap in found.objects.items():
        yield [_object_name(key), str(gap.since), ", ".join(gap.fields), gap.why]


def _object_name(key: Key) -> str:
    return f"{key.namespace}/{key.resource}/{key.name}" if key.namespace else f"{key.resource}/{key.name}"


def doubt_rows(doubts: Iterable[Doubt], clock: Clock) -> Iterator[list[str]]:
    for doubt in doubts:
        yield [str(doubt.revision), clock(doubt.time), _object_name(doubt.key), doubt.confidence, doubt.why]
