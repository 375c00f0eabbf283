"""info, log, get, diff, history, show: each reads the past and writes one answer."""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from ledger.apimachinery.resource import Key, Object
from ledger.apimachinery.selectors import LabelSelector, SelectorError, parse_label_selector
from ledger.cli.output import Out, check_strict, paged
from ledger.cli.source import moment, open_past, say
from ledger.log.event import Event
from ledger.replay.classify import CLASSES, DRY_RUN, SHOWN_FIRST, parse_classes
from ledger.replay.comparison import ObjectDifference, Scope, changed_objects
from ledger.replay.export import record_of
from ledger.replay.listing import Seen, columns_and_rows, objects_at
from ledger.replay.lives import FieldValue, field_values, fields_seen, not_through, versions
from ledger.replay.moments import Moment, event_named
from ledger.replay.overview import Overview, overview
from ledger.replay.past import Past, ReplayError
from ledger.replay.paths import PathError, format_path, parse_path, path_json
from ledger.replay.printing import documents, rows
from ledger.replay.printing.details import change_lines, detail_lines
from ledger.replay.printing.differences import difference_lines, header_lines, name_of
from ledger.replay.printing.overviews import overview_lines
from ledger.replay.requests import Happening, Narrowing, Tally, happening, happenings
from ledger.replay.targets import Target, not_there, parse_targets
from ledger.replay.text import short_user, value_text

MACHINE = ("json", "jsonl", "yaml")
TERMINAL_ROWS = 40  # of `log`, where --limit does not say otherwise
COUNT_S = 1.0  # how long what a limit cut off is counted
FOLLOW_S = 0.2  # how often --follow looks


def info(options: argparse.Namespace) -> int:
    with open_past(options) as past, paged(options) as out:
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


def _quality(found: Overview, past: Past, out: Out) -> None:
    shown = out.table(rows.DOUBT_COLUMNS, rows.doubt_rows(found.doubts, _clock(past, out.options)))
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(found.changes.items()))
    out.note(f"{counts}." if shown else f"{counts}: nothing is in doubt.")


