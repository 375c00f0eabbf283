"""At which revision each write of the log took place.

Most writes tell their revision. The others (see `rules`) are put into holes of the revision sequence: first where other
records name the revision, then by time. A revision is only ever given once.

    known       7   8       10  11      14          what answers told
    unlogged      delete ->    ^ 9 or 12, 13        between what ended before it began and what began after it ended
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

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


class Window(NamedTuple):
    """The first and the last revision that a write can have made."""

    earliest: int
    latest: int

    def __contains__(self, revision: object) -> bool:
        return isinstance(revision, int) and self.earliest <= revision <= self.latest


class Tick(NamedTuple):
    """A revision and when: committed after `received` (0: not known) and before `answered`."""

    revision: int
    received: int
    answered: int


class Timeline:
    """Revisions with the times of their requests: bounds for a write whose revision is unknown.

    Revisions are committed in their order, so each bounds its neighbours: one that was answered at a time had all below
    it committed by then, and one that was asked for at a time has all above it committed later.
    """

    def __init__(self, ticks: Sequence[Tick | Step]) -> None:
        """`ticks` by revision."""
        self.revisions = [tick.revision for tick in ticks]
        self._answered = list(accumulate((tick.answered for tick in ticks), max))
        self._committed = list(accumulate((tick.answered for tick in reversed(ticks)), min))[::-1]
        self._asked = list(accumulate((tick.received for tick in ticks), max))
        self._begun = list(accumulate((tick.received or NEVER for tick in reversed(ticks)), min))[::-1]

    def bounds(self, received: int, answered: int) -> tuple[int, int]:
        """(a revision committed before `received`, one committed after `answered`), as near as can be told."""
        low, high = self._at(self._committed, received), self._after(self._asked, answered)
        if low < high:
            return low, high
        # The clocks of several API servers disagree: what all neighbours agree on is left.
        return self._at(self._answered, received), self._after(self._begun, answered)

    def _at(self, times: list[int], moment: int) -> int:
        place = bisect_left(times, moment)
        return self.revisions[place - 1] if place else 0

    def _after(self, times: list[int], moment: int) -> int:
        place = bisect_right(times, moment)
        return self.revisions[place] if place < len(self.revisions) else NEVER

    def contradicts(self, revision: int, seen: int) -> bool:
        """Whether the revision cannot have been seen at that time: a lower one was asked for later."""
        place = bisect_right(self.revisions, revision)
        return place > 0 and self._asked[place - 1] > seen

    def moment(self, revision: int) -> int:
        """When all up to `revision` had been answered, in microseconds; 0: before all that is known."""
        place = bisect_right(self.revisions, revision)
        return self._answered[place - 1] if place else 0

    def at(self, moment: int) -> int:
        """About which revision was reached then: straight lines between what is known."""
        times = self._answered
        place = bisect_right(times, moment)
        if place == 0:
            return 0
        revision = self.revisions[place - 1]
        if place == len(self.revisions):
            return revision
        begin, end = times[place - 1], times[place]
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
    windows: dict[int, Window] = field(default_factory=dict)  # of records whose revisions are guesses


@dataclass(slots=True)
class _Object:
    """What is known of one key: steps that told their revision, and revisions seen elsewhere."""

    known: list[Step] = field(default_factory=list)
    timeline: Timeline | None = None
    seen: list[int] = field(default_factory=list)
    last: int = 0  # revision and end of the unlogged write placed last
    last_answered: int = 0


class Shown(NamedTuple):
    """A snapshot as the plan needs it."""

    revision: int = 0
    moment: int = 0  # when it was taken, in microseconds; 0: not known
    objects: Mapping[Key, int] = {}  # with their revisions


def plan(
    steps: list[Step], sighted: dict[Key, set[int]], base: Shown = Shown(), anchors: Iterable[tuple[int, int]] = ()
) -> Plan:
    """Places all steps.

    `sighted` are revisions that objects were seen at; `anchors` are revisions with times at which they had been made.
    """
    return _Planner(steps, sighted, base, anchors).run()


class _Planner:
    def __init__(
        self, steps: list[Step], sighted: dict[Key, set[int]], base: Shown, anchors: Iterable[tuple[int, int]]
    ) -> None:
        self.steps, self.anchors = steps, list(anchors)
        self.base, self.base_revision = base.objects, base.revision
        if base.moment:
            self.anchors.append((base.revision, base.moment))
        self.objects: dict[Key, _Object] = defaultdict(_Object)
        self.writers, self.late, self.repeats = _writers(steps)
        self.writers.sort(key=lambda step: step.revision)
        self.clock = self._clock([])
        for step in self.writers:
            self.objects[step.key].known.append(step)
        self.revisions: dict[int, tuple[int, ...]] = {step.record: (step.revision,) for step in self.writers}
        self.holes = Holes(step.revision for step in self.writers)
        self.pinned: set[int] = set()
        self.windows: dict[int, Window] = {}
        self.unplaced: list[Step] = []
        for key, revision in self.base.items():
            sighted.setdefault(key, set()).add(revision)
        for key, revisions in sighted.items():
            if key in self.objects or key not in self.base:
                self.objects[key].seen = sorted(r for r in revisions if self.holes.free(r))

    def _clock(self, pinned: list[Step]) -> Timeline:
        """From what told its revision, what was pinned, and the anchors that do not contradict either."""
        ticks: list[Tick | Step] = [*self.writers]
        ticks += [Tick(self.revisions[step.record][0], step.received, step.answered) for step in pinned]
        ticks.sort(key=lambda tick: tick.revision)
        sure = self.pace = Timeline(ticks)
        ticks += [Tick(revision, 0, seen) for revision, seen in self.anchors if not sure.contradicts(revision, seen)]
        ticks.sort(key=lambda tick: tick.revision)
        return Timeline(ticks)

    def run(self) -> Plan:
        unlogged = sorted(self.late, key=lambda step: step.answered)
        self._pin_what_writes_name(unlogged)
        self._pin_what_the_snapshot_shows(unlogged)
        self.clock = self._clock([step for step in unlogged if step.record in self.pinned])
        for revision in self.base.values():  # whatever the snapshot holds has its revision, logged or not
            self.holes.take(revision)
        idle = self._without_effect(unlogged)
        late = [step for step in unlogged if step.record not in self.revisions and step.record not in idle]
        self._find_windows(late)
        for step in sorted(self.steps, key=lambda step: step.revision):
            if step.graceful and step.record in self.revisions:
                self._place_graceful_half(step)
        for step in late:
            self._place(step)
        self._bring_into_order([step for step in late if len(self.revisions.get(step.record, ())) == 1])
        end = max((revisions[-1] for revisions in self.revisions.values()), default=0)
        windows = {
            record: Window(window.earliest, min(window.latest, max(end, self.revisions[record][-1])))
            for record, window in self.windows.items()
            if record in self.revisions
        }
        repeats = self.repeats + len(idle)
        return Plan(self.revisions, self.pinned, self.unplaced, self.clock, self.holes, repeats, windows)

    def _pin_what_writes_name(self, unlogged: list[Step]) -> None:
        """A conditional write names the revision it replaced: that of the unlogged write just before it."""
        waiting: dict[Key, list[Step]] = defaultdict(list)
        for step in unlogged:
            waiting[step.key].append(step)
        ends = {key: [step.answered for step in steps] for key, steps in waiting.items()}
        for step in self.steps:
            if not step.held or step.key not in waiting or not self.holes.free(step.held):
                continue
            place = bisect_left(ends[step.key], step.answered)
            before = waiting[step.key][place - 1] if place else None
            if before is not None and before.record not in self.revisions and _unlogged(before) == 1:
                self._pin(before, step.held)

    def _pin(self, step: Step, revision: int) -> None:
        self._give(step, (revision,))
        self.pinned.add(step.record)

    def _pin_what_the_snapshot_shows(self, unlogged: list[Step]) -> None:
        """The revision that the snapshot shows of an object, if no answer tells it, is that of an unlogged write."""
        for step in reversed(unlogged):
            shown = self.base.get(step.key, 0)
            if step.record in self.revisions or not self.holes.free(shown) or _unlogged(step) != 1:
                continue
            low, high = self.clock.bounds(step.received, step.answered)
            if low < shown < high:
                self._pin(step, shown)

    def _without_effect(self, unlogged: list[Step]) -> set[int]:
        """Writes that changed nothing: a later conditional write replaced what had been there before them."""
        makers: dict[tuple[Key, int], int] = {}  # when each revision had been made
        for step in self.steps:
            for revision in self.revisions.get(step.record, ()):
                makers[step.key, revision] = step.answered
        for key, revision in self.base.items():
            makers.setdefault((key, revision), self.clock.moment(revision))
        waiting: dict[Key, list[Step]] = defaultdict(list)
        for step in unlogged:
            if step.record not in self.revisions and _unlogged(step) == 1:
                waiting[step.key].append(step)
        idle = set()
        for step in self.steps:
            made = makers.get((step.key, step.held), NEVER)
            for between in waiting.get(step.key, ()) if step.held else ():
                if made < between.received and between.answered < step.received:
                    idle.add(between.record)
        return idle

    def _find_windows(self, late: list[Step]) -> None:
        """Where each can have been: by its object's other writes, by the clock, and by those that it surely followed.

        One that only one free revision is left for was there: it has no window.
        """
        windows = {}
        for step in late:
            low, high = self._object_bounds(step)
            after, before = self.clock.bounds(step.received, step.answered)
            windows[step.record] = Window(max(low, after) + 1, min(high, before) - 1)
        for step, window in zip(late, self._in_sequence(late, windows), strict=True):
            if window.earliest > window.latest:  # the clocks of several API servers disagree
                low, high = self._object_bounds(step)
                window = Window(low + 1, high - 1)
            free = self.holes.at_or_above(window.earliest)
            if _unlogged(step) > 1 or self.holes.at_or_above(free + 1) <= window.latest or free > window.latest:
                self.windows[step.record] = window
            else:
                self.windows[step.record] = Window(free, free)

    def _in_sequence(self, late: list[Step], windows: dict[int, Window]) -> list[Window]:
        """Each window cut by those of the writes that had ended before it began, and that began after it had ended."""
        earliest: dict[int, int] = {}
        ended, reached = iter(late), 0
        waiting = next(ended, None)
        for step in sorted(late, key=lambda step: step.received):
            while waiting is not None and waiting.answered < step.received:
                reached = max(reached, earliest[waiting.record])
                waiting = next(ended, None)
            earliest[step.record] = self.holes.at_or_above(max(windows[step.record].earliest, reached + 1))
        latest: dict[int, int] = {}
        begun, bound = iter(sorted(late, key=lambda step: -step.received)), NEVER
        waiting = next(begun, None)
        for step in reversed(late):
            while waiting is not None and waiting.received > step.answered:
                bound = min(bound, latest[waiting.record])
                waiting = next(begun, None)
            latest[step.record] = self.holes.at_or_below(min(windows[step.record].latest, bound - 1))
        return [Window(earliest[step.record], latest[step.record]) for step in late]

    def _bring_into_order(self, placed: list[Step]) -> None:
        """Of two placed ones the earlier answered gets the lower revision, where both windows allow it."""
        order: list[Step] = []
        for step in sorted(placed, key=lambda step: self.revisions[step.record]):
            order.append(step)
            place = len(order) - 1
            while place and self._swapped(order[place - 1], order[place]):
                order[place - 1], order[place] = order[place], order[place - 1]
                place -= 1

    def _swapped(self, lower: Step, higher: Step) -> bool:
        if lower.answered <= higher.answered or lower.key == higher.key:
            return False
        low, high = self.revisions[lower.record], self.revisions[higher.record]
        if high[0] not in self.windows[lower.record] or low[0] not in self.windows[higher.record]:
            return False
        self.revisions[lower.record], self.revisions[higher.record] = high, low
        return True

    def _place_graceful_half(self, step: Step) -> None:
        """The deletionTimestamp that a deletion wrote just before it took the object away."""
        low, _ = self._object_bounds(step)
        soft, _ = self.clock.bounds(step.received, step.answered)
        revision = self.holes.at_or_below(step.revision - 1)
        if revision > max(low, soft):
            sure = self.holes.at_or_below(revision - 1) <= max(low, soft)
            self.windows[step.record] = Window(revision if sure else max(low, soft) + 1, revision)
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
        window = self.windows[step.record]
        soft_low, soft_high = window.earliest - 1, window.latest + 1
        seen = self.objects[step.key].seen if step.key in self.objects else []
        for revision in seen[bisect_right(seen, max(low, soft_low)) : bisect_left(seen, min(high, soft_high))]:
            if self.holes.free(revision):
                self.pinned.add(step.record)
                self.windows[step.record] = Window(revision, revision)
                return revision
        around = max(self.pace.at(moment), soft_low, low)
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
