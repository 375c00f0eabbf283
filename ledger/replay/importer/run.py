"""The import: an audit log (and a snapshot) in, the log's entries by revision out.

The files are read twice. The first reading keeps a small Step of each write; `plan` finds every change's revision from
them. The second reading brings the records into that order and concludes what each left behind. In between, memory
holds the steps and the state, never the bodies of the log.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.api import Entry
from ledger.log.event import IMPORTED, Change, Event
from ledger.replay.importer.base import Base
from ledger.replay.importer.conclude import INFERRED, UNKNOWN, Context, conclude, terminating
from ledger.replay.importer.doubts import ALL
from ledger.replay.importer.index import MISSHAPEN, Index, read_index
from ledger.replay.importer.lines import Located, Malformed, RawRecord, read_records
from ledger.replay.importer.plan import Plan, Shown, plan
from ledger.replay.importer.record import Facts, event_of, facts_of, revision_of
from ledger.replay.importer.redact import Redaction
from ledger.replay.importer.report import Report
from ledger.replay.importer.rules import Effect, Step, lives_on
from ledger.replay.importer.stored import Known, State, apply_change, change_of, removal_of
from ledger.replay.importer.unlogged import unlogged
from ledger.replay.kinds import CRDS, custom_definition
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.scheme import Scheme
from ledger.scheme.selectable import field_values

CHANGES_MAX = 500  # of one such event


def import_log(
    paths: Sequence[str], base: Base | None, scheme: Scheme, redaction: Redaction | None = None
) -> tuple[Report, Iterator[Entry]]:
    """The report (complete when all entries were taken) and the entries, in revision order. Raises OSError.

    With a redaction, entries hold digests instead of secrets' values.
    """
    if base and redaction:
        base = replace(base, objects=redaction.objects(base.objects))
    report = Report(list(paths))
    index = read_index(paths, report, base.objects if base else None)
    shown = _shown(base, index, report) if base else Shown()
    planned = plan(index.steps, index.sighted, shown, index.anchors)
    report.repeats, report.unplaced = planned.repeats, planned.unplaced
    begun = _Import(paths, index, planned, base, scheme, report, redaction)
    _find_last_writes(begun.steps, planned)
    report.unlogged = unlogged(begun.steps, planned, base, report.last - report.first, index.unnamed)
    return report, begun.entries()


def _shown(base: Base, index: Index, report: Report) -> Shown:
    """A snapshot that does not say when it was taken was taken before a log that knows of no earlier revision."""
    before = any(0 < step.revision <= base.revision for step in index.steps)
    moment = base.moment or (0 if before else report.first)
    return Shown(base.revision, moment, base.revisions())


def _find_last_writes(steps: Mapping[int, Step], planned: Plan) -> None:
    """Marks the steps behind which no other but a creation follows for their object."""
    later: dict[Key, bool] = {}  # whether the next write of an object creates it
    for record in sorted(planned.revisions, key=lambda record: -planned.revisions[record][-1]):
        step = steps[record]
        step.last = later.get(step.key, True)
        later[step.key] = step.verb == "create"


class Pending(NamedTuple):
    """A change that waits for its revision's turn; it goes on with what `cause` began."""

    revision: int
    change: Change
    cause: Event


