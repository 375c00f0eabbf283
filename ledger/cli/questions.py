"""info, get, diff, show: each reads the past and writes one answer."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from ledger.apimachinery.resource import Object
from ledger.cli.asked import MACHINE, clock_of, selector
from ledger.cli.explain import explain
from ledger.cli.output import Out, check_strict, paged
from ledger.cli.source import moment, open_past
from ledger.log.event import Event
from ledger.projections.unknowable import ResourceGap, import_report, resource_gaps
from ledger.replay.comparison import ObjectDifference, Scope, changed_objects
from ledger.replay.export import record_of
from ledger.replay.listing import Seen, columns_and_rows, objects_at
from ledger.replay.moments import Moment, event_named
from ledger.replay.overview import Overview, overview
from ledger.replay.past import Past, ReplayError
from ledger.replay.printing import documents, rows
from ledger.replay.printing.details import detail_lines
from ledger.replay.printing.differences import difference_lines, header_lines, name_of
from ledger.replay.printing.overviews import overview_lines
from ledger.replay.requests import happening
from ledger.replay.targets import Target, parse_targets
from ledger.replay.unknowable import unknowable


def info(options: argparse.Namespace) -> int:
    with open_past(options) as past, paged(options) as out:
        if options.explain:
            return explain(past, options, "every request, every change")
        if options.unknowable:
            return _unknowable(past, options, out)
        found = overview(past, quality=options.quality)
        if out.format in MACHINE:
            answer = documents.overview_json(found, past, options.quality)
            out.encoded({"apiVersion": documents.API_VERSION, "kind": "LogInfo", **answer})
        elif options.quality:
            _quality(found, past, out)
        else:
            out.lines(overview_lines(found, past, str(options.data_dir)))
        check_strict(options, bool(found.changes["inferred"] or found.changes["unknown"]))
    return 0


def _unknowable(past: Past, options: argparse.Namespace, out: Out) -> int:
    at = moment(past, options.at, options)
    found = unknowable(past, at.revision, import_report(past.store))
    if out.format in MACHINE:
        out.encoded({"apiVersion": documents.API_VERSION, "kind": "Unknowable", **documents.unknowable_json(found)})
    else:
        out.table(rows.GAP_COLUMNS, rows.gap_rows(found))
        out.note(f"{len(found.resources)} resources and {len(found.objects):,} objects at rv {at.revision}")
    check_strict(options, bool(found.resources or found.objects))
    return 0


def _quality(found: Overview, past: Past, out: Out) -> None:
    shown = out.table(rows.DOUBT_COLUMNS, rows.doubt_rows(found.doubts, clock_of(past, out.options)))
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(found.changes.items()))
    out.note(f"{counts}." if shown else f"{counts}: nothing is in doubt.")


def get(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        at = moment(past, options.at, options)
        out = Out(options)
        targets = parse_targets(past, options.targets, options.namespace, at.revision)
        labels = selector(options.selector)
        if options.explain:
            return explain(past, options, "the state of the moment", {"at": at}, targets)
        found = [
            (target, list(objects_at(past, target, at, options.namespace, labels, deleted=options.deleted)))
            for target in _merged(targets)
        ]
        everything = [(target, one) for target, seen in found for one in seen]
        if out.format in ("json", "yaml", "jsonl"):
            _objects(everything, targets, out)
        elif out.format == "name":
            out.lines(f"{target.resource}/{one.obj['metadata'].get('name', '')}" for target, one in everything)
        else:
            _tables(found, at, out)
        for gap in _of_resources(past, [target for target, _ in found], at.revision):
            out.note(f"{gap.resource}: {gap.why}; since rv {gap.after} they may be missing, changed or left over")
        if not everything:
            out.note(f"no {', '.join(target.definition.resource for target, _ in found)} at rv {at.revision}")
        doubtful = any(one.confidence != "known" for _, one in everything)
        check_strict(options, doubtful or bool(_of_resources(past, targets, at.revision)))
        return 0


def _of_resources(past: Past, targets: list[Target], revision: int) -> list[ResourceGap]:
    """What the log does not tell of whole resources that were asked for."""
    asked = {target.resource for target in targets}
    gaps = resource_gaps(import_report(past.store))
    return [gap for gap in gaps if gap.resource in asked and gap.after < revision]


def _merged(targets: list[Target]) -> Iterator[Target]:
    """Types that several names share one storage (events) once."""
    seen = set()
    for target in targets:
        if (target.resource, target.key) not in seen:
            seen.add((target.resource, target.key))
            yield target


def _objects(everything: list[tuple[Target, Seen]], targets: list[Target], out: Out) -> None:
    objects = [_shown(one.obj, out.options) for _, one in everything]
    if out.format == "jsonl":
        out.lines(documents.encode(obj, indent=False) for obj in objects)
    elif len(objects) == 1 and len(targets) == 1 and targets[0].key is not None:
        out.encoded(objects[0])
    else:
        out.encoded({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects})


def _shown(obj: Object, options: argparse.Namespace) -> Object:
    if options.show_managed_fields:
        return obj
    meta = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": meta}


def _tables(found: list[tuple[Target, list[Seen]]], at: Moment, out: Out) -> None:
    shown = [(target, seen) for target, seen in found if seen]
    for place, (target, seen) in enumerate(shown):
        if place:
            out.lines([""])
        columns, table = columns_and_rows(
            target.definition, seen, at.time, wide=out.format == "wide", namespaced=not out.options.namespace
        )
        out.table(columns, table)


def diff(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        a, b = (moment(past, given, options, echo=False) for given in (options.a, options.b))
        if a.revision > b.revision:
            if not options.reverse:
                raise ReplayError(f"A (rv {a.revision}) is after B (rv {b.revision}). Swap them, or say --reverse.")
            a, b = b, a
        targets = parse_targets(past, options.targets, options.namespace, b.revision)
        if options.explain:
            return explain(past, options, "every change of the range", {"a": a, "b": b}, targets)
        found = list(
            changed_objects(
                past,
                a.revision,
                b.revision,
                Scope(
                    options.namespace,
                    frozenset(target.resource for target in targets if target.key is None),
                    frozenset(target.key for target in targets if target.key is not None),
                ),
                noise=options.noise == "show",
            )
        )
        found.sort(key=lambda one: not one.asked_for)
        with paged(options) as out:
            _print_diff(past, a, b, found, out)
            if not targets and (losses := past.losses(a.revision)):
                out.note(f"not compared, as retention dropped it: {'; '.join(losses)}")
        check_strict(options, any(one.doubt for one in found))
    return 1 if found and not options.exit_zero else 0


def _print_diff(past: Past, a: Moment, b: Moment, found: list[ObjectDifference], out: Out) -> None:
    options = out.options
    noise = sum(one.noise for one in found)
    namespaced = not options.namespace
    if out.format in MACHINE:
        query = {"command": options.argv, "a": documents.moment_json(a), "b": documents.moment_json(b)}
        items = (documents.difference_json(one) for one in found)
        out.document("Diff", past, query, items, lambda: {"total": len(found), "hidden": {"noise": noise}})
        return
    if options.name_only or out.format == "name":
        out.lines(name_of(one, namespaced) for one in found)
        return
    if options.stat:
        counts = Counter((one.key.resource, one.mark) for one in found)
        table = [[mark, resource, str(count)] for (resource, mark), count in sorted(counts.items())]
        out.table([rows.Column(""), rows.Column("KIND"), rows.Column("OBJECTS", align=">")], table)
        return
    out.lines(header_lines(a, b, len(found), noise))
    out.lines(difference_lines(found, out.cuts, everything="all" in options.classes, namespaced=namespaced))


def show(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        event = _event(past, " ".join(options.id))
        out = Out(options)
        if options.explain:
            return explain(past, options, f"request {event.position:,}, {event.audit_id}")
        if options.raw:
            out.lines([documents.encode(record_of(past, event), indent=True)])
            return 0
        found = happening(past, event, options.noise == "show")
        if out.format in MACHINE:
            items = [documents.happening_json(found)]
            out.document("Request", past, {"command": options.argv}, items, lambda: {"total": 1})
        elif out.format == "name":
            out.lines([event.audit_id])
        else:
            with paged(options) as out:
                before = past.store.event(event.position - 1) if event.position > 1 else None
                out.lines(detail_lines(found, before, past.store.event(event.position + 1), out.cuts))
        check_strict(options, found.confidence != "known")
    return 0


def _event(past: Past, text: str) -> Event:
    number = text.removeprefix("rv:")
    if number.isdigit() and int(number) <= past.head:
        event = past.event_of(int(number))
        if event is None:
            raise ReplayError(f"no change has revision {number}: revisions have holes. Try `ledger replay log`.", 1)
        return event
    if text.startswith("rv:"):
        raise ReplayError(f"revision {number} is after the log's last one, {past.head}.")
    return event_named(past, text)
