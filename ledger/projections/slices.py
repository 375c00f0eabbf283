"""Slices of lists as they were sent lately, so that what is asked again need not be read and joined again.

Whenever a controller or a node restarts, it lists what others have listed: nearly all of that has not changed since. A slice is
the bodies of a range of keys, and kept when it is asked for the second time in two seconds. One of now is kept until a commit
changes an object in its range, and serves every view between the revision it was read at and then; one that changes had
overtaken when it was read shows a past moment, and serves views of just that. What nobody asked for in as long goes, and
only that makes room: one long list does not wash out the others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import trio

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.api import Entry
from ledger.log.codec import table_key
from ledger.projections.api import Joined, Place

BYTES_MAX = 32 << 20  # of all slices
SLICE_BYTES_MIN = 64 << 10  # less is read as quickly
KEPT_S = 2.0  # a herd that starts over comes within a second; what it listed is not worth 32 MiB for longer
ASKED_MAX = 4096  # slices of which is known when they were asked for
RECENT_MAX = 1000  # changes that are remembered


class Range(NamedTuple):
    """What a list lists. Keys are those of the state's table."""

    resource: GroupResource
    start: bytes
    stop: bytes  # excluded
    api_version: str  # that all bodies are written in
    moment: int  # the revision of a past; 0: now


@dataclass(slots=True, eq=False)
class Kept:
    """All objects from `start` up to `stop` (excluded), as they were at `revision`, and for now are still."""

    range: Range
    start: bytes
    stop: bytes
    after: Place | None  # behind which it begins
    revision: int
    joined: Joined
    until: float


_start = attrgetter("start")


class Slices:
    """`revision`: the last one there is when this begins to be told of commits. Slices of one range do not overlap."""

    def __init__(self, revision: int) -> None:
        self._published = revision
        self._recent: deque[tuple[int, Key]] = deque()  # all changes after `_recent_after`
        self._recent_after = revision
        self._ranges: dict[GroupResource, dict[Range, list[Kept]]] = {}  # sorted by start
        self._used: OrderedDict[Kept, None] = OrderedDict()  # least recently used first
        self._asked: OrderedDict[tuple[Range, bytes], float] = OrderedDict()
        self._bytes = 0
        self._something_kept = trio.Event()

    def find(self, range_: Range, start: bytes, revision: int, rows_max: int) -> Joined | None:
        """What a view at `revision` sees from `start` on, where that is kept."""
        kept = self._at(range_, start)
        if kept is None and range_.moment:
            kept = self._at(range_._replace(moment=0), start)
        if kept is None or not kept.revision <= revision <= self._published or kept.joined.rows > rows_max:
            return None
        kept.until = trio.current_time() + KEPT_S
        self._used.move_to_end(kept)
        return kept.joined

    def following(self, range_: Range, start: bytes) -> Kept | None:
        """The next slice: one that is read before it must end where that begins."""
        found = []
        for slices in (self._of(range_), self._of(range_._replace(moment=0))):
            found += slices[(place := bisect_right(slices, start, key=_start)) : place + 1]
        return min(found, key=_start, default=None)

    def keep(
        self, range_: Range, start: bytes, stop: bytes, after: Place | None, revision: int, joined: Joined
    ) -> None:
        size = len(joined.bodies)
        if size < SLICE_BYTES_MIN:
            return
        if range_.moment and self._unchanged_since(revision, range_.resource, start, stop):
            range_ = range_._replace(moment=0)
        now = trio.current_time()
        if not self._asked_again(range_, start, now):
            return
        for old in self._within(range_, start, stop):
            self._drop(old)
        while self._bytes + size > BYTES_MAX:
            oldest = next(iter(self._used), None)
            if oldest is None or oldest.until > now:
                return
            self._drop(oldest)
        kept = Kept(range_, start, stop, after, revision, joined, now + KEPT_S)
        insort(self._ranges.setdefault(range_.resource, {}).setdefault(range_, []), kept, key=_start)
        self._used[kept] = None
        self._bytes += size
        self._something_kept.set()

    def publish(self, entries: Sequence[Entry]) -> None:
        """A log listener: drops what these changes concern."""
        for entry in entries:
            for change in entry.changes:
                if change.revision <= self._published:
                    self._drop_all()  # an import fills in the past
                self._published = max(self._published, change.revision)
                self._recent.append((change.revision, change.key))
                if len(self._recent) > RECENT_MAX:
                    self._recent_after = self._recent.popleft()[0]
                ranges = self._ranges.get(GroupResource(change.key.group, change.key.resource))
                if ranges is not None:
                    raw = table_key(change.key.encode())
                    for range_ in [one for one in ranges if not one.moment]:
                        for kept in self._within(range_, raw, raw + b"\0"):
                            self._drop(kept)

    async def gone(self) -> None:
        """Returns when nothing is kept any more of what was, for want of anybody who asks."""
        await self._something_kept.wait()
        while self._used:
            oldest = next(iter(self._used))
            if oldest.until <= trio.current_time():
                self._drop(oldest)
            else:
                await trio.sleep_until(oldest.until)
        self._something_kept = trio.Event()

    def _of(self, range_: Range) -> list[Kept]:
        return self._ranges.get(range_.resource, {}).get(range_, [])

    def _at(self, range_: Range, start: bytes) -> Kept | None:
        slices = self._of(range_)
        place = bisect_left(slices, start, key=_start)
        return slices[place] if place < len(slices) and slices[place].start == start else None

    def _within(self, range_: Range, start: bytes, stop: bytes) -> list[Kept]:
        """Those that have a key from `start` to `stop` (excluded) in their range."""
        slices = self._of(range_)
        first = max(0, bisect_right(slices, start, key=_start) - 1)
        return [one for one in slices[first : bisect_left(slices, stop, key=_start)] if one.stop > start]

    def _unchanged_since(self, revision: int, resource: GroupResource, start: bytes, stop: bytes) -> bool:
        """Whether a range shows now what it showed at a revision; False where that is not known."""
        if revision < self._recent_after:
            return False
        for changed, key in reversed(self._recent):
            if changed <= revision:
                break
            if (key.group, key.resource) == resource and start <= table_key(key.encode()) < stop:
                return False
        return True

    def _asked_again(self, range_: Range, start: bytes, now: float) -> bool:
        """Memory that was never used costs more than to read once: a list that is asked for once is not kept."""
        asked = range_, start
        before = self._asked.pop(asked, -KEPT_S)
        self._asked[asked] = now
        if len(self._asked) > ASKED_MAX:
            self._asked.popitem(last=False)
        return now - before < KEPT_S

    def _drop(self, kept: Kept) -> None:
        ranges = self._ranges[kept.range.resource]
        ranges[kept.range].remove(kept)
        if not ranges[kept.range]:
            del ranges[kept.range]
            if not ranges:
                del self._ranges[kept.range.resource]
        del self._used[kept]
        self._bytes -= len(kept.joined.bodies)

    def _drop_all(self) -> None:
        self._ranges.clear()
        self._used.clear()
        self._asked.clear()
        self._recent.clear()
        self._recent_after = self._published
        self._bytes = 0
