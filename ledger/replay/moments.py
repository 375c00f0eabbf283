"""Moments as people give them, resolved to revisions: rv:924, 21:17:13, -15m, start+1m, "before 748bd20d", @base."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from ledger.apimachinery.times import rfc3339, rfc3339_micro
from ledger.log.event import Event
from ledger.replay.past import Past, ReplayError

SECOND = 1_000_000
DAY = 86_400 * SECOND
REQUEST_DIGITS_MIN = 6


class Moment(NamedTuple):
    """A resolved moment: the state after `revision`, and all events up to `position`."""

    revision: int
    time: int  # microseconds since 1970
    position: int
    given: str
    exact: bool = True  # False: the log has no event at just that time

    def echo(self) -> str:
        """What is said on stderr: at rv 924, 2026-11-22T21:17:13.601000Z (from "748bd20d")."""
        return f'at rv {self.revision}, {millis(self.time)} (from "{self.given}")'


def millis(time: int) -> str:
    """RFC 3339 with milliseconds."""
    return rfc3339_micro(time)[:-4] + "Z"


def resolve(past: Past, given: str, marks: dict[str, int] | None = None, zone: tzinfo = UTC) -> Moment:
    """Raises ReplayError with a text that says what to give instead."""
    return _Resolver(past, marks or {}, zone).resolve(given)


def event_named(past: Past, text: str) -> Event:
    """The request with this audit id, or the only one whose id begins so. Raises ReplayError."""
    return _Resolver(past, {}, UTC).event(text)


_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_ANCHORED = re.compile(r"(.+?)([+-])(\d+(?:\.\d+)?(?:ms|[dhms])[\ddhms.]*|\d+)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].*)?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?")
_REQUEST = re.compile(r"[0-9a-f]{2,8}(?:-[0-9a-f-]*)?|[0-9a-f]{2,}")
_NEIGHBOUR = re.compile(r"(before|after)[: ]\s*(\S+)")


class _Resolver:
    def __init__(self, past: Past, marks: dict[str, int], zone: tzinfo) -> None:
        self.past, self.marks, self.zone = past, marks, zone

    def resolve(self, given: str) -> Moment:
        text = given.strip()
        if found := _NEIGHBOUR.fullmatch(text):
            return self._neighbour(given, found[1], found[2])
        if text.startswith(("-", "+")):
            return self._relative(given, text)
        simple = self._simple(given, text)
        if simple is not None:
            return simple
        if found := _ANCHORED.fullmatch(text):
            return self._anchored(given, found[1], found[2], found[3])
        raise _no_moment(given)

    def _simple(self, given: str, text: str) -> Moment | None:
        """A form without arithmetic; None: it is none of them."""
        if text == "start":
            first = self.past.store.event(1)
            assert first is not None
            return Moment(0, first.received, 0, given)
        if text in ("end", "now"):
            return Moment(self.past.head, self.past.ends, self.past.last_position, given)
        if text.startswith("@"):
            return self._mark(given, text[1:]) if text[1:] in self.marks or not _ANCHORED.fullmatch(text) else None
        if text.startswith("rv:"):
            if not text[3:].isdigit():
                return None if _ANCHORED.fullmatch(text) else _raise(_no_moment(given))
            return self.at_revision(given, int(text[3:]))
        if text.startswith("unix:"):
            return self._unix(given, text[5:])
        if text.isdigit():
            return self._digits(given, text)
        if _DATE.fullmatch(text):
            return self._date(given, text)
        if found := _CLOCK.fullmatch(text):
            return self._time_of_day(given, found)
        if _REQUEST.fullmatch(text):
            return self._request(given, text)
        return None

    def at_revision(self, given: str, revision: int) -> Moment:
        if revision > self.past.head:
            raise ReplayError(
                f"revision {revision} is after the log's last one, {self.past.head}. "
                f"A Unix time is written unix:{revision}."
            )
        with self.past.store.read() as read:
            last = next(read.change_rows(0, revision, reverse=True), None)
            stamp = read.stamp(int.from_bytes(last[0], "big")) if last else None
        if stamp is None:
            return Moment(revision, self.past.begins, 0, given)
        return Moment(revision, stamp.answered, stamp.position, given)

    def at_time(self, given: str, time: int) -> Moment:
        """The last revision committed at or before a time, and the events answered by then."""
        if time < self.past.begins:
            raise ReplayError(self._before_the_log(given))
        if time >= self.past.ends:
            return Moment(self.past.head, time, self.past.last_position, given, time == self.past.ends)
        revision = self.past.store.revision_at(time)
        position = (self.past.store.position_of(revision) if revision else 0) or 0
        for event in self.past.store.events(position):
            if event.revisions or event.answered > time:
                break
            position = event.position
        return Moment(revision, time, position, given)

    def _before_the_log(self, given: str) -> str:
        begins, ends = clock(self.past.begins), clock(self.past.ends)
        if given.startswith("-"):
            longest = duration_text(self.past.ends - self.past.begins)
            finished = f"It is finished, so {given} counts from its end, {ends}" if self.past.finished else "It"
            return f"{given} is before the log. {finished}; it starts at {begins}. Use start, or up to -{longest}."
        return f"{given} is before the log, which starts at {rfc3339(self.past.begins)}. Use start."

    def _digits(self, given: str, text: str) -> Moment:
        number = int(text)
        if number > self.past.head and REQUEST_DIGITS_MIN <= len(text) <= 8:
            event = self.past.store.find_event(text)
            if event is not None:
                return self._request(given, text)
        return self.at_revision(given, number)

    def _unix(self, given: str, text: str) -> Moment:
        try:
            return self.at_time(given, int(float(text) * SECOND))
        except ValueError:
            raise _no_moment(given) from None

    def _date(self, given: str, text: str) -> Moment:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise _no_moment(given) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.zone)
        return self.at_time(given, (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))

    def _time_of_day(self, given: str, found: re.Match[str]) -> Moment:
        if self.past.ends - self.past.begins >= DAY:
            raise ReplayError(f"{given} happened on several days of this log: give the date, as in 2026-11-22T{given}")
        hour, minute, second, fraction = found.groups()
        end = datetime.fromtimestamp(self.past.ends / SECOND, self.zone)
        try:
            wanted = end.replace(hour=int(hour), minute=int(minute), second=int(second or 0), microsecond=0)
        except ValueError:
            raise _no_moment(given) from None
        time = int(wanted.timestamp()) * SECOND + int((fraction or "0").ljust(6, "0"))
        earlier = time > self.past.ends and time - DAY >= self.past.begins
        return self.at_time(given, time - DAY if earlier else time)

    def _relative(self, given: str, text: str) -> Moment:
        span = parse_duration(text[1:])
        if span is None or text[0] == "+":
            raise _no_moment(given)
        return self.at_time(given, self.past.now - span)

    def _mark(self, given: str, name: str) -> Moment:
        if name in self.marks:
            return self.at_revision(given, self.marks[name])
        known = ", ".join("@" + one for one in sorted(self.marks)) or "none"
        raise ReplayError(f'there is no mark "@{name}" in this log. Marks: {known}.')

    def _request(self, given: str, text: str) -> Moment:
        event = self.event(text)
        if not event.revisions:
            return Moment(self._revision_before(event), event.answered, event.position, given)
        return Moment(max(event.revisions), event.answered, event.position, given)

    def event(self, text: str) -> Event:
        """The event with this audit id, or the only one whose id begins so."""
        if len(text) < REQUEST_DIGITS_MIN:
            ids = {one.audit_id for one in self.past.store.events_with_audit_id(text)}
            if not ids:
                raise _no_moment(text)
            raise ReplayError(
                f'request "{text}" matches {_requests(len(ids))}; give {REQUEST_DIGITS_MIN} digits or more.'
            )
        found = {one.audit_id: one for one in self.past.store.events_with_audit_id(text) if "/" not in one.audit_id}
        if not found:
            raise ReplayError(f'no request in the log begins with "{text}".', 1)
        if len(found) > 1 and text not in found:
            raise ReplayError(f'request "{text}" matches {_requests(len(found))}; give more digits.')
        return found.get(text) or next(iter(found.values()))

    def _neighbour(self, given: str, side: str, text: str) -> Moment:
        event = self.event(text)
        if side == "before":
            revision = self._revision_before(event)
            return Moment(revision, event.received, event.position - 1, given)
        for following in self.past.store.events(event.position):
            if following.revisions:
                return Moment(max(following.revisions), following.answered, following.position, given)
        return self._simple(given, "end") or _raise(_no_moment(given))

    def _revision_before(self, event: Event) -> int:
        """The last revision before the event's own, or before its place in the log."""
        with self.past.store.read() as read:
            if event.revisions:
                last = next(read.change_rows(0, min(event.revisions) - 1, reverse=True), None)
                return int.from_bytes(last[0], "big") if last else 0
            position = event.position - 1
            while position > 0:
                earlier = read.event(position)
                if earlier is not None and earlier.revisions:
                    return max(earlier.revisions)
                position -= 1
        return 0

    def _anchored(self, given: str, base: str, sign: str, amount: str) -> Moment:
        anchor = self._simple(given, base)
        if anchor is None:
            raise _no_moment(given)
        if amount.isdigit():
            return self._revisions_on(given, anchor, int(amount) if sign == "+" else -int(amount))
        span = parse_duration(amount)
        if span is None:
            raise _no_moment(given)
        return self.at_time(given, anchor.time + (span if sign == "+" else -span))

    def _revisions_on(self, given: str, anchor: Moment, count: int) -> Moment:
        """That many changes later or earlier: revisions have holes."""
        revision = anchor.revision
        with self.past.store.read() as read:
            later = count >= 0
            rows = read.change_rows(revision, read.head()) if later else read.change_rows(0, revision - 1, reverse=True)
            for _, (raw, _row) in zip(range(abs(count)), rows, strict=False):
                revision = int.from_bytes(raw, "big")
        return self.at_revision(given, revision)


def parse_duration(text: str) -> int | None:
    """Microseconds of 15m, 2h30m, 3d, 1.5s, 200ms; None: it is no duration."""
    found = _DURATION.fullmatch(text)
    if not found or not text:
        return None
    days, hours, minutes, seconds, thousandths = found.groups()
    whole = int(days or 0) * 86_400 + int(hours or 0) * 3600 + int(minutes or 0) * 60
    return whole * SECOND + round(float(seconds or 0) * SECOND) + int(thousandths or 0) * 1000


def duration_text(span: int) -> str:
    """3m45s, as `parse_duration` reads it."""
    seconds = span // SECOND
    parts = ((seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{value}{unit}" for value, unit in parts if value) or "0s"


def clock(time: int) -> str:
    """21:16:07Z."""
    return rfc3339(time)[11:]


def _requests(count: int) -> str:
    return f"{count} request{'s' if count != 1 else ''}"


def _no_moment(given: str) -> ReplayError:
    return ReplayError(
        f'"{given}" is not a moment. Try 2026-11-21T21:17:00Z, -24h, rv:924, @base or "before 748bd20d".'
    )


def _raise(error: ReplayError) -> Moment:
    raise error
