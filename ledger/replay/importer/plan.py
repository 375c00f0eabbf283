"""At which revision each write of the log took place.

Most writes tell their revision. The others (see `rules`) are put into holes of the revision sequence: first where other
records name the revision, then by time. A revision is only ever given once.

    known       7   8       10  11      14          what answers told
    unlogged      delete ->    ^ 9 or 12, 13        between what ended before it began and what began after it ended
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from ledger.apimachinery.resource import Key
from ledger.replay.importer.rules import UNLOGGED, Effect, Step

NEVER = 1 << 62


class Holes:
    """Revisions not yet given to a change."""

    def __init__(self, taken: Iterable[int]) -> None:
        self._up: dict[int, int] = {}
        self._down: dict[int, int] = {}
        for revision in taken:
            self.take(revision)

    def take(self, revision: int) -> None:
        self._up[revision], self._down[revision] = revision + 1, revision - 1

    def free(self, revision: int) -> bool:
        return revision not in self._up

    def at_or_above(self, revision: int) -> int:
        return self._walk(self._up, revision)

    def at_or_below(self, revision: int) -> int:
        """May be 0 or less: then there is none."""
        return self._walk(self._down, revision)

    def near(self, revision: int, *, above: int = 0) -> int:
        """Takes the next free one at or below `revision` and above `above`, else the next one after `revision`."""
        found = self.at_or_below(revision)
        if found <= above:
            found = self.at_or_above(max(revision, above) + 1)
        self.take(found)
        return found

    @staticmethod
    def _walk(links: dict[int, int], revision: int) -> int:
        end = revision
        while (following := links.get(end)) is not None:
            end = following
        while (following := links.get(revision)) is not None:  # halve the next walk
            links[revision] = end
            revision = following
        return end


class Timeline:
    """Revisions with the times of their requests: bounds for a write whose revision is unknown."""

    def __init__(self, steps: list[Step]) -> None:
        """`steps` by revision."""
        self.revisions = [step.revision for step in steps]
        self._ended = list(accumulate((step.answered for step in steps), max))
        self._begun = list(accumulate((step.received for step in reversed(steps)), min))[::-1]

    def bounds(self, received: int, answered: int) -> tuple[int, int]:
        """(last revision that was answered before `received`, first that was received after `answered`)."""
        before, after = bisect_left(self._ended, received), bisect_right(self._begun, answered)
        low = self.revisions[before - 1] if before else 0
        return low, self.revisions[after] if after < len(self.revisions) else NEVER

    def moment(self, revision: int) -> int:
        """When all up to `revision` had been answered, in microseconds; 0: before all that is known."""
        place = bisect_right(self.revisions, revision)
        return self._ended[place - 1] if place else 0

    def at(self, moment: int) -> int:
        """About which revision was reached then: straight lines between what had been answered, as had all before it."""
        place = bisect_right(self._ended, moment)
        if place == 0:
            return 0
        revision = self.revisions[place - 1]
        if place == len(self.revisions):
            return revision
        begin, end = self._ended[place - 1], self._ended[place]
        return revision + (self.revisions[place] - revision) * (moment - begin) // (end - begin)


@dataclass(slots=True)
class Plan:
    """Where every step's changes go."""

    revisions: dict[int, tuple[int, ...]]  # record number -> revisions of its changes, ascending
    pinned: set[int]  # records whose unlogged revision another record names
    unplaced: list[Step]  # no revision was left for them
    clock: Timeline
    holes: Holes
    repeats: int  # writes that changed nothing: their answers repeat an earlier revision


@dataclass(slots=True)
class _Object:
    """What is known of one key: steps that told their revision, and revisions seen elsewhere."""

    known: list[Step] = field(default_factory=list)
    timeline: Timeline | None = None
    seen: list[int] = field(default_factory=list)
    last: int = 0  # revision and end of the unlogged write placed last
    last_answered: int = 0