def log(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        since, until = (moment(past, given, options, echo=False) for given in (options.since, options.until))
        if since.position > until.position:
            raise ReplayError(f"--from (rv {since.revision}) is after --to (rv {until.revision}). Swap them.")
        say((since, until), options)
        wanted = _narrowing(past, options, until)
        if options.follow:
            return _follow(past, since, until, wanted, options)
        with paged(options) as out:
            return _log(past, since, until, wanted, out)


def _log(past: Past, since: Moment, until: Moment, wanted: Narrowing, out: Out) -> int:
    options, tally = out.options, Tally()
    found = happenings(past, since, until, wanted, tally, oldest_first=options.reverse)
    if options.stat:
        return _log_stat(found, out)
    taken = _Taken(found, _limit(out))
    if out.format in MACHINE:
        query = {"command": options.argv, "from": documents.moment_json(since), "to": documents.moment_json(until)}
        items = (documents.happening_json(one) for one in taken if one is not None)
        out.document("RequestLog", past, query, items, lambda: _tally_json(tally, taken.count_the_rest()))
    elif out.format == "name":
        out.lines(one.event.audit_id for one in taken if one is not None)
    else:
        _log_table(past, taken, out, namespaced=not wanted.namespace and not wanted.objects)
        out.stream.flush()
        total = taken.count_the_rest()
        out.note(rows.tally_text(tally, total))
        if taken.cut:
            out.note(f"{taken.limit:,} of {total}, --all for the rest")
    check_strict(options, taken.doubtful)
    return 0


class _Taken:
    """At most `limit` requests (0: all); the others are counted when these have been printed, for a while."""

    def __init__(self, found: Iterator[Happening | None], limit: int) -> None:
        self.found, self.limit = found, limit
        self.count, self.cut, self.doubtful = 0, 0, False

    def __iter__(self) -> Iterator[Happening | None]:
        for one in self.found:
            if one is not None:
                self.count += 1
                self.doubtful = self.doubtful or one.confidence != "known"
            yield one
            if one is not None and self.count == self.limit:
                return

    def count_the_rest(self) -> str:
        """How many there are in all: "144", or "144 or more" where counting would have taken too long."""
        deadline = time.monotonic() + COUNT_S
        for one in self.found:
            if one is not None:
                self.cut += 1
            elif time.monotonic() > deadline:
                return f"{self.count + self.cut:,} or more"
        return f"{self.count + self.cut:,}"


def _log_table(past: Past, found: Iterable[Happening | None], out: Out, *, namespaced: bool) -> None:
    clock = _clock(past, out.options)

    def row(one: Happening) -> list[str]:
        return rows.log_row(one, clock, out.cuts, namespaced=namespaced)

    if not out.options.patch:
        out.table(rows.LOG_COLUMNS, (row(one) if one is not None else None for one in found))
        return
    for one in found:
        if one is not None:
            out.lines(["  ".join(cell for cell in row(one) if cell)])
            out.lines(change_lines(one.changes, out.cuts))


def _log_stat(found: Iterable[Happening | None], out: Out) -> int:
    counts: Counter[tuple[str, str]] = Counter()
    for one in found:
        if one is not None:
            counts[(one.event.impersonated or one.event.user).name, one.kind] += 1
    table = [[short_user(user), kind, str(count)] for (user, kind), count in counts.most_common()]
    out.table([rows.Column("WHO"), rows.Column("CLASS"), rows.Column("REQUESTS", align=">")], table)
    return 0


def _limit(out: Out) -> int:
    if out.options.limit is not None and not out.options.all:
        return int(out.options.limit)
    return TERMINAL_ROWS if out.terminal and not out.options.all and out.format == "table" else 0


def _tally_json(tally: Tally, total: str) -> Object:
    hidden = {kind: tally.hidden[kind] for kind in CLASSES if tally.hidden[kind]}
    return {"total": _number(total), "classes": dict(tally.shown), "hidden": {"noise": tally.noise, "classes": hidden}}


def _number(total: str) -> int | str:
    """As a number where it is exact."""
    digits = total.replace(",", "")
    return int(digits) if digits.isdigit() else total


def _follow(past: Past, since: Moment, until: Moment, wanted: Narrowing, options: argparse.Namespace) -> int:
    """The log so far, oldest first, then whatever comes, until Ctrl-C."""
    out, tally, clock = Out(options), Tally(), _clock(past, options)
    position = since.position if options.since != "start" else until.position
    while True:
        last = past.store.last_position()
        if last > position:
            after, upto = until._replace(position=position), until._replace(position=last)
            for one in happenings(past, after, upto, wanted, tally, oldest_first=True):
                if one is None:
                    continue
                if out.format in MACHINE:
                    out.lines([documents.encode(documents.happening_json(one), indent=False)])
                else:
                    out.lines(["  ".join(rows.log_row(one, clock, out.cuts, namespaced=not wanted.namespace))])
            out.stream.flush()
            position = last
        time.sleep(FOLLOW_S)


def _narrowing(past: Past, options: argparse.Namespace, at: Moment) -> Narrowing:
    targets = parse_targets(past, options.targets, options.namespace, at.revision)
    try:
        classes = parse_classes(options.classes) if options.classes else SHOWN_FIRST
        grep = re.compile(options.grep) if options.grep else None
    except (ValueError, re.error) as error:
        raise ReplayError(f"{error}") from None
    return Narrowing(
        classes=classes,
        namespace=options.namespace,
        resources=frozenset(target.resource for target in targets if target.key is None),
        objects=frozenset(target.key for target in targets if target.key is not None),
        user=options.user,
        group=options.group,
        verb=options.verb,
        labels=_selector(options.selector),
        grep=grep,
        noise=options.noise == "show",
        conflicts=bool(options.classes),
    )


def _selector(text: str) -> LabelSelector | None:
    try:
        return parse_label_selector(text) if text else None
    except SelectorError as error:
        raise ReplayError(f'"{text}" is not a label selector: {error}') from None


def get(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        at = moment(past, options.at, options)
        out = Out(options)
        targets = parse_targets(past, options.targets, options.namespace, at.revision)
        labels = _selector(options.selector)
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
        if not everything:
            out.note(f"no {', '.join(target.definition.resource for target, _ in found)} at rv {at.revision}")
        check_strict(options, any(one.confidence != "known" for _, one in everything))
        return 0


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


def history(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        at = moment(past, options.at, options)
        targets = parse_targets(past, options.targets, options.namespace, at.revision)
        if len(targets) != 1 or targets[0].key is None:
            raise ReplayError("history is of one object: write TYPE/NAME, such as cm/orders-config")
        key = targets[0].key
        if next(past.store.versions(key, upto=at.revision), None) is None:
            raise not_there(past, targets[0], at.revision)
        with paged(options) as out:
            if options.path:
                return _field_history(past, key, at, out)
            return _object_history(past, key, at, out)


def _object_history(past: Past, key: Key, at: Moment, out: Out) -> int:
    options = out.options
    found = list(versions(past, key, at.revision, noise=options.noise == "show"))
    if out.format in MACHINE:
        query = {"command": options.argv, "at": documents.moment_json(at)}
        items = (documents.version_json(one) for one in found)
        out.document("ObjectHistory", past, query, items, lambda: {"total": len(found)})
    else:
        clock = _clock(past, options)
        if options.patch:
            for one in found:
                out.lines(["  ".join(cell for cell in rows.version_row(one, clock, out.cuts) if cell)])
                out.lines(change_lines([one.change], out.cuts))
        else:
            out.table(rows.HISTORY_COLUMNS, (rows.version_row(one, clock, out.cuts) for one in found))
        out.note(f"{len(found):,} revisions.{_not_through(past, key, at, None)}")
    check_strict(options, any(one.change.confidence != "known" for one in found))
    return 0


def _field_history(past: Past, key: Key, at: Moment, out: Out) -> int:
    options = out.options
    try:
        path = parse_path(options.path)
    except PathError as error:
        raise ReplayError(str(error)) from None
    found: list[FieldValue] = list(field_values(past, key, path, at.revision))
    total = sum(1 for _ in past.store.versions(key, upto=at.revision))
    if not found:
        seen = fields_seen(past, key, path, at.revision)
        hint = f" Fields seen: {', '.join(seen)}." if seen else ""
        raise ReplayError(f"field {format_path(path)} never existed on {key.resource}/{key.name}.{hint}", 1)
    if out.format in MACHINE:
        query = {"command": options.argv, "at": documents.moment_json(at)}
        items = (documents.value_json(one, path_json(path)) for one in found)
        out.document("FieldHistory", past, query, items, lambda: {"total": len(found), "revisions": total})
    else:
        clock = _clock(past, options)
        out.table(rows.VALUE_COLUMNS, (rows.value_row(one, clock, out.cuts) for one in found))
        values, revisions = _plural(len(found), "value"), _plural(total, "revision")
        out.note(f"{values} in {revisions}.{_not_through(past, key, at, path)}")
    check_strict(options, any(one.version.change.confidence != "known" for one in found))
    return 0


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' if count != 1 else ''}"


def _not_through(past: Past, key: Key, at: Moment, path: object) -> str:
    """`  Refused: dave 403, carol 409.  Dry-run: alice "6432".`"""
    refused, tried = [], []
    for one in not_through(past, key, at.position):
        user = short_user(one.event.user.name)
        if one.kind != DRY_RUN:
            refused.append(f"{user} {one.event.code}")
            continue
        fields = [field for change in one.changes for field in change.difference.fields if path in (None, field.path)]
        tried.append(f"{user} {value_text(fields[0].after)}" if fields else user)
    text = f"  Refused: {', '.join(refused)}." if refused else ""
    return text + (f"  Dry-run: {', '.join(tried)}." if tried else "")


def show(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        event = _event(past, " ".join(options.id))
        out = Out(options)
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


def _clock(past: Past, options: argparse.Namespace) -> rows.Clock:
    """How times print: the time of day where the log is of one day, else with the date."""
    if options.time == "none":
        return lambda time_us: "-"
    if options.time == "local":
        return lambda time_us: (
            datetime.fromtimestamp(time_us / 1e6, UTC).astimezone().isoformat(timespec="milliseconds")
        )
    if options.output == "tsv":
        return rows.full_time
    same_day = past.begins // 86_400_000_000 == past.ends // 86_400_000_000
    return rows.time_of_day if same_day else rows.day_and_time