class _Import:
    """The second reading. `state` is the fold of all that was given out."""

    def __init__(
        self,
        paths: Sequence[str],
        index: Index,
        planned: Plan,
        base: Base | None,
        scheme: Scheme,
        report: Report,
        redaction: Redaction | None,
    ) -> None:
        self.redaction = redaction
        self.paths, self.index, self.plan, self.report = paths, index, planned, report
        self.base, self.settled = base, base is None
        self.state: State = {}
        self.ended: set[Key] = set()
        self.places: dict[tuple[str, str, str], set[Key]] = defaultdict(set)
        self.steps = {step.record: step for step in index.steps}
        self.pending: list[Pending] = []
        self.continued = 0
        self.firsts = sorted(revisions[0] for revisions in planned.revisions.values())
        self.contended = _contended(index, planned)
        self.scheme = scheme
        self.customs: dict[GroupResource, tuple[int, ResourceDefinition | None]] = {}
        shown = {(key, revision_of(obj["metadata"])): obj for key, obj in base.objects.items()} if base else {}
        self.context = Context(self.state, self._fields, scheme, self._custom, self.places, {}, self.ended, shown)

    def entries(self) -> Iterator[Entry]:
        if self.base:
            self._expect_base(self.base)
        for located, number in self._in_order():
            record = self.redaction.record(located.record) if self.redaction else located.record
            facts = facts_of(record)
            revisions = self.plan.revisions.get(number)
            if revisions is None:
                yield Entry(event_of(record, facts), ())
                continue
            yield from self._until(revisions[0])
            yield self._entry(record, facts, self.steps[number], revisions, located)
        yield from self._until(None)
        yield Entry(self._closing(), ())

    def _fields(self, key: Key, obj: Object) -> dict[str, str]:
        resource = GroupResource(*key[:2])
        definition = self.scheme.definition(resource) or self._custom(resource)
        version = definition.versions.get((obj.get("apiVersion") or "").rpartition("/")[2]) if definition else None
        return field_values(definition, version, obj) if definition and version else {}

    def _custom(self, resource: GroupResource) -> ResourceDefinition | None:
        """The custom resource as its CRD defines it by now."""
        crd = self.state.get(Key(*CRDS, "", str(resource)))
        if crd is None:
            return None
        known = self.customs.get(resource)
        if known is None or known[0] != crd.revision:
            known = self.customs[resource] = (crd.revision, custom_definition(crd.decoded()))
        return known[1]

    def _in_order(self) -> Iterator[tuple[Located, int]]:
        """The records that count, in the planned order; out-of-order ones wait in memory for their turn."""
        rank = {number: place for place, number in enumerate(planned_order(self.index, self.plan))}
        waiting: dict[int, tuple[Located, int]] = {}
        turn = 0
        for number, located in enumerate(read_records(self.paths, [])):
            place = rank.get(number)
            if place is None:
                continue
            waiting[place] = (located, number)
            while (found := waiting.pop(turn, None)) is not None:
                yield found
                turn += 1

    def _entry(
        self, record: RawRecord, facts: Facts, step: Step, revisions: tuple[int, ...], located: Located
    ) -> Entry:
        """The event with its changes; one that another write of the same object comes before has to wait."""
        changes = [self._within(change, step) for change in self._concluded(step, revisions, facts, located)]
        held = step.effect is Effect.STATE and bool(changes) and self._is_answer(facts, changes[0])
        event = event_of(record, facts, without_answer=held)
        if len(revisions) == 1 and len(changes) == 1 and changes[0].key[:2] not in HOLDERS:
            return self._given(event, changes)
        changes = [*changes, *self._dependents_of(changes, facts)]
        after = bisect_right(self.firsts, revisions[0])
        limit = self.firsts[after] if after < len(self.firsts) else 1 << 62
        if self.pending:
            limit = min(limit, self.pending[0].revision)
        own: list[Change] = []
        for change in sorted(self._numbered(changes, revisions[-1]), key=lambda change: change.revision):
            if change.revision < limit or self._first_in_line(change, revisions[0]):
                own.append(change)
            else:
                heapq.heappush(self.pending, Pending(change.revision, change, event))
        return self._given(event, own)

    def _concluded(self, step: Step, revisions: tuple[int, ...], facts: Facts, located: Located) -> list[Change]:
        """What the step left; where a body is not of its kind's shape, the object with all of it in doubt."""
        try:
            return conclude(step, revisions, facts, self.context)
        except MISSHAPEN as error:
            problem = f"an object in it, or the one it changes, is not of its kind's shape: {error}"
            self.report.malformed.append(Malformed(located.file, located.line, problem))
            known = self.state.get(step.key)
            if known is None:
                return []
            return [self.context.put(step.key, known.decoded(), revisions[0], UNKNOWN, problem, ALL)]

    def _within(self, change: Change, step: Step) -> Change:
        """With the revisions that it can have had, where its own is a guess."""
        window = self.plan.windows.get(step.record)
        if window is None or window.earliest == window.latest or change.revision == step.revision > 0:
            return change
        return change if (change.key, change.revision) in self.context.base else replace(change, window=window)

    def _is_answer(self, facts: Facts, change: Change) -> bool:
        """Whether the change alone gives the answer back: the snapshot may have shown the object another way."""
        if change.confidence or (change.key, change.revision) in self.context.base:
            return False
        return change.api_version == (facts.answer or {}).get("apiVersion")

    def _first_in_line(self, change: Change, after: int) -> bool:
        """Whether no planned write of the same object lies between; of what was not planned nothing is known."""
        planned = self.contended.get(change.key)
        if planned is None:
            return False
        place = bisect_right(planned, after)
        return place == len(planned) or planned[place] >= change.revision

    def _numbered(self, changes: list[Change], after: int) -> Iterator[Change]:
        """Gives revisions to changes that the plan could not foresee."""
        for change in changes:
            if not change.revision:
                after = self.plan.holes.at_or_above(after + 1)
                self.plan.holes.take(after)
                change = replace(change, revision=after)
            yield change

    def _given(self, event: Event, changes: list[Change]) -> Entry:
        for change in changes:
            apply_change(self.state, change)
            if change.body is None:
                self.ended.add(change.key)
                self.places[change.key[:3]].discard(change.key)
            else:
                self.ended.discard(change.key)
                self.places[change.key[:3]].add(change.key)
            self.report.count(change)
        return Entry(event, tuple(changes))

    # Changes that are no request's first: of collections, of the snapshot, of a CRD's instances.

    def _until(self, revision: int | None) -> Iterator[Entry]:
        """Entries for all that is waiting below `revision`; where that passes the snapshot's, the snapshot is settled."""
        if not self.settled and self.base and (revision is None or revision > self.base.revision):
            yield from self._flush(self.base.revision + 1)
            yield from self._settle(self.base)
            self.settled = True
        yield from self._flush(revision)

    def _flush(self, revision: int | None) -> Iterator[Entry]:
        run: list[Change] = []
        cause: Event | None = None
        while self.pending and (revision is None or self.pending[0].revision < revision):
            waiting = heapq.heappop(self.pending)
            if cause is not None and (waiting.cause is not cause or len(run) == CHANGES_MAX):
                yield self._given(self._continuation(cause), run)
                run = []
            cause = waiting.cause
            if self._still_true(waiting.change):
                run.append(waiting.change)
        if run and cause is not None:
            yield self._given(self._continuation(cause), run)

    def _still_true(self, change: Change) -> bool:
        """Whether the object is still what the change was concluded from."""
        known = self.state.get(change.key)
        if not change.previous or (known and (change.body is None or known.revision == change.previous)):
            return True
        self.report.overtaken.append(change)
        return False

    def _continuation(self, cause: Event) -> Event:
        self.continued += 1
        return replace(
            cause,
            audit_id=f"{cause.audit_id}/{self.continued}",
            stage=IMPORTED,
            request_body=b"",
            response_body=b"",
            rest=b"",
        )

    def _expect_base(self, base: Base) -> None:
        """Queues the snapshot's objects that the log does not hold, at their own revisions."""
        logged = {
            revision: self.steps[number].key
            for number, revisions in self.plan.revisions.items()
            for revision in revisions
        }
        self.report.base_revision = base.revision
        causes: dict[int, Event] = {}
        for key, obj in base.objects.items():
            revision = revision_of(obj["metadata"])
            if logged.get(revision) == key:
                continue
            note = "from the snapshot"
            if logged.setdefault(revision, key) != key:  # kept in another etcd, which counts for itself
                revision = self.plan.holes.near(revision)
                note += "; another object has its revision"
            self.report.base_objects += 1
            change = change_of(key, obj, revision, self._fields, note=note)
            moment = self.plan.clock.moment(revision) or self.report.first
            cause = causes.setdefault(moment, _not_a_request("snapshot", moment))
            self.pending.append(Pending(revision, change, cause))
        heapq.heapify(self.pending)

    def _settle(self, base: Base) -> Iterator[Entry]:
        """What the log alone would give beyond the snapshot was deleted before it; no record tells when."""
        extra = [key for key in self.state if key[:2] in base.covered and key not in base.objects]
        note = "not in the snapshot: deleted before it, by a request that is not in the log"
        changes = []
        for key in extra:
            revision = self.plan.holes.near(base.revision, above=self.state[key].revision)
            changes.append(removal_of(key, revision, self.state[key], confidence=INFERRED, note=note))
        for start in range(0, len(changes), CHANGES_MAX):
            moment = self.plan.clock.moment(base.revision) or self.report.first
            cause = self._continuation(_not_a_request("snapshot", moment))
            yield self._given(cause, changes[start : start + CHANGES_MAX])

    def _dependents_of(self, changes: list[Change], facts: Facts) -> Iterator[Change]:
        """What goes with an object, by no request in the log: a CRD's objects, and all that is in a namespace.

        When a CRD begins to go, those of its objects that have finalizers become terminating; once it, or the
        namespace, is gone, nothing can be left.
        """
        for change in changes:
            held = _held_by(change.key)
            if held is None:
                continue
            begins = change.key[:2] == CRDS and _begins_to_go(change, self.state.get(change.key))
            if not begins and change.body is not None:
                continue
            note = f"its {change.kind or 'holder'} was deleted; the revision is placed by time"
            for key in [key for key in self.state if held(key)]:
                obj = terminating(key, self.state[key].decoded(), facts._replace(request=None, uri=""))
                if begins and lives_on(key, obj):
                    yield self.context.put(key, obj, 0, INFERRED, note, self.state[key].doubts)
                else:
                    yield self.context.gone(key, 0, note)

    def _closing(self) -> Event:
        """The import's report, as the last event of the log."""
        self.report.redacted = self.redaction.count if self.redaction else 0
        event = _not_a_request("import", self.report.last)
        return replace(event, response_body=self.report.encode())