def plan(
    steps: list[Step], sighted: dict[Key, set[int]], base: dict[Key, int] | None = None, base_revision: int = 0
) -> Plan:
    """Places all steps; `sighted` are revisions that objects were seen at, `base` those of the snapshot."""
    return _Planner(steps, sighted, base or {}, base_revision).run()


class _Planner:
    def __init__(
        self, steps: list[Step], sighted: dict[Key, set[int]], base: dict[Key, int], base_revision: int
    ) -> None:
        self.steps = steps
        self.base, self.base_revision = base, base_revision
        self.objects: dict[Key, _Object] = defaultdict(_Object)
        writers, self.late, self.repeats = _writers(steps)
        writers.sort(key=lambda step: step.revision)
        self.clock = Timeline(writers)
        for step in writers:
            self.objects[step.key].known.append(step)
        self.revisions: dict[int, tuple[int, ...]] = {step.record: (step.revision,) for step in writers}
        self.by_revision = {step.revision: step.key for step in writers}
        self.holes = Holes(self.by_revision)
        self.pinned: set[int] = set()
        self.unplaced: list[Step] = []
        for key, revision in base.items():
            sighted.setdefault(key, set()).add(revision)
        for key, revisions in sighted.items():
            if key in self.objects:
                self.objects[key].seen = sorted(r for r in revisions if self.holes.free(r))

    def run(self) -> Plan:
        unlogged = sorted(self.late, key=lambda step: step.answered)
        self._pin_what_writes_name(unlogged)
        self._pin_what_the_snapshot_shows(unlogged)
        for revision in self.base.values():  # whatever the snapshot holds has its revision, logged or not
            self.holes.take(revision)
        for step in sorted(self.steps, key=lambda step: step.revision):
            if step.graceful and step.record in self.revisions:
                self._place_graceful_half(step)
        for step in unlogged:
            if step.record not in self.revisions:
                self._place(step)
        return Plan(self.revisions, self.pinned, self.unplaced, self.clock, self.holes, self.repeats)

    def _pin_what_writes_name(self, unlogged: list[Step]) -> None:
        """A conditional write names the revision it replaced: that of the unlogged write just before it."""
        waiting: dict[Key, list[Step]] = defaultdict(list)
        for step in unlogged:
            waiting[step.key].append(step)
        for step in sorted(self.steps, key=lambda step: step.answered):
            if not step.held or not self.holes.free(step.held):
                continue
            earlier = [one for one in waiting.get(step.key, ()) if one.received < step.answered and one is not step]
            earlier = [one for one in earlier if one.record not in self.revisions]
            if earlier and _unlogged(earlier[-1]) == 1:
                self._give(earlier[-1], (step.held,))
                self.pinned.add(earlier[-1].record)

    def _pin_what_the_snapshot_shows(self, unlogged: list[Step]) -> None:
        """The revision that the snapshot shows of an object, if no answer tells it, is that of an unlogged write."""
        for step in reversed(unlogged):
            shown = self.base.get(step.key, 0)
            if step.record in self.revisions or not self.holes.free(shown) or _unlogged(step) != 1:
                continue
            low, high = self.clock.bounds(step.received, step.answered)
            if low < shown < high:
                self._give(step, (shown,))
                self.pinned.add(step.record)

    def _place_graceful_half(self, step: Step) -> None:
        """The deletionTimestamp that a deletion wrote just before it took the object away."""
        low, _ = self._object_bounds(step)
        soft, _ = self.clock.bounds(step.received, step.answered)
        revision = self.holes.at_or_below(step.revision - 1)
        if revision > max(low, soft):
            self.holes.take(revision)
            self.revisions[step.record] = (revision, step.revision)

    def _place(self, step: Step) -> None:
        """Into free revisions between the object's own neighbours, as near to its time as can be."""
        low, high = self._object_bounds(step)
        chosen: list[int] = []
        count = _unlogged(step)
        for place in range(count):
            # Of several changes the last was made when the answer came, the others before, since the request did.
            moment = step.answered - (step.answered - step.received) * (count - 1 - place) // count
            revision = self._choose(step, moment, low, high)
            if not revision:
                break
            chosen.append(revision)
            self.holes.take(revision)
            low = revision
        if not chosen:
            self.unplaced.append(step)
            return
        self._give(step, tuple(chosen))

    def _give(self, step: Step, revisions: tuple[int, ...]) -> None:
        for revision in revisions:
            self.holes.take(revision)
        self.revisions[step.record] = revisions
        place = self.objects[step.key]
        place.last, place.last_answered = revisions[-1], step.answered

    def _object_bounds(self, step: Step) -> tuple[int, int]:
        """Revisions that the step must lie between, both excluded, as far as its own object tells."""
        if step.items:
            bounds = [self._key_bounds(key, step) for key in step.items]
            return max(low for low, _ in bounds), min(high for _, high in bounds)
        return self._key_bounds(step.key, step)

    def _key_bounds(self, key: Key, step: Step) -> tuple[int, int]:
        place = self.objects.get(key)
        low, high = max(step.floor, step.held), step.revision or NEVER
        if place is None:
            return low, high
        if place.known:
            if place.timeline is None:
                place.timeline = Timeline(place.known)
            before, after = place.timeline.bounds(step.received, step.answered)
            low, high = max(low, before), min(high, after) if after > low else high
        if place.last_answered <= step.received:
            low = max(low, place.last)
        return self._beside_base(key, step, low, high)

    def _beside_base(self, key: Key, step: Step, low: int, high: int) -> tuple[int, int]:
        """The snapshot wins: between the revision it shows of an object and its own, that object did not change."""
        shown = self.base.get(key, 0)
        if not shown or low >= self.base_revision:
            return low, high
        _, latest = self.clock.bounds(step.received, step.answered)
        if latest <= self.base_revision:
            return low, min(high, shown)
        return max(low, self.base_revision), high

    def _choose(self, step: Step, moment: int, low: int, high: int) -> int:
        """A free revision above `low` and below `high`; 0: there is none."""
        soft_low, soft_high = self.clock.bounds(step.received, step.answered)
        for revision in self.objects[step.key].seen if step.key in self.objects else ():
            if max(low, soft_low) < revision < min(high, soft_high) and self.holes.free(revision):
                self.pinned.add(step.record)
                return revision
        around = max(self.clock.at(moment), low)
        above, below = self.holes.at_or_above(around + 1), self.holes.at_or_below(around)
        fits = [revision for revision in (above, below) if max(low, 0) < revision < high]
        inside = [revision for revision in fits if soft_low < revision < soft_high]
        if inside or fits:
            return min(inside or fits, key=lambda revision: abs(revision - around))
        return self._anywhere(low, high)

    def _anywhere(self, low: int, high: int) -> int:
        revision = self.holes.at_or_above(low + 1)
        return revision if revision < high else 0


def _unlogged(step: Step) -> int:
    return len(step.items) if step.items else UNLOGGED.get(step.effect, 1) or 1


def _writers(steps: list[Step]) -> tuple[list[Step], list[Step], int]:
    """Splits steps into those that made the revision they tell, and those whose revision is unknown; counts repeats.

    Of several answers with one revision the earliest made it; the others changed nothing. Two objects cannot share a
    revision: where a log says so (resources kept in another etcd), the later one is placed by time.
    """
    writer: dict[int, Step] = {}
    late: list[Step] = []
    repeats = 0
    for step in sorted(steps, key=lambda step: step.answered):
        if not step.revision:
            late.append(step)
            continue
        first = writer.setdefault(step.revision, step)
        if first is step:
            continue
        if first.key == step.key and step.effect is not Effect.DELETED:
            repeats += 1
        else:
            step.floor, step.revision = 0, 0
            late.append(step)
    return list(writer.values()), late, repeats
