"""Folds a flood of refusals into counted events, so that whoever knocks a million times does not fill the disk.

Only 401 and 429 are ever folded: they happen before anybody knows who asks, and they change nothing. The first few of
an interval are written as they are; the rest of the same kind becomes one event with `count`, written at the next
flush. Memory is bounded by the number of kinds kept apart; when they run out, a kind is just the code. What is folded
lives in memory until then: a kill may take the last second's count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import trio

from ledger.log.event import Event

_FOLDED_CODES = frozenset({401, 429})
_Kind = tuple[int, str, str, str]


class Flood:
    """Stands between the recorder and the log: give `note` to the recorder, and run `flush_for_ever` in a task."""

    def __init__(self, note: Callable[[Event], bool], *, whole_per_interval: int = 20, kinds_max: int = 256) -> None:
        self._note = note
        self._whole_per_interval = whole_per_interval
        self._kinds_max = kinds_max
        self._whole = 0
        self._folded: dict[_Kind, Event] = {}

    def note(self, event: Event) -> bool:
        """False: not safe yet, see Store.note."""
        if event.code not in _FOLDED_CODES:
            return self._note(event)
        if self._whole < self._whole_per_interval:
            self._whole += 1
            return self._note(event)
        self._fold(event)
        return True

    def _fold(self, event: Event) -> None:
        kind = (event.code, event.source_ips[0] if event.source_ips else "", event.verb, event.resource)
        if kind not in self._folded and len(self._folded) >= self._kinds_max:
            kind = (event.code, "", "", "")
        first = self._folded.get(kind)
        if first is None:
            self._folded[kind] = replace(event, request_body=b"")
        else:
            self._folded[kind] = replace(first, answered=event.answered, count=first.count + event.count)

    def flush(self) -> None:
        """Writes what was folded, and starts a new interval."""
        folded, self._folded, self._whole = self._folded, {}, 0
        for event in folded.values():
            self._note(event)

    async def flush_for_ever(self, interval_s: float = 1.0) -> None:
        """Flushes every so many seconds, and a last time when it is cancelled."""
        try:
            while True:
                await trio.sleep(interval_s)
                self.flush()
        finally:
            self.flush()
