"""The first reading: what each record did, when, and which revisions it tells of other writes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.replay.importer.lines import Malformed, read_records
from ledger.replay.importer.naming import Naming
from ledger.replay.importer.record import WRITE_VERBS, Facts, Unusable, check_record, facts_of
from ledger.replay.importer.report import Report
from ledger.replay.importer.rules import Step, is_dry_run, sightings, step_of, watched_revision

# Of one request's stages the last one counts; a watch that still ran when the log ends has only its start.
STAGES = {"RequestReceived": 0, "ResponseStarted": 1, "ResponseComplete": 2, "Panic": 3}


MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)  # what objects not of their kind's shape lead to


@dataclass(slots=True)
class Index:
    """What the first reading keeps."""

    answered: array[int] = field(default_factory=lambda: array("q"))  # of each record
    superseded: set[int] = field(default_factory=set)  # records of which another stage, or a copy, counts
    steps: list[Step] = field(default_factory=list)
    sighted: dict[Key, set[int]] = field(default_factory=dict)
    anchors: list[tuple[int, int]] = field(default_factory=list)  # revisions, and times at which they had been made
    unnamed: list[Step] = field(default_factory=list)  # creations of objects whose names no record tells


def read_index(paths: Sequence[str], report: Report, existing: Mapping[Key, Object] | None = None) -> Index:
    """The first reading: what each record did, when, and which revisions it tells of other writes.

    `existing` are a snapshot's objects.
    """
    index = Index()
    naming = Naming(existing or {})
    chosen: dict[int, tuple[int, int]] = {}  # request -> (its stage, its record)
    kinds: dict[tuple[str, str], GroupResource] = {}  # what kinds are called in URLs, learnt on the way
    about: set[tuple[Key, int]] = set()
    steps: dict[int, Step] = {}
    for number, located in enumerate(read_records(paths, report.malformed)):
        record = located.record
        try:
            check_record(record)
            facts = facts_of(record)
            step = step_of(facts)
            seen = sightings(facts) if facts.verb in WRITE_VERBS else ()
        except (Unusable, *MISSHAPEN) as error:
            report.malformed.append(Malformed(located.file, located.line, str(error)))
            index.answered.append(0)
            index.superseded.add(number)
            continue
        index.answered.append(facts.answered)
        report.records += 1
        request = hash((record["auditID"], record["requestReceivedTimestamp"]))
        stage = STAGES.get(record["stage"], 0)
        earlier = chosen.get(request)
        if earlier is not None:
            if stage <= earlier[0]:
                index.superseded.add(number)
                continue
            index.superseded.add(earlier[1])
            steps.pop(earlier[1], None)
        chosen[request] = (stage, number)
        _count(record, facts, report)
        user = (record.get("user") or {}).get("username") or ""
        if 200 <= facts.code < 300:
            naming.mentioned(facts, user)
        if facts.verb in WRITE_VERBS:
            if step is not None:
                step.record, step.received, step.answered = number, facts.received, facts.answered
                steps[number] = step
                if facts.verb == "create" and not step.key.name:
                    naming.created(step, user)
            _learn(facts, seen, kinds, about, index.sighted)
        if made := facts.held or (watched_revision(facts.uri) if facts.verb == "watch" else 0):
            index.anchors.append((made, facts.received))
    for key, revision in about:
        if resource := kinds.get((key.group, key.resource)):
            index.sighted.setdefault(Key(*resource, key.namespace, key.name), set()).add(revision)
    index.unnamed = [step for step in naming.unnamed() if step.record in steps]
    for step in index.unnamed:
        del steps[step.record]
    index.steps = list(steps.values())
    report.events = len(chosen)
    return index


def _count(record: Object, facts: Facts, report: Report) -> None:
    report.levels[record.get("level") or "?"] += 1
    if (record.get("annotations") or {}).get("audit.k8s.io/truncated") == "true":
        report.truncated += 1
    if facts.code >= 500 and facts.verb in WRITE_VERBS and not is_dry_run(facts):
        report.failed_late += 1
    report.first = min(report.first or facts.received, facts.received)
    report.last = max(report.last, facts.answered)


def _learn(
    facts: Facts,
    seen: Iterable[tuple[Key, int]],
    kinds: dict[tuple[str, str], GroupResource],
    about: set[tuple[Key, int]],
    sighted: dict[Key, set[int]],
) -> None:
    if facts.answer is not None and not facts.subresource and facts.kind:
        kinds.setdefault((facts.key.group, facts.kind.lower()), GroupResource(*facts.key[:2]))
    for key, revision in seen:
        if key == facts.key:
            sighted.setdefault(key, set()).add(revision)
        else:
            about.add((key, revision))