def _not_a_request(what: str, moment: int) -> Event:
    return Event(what, moment, moment, "import", "", User(""), 0, stage=IMPORTED, level="")


def _contended(index: Index, planned: Plan) -> dict[Key, list[int]]:
    """All planned revisions of the objects that some step writes at more than one revision, ascending."""
    keys: dict[Key, list[int]] = {}
    for step in index.steps:
        if len(planned.revisions.get(step.record, ())) > 1:
            keys.update((key, []) for key in step.items or (step.key,))
    for step in index.steps:
        for key, revision in zip(step.items or (step.key,) * 2, planned.revisions.get(step.record, ()), strict=False):
            if key in keys:
                keys[key].append(revision)
    for revisions in keys.values():
        revisions.sort()
    return keys


HOLDERS = (CRDS, ("", "namespaces"))


def _held_by(holder: Key) -> Callable[[Key], bool] | None:
    """Which objects cannot be without this one."""
    if holder[:2] == CRDS:
        plural, _, group = holder.name.partition(".")
        return lambda key: key[:2] == (group, plural)
    if holder[:2] == ("", "namespaces"):
        return lambda key: key.namespace == holder.name
    return None


def _begins_to_go(change: Change, before: Known | None) -> bool:
    return (
        change.body is not None
        and b'"deletionTimestamp"' in change.body
        and before is not None
        and b'"deletionTimestamp"' not in before.body
    )


def planned_order(index: Index, planned: Plan) -> list[int]:
    """All records that count: writes by revision, the others between them by time."""
    writes = sorted(planned.revisions, key=lambda number: planned.revisions[number][0])
    others = sorted(
        (number for number in range(len(index.answered)) if number not in planned.revisions),
        key=index.answered.__getitem__,
    )
    order: list[int] = []
    latest, place = 0, 0
    for number in writes:
        latest = max(latest, index.answered[number])
        while place < len(others) and index.answered[others[place]] < latest:
            order.append(others[place])
            place += 1
        order.append(number)
    order += others[place:]
    return [number for number in order if number not in index.superseded]
